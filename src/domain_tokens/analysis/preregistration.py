"""What was frozen or declared before the runs, and whether the runs followed it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from domain_tokens.analysis.departures import changed_file, find_departures
from domain_tokens.analysis.measures.outcomes import has_checkpoints
from domain_tokens.analysis.results_model import (
    DECLARED,
    EXPLORATORY,
    PRIMARY,
    Declared,
    DeclaredEndpoint,
    Endpoint,
    Frozen,
    PreregistrationRecord,
    PreregistrationSummary,
    Role,
    SmallestEffect,
)
from domain_tokens.analysis.statistics.paired import ALPHA, POWER
from domain_tokens.analysis.statistics.smallest_effect import in_points
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import sha256_file
from domain_tokens.runs.preregistration import FrozenPreregistration
from domain_tokens.runs.provenance import describe_prereg
from domain_tokens.runs.records import PreregRecord
from domain_tokens.runs.results import ALL_ITEMS, Condition, Pair

NOTHING_DECLARED = "nothing was declared before the runs"
MARGIN = 0.01  # if neither a smallest effect nor a margin was declared


@dataclass(frozen=True)
class Preregistration:
    """The endpoints that are tested, and how the runs depart from what was declared.

    Attributes:
        endpoints: the primary one first. If nothing was declared, only the primary one, chosen by a fixed rule.
        is_declared: whether the endpoints were declared before the runs.
        alpha, power: the rate of false positives over the family, and the power that the assay must have.
        margin: the equivalence margin as a fraction of 1, where no smallest effect is declared.
        smallest_effect: the smallest effect of interest; `None` if none is declared.
        num_endpoints: how many endpoints were declared, evaluated or not.
        departures: in words, what was not frozen, was changed later, looked at earlier, tried more than once or not
            done as declared; if there is any, the verdict is exploratory.
        record: what was frozen, or what the manifests recorded; `None` if nothing was declared.
        notes: in words, what demotes nothing: amendments before any evaluation, for example.
        frozen: when the experiment froze its preregistration, and its hash; `None` if it did not.
        own_effects: the smallest effects of endpoints that declare their own.
        planned: the names of the conditions that were frozen before any evaluation; `None` if nothing was frozen.
    """

    endpoints: tuple[Endpoint, ...]
    is_declared: bool
    alpha: float
    power: float
    margin: float
    smallest_effect: SmallestEffect | None
    num_endpoints: int
    departures: tuple[str, ...]
    record: PreregistrationRecord | None
    notes: tuple[str, ...] = ()
    frozen: Frozen | None = None
    own_effects: Mapping[Endpoint, SmallestEffect] = field(default_factory=dict)
    planned: frozenset[str] | None = None

    def effect_at(self, endpoint: Endpoint | None) -> SmallestEffect | None:
        """Return the smallest effect of an endpoint: its own, or the declaration's."""
        return self.smallest_effect if endpoint is None else self.own_effects.get(endpoint, self.smallest_effect)

    def margin_at(self, base_rate: float, unit: str | None = None, endpoint: Endpoint | None = None) -> float:
        """Return the smallest effect in points, as a fraction of 1: the equivalence margin. 0 if there is none.

        Args:
            base_rate (`float`): the reference's accuracy or value at the endpoint.
            unit (`str`, *optional*): of the values. Odds are of right answers, so on the logit scale values have none.
            endpoint (*optional*): which may have a smallest effect of its own.
        """
        effect = self.effect_at(endpoint)
        if effect is None:
            return self.margin
        if unit is not None and effect.scale == "logit":
            return 0.0
        return in_points(effect.scale, effect.value, base_rate)

    def role(self, endpoint: Endpoint) -> Role:
        """Return whether an endpoint is the primary one, another declared one, or exploratory."""
        if endpoint == self.endpoints[0]:
            return PRIMARY
        return DECLARED if endpoint in self.endpoints else EXPLORATORY

    def summary(self) -> PreregistrationSummary:
        """Return what `results.json` says of it."""
        return PreregistrationSummary(
            is_declared=self.is_declared,
            departures=self.departures,
            record=self.record,
            notes=self.notes,
            frozen=self.frozen,
        )


