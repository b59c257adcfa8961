"""What an experiment can find, said before its first step: the power of the deciding test for the smallest effect."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.planning.questions import EndpointQuestions
from domain_tokens.recipe import Recipe, RecipeError, load_prereg
from domain_tokens.recipe.prereg import Endpoint, Prereg, SmallestEffect, counted_main

if TYPE_CHECKING:
    from domain_tokens.analysis.statistics.crossed import Components

_BEST_RATE = 0.5  # at which an effect on the logit scale is largest beside the noise of right and wrong answers
_LOW_RATE = 0.03  # as GPT-2 124M answers GSM8K
_HUB_ITEMS = {"gsm8k": 1319}
"""The sizes of test sets on the Hub, which are not downloaded to be counted."""
_ADVICE = "run a pilot with two seeds and plan with it: make plan A=... B=..."


@dataclass(frozen=True)
class _Basis:
    """What a power is computed from.

    Attributes:
        components: of the paired differences.
        base_rate: the reference's accuracy or value.
        words: where both come from.
        is_best: whether this is the best case and not an estimate.
        is_value: whether the endpoint has values, which have no odds.
    """

    components: "Components"
    base_rate: float
    words: str
    is_best: bool
    is_value: bool = False


def power_line(recipes: Sequence[Recipe], num_seeds: int, found: Sequence[EndpointQuestions]) -> str | None:
    """Return one line: the power of the primary endpoint's test for the smallest effect, as far as it can be known.

    Known is what a pilot shows that the declaration names among its `other_runs`. Without one, the line gives the best
    case: half of the answers right, independent items, and runs that differ by chance alone.

    Args:
        recipes (`Sequence[Recipe]`): one for each condition, the reference first.
        num_seeds (`int`): of each condition.
        found (`Sequence[EndpointQuestions]`): the endpoints whose items are known.

    Returns:
        `None` if there is nothing to compare, or nothing is declared.
    """
    first = recipes[0]
    if first.prereg is None or len(recipes) < 2:
        return None
    declared = load_prereg(Path(first.prereg))
    endpoint = declared.endpoints[0]
    smallest = endpoint.smallest_effect or declared.smallest_effect
    if smallest is None:
        return "power: not known, since no smallest effect is declared (smallest_effect in the preregistration)"
    if num_seeds < 2:
        more = (
            f"run --seeds {' '.join(map(str, declared.seeds))}"
            if len(declared.seeds) > 1
            else "declare more seeds in a preregistration of another experiment"
        )
        return (
            "power: none, since with one seed a difference that the tokenizer makes cannot be told from one between "
            f"two training runs, so the result will be a pilot without a decision; for a test, {more}"
        )
    num_items = next((one.num_items for one in found if one.endpoint == endpoint), _hub_items(first, endpoint))
    basis = _pilot(recipes, declared, endpoint) or _best_case(first, endpoint)
    if basis is None or num_items is None:
        return f"power: not known before a pilot for {endpoint.task} {endpoint.metric}; {_ADVICE}"
    return _words(declared, smallest, basis, num_seeds, num_items, [recipe.condition for recipe in recipes])


def _words(
    declared: Prereg,
    smallest: SmallestEffect,
    basis: _Basis,
    num_seeds: int,
    num_items: int,
    conditions: list[str],
) -> str:
    from domain_tokens.analysis.statistics.power import power
    from domain_tokens.analysis.statistics.smallest_effect import effect_words, in_points

    named = effect_words(smallest.scale, smallest.value)
    effect = in_points(smallest.scale, smallest.value, basis.base_rate)
    if effect == 0 or (basis.is_value and smallest.scale == "logit"):
        return f"power: none; a smallest effect of {named} cannot show ({basis.words})"
    alpha = declared.deciding_alpha(conditions)
    value = power(effect, basis.components, num_seeds, num_items, alpha)
    shown = f"{effect:.4f}" if basis.is_value else f"{100 * effect:.1f} points"
    short = (
        "" if value >= declared.power else f", under the declared {declared.power:.0%}: the result may decide nothing"
    )
    low = _where_little_is_right(smallest, num_seeds, num_items, alpha)
    return (
        f"power: {'at best ' if basis.is_best else ''}{value:.0%} for the smallest effect ({named}, {shown}) with "
        f"{num_seeds} seeds and {num_items:,} items at the level {100 * alpha:.2g}%{short} ({basis.words})"
        + (f"{low}; for an estimate, {_ADVICE}" if basis.is_best else "")
    )


def _where_little_is_right(smallest: SmallestEffect, num_seeds: int, num_items: int, alpha: float) -> str:
    """Return the same power where few answers are right, as those of small models are on benchmarks."""
    from domain_tokens.analysis.statistics.power import power
    from domain_tokens.analysis.statistics.smallest_effect import in_points

    if smallest.scale == "points":
        return ""
    effect = in_points(smallest.scale, smallest.value, _LOW_RATE)
    value = power(effect, _by_chance(_LOW_RATE), num_seeds, num_items, alpha)
    return f"; with {_LOW_RATE:.0%} right ({100 * effect:.1f} points) it is at best {value:.0%}"


def _hub_items(recipe: Recipe, endpoint: Endpoint) -> int | None:
    known = _HUB_ITEMS.get(endpoint.task) if endpoint.group is None else None
    limit = recipe.evaluation.max_samples
    return known if known is None or limit is None else min(known, limit)


def _best_case(recipe: Recipe, endpoint: Endpoint) -> _Basis | None:
    """Return the best case for right and wrong answers; `None` for values, of which nothing bounds the noise."""
    from domain_tokens.evaluation.modes import load_tasks

    task = load_tasks(recipe).get(endpoint.task)
    if task is None or endpoint.metric in task.units:
        return None
    words = f"assumed: {_BEST_RATE:.0%} right, independent items, runs that differ by chance alone"
    return _Basis(_by_chance(_BEST_RATE), _BEST_RATE, words, is_best=True)


def _by_chance(rate: float) -> "Components":
    """Return the variances of two conditions with this share of right answers and independent items."""
    from domain_tokens.analysis.statistics.power import typed_components

    return typed_components(2 * rate * (1 - rate), 0.0)


def _pilot(recipes: Sequence[Recipe], declared: Prereg, endpoint: Endpoint) -> _Basis | None:
    """Return what a named pilot shows of the first main comparison; `None` if there is none with this endpoint."""
    names = [recipe.condition for recipe in recipes]
    main = [declared.contrasts[name] for name in counted_main(declared.main, declared.contrasts, names)]
    other, reference = next((pair for pair in main if set(pair) <= set(names)), (names[1], names[0]))
    for name, run in declared.other_runs.items():
        folder = recipes[0].experiment_dir.parent / name
        sides = [folder / f"exp_{condition}" for condition in (reference, other)]
        if run.kind == "pilot" and all(side.is_dir() for side in sides):
            try:
                return _of_pilot(sides, endpoint, folder)
            except (RecipeError, ValueError, KeyError):
                continue  # unfinished, evaluated otherwise, or without a single difference
    return None


def _of_pilot(sides: Sequence[Path], endpoint: Endpoint, folder: Path) -> _Basis:
    from domain_tokens.analysis.measures.outcomes import outcomes_at
    from domain_tokens.analysis.results_model import Endpoint as EvaluatedEndpoint
    from domain_tokens.analysis.statistics.crossed import variance_components
    from domain_tokens.runs.results import ALL_ITEMS, Pair, load_condition

    pair = Pair(*map(load_condition, sides))
    evaluated = EvaluatedEndpoint(
        model=endpoint.model,
        task=endpoint.task,
        metric=endpoint.metric,
        group=endpoint.group or ALL_ITEMS,
        last_checkpoints=endpoint.last_checkpoints,
    )
    found = outcomes_at(pair, evaluated)
    components = variance_components(found.reference, found.other, found.clusters)
    words = f"estimated from the pilot {folder}, {found.num_seeds} seeds and {found.reference.shape[1]:,} items"
    return _Basis(components, float(found.reference.mean()), words, is_best=False, is_value=found.are_values)
