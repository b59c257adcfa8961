"""The points of a study: every combination of the grid's values, as an experiment of all conditions."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from domain_tokens.experiment.run import check_together
from domain_tokens.experiment.sharing import changed_keys
from domain_tokens.experiment.steps import Step, steps_of
from domain_tokens.recipe import Recipe, RecipeError, flatten, load_recipe, to_dict
from domain_tokens.recipe.checks import check_folders
from domain_tokens.recipe.values.overrides import layered
from domain_tokens.studies.declaration import Settings, Study, is_value

STAGES = ("prepare_data", "pretrain", "eval_checkpoints")
"""The stages of a point's runs. Nothing is fine-tuned, and no task is asked unless the recipe asks checkpoints."""

_NOT_VARIED = ("output_dir", "experiment", "condition", "seed", "prereg", "sft_stages", "grpo_prompts", "start_from")
_OWN = ("sft_stages=[]", "grpo_prompts=[]", "prereg=null")


@dataclass(frozen=True)
class Point:
    """One combination of the grid's values.

    Attributes:
        name: of its experiment, made of the names of its values.
        settings: what its values set, by dotted key.
        arguments: the recipe arguments of each condition, without a seed.
        recipes: the conditions; none if a recipe is invalid.
        held_out: whether it is kept out of fits.
        problem: why it cannot be run; empty if it can.
        same_as: the name of an earlier point that differs in nothing; empty if there is none.
    """

    name: str
    settings: Settings
    arguments: list[list[str]]
    recipes: tuple[Recipe, ...]
    held_out: bool
    problem: str = ""
    same_as: str = ""

    @property
    def is_run(self) -> bool:
        """Whether it has runs of its own."""
        return not self.problem and not self.same_as

    @cached_property
    def flat(self) -> dict[str, object]:
        """The first condition's resolved recipe by dotted keys."""
        return flatten(to_dict(self.recipes[0]))

    def runs(self, seeds: Sequence[int]) -> list[list[Step]]:
        """Return the stages of each run: all conditions with the first seed, then with the next."""
        return [
            [step for step in steps_of([*one, f"seed={seed}"]) if step.stage in STAGES]
            for seed in seeds
            for one in self.arguments
        ]


def points_of(study: Study, where: str) -> list[Point]:
    """Return all points of a study, those that cannot be run and duplicates among them.

    Args:
        study (`Study`): the study.
        where (`str`): its file, for messages.

    Raises:
        RecipeError: if two axes set one key, two points have one name, or no point is valid.
    """
    points: list[Point] = []
    for name, settings in _combinations(study, where):
        point = _point(study, name, settings)
        same = next((one for one in points if one.is_run and _is_same(one, point)), None)
        points.append(point if same is None else replace(point, same_as=same.name))
    check_folders(f"{where}: grid: the name of a point", [point.name for point in points])
    if not any(point.is_run for point in points):
        raise RecipeError(f"{where}: no point of the grid is valid; the first: {points[0].name}: {points[0].problem}")
    held_out = [point for point in points if point.held_out]
    if study.held_out and not held_out:
        raise RecipeError(f"{where}: held_out: no point of the grid has these values: {dict(study.held_out)}")
    for key, given in study.held_out.items():
        for value in given if isinstance(given, list) else [given]:
            if not any(is_value(point.settings.get(key), value) for point in held_out):
                raise RecipeError(f"{where}: held_out.{key}: no point of the grid has the value {value!r}")
    if len(held_out) == len(points):
        raise RecipeError(f"{where}: held_out: names every point; expected some that are fitted")
    return points


def varied_keys(points: Sequence[Point]) -> list[str]:
    """Return the dotted keys that any point sets, in the order of the grid; of a section, the keys in it."""
    return list(dict.fromkeys(key for point in points for key in flatten(dict(point.settings))))


def run_of(study: Study, point: Point, points: Sequence[Point]) -> str:
    """Return the name of the run to which a point belongs, without condition and seed.

    Points that differ only in `same_run` keys are one run under the name of the first of them.
    """

    def rest(one: Point) -> dict[str, object]:
        return {key: value for key, value in one.settings.items() if key not in study.same_run}

    if not study.same_run:
        return point.name
    return next(one.name for one in points if rest(one) == rest(point))


def _combinations(study: Study, where: str) -> Iterator[tuple[str, Settings]]:
    for combination in itertools.product(*(values.items() for values in study.axes(where).values())):
        settings: dict[str, object] = {}
        for name, given in combination:
            for key in given:
                if key.partition(".")[0] in _NOT_VARIED:
                    raise RecipeError(f"{where}: grid: {name}: a study sets {key} itself; expected another key")
            if twice := sorted(settings.keys() & given.keys()):
                raise RecipeError(f"{where}: grid: {name} sets {twice[0]}, which another axis sets too")
            settings |= given
        yield "_".join(str(name) for name, _ in combination), settings


def _point(study: Study, name: str, settings: Settings) -> Point:
    own = [f"output_dir={study.folder}", f"experiment={name}", *_OWN]
    try:
        overrides = layered(study.overrides, [_override(key, value) for key, value in settings.items()], own)
        arguments = [[recipe, *study.overlays, *overrides] for recipe in study.recipes]
        for path in (*study.recipes, *study.overlays):
            if not Path(path).is_file():
                raise FileNotFoundError(path)
        recipes = tuple(load_recipe([*one, f"seed={study.seeds[0]}"]) for one in arguments)
        check_together(list(recipes))
    except FileNotFoundError as error:
        raise RecipeError(
            f"recipes or overlays: {error}: no such file; expected paths from the working folder"
        ) from None
    except RecipeError as error:
        return Point(name, settings, [], (), study.is_held_out(settings), problem=str(error))
    return Point(name, settings, arguments, recipes, study.is_held_out(settings))


def _override(key: str, value: object) -> str:
    return f"{key}={value}" if isinstance(value, str) else f"{key}={json.dumps(value)}"


def _is_same(one: Point, other: Point) -> bool:
    return bool(other.recipes) and not any(
        changed_keys(mine, theirs) for mine, theirs in zip(one.recipes, other.recipes, strict=True)
    )
