"""The tables of a plan: what seeds and items can show, and what they cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from domain_tokens.analysis.report.formats import DASH, Scale
from domain_tokens.analysis.report.signals import EndpointSignal
from domain_tokens.analysis.report.tables.table import Table
from domain_tokens.analysis.report.words.names import metric_of
from domain_tokens.analysis.statistics.crossed import Components
from domain_tokens.analysis.statistics.power import MOST_SEEDS, Cost, needed_items, needed_seeds, smallest_effect
from domain_tokens.runs.results import ALL_ITEMS


@dataclass(frozen=True)
class Rule:
    """The test that is planned for.

    Attributes:
        alpha: the level at which the primary endpoint is tested, after the declared correction.
        power: the wanted power.
    """

    alpha: float
    power: float

    def __str__(self) -> str:
        return f"with {self.power:.0%} power at {100 * self.alpha:.2g}%"


def describe(components: Components) -> str:
    """Return in words by how much the paired difference varies."""
    seed_sd, item_sd, residual_sd = (
        100 * sd for sd in (components.seed_sd, components.item_sd, components.residual_sd)
    )
    return (
        f"The paired difference varies by {seed_sd:.2f} points from run to run, {item_sd:.1f} from item to item in "
        f"all runs alike, and {residual_sd:.1f} from answer to answer (standard deviations)."
    )


def smallest_effects(
    components: Components,
    seeds: list[int],
    items: list[int],
    rule: Rule,
    cost: Cost | None,
    ends: tuple[Components, Components] | None = None,
) -> Table:
    """Return the smallest difference that is found with the wanted power, by number of seeds and items.

    Args:
        ends (*optional*): the components with the least and the most variance between seeds that a pilot is compatible
            with; their differences are shown as a range.
    """
    rows = []
    for num_seeds in seeds:
        shown = [_effects(components, ends, num_seeds, count, rule) for count in items]
        rows.append([str(num_seeds), *shown, *_cost_cells(cost, num_seeds)])
    title = f"Smallest difference in points found {rule}, by number of items"
    note = (
        "1 seed: McNemar's test, which speaks for other questions and these two runs, not for other runs. More seeds: "
        "the test of the verdict, for other runs and other questions."
    )
    if ends is not None:
        note += " In brackets: the range that the variance between the pilot's seeds allows (80%)."
    return Table(title, ["seeds", *(f"{count:,}" for count in items), *_cost_headings(cost)], rows, note, labels=0)


def _effects(
    components: Components, ends: tuple[Components, Components] | None, num_seeds: int, count: int, rule: Rule
) -> str:
    def shown(one: Components) -> str:
        effect = smallest_effect(one, num_seeds, count, rule.power, rule.alpha)
        return "over 100" if effect > 1 else f"{100 * effect:.2f}"

    if ends is None or num_seeds == 1:
        return shown(components)
    return f"{shown(components)} ({shown(ends[0])} to {shown(ends[1])})"


def seeds_needed(components: Components, effect: float, items: list[int], rule: Rule, cost: Cost | None) -> Table:
    """Return the fewest seeds that find a difference with the wanted power, by number of items."""
    headings = _cost_headings(cost)
    rows = []
    for count in items:
        num_seeds = needed_seeds(components, effect, count, rule.power, rule.alpha)
        if num_seeds is None:
            rows.append([f"{count:,}", f"over {MOST_SEEDS:,}", *([""] * len(headings))])
        else:
            rows.append([f"{count:,}", str(num_seeds), *_cost_cells(cost, num_seeds)])
    title = f"Seeds needed for {100 * effect:.3g} points {rule}"
    return Table(title, ["items", "seeds", *headings], rows, "", labels=0)


def items_needed(components: Components, effect: float, seeds: list[int], rule: Rule, cost: Cost | None) -> Table:
    """Return the fewest items that find a difference with the wanted power, by number of seeds."""
    rows = []
    for num_seeds in seeds:
        needed = needed_items(components, effect, num_seeds, rule.power, rule.alpha)
        shown = "no number is enough" if needed is None else f"{needed:,}"
        rows.append([str(num_seeds), shown, *_cost_cells(cost, num_seeds)])
    title = f"Items needed for {100 * effect:.3g} points {rule}"
    return Table(title, ["seeds", "items", *_cost_headings(cost)], rows, "", labels=0)


def signals(found: Sequence[EndpointSignal]) -> Table:
    """Return signal and noise of a pilot's endpoints, in points or in the unit of the values."""
    rows = []
    for one in found:
        endpoint, scale, measured = one.endpoint, Scale(one.unit), one.found
        group = "" if endpoint.group == ALL_ITEMS else f" ({endpoint.group})"
        averaged = "" if endpoint.last_checkpoints == 1 else f", last {endpoint.last_checkpoints} checkpoints"
        checkpoints = scale.size(measured.checkpoint_sd)
        if measured.checkpoint_sd is not None:
            checkpoints += f" ({measured.num_checkpoints})"
        rows.append(
            [
                f"{metric_of(endpoint.task, endpoint.metric, one.source)}{group} of {endpoint.model}{averaged}",
                scale.value(measured.reference),
                scale.difference(measured.difference),
                scale.size(measured.run_sd),
                scale.size(measured.item_sd),
                checkpoints,
                _ratio(measured.observed_ratio),
                _ratio(measured.effect_ratio),
            ]
        )
    note = (
        "In points of accuracy, or in bits per byte. Runs: the standard deviation of the paired difference over the "
        "pilot's seeds, items included. Items: what the choice of the questions adds to the mean difference in all "
        "runs alike. Checkpoints: the standard deviation of one run's value over its last checkpoints (how many); if "
        "it is near that of the runs, an endpoint with `last_checkpoints` varies less. Signal to noise: the observed "
        "difference, and the declared smallest effect, over that of the runs. A ratio below 1 needs many seeds."
    )
    header = ["endpoint", "reference", "difference", "runs", "items", "checkpoints", "observed/noise", "effect/noise"]
    return Table("Signal and noise of each endpoint", header, rows, note, labels=1)


def _ratio(value: float | None) -> str:
    return DASH if value is None else "inf" if math.isinf(value) else f"{value:.2f}"


def _cost_headings(cost: Cost | None) -> list[str]:
    return [] if cost is None else ["device-hours"] if cost.price is None else ["device-hours", "cost"]


def _cost_cells(cost: Cost | None, num_seeds: int) -> list[str]:
    if cost is None:
        return []
    money = cost.money(num_seeds)
    return [_rounded(cost.hours(num_seeds))] + ([] if money is None else [_rounded(money)])


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
