"""Draws what is missing, and writes the curves' tables and figure."""

import logging
from collections.abc import Sequence
from pathlib import Path

from domain_tokens.analysis.measures.outcomes import clusters_of
from domain_tokens.analysis.report.plots import render
from domain_tokens.analysis.report.tables.table import to_markdown
from domain_tokens.evaluation.answers.extraction import read_number
from domain_tokens.recipe import Recipe
from domain_tokens.runs.files import write_text
from domain_tokens.runs.layout import SAMPLING
from domain_tokens.sampling_curves.comparison import Curves, Side, tables
from domain_tokens.sampling_curves.drawing import GREEDY, Drawn, Run, Wanted, draw, prepare
from domain_tokens.sampling_curves.figure import draw_curves

logger = logging.getLogger(__name__)


def measure_curves(recipes: Sequence[Recipe], wanted: Wanted, allow_change: bool = False) -> tuple[Curves, Path]:
    """Draw the answers of finished runs, and write `sampling_<model>_<task>.md` and `.png` beside them.

    What was drawn before is read, and what was interrupted goes on.

    Args:
        recipes (`Sequence[Recipe]`): one for each condition and seed; the first condition is the reference.
        wanted (`Wanted`): what is drawn.
        allow_change (`bool`, *optional*, defaults to `False`): go on with interrupted samples although code or
            recipe have changed.

    Returns:
        The curves, and the path of the tables.

    Raises:
        RecipeError: as `prepare`, before anything is drawn, and `draw`.
    """
    logging.basicConfig(format="%(message)s")
    logging.getLogger("domain_tokens").setLevel(logging.INFO)
    curves = _curves(prepare(recipes, wanted), wanted, allow_change)
    folder, name = recipes[0].experiment_dir, f"{SAMPLING}_{wanted.model}_{wanted.task}"
    (image,) = render({name: draw_curves(curves)}, ["png"]).items()
    (folder / image[0]).write_bytes(image[1])
    path = folder / f"{name}.md"
    caption = (
        f"{curves.intervals.capitalize()}. Those of two conditions may overlap although their difference is clear, "
        "since both answer the same questions: see the last table. Dotted: the floor of pass@n, explained under the "
        "second."
    )
    figure = f"![accuracy by temperature and number of answers]({image[0]})"
    text = "\n\n".join([figure, caption, *map(to_markdown, tables(curves))])
    write_text(path, f"{text}\n")
    return curves, path


def _curves(runs: Sequence[Run], wanted: Wanted, allow_change: bool) -> Curves:
    first = runs[0]
    questions = first.parts[GREEDY].questions
    drawn: dict[str, dict[int, dict[float, Drawn]]] = {}
    for run in runs:
        drawn.setdefault(run.recipe.condition, {})[run.recipe.seed] = draw(run, allow_change)
    golds = [number for one in questions if (number := read_number(one.gold)) is not None]
    assert len(golds) == len(questions)  # a task refuses others
    return Curves(
        model=wanted.model,
        source=first.task.source_name(first.recipe),
        temperatures=(GREEDY, *wanted.temperatures),
        num_samples=wanted.num_samples,
        golds=tuple(golds),
        clusters=tuple(clusters_of(questions)),
        sides=tuple(Side(name, seeds) for name, seeds in drawn.items()),
    )
