"""Draws all plots of a comparison of two conditions, or of several with one."""

from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

from domain_tokens.analysis.report.figures.checkpoints import fact_use, learning_curves, rows_of_facts
from domain_tokens.analysis.report.figures.shares import facts_needed, facts_per_answer, lengths, mistakes
from domain_tokens.analysis.report.formats import printable
from domain_tokens.analysis.report.plots import (
    COLORS,
    LOSS,
    STYLE,
    accuracy_figure,
    curves_figure,
    effects_figure,
    forest_figure,
    grpo_panels,
    stage_panels,
)
from domain_tokens.analysis.results_model import DECLARED, PRIMARY, Overview, Results
from domain_tokens.runs.results import Pair


def draw(pair: Pair, results: Results) -> dict[str, Figure]:
    """Return the figures by name; those for which nothing was logged are left out."""
    names = printable(pair.reference.name), printable(pair.other.name)
    # Losses are per token: with another base vocabulary, that is another measure.
    stages = [name for name in pair.first_run.stages if name != "grpo_final" and not pair.different_vocabularies]
    with matplotlib.rc_context(STYLE):
        figures = {
            "training_loss": curves_figure(list(stage_panels(pair.sides, stages, "loss")), LOSS, names),
            "validation_loss": curves_figure(list(stage_panels(pair.sides, stages, "eval_loss")), LOSS, names),
            "accuracy": accuracy_figure(results.rows, names),
            "effects": effects_figure(results.rows, names),
            "fact_rows": rows_of_facts([results]),
            "grpo": curves_figure(list(grpo_panels(pair)), None, names),
            **_of_all([results]),
        }
    return {name: figure for name, figure in figures.items() if figure is not None}


def draw_overview(overview: Overview, found: Sequence[Results]) -> dict[str, Figure]:
    """Return the figures of several conditions.

    Args:
        overview (`Overview`): the primary endpoint of each against the reference, and the factors.
        found (`Sequence[Results]`): the results of its pairs.
    """
    factors = overview.factors
    named = {row.with_factor for row in factors if row.without == overview.reference}
    pairs = [row for row in overview.rows if row.role == PRIMARY and row.condition not in named]
    labels = [f"{row.condition} minus {overview.reference}" for row in pairs]
    labels += [f"{row.factor}: {row.with_factor} minus {row.without}" for row in factors]
    colors = [COLORS[PRIMARY]] * len(pairs) + [COLORS[DECLARED]] * len(factors)
    with matplotlib.rc_context(STYLE):
        figures = {"conditions": forest_figure([*pairs, *factors], labels, colors, "difference"), **_of_all(found)}
    return {name: figure for name, figure in figures.items() if figure is not None}


def _of_all(found: Sequence[Results]) -> dict[str, Figure | None]:
    """Return the figures that show any number of conditions with the same reference."""
    return {
        "learning_curves": learning_curves(found),
        "facts_needed": facts_needed(found),
        "mistakes": mistakes(found),
        "fact_use": fact_use(found) or facts_per_answer(found),
        "lengths": lengths(found),
    }
