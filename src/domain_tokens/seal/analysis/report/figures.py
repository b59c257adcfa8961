"""The figures of self-adaptation: gain against budget, and gain against forgetting."""

from collections.abc import Sequence
from typing import Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from domain_tokens.analysis.report.formats import number, printable
from domain_tokens.analysis.report.plots import INK, STYLE, draw_legend, styles
from domain_tokens.seal.analysis.results import Adaptation, Average, ChainResult, ConditionResult
from domain_tokens.seal.records import ARMS

BUDGET, PARETO = "gain_by_budget", "pareto"
CAPTIONS: Final = {
    BUDGET: (
        "Left: the edits of all rounds that could be read, by inner steps and by the weights that they train; a point "
        "is the mean over the passages that had such an edit (inner seeds first, then edits, then passages). The "
        "policy chose which passage got which edit. Under the steps: mean tokens of the inner loop. Right: what the "
        "arms gain on the same test passages, with equal steps; whether two of them differ, the table of differences "
        "says, and not the overlap of their bars. Up: more gain, in the scoring half. Bars: 95% intervals "
        "over passages, and over runs where there are several."
    ),
    PARETO: (
        "A filled point is a setting of the inner loop: the mean over all edits of the rounds with these weights, "
        "learning rate and steps (larger: more steps), over inner seeds and passages. Upper left is better. Line: the "
        "settings that no other one dominates; small and faint: settings of too few passages to count. The best of "
        "many noisy means look better than they are. Open signs: the arms on the test passages, with 95% intervals. "
        "Where passages were learned in a row, a second panel has the arms there: forgetting of the earlier passages "
        "against the gain for the one just learned, over all places with an earlier one."
    ),
}
_WIDTH_INCHES, _PANEL_INCHES, _LEGEND_INCHES = 6.6, 3.0, 0.9
_GAIN = "gain: drop in bits per byte"
_ARM_MARKERS = dict(zip(ARMS, ("*", "o", "s", "D", "^", "v"), strict=True))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_SIZES = (18.0, 110.0)
_FAINT = 0.35
_LONGEST_NAME = 24
_GREY = "#777777"


def draw(found: Adaptation) -> dict[str, Figure]:
    """Return both figures by name, with a row of panels for each condition."""
    with matplotlib.rc_context(STYLE):
        return {BUDGET: _budget_figure(found), PARETO: _pareto_figure(found)}


def _new(rows: int, columns: int, widths: Sequence[float]) -> tuple[Figure, list[list[Axes]]]:
    height = rows * _PANEL_INCHES + _LEGEND_INCHES
    figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained", facecolor="white")
    grid = figure.subplots(rows, columns, squeeze=False, width_ratios=widths)
    return figure, [list(row) for row in grid]


def _budget_figure(found: Adaptation) -> Figure:
    weights = _weights(found)
    figure, grid = _new(len(found.conditions), 2, (1.5, 1))
    for (left, right), condition in zip(grid, found.conditions, strict=True):
        _draw_budget(left, condition, weights)
        _draw_arms(right, condition)
        ends = [end for axes in (left, right) if axes.has_data() for end in axes.get_ylim()]
        for axes in (left, right):
            axes.axhline(0, color=INK, linewidth=0.8)
            if ends:
                axes.set_ylim(min(*ends, 0), max(*ends, 0))
    handles = [
        Line2D([], [], color=style.color, linestyle=style.linestyle, marker=_MARKERS[index % len(_MARKERS)])
        for index, style in enumerate(styles(len(weights)))
    ]
    draw_legend(figure, handles, weights)
    return figure