_OTHER_BASE = "the base vocabularies differ, and experiments are declared for one"


def read_preregistration(pair: Pair, prereg: Path | None = None) -> Preregistration:
    """Return what the experiment of two conditions froze or recorded in advance, and how the runs depart from it.

    Args:
        pair (`Pair`): the conditions.
        prereg (`Path`, *optional*): the declaration's file as it is now, which is compared with the recorded one.
    """
    records = [
        (f"{condition.name}, seed {run.seed}, {name}", stage.manifest.prereg)
        for condition in pair.sides
        for run in condition.seeds.values()
        for name, stage in run.stages.items()
    ]
    where, first = records[0]
    binding = find_departures(pair, [record for _, record in records], prereg)
    frozen = None if binding.frozen is None else binding.frozen.blind.prereg
    departures = [
        f"the manifest of {stage} records another preregistration than that of {where}"
        for stage, record in records[1:]
        if frozen is None and _sha256(record) != _sha256(first)
    ]
    departures += [_OTHER_BASE] * pair.different_vocabularies
    fallback, counts = _by_rule(pair.reference), frozen or first
    if counts is None:
        return _undeclared(fallback, (NOTHING_DECLARED, *departures))
    departures += _changed_file(prereg, counts, frozen is not None)
    departures += binding.departures
    recorded = _parsed(counts, pair.reference)
    declared = recorded.declared
    evaluated = _evaluated(pair.reference)
    endpoints = tuple(map(_endpoint, declared.endpoints))
    evaluated |= {one for one in endpoints if one.last_checkpoints > 1 and _is_averaged(pair, one, evaluated)}
    departures += [
        f"the declared endpoint {one.task} {one.metric} ({one.group}) of {one.model}{_over(one)} was not evaluated"
        for one in endpoints
        if one not in evaluated
    ]
    departures += _seed_departures(declared.seeds, pair.seeds)
    departures += _undeclared_exclusions(pair, endpoints, declared.tasks_with_exclusions)
    kept = tuple(one for one in endpoints if one in evaluated)
    if not kept or kept[0] != endpoints[0]:
        kept = (fallback, *(one for one in kept if one != fallback))
    found = _declared(kept, declared, departures, recorded)
    planned = None if binding.frozen is None else binding.frozen.planned
    own = {
        endpoint: one.smallest_effect
        for endpoint, one in zip(endpoints, declared.endpoints, strict=True)
        if one.smallest_effect is not None
    }
    return replace(found, notes=binding.notes, frozen=_summary(binding.frozen), own_effects=own, planned=planned)


def _endpoint(declared: DeclaredEndpoint) -> Endpoint:
    known = declared.model_dump(exclude={"smallest_effect"})
    return Endpoint(**{**known, "group": declared.group or ALL_ITEMS})


def _is_averaged(pair: Pair, endpoint: Endpoint, evaluated: set[Endpoint]) -> bool:
    """Return whether all runs have the last checkpoints that an endpoint names, and its task at the end."""
    single = endpoint.model_copy(update={"last_checkpoints": 1})
    return single in evaluated and all(has_checkpoints(condition, endpoint) for condition in pair.sides)


def _over(endpoint: Endpoint) -> str:
    return "" if endpoint.last_checkpoints == 1 else f", over its last {endpoint.last_checkpoints} checkpoints,"


def _undeclared(endpoint: Endpoint, departures: Sequence[str]) -> Preregistration:
    return Preregistration(
        endpoints=(endpoint,),
        is_declared=False,
        alpha=ALPHA,
        power=POWER,
        margin=MARGIN,
        smallest_effect=None,
        num_endpoints=1,
        departures=tuple(departures),
        record=None,
    )


