"""The four cells of a transplant: each of two conditions' pretrained models, fine-tuned as either condition.

Two cells are the conditions themselves. A crossed cell starts with the pretrained model of one condition
(`start_from`) and has all later stages of the other, with the other's tokenizer, so no model is pretrained twice.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.recipe.loading import overlaid
from domain_tokens.runs.files import link_folder
from domain_tokens.runs.layout import MANIFEST, start_folder
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.vocabulary import Vocabulary, vocabulary


def crossed_name(pretrained: str, fine_tuned: str) -> str:
    """Return the name of a crossed cell: `baseline_then_mul_tokens`."""
    return f"{pretrained}_then_{fine_tuned}"


def crossed_arguments(arguments: list[list[str]]) -> list[list[str]]:
    """Return the recipe arguments of the two crossed cells: the first condition then the second, and the reverse.

    Args:
        arguments (`list[list[str]]`): the recipe arguments of the two conditions, without a seed.

    Raises:
        RecipeError: if there are not two conditions, or one of them starts with another's model itself.
    """
    if len(arguments) != 2:
        raise RecipeError(
            f"--transplant: expected two recipes, one for each condition, got {len(arguments)}; the crossed cells "
            "follow from them"
        )
    recipes = [load_recipe(one) for one in arguments]
    for recipe in recipes:
        if recipe.start_from is not None:
            raise RecipeError(
                f"--transplant: {recipe.condition} starts with the model of {recipe.start_from.condition}; expected "
                "the recipes of two conditions that pretrain their own"
            )
    first, second = (recipe.condition for recipe in recipes)
    return [
        overlaid(later, [f"condition={crossed_name(begun, ended)}", f"start_from.condition={begun}"])
        for begun, ended, later in ((first, second, arguments[1]), (second, first, arguments[0]))
    ]


def check_starts(recipes: Sequence[Recipe], seeds: Sequence[int]) -> None:
    """Check before work begins that every run that starts with another condition's model will find one that fits.

    Args:
        recipes (`Sequence[Recipe]`): the conditions of an experiment, in the order in which they are run.
        seeds (`Sequence[int]`): the seeds of the runs.

    Raises:
        RecipeError: naming the condition and what was expected.
    """
    before: dict[str, Recipe] = {}
    for recipe in recipes:
        if recipe.start_from is not None:
            _check_start(recipe, recipe.start_from.condition, before, seeds)
        before[recipe.condition] = recipe


def _check_start(recipe: Recipe, name: str, before: dict[str, Recipe], seeds: Sequence[int]) -> None:
    where = f"{recipe.condition}: start_from"
    if name not in before:
        folders = [start_folder(replace(recipe, seed=seed)) for seed in seeds]
        missing = [folder for folder in folders if folder is not None and not (folder / MANIFEST).is_file()]
        if missing:
            raise RecipeError(
                f"{where} names {name}, which is not among the recipes before this one and has not trained "
                f"{missing[0]}; expected its recipe before this one"
            )
        return  # the stage reads what the folder recorded
    other = before[name]
    if conflict := _vocabulary(recipe).conflict(_vocabulary(other)):
        raise RecipeError(
            f"{where}: the vocabulary of {name} is not that of {recipe.condition}: {conflict}; expected a condition "
            "with the same base vocabulary, as many ids, and no other token at an id of this one"
        )
    if other.seed_of != recipe.seed_of:
        raise RecipeError(
            f"{where}: {name} has other seeds ({other.seed_of}) than {recipe.condition} ({recipe.seed_of}); cells are "
            "paired by seed, so give both the same seed_offset and seeds"
        )


def _vocabulary(recipe: Recipe) -> Vocabulary:
    """Return what ids stand for, from the recipe alone: no tokenizer need exist."""
    base = ", ".join(f"{key} {value}" for key, value in asdict(recipe.base_vocabulary).items())
    return vocabulary(base, load_intervention(Path(recipe.tokenizer)))


def link_data(recipes: Sequence[Recipe]) -> None:
    """Link the crossed cells' tokenizer and shards to those of the condition that fine-tunes, made once.

    Args:
        recipes (`Sequence[Recipe]`): the two conditions, then the two crossed cells.
    """
    for crossed, owner in _owners(recipes):
        for target, place in (
            (owner.tokenizer_dir, crossed.tokenizer_dir),
            (owner.corpus_dir, crossed.corpus_dir),
        ):
            if place.is_symlink() or not place.exists():  # a folder in its place stays, and its stage judges it
                link_folder(target, place)


def sharing(recipes: Sequence[Recipe]) -> list[str]:
    """Return in lines which data the crossed cells share, for a dry run. Arguments as for `link_data`."""
    return [
        f"{crossed.condition}: tokenizer and token shards will be links to those of {owner.condition}"
        for crossed, owner in _owners(recipes)
    ]


def _owners(recipes: Sequence[Recipe]) -> list[tuple[Recipe, Recipe]]:
    first, second, first_then_second, second_then_first = recipes
    return [(first_then_second, second), (second_then_first, first)]
