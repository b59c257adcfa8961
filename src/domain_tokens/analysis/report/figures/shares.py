"""Accuracy by the number of facts needed, the kinds of mistake as stacked bars, and the lengths of answers."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from domain_tokens.analysis.report.formats import printable
from domain_tokens.analysis.report.plots import (
    INK,
    PANEL_INCHES,
    bar_offset,
    draw_bar,
    draw_legend,
    draw_mean,
    label_bars,
    line_handles,
    new_figure,
    patch_handles,
    styles,
)
from domain_tokens.analysis.report.words.names import names_in
from domain_tokens.analysis.results_model import (
    MOST_FACTS,
    ErrorRow,
    ErrorShares,
    FactsNeededRow,
    Means,
    Results,
    TokenUse,
)

Row = TypeVar("Row", ErrorRow, FactsNeededRow)

_KINDS: Final = {
    "right": "#3F8F5F",
    "operands": "#CC79A7",
    "arithmetic": "#D55E00",
    "reasoning": "#E69F00",
    "format": "#7F7F7F",
    "unfinished": "#B0B0B0",
}
_ROOM: Final = 0.09  # a narrower share has no room for its number
_NAME: Final = 26  # characters of a condition's name beside a bar


def facts_needed(found: Sequence[Results]) -> Figure | None:
    """Draw accuracy by the number of facts that an item needs, and the differences with their intervals."""
    rows = [_of_primary(results.facts_needed, results) for results in found]
    first = rows[0]
    if first is None or len(first.strata) < 2 or any(row is None for row in rows):
        return None
    known = [row for row in rows if row is not None]
    names = [printable(name) for name in (found[0].reference, *(results.other for results in found))]
    at = list(range(len(first.strata)))
    figure, (above, below) = new_figure([1.0, 1.0], PANEL_INCHES)
    sides = [[stratum.reference for stratum in first.strata]]
    sides += [[stratum.other for stratum in row.strata] for row in known]
    for style, values in zip(styles(len(sides)), sides, strict=True):
        draw_mean(above, style, at[: len(values)], [100 * value for value in values], "o", markersize=5)
    above.set_ylim(bottom=0)
    above.set_title(printable(f"accuracy in %, {names_in(found[0].rows)[first.task]}"))
    _differences(below, known)
    for axes in (above, below):
        axes.set_xlim(-0.5, len(at) - 0.5)
        axes.set_xticks(at, [_needed(stratum.count, stratum.num_items) for stratum in first.strata])
    draw_legend(figure, line_handles(len(names)), names)
    return figure


def _differences(axes: Axes, rows: Sequence[FactsNeededRow]) -> None:
    for index, (style, row) in enumerate(zip(styles(len(rows) + 1)[1:], rows, strict=True)):
        for position, stratum in enumerate(row.strata):
            x = position + 0.4 * ((index + 0.5) / len(rows) - 0.5)
            ends = [100 * end for end in stratum.interval or (stratum.delta, stratum.delta)]
            axes.plot([x, x], ends, color=style.color, linewidth=1.6)
            axes.plot([x], [100 * stratum.delta], marker="o", markersize=5, color=style.color)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_title("difference in points (95% intervals)")


def _needed(count: int, num_items: int) -> str:
    facts = "1 fact" if count == 1 else f"{count} facts"
    return f"{facts}{' or more' if count == MOST_FACTS else ''}\n{num_items:,} items"


def mistakes(found: Sequence[Results]) -> Figure | None:
    """Draw the kinds of mistake as stacked bars: every task of two conditions, the primary endpoint's of several."""
    if len(found) == 1:
        groups = [[row] for row in found[0].error_types]
    else:
        rows = [_of_primary(results.error_types, results) for results in found]
        groups = [[row for row in rows if row is not None]] if all(row is not None for row in rows) else []
    if not groups:
        return None
    names = [_short(name) for name in (found[0].reference, *(results.other for results in found))]
    figure, all_axes = new_figure([float(len(names))] * len(groups), 0.45, inches_per_unit=0.3)
    used: dict[str, None] = {}
    tasks = names_in(found[0].rows)
    for axes, group in zip(all_axes, groups, strict=True):
        used |= _stacked(axes, group, names, tasks[group[0].task])
    kinds = [kind for kind in _KINDS if kind in used]
    draw_legend(figure, [Patch(facecolor=_KINDS[kind]) for kind in kinds], kinds)
    return figure


def _stacked(axes: Axes, group: Sequence[ErrorRow], names: Sequence[str], task: str) -> dict[str, None]:
    used: dict[str, None] = {}
    for position, side in enumerate([group[0].reference, *(row.other for row in group)]):
        left = 0.0
        for kind, share in _shares(side):
            axes.barh(position, 100 * share, left=100 * left, height=0.8, color=_KINDS[kind])
            if share >= _ROOM:
                middle = 100 * (left + share / 2)
                axes.text(
                    middle, position, f"{100 * share:.0f}%", ha="center", va="center", fontsize=8, color="#ffffff"
                )
            left += share
            used |= {kind: None} if share else {}
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.grid(visible=False)
    axes.set_title(printable(f"{task}, after {group[0].model.removesuffix('_final')} (% of answers)"))
    return used


def _shares(side: ErrorShares) -> list[tuple[str, float]]:
    return [(kind, getattr(side, kind)) for kind in _KINDS]


def lengths(found: Sequence[Results]) -> Figure | None:
    """Draw how many tokens an answer has, in every task and model."""
    return _means(found, lambda row: row.tokens_per_response, "tokens per answer", "{:.1f}")


def facts_per_answer(found: Sequence[Results]) -> Figure | None:
    """Draw how many fact tokens an answer has, in every task and model."""
    return _means(found, lambda row: row.facts_per_response, "fact tokens per answer", "{:.2f}")


def _means(found: Sequence[Results], read: Callable[[TokenUse], Means], what: str, form: str) -> Figure | None:
    """Draw a mean of every condition for each task and model in which all of them have one."""
    rows: list[tuple[TokenUse, list[float]]] = []
    for row in found[0].token_use:
        known = [read(one).known for results in found for one in results.token_use if _key(one) == _key(row)]
        both = [sides for sides in known if sides is not None]
        if len(both) == len(found):
            rows.append((row, [both[0][0], *(sides[1] for sides in both)]))
    if not rows:
        return None
    number = len(found) + 1
    names = [printable(name) for name in (found[0].reference, *(results.other for results in found))]
    tasks = names_in(found[0].rows)
    figure, (axes,) = new_figure([float(len(rows) + 1)], 0.0, inches_per_unit=0.26 * number)
    for position, (_, values) in enumerate(rows):
        for index, value in enumerate(values):
            draw_bar(axes, index, position, value, number=number)
            at = value, bar_offset(index, position, number)
            axes.annotate(form.format(value), at, (3, 0), textcoords="offset points", va="center", fontsize=8)
    labels = [printable(f"{tasks[row.task]}, {row.model.removesuffix('_final')}") for row, _ in rows]
    label_bars(axes, labels, what)
    axes.margins(x=0.12)
    draw_legend(figure, patch_handles(number), names)
    return figure


def _key(row: TokenUse) -> tuple[str, str]:
    return row.model, row.task


def _of_primary(rows: Sequence[Row], results: Results) -> Row | None:
    """Return the row of the primary endpoint's task and model, else the last one."""
    key = results.primary.model, results.primary.task
    return next((row for row in rows if (row.model, row.task) == key), rows[-1] if rows else None)


def _short(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= _NAME else f"{shown[: _NAME - 1]}…"
