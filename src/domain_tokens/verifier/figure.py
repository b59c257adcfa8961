"""The figure of a comparison of verifiers: accuracies by number of samples, one panel for each way of choosing."""

import matplotlib
from matplotlib.figure import Figure

from domain_tokens.analysis.report.formats import printable
from domain_tokens.analysis.report.plots import (
    PANEL_INCHES,
    STYLE,
    draw_accuracies,
    draw_legend,
    line_handles,
    new_figure,
    styles,
)
from domain_tokens.verifier.comparison import Comparison
from domain_tokens.verifier.records import NAMES


def by_samples(comparison: Comparison) -> Figure:
    """Draw each condition's accuracies with their 95% intervals, over the number of samples."""
    with matplotlib.rc_context(STYLE):
        figure, all_axes = new_figure([1.0] * len(NAMES), PANEL_INCHES)
        for axes, (estimate, title) in zip(all_axes, NAMES.items(), strict=True):
            for style, points in zip(styles(len(comparison.sides)), comparison.points[estimate].values(), strict=True):
                draw_accuracies(axes, style, comparison.sizes, points)
            axes.set_xscale("log", base=2)
            axes.set_xticks(comparison.sizes, [str(n) for n in comparison.sizes])
            axes.set_title(f"{title}, {printable(comparison.source)}")
            axes.set_xlabel("samples, n")
            axes.set_ylabel("%")
        low = min(axes.get_ylim()[0] for axes in all_axes)
        high = max(axes.get_ylim()[1] for axes in all_axes)
        for axes in all_axes:  # one scale, so that panels can be compared
            axes.set_ylim(max(low, 0), min(high, 100))
        names = [side.name for side in comparison.sides]
        draw_legend(figure, line_handles(len(names)), names)
    return figure
