"""The finished model of another condition from which a run starts: whether it may, and what is recorded of it."""

from pathlib import Path

from pydantic import JsonValue

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.recipe.checks import check_among
from domain_tokens.runs.layout import MANIFEST, made_by
from domain_tokens.runs.records import Fields, Manifest, StartRecord
from domain_tokens.runs.stage_folder import require
from domain_tokens.tokenization.contract import tokenizer_sha256
from domain_tokens.tokenization.vocabulary import read_vocabulary


def require_start(recipe: Recipe, folder: Path) -> Manifest:
    """Return the manifest of the other condition's model from which a run starts.

    Args:
        recipe (`Recipe`): a run with `start_from`.
        folder (`Path`): the model, as `layout.start_folder` returns it.

    Raises:
        RecipeError: if the model is missing or unfinished, was trained with other seeds or by another condition, or
            its rows stand for other tokens than this run's.
    """
    assert recipe.start_from is not None
    other = recipe.start_from.condition
    if not (folder / MANIFEST).is_file():
        raise RecipeError(
            f"start_from: {folder}: missing or unfinished; run {made_by(folder.name)} of the condition {other} with "
            f"seed {recipe.seed} in this experiment first"
        )
    manifest = require(folder, made_by(folder.name))
    check_among(f"start_from: {folder}: the condition in its manifest", manifest.condition, [other])
    _check_seeds(recipe, folder, manifest)
    if conflict := read_vocabulary(recipe.tokenizer_dir).conflict(read_vocabulary(folder)):
        raise RecipeError(
            f"start_from: {folder}: the vocabulary of {other} is not that of {recipe.condition}: {conflict}; expected "
            "a condition with the same base vocabulary, as many ids, and no other token at an id of this one"
        )
    return manifest


def start_record(recipe: Recipe, folder: Path, weights_sha256: str) -> Fields:
    """Return what a stage records of the other condition's model: condition, folder, hashes of weights and tokenizer.

    Args:
        recipe (`Recipe`): the run.
        folder (`Path`): the model.
        weights_sha256 (`str`): the hash of its weights, from its manifest.
    """
    assert recipe.start_from is not None
    record = StartRecord(
        condition=recipe.start_from.condition,
        folder=folder.relative_to(recipe.experiment_dir).as_posix(),
        weights_sha256=weights_sha256,
        tokenizer_sha256=tokenizer_sha256(folder),
    )
    return record.as_json()


def _check_seeds(recipe: Recipe, folder: Path, manifest: Manifest) -> None:
    ours = seed_fields(recipe)
    found = {key: manifest.inputs[key] for key in ("seed", "seeds") if key in manifest.inputs}
    if manifest.seed != recipe.seed or found != ours:
        raise RecipeError(
            f"start_from: {folder}: trained with other seeds (run {manifest.seed}, {_words(found)}) than this run "
            f"({recipe.seed}, {_words(ours)}); cells are paired by seed, so give both the same seed, seed_offset and "
            "seeds"
        )


def seed_fields(recipe: Recipe) -> Fields:
    """Return the run's seed and, of `seeds`, those that differ from it: without any, as older releases recorded it."""
    moved: dict[str, JsonValue] = {
        name: value for name, value in recipe.seed_of.items() if value != recipe.training_seed
    }
    return {"seed": recipe.training_seed, **({"seeds": moved} if moved else {})}


def _words(seeds: Fields) -> str:
    return ", ".join(f"{key} {value}" for key, value in seeds.items())