def _draw_budget(axes: Axes, condition: ConditionResult, weights: Sequence[str]) -> None:
    steps = sorted({point.steps for point in condition.budget})
    for index, (name, style) in enumerate(zip(weights, styles(len(weights)), strict=True)):
        own = [point for point in condition.budget if point.weights == name]
        places = [steps.index(point.steps) + 0.12 * (index - (len(weights) - 1) / 2) for point in own]
        _errorbars(
            axes, places, [point.gain for point in own], style.color, _MARKERS[index % len(_MARKERS)], style.linestyle
        )
    axes.set_xticks(range(len(steps)), [f"{one}\n{_tokens(condition, one)}" for one in steps])
    axes.set_xlim(-0.5, max(len(steps) - 0.5, 0.5))
    axes.set_xlabel("inner steps, and tokens")
    axes.set_ylabel(_GAIN)
    axes.set_title(f"{_short(condition.condition)}: edits of all rounds")


def _tokens(condition: ConditionResult, steps: int) -> str:
    own = [point for point in condition.budget if point.steps == steps]
    total = sum(point.edits for point in own)
    return number(round(sum(point.tokens * point.edits for point in own) / total))


def _draw_arms(axes: Axes, condition: ConditionResult) -> None:
    for place, arm in enumerate(condition.arms):
        _errorbars(axes, [place], [arm.drop], INK, _ARM_MARKERS[arm.arm], "none", hollow=True)
    names = [arm.arm for arm in condition.arms]
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.6, max(len(names) - 0.4, 0.6))
    axes.set_title("test passages, by arm")


def _errorbars(
    axes: Axes,
    x: Sequence[float],
    averages: Sequence[Average],
    color: str,
    marker: str,
    linestyle: str,
    hollow: bool = False,
) -> None:
    means = [one.mean for one in averages]
    ends = [_ends(one) for one in averages]
    axes.errorbar(
        x,
        means,
        yerr=[
            [max(mean - low, 0) for mean, (low, _) in zip(means, ends, strict=True)],
            [max(high - mean, 0) for mean, (_, high) in zip(means, ends, strict=True)],
        ],
        color=color,
        linestyle=linestyle,
        marker=marker,
        markersize=9 if marker == "*" else 6,
        markerfacecolor="white" if hollow else color,
        capsize=2,
        linewidth=1.4,
        elinewidth=1.0,
    )


def _pareto_figure(found: Adaptation) -> Figure:
    has_chain = any(condition.chain for condition in found.conditions)
    weights, rates, steps = _weights(found), _rates(found), _steps(found)
    figure, grid = _new(len(found.conditions) * (1 + has_chain), 1, (1,))
    panels = [row[0] for row in grid]
    for index, condition in enumerate(found.conditions):
        name = _short(condition.condition)
        axes = panels[index * (1 + has_chain)]
        _draw_pareto(axes, condition, weights, rates, steps)
        axes.set_title(f"{name}: gain against forgetting of held-out text")
        axes.set_xlabel("forgetting: rise in bits per byte of held-out text")
        if has_chain:
            axes = panels[index * 2 + 1]
            _draw_chain(axes, [one for one in condition.chain if one.place is None])
            axes.set_title(f"{name}: passages learned in a row")
            axes.set_xlabel("forgetting: rise in bits per byte of answers about earlier passages")
    for axes in panels:
        axes.set_ylabel(_GAIN)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.margins(0.08)
    _draw_pareto_legend(figure, found, weights, rates, steps)
    return figure


def _draw_pareto(
    axes: Axes, condition: ConditionResult, weights: Sequence[str], rates: Sequence[float], steps: Sequence[int]
) -> None:
    colors = dict(zip(weights, (style.color for style in styles(len(weights))), strict=True))
    for one in condition.settings:
        axes.scatter(
            [one.forgetting.mean],
            [one.gain.mean],
            s=_size(steps.index(one.steps), len(steps)) if one.is_counted else _SIZES[0] / 2,
            color=colors[one.weights],
            marker=_MARKERS[rates.index(one.learning_rate) % len(_MARKERS)],
            alpha=0.85 if one.is_counted else _FAINT,
            linewidth=0,
        )
    best = sorted((one.forgetting.mean, one.gain.mean) for one in condition.settings if one.on_front)
    axes.plot([x for x, _ in best], [y for _, y in best], color=_GREY, linewidth=1.0, drawstyle="steps-post", zorder=1)
    for arm in condition.arms:
        if arm.forgetting is not None:
            _mark_arm(axes, arm.arm, arm.forgetting, arm.drop)