def _declared(
    endpoints: tuple[Endpoint, ...], declared: Declared, departures: Sequence[str], record: PreregistrationRecord
) -> Preregistration:
    return Preregistration(
        endpoints=endpoints,
        is_declared=True,
        alpha=declared.alpha,
        power=declared.power,
        margin=MARGIN if declared.equivalence_margin is None else declared.equivalence_margin,
        smallest_effect=declared.smallest_effect,
        num_endpoints=len(declared.endpoints),
        departures=tuple(departures),
        record=record,
    )


def _changed_file(path: Path | None, counts: PreregRecord, is_frozen: bool) -> list[str]:
    """Return the departure of a declaration that was edited after it was frozen or recorded."""
    if path is None or not path.is_file() or sha256_file(path) == counts.sha256:
        return []
    if is_frozen:
        try:
            return changed_file(path, counts, describe_prereg(path))
        except RecipeError as error:
            return [f"changed later: {path.name} cannot be read any more; the frozen declaration counts ({error})"]
    hashes = f"sha256 {counts.sha256[:12]} then, {sha256_file(path)[:12]} now"
    return [f"{path.name} has changed since the first manifest recorded it ({hashes})"]


def _undeclared_exclusions(pair: Pair, endpoints: Sequence[Endpoint], declared: Sequence[str]) -> list[str]:
    """Return the departures of declared endpoints of which items were left out without a declaration."""
    tasks = dict.fromkeys((one.model, one.task) for one in endpoints if one.task not in declared)
    found = [
        (task, evaluation.result.num_items_with_products)
        for (model, task) in tasks
        for condition in pair.sides
        for run in condition.seeds.values()
        if (evaluation := run.plain().get((model, task))) is not None
    ]
    return list(
        dict.fromkeys(f"{number} items of {task} were left out and not declared" for task, number in found if number)
    )


def _summary(frozen: FrozenPreregistration | None) -> Frozen | None:
    if frozen is None:
        return None
    original = frozen.original
    return Frozen(
        time_utc=original.time_utc,
        git_commit=original.git_commit,
        git_dirty=original.git_dirty,
        sha256=original.sha256,
        num_amendments=len(frozen.amendments),
    )


def _seed_departures(declared: Sequence[int], run: Sequence[int]) -> list[str]:
    found = []
    missing = [seed for seed in declared if seed not in run]
    undeclared = [seed for seed in run if seed not in declared]
    if missing and len(run) > 1:  # a pilot of one seed decides nothing, and is no departure
        found.append(f"declared seeds that were not run: {', '.join(map(str, missing))}")
    if undeclared:
        found.append(f"seeds that were run and not declared: {', '.join(map(str, undeclared))}")
    return found


def _by_rule(condition: Condition) -> Endpoint:
    """Return the main metric of the last model's first task; the rule depends on which files exist, not on results."""
    evaluations = condition.first_run.plain()
    last = list(evaluations)[-1][0]
    (model, task), evaluation = next(item for item in evaluations.items() if item[0][0] == last)
    return Endpoint(model=model, task=task, metric=evaluation.main_metric, group=ALL_ITEMS)


def _evaluated(condition: Condition) -> set[Endpoint]:
    return {
        Endpoint(model=model, task=task, metric=metric, group=group)
        for (model, task), evaluation in condition.first_run.plain().items()
        for metric in evaluation.outcome_keys
        for group in evaluation.groups()
    }


def _sha256(record: PreregRecord | None) -> str | None:
    return None if record is None else record.sha256


def _parsed(record: PreregRecord, condition: Condition) -> PreregistrationRecord:
    try:
        known = {"file": record.file, "sha256": record.sha256, "declared": record.declared}
        return PreregistrationRecord.model_validate(known)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(("prereg", *map(str, first["loc"])))
        raise RecipeError(
            f"{condition.folder}: the manifests' {key}: {first['msg'].lower()}; run the stages again"
        ) from error
