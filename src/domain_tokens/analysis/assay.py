"""Is the assay sensitive? Whether the rule would have found the smallest effect, and whether a known effect shows.

A comparison that finds nothing says something only if it could have found something. Two things are asked: the power
of the deciding test for the declared smallest effect, and whether the declared positive control, a contrast or a mode
that is known to move the primary endpoint, moves it here.
"""

from collections.abc import Sequence

from domain_tokens.analysis.family import Family, declared_pairs
from domain_tokens.analysis.measures.outcomes import PairedOutcomes, outcomes_at, p_value
from domain_tokens.analysis.preregistration import Preregistration
from domain_tokens.analysis.report.formats import Scale, p_words
from domain_tokens.analysis.report.words.names import task_name
from domain_tokens.analysis.results_model import PRIMARY, AssayCheck, PositiveControl, ResultRow
from domain_tokens.analysis.statistics.crossed import crossed_difference
from domain_tokens.analysis.statistics.power import rule_power
from domain_tokens.analysis.statistics.smallest_effect import effect_words
from domain_tokens.runs.layout import Mode
from domain_tokens.runs.results import Condition, Pair

_MORE_SEEDS = "More seeds raise the power; `make plan` says how many."
_ADD_CONTROL = (
    "To add a positive control, run a condition that is known to move this endpoint, such as `conflated_digits` or "
    "`wrong_numbers`, and name its contrast in `contrasts` of the preregistration. Name that contrast, or an "
    "evaluation mode such as `facts_forbidden`, as `positive_control`. "
)


def check_assay(
    pair: Pair, primary: ResultRow, declared: Preregistration, family: Family, conditions: Sequence[Condition]
) -> AssayCheck | None:
    """Return whether the assay could have shown the smallest effect at the primary endpoint.

    Args:
        pair, primary: the comparison and its primary row.
        declared, family: what was declared.
        conditions: all conditions of the report; the positive control may be among them.

    Returns:
        `None` with one seed, and if no smallest effect was declared.
    """
    effect = declared.effect_at(primary.endpoint)
    if effect is None or len(pair.seeds) == 1:
        return None
    found = outcomes_at(pair, primary.endpoint)
    alpha = family.level(pair, PRIMARY)
    in_points = declared.margin_at(primary.reference.accuracy, primary.unit, primary.endpoint)
    power = None
    if in_points > 0 and found.num_clusters > 1:
        power = rule_power(in_points, found.reference, found.other, alpha, found.clusters)
    control = _positive_control(pair, primary, declared, conditions, alpha)
    checked = AssayCheck(
        scale=effect.scale,
        value=effect.value,
        unit=primary.unit,
        base_rate=primary.reference.accuracy,
        smallest_effect=in_points,
        alpha=alpha,
        power=None if power is None else power.value,
        power_range=None if power is None else (power.low, power.high),
        wanted_power=declared.power,
        positive_control=control,
        failures=(),
        advice=_MORE_SEEDS if control is not None and control.moved else _ADD_CONTROL + _MORE_SEEDS,
    )
    return checked.model_copy(update={"failures": tuple(_failures(checked))})


def _failures(checked: AssayCheck) -> list[str]:
    """Return in words what shows that the assay is not sensitive; nothing if it is."""
    failures = []
    scale = Scale(checked.unit)
    effect = f"{scale.size(checked.smallest_effect)} {scale.word}"
    if checked.scale != "points":
        effect += f" ({effect_words(checked.scale, checked.value)})"
    if checked.smallest_effect == 0:
        what = "accuracy" if checked.unit is None else "value"
        failures.append(
            f"the reference's {what} is {scale.value(checked.base_rate)}, where no smaller effect can show"
        )
    elif checked.power is not None and checked.power < checked.wanted_power:
        low, high = checked.power_range or (checked.power, checked.power)
        failures.append(
            f"the deciding test would find the smallest effect of {effect} with a power of {checked.power:.0%} "
            f"({low:.0%} to {high:.0%}, as the seeds' variance allows), under the declared {checked.wanted_power:.0%}"
        )
    control = checked.positive_control
    if control is not None and control.moved is None:
        failures.append(f"the positive control {control.name!r} was not run")
    elif control is not None and not control.moved:
        failures.append(
            f"the positive control {control.name!r} ({control.contrast}) does not move the endpoint "
            f"({scale.difference(control.delta)} {scale.word}, {scale.interval(control.interval)}, "
            f"{p_words(control.p_value)})"
        )
    return failures


def _positive_control(
    pair: Pair, primary: ResultRow, declared: Preregistration, conditions: Sequence[Condition], alpha: float
) -> PositiveControl | None:
    """Return the positive control's difference at the primary endpoint.

    `None` if none is declared, and if the conditions of a declared one were never planned: the power decides then.
    """
    name = None if declared.record is None else declared.record.declared.positive_control
    if name is None:
        return None
    contrasts = declared_pairs(declared)
    if declared.planned is not None and not set(contrasts.get(name, ())) <= declared.planned:
        return None
    by_name = {condition.name: condition for condition in conditions}
    if name in contrasts:
        with_factor, without = contrasts[name]
        contrast = f"{with_factor} minus {without}"
        if with_factor not in by_name or without not in by_name:
            return PositiveControl(name=name, contrast=contrast, condition=with_factor, partner=without)
        found = outcomes_at(Pair(by_name[without], by_name[with_factor]), primary.endpoint)
        return _moved(name, contrast, found, alpha).model_copy(update={"condition": with_factor, "partner": without})
    if name not in list(Mode) or (primary.model, f"{primary.task}.{name}") not in pair.first_run.evaluations:
        return PositiveControl(name=name, contrast=f"{task_name(primary.task, primary.source)} in the mode {name}")
    # Modes are run on final models alone, so both sides of this contrast are taken there.
    final = primary.endpoint.model_copy(update={"last_checkpoints": 1})
    plain, altered = outcomes_at(pair, final), outcomes_at(pair, final, Mode(name))
    # The mode need only move one of the two conditions: the other may have no tokens that it could alter.
    sides = [
        _moved(
            name,
            f"{condition.name}, {name} minus plain",
            PairedOutcomes(before, after, plain.clusters),
            alpha / 2,
        )
        for condition, before, after in zip(
            pair.sides, (plain.reference, plain.other), (altered.reference, altered.other), strict=True
        )
    ]
    return min(sides, key=lambda side: 1.0 if side.p_value is None else side.p_value)


def _moved(name: str, contrast: str, found: PairedOutcomes, alpha: float) -> PositiveControl:
    p = p_value(found)
    bounds = None
    if found.num_clusters > 1:
        bounds = crossed_difference(found.reference, found.other, found.clusters).interval()
    return PositiveControl(
        name=name,
        contrast=contrast,
        delta=float(found.other.mean() - found.reference.mean()),
        interval=bounds,
        p_value=p,
        moved=p is not None and p < alpha,
    )
