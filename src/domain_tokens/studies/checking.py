"""Which points of a study can be run: each recipe is checked as a whole before the first run of the first point."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from domain_tokens.planning.launcher import read_launch
from domain_tokens.planning.whole_recipe import check_recipes
from domain_tokens.recipe import RecipeError
from domain_tokens.studies.declaration import Study
from domain_tokens.studies.points import Point
from domain_tokens.studies.sizes import size_of


def checked(study: Study, points: Sequence[Point]) -> list[Point]:
    """Return the points, with the problem of each that could not be run.

    Args:
        study (`Study`): the study.
        points (`Sequence[Point]`): what `points_of` returned.

    Raises:
        RecipeError: if the launcher's file is wrong.
    """
    if study.config_file is not None and not Path(study.config_file).is_file():
        raise RecipeError(f"config_file: {study.config_file}: no such file; expected a file from accelerate_configs/")
    launch = read_launch(study.config_file or "")
    found = []
    for point in points:
        problem = point.problem
        if point.is_run:
            try:
                check_recipes(list(point.recipes), launch, trains_here=False)
                size_of(point)
            except RecipeError as error:
                problem = str(error)
        found.append(replace(point, problem=problem))
    return found