def _draw_chain(axes: Axes, chain: Sequence[ChainResult]) -> None:
    for one in chain:
        if one.gain is not None:
            _mark_arm(axes, one.arm, one.forgetting, one.gain)


def _mark_arm(axes: Axes, arm: str, forgetting: Average, gain: Average) -> None:
    for x, y in ((_ends(forgetting), [gain.mean] * 2), ([forgetting.mean] * 2, _ends(gain))):
        axes.plot(x, y, color=_GREY, linewidth=0.8, alpha=0.7)
    axes.plot(
        [forgetting.mean], [gain.mean], _ARM_MARKERS[arm], color=INK, markerfacecolor="none", markersize=_arm_size(arm)
    )


def _arm_size(arm: str) -> float:
    return 11 if _ARM_MARKERS[arm] == "*" else 8  # a star looks smaller than it is


def _ends(average: Average) -> list[float]:
    """Return the ends of an interval; the mean, twice, where there is none."""
    return [average.mean if end is None else end for end in (average.low, average.high)]


def _size(index: int, number_of_steps: int) -> float:
    low, high = _SIZES
    return low + (high - low) * index / max(number_of_steps - 1, 1)


def _draw_pareto_legend(
    figure: Figure, found: Adaptation, weights: Sequence[str], rates: Sequence[float], steps: Sequence[int]
) -> None:
    """Name colours, signs and sizes above the panels, in three columns."""
    arms = [arm for arm in ARMS if any(arm in _names_of_arms(condition) for condition in found.conditions)]
    columns: list[list[tuple[Line2D, str]]] = [
        [(_sign("o", style.color), name) for style, name in zip(styles(len(weights)), weights, strict=True)],
        [
            (_sign(_MARKERS[index % len(_MARKERS)], _GREY), f"learning rate {rate:g}")
            for index, rate in enumerate(rates)
        ],
        [
            (_sign("o", _GREY, _size(index, len(steps)) ** 0.5), f"{one} step{'s' * (one > 1)}")
            for index, one in enumerate(steps)
        ],
        [(_sign(_ARM_MARKERS[arm], INK, _arm_size(arm), hollow=True), f"arm: {arm}") for arm in arms],
    ]
    columns = [*columns[:3], columns[3][: (len(arms) + 1) // 2], columns[3][(len(arms) + 1) // 2 :]]
    columns = [column for column in columns if column]
    height = max(map(len, columns), default=0)
    padded = [pair for column in columns for pair in [*column, *[(_sign("", _GREY), "")] * (height - len(column))]]
    if padded:
        figure.legend(
            [handle for handle, _ in padded],
            [name for _, name in padded],
            loc="outside upper center",
            ncols=len(columns),
            frameon=False,
            fontsize=8,
            columnspacing=1.0,
            handletextpad=0.4,
        )


def _sign(marker: str, color: str, size: float = 6, hollow: bool = False) -> Line2D:
    face = "none" if hollow else color
    return Line2D([], [], color=color, marker=marker or None, markersize=size, markerfacecolor=face, linestyle="none")


def _names_of_arms(condition: ConditionResult) -> set[str]:
    return {arm.arm for arm in condition.arms} | {one.arm for one in condition.chain}


def _short(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 1]}…"


def _weights(found: Adaptation) -> list[str]:
    return list(dict.fromkeys(point.weights for condition in found.conditions for point in condition.budget))


def _rates(found: Adaptation) -> list[float]:
    return sorted({float(one.learning_rate) for condition in found.conditions for one in condition.settings})


def _steps(found: Adaptation) -> list[int]:
    return sorted({one.steps for condition in found.conditions for one in condition.settings})
