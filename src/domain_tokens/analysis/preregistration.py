"""What was declared before the runs, as their manifests recorded it, and whether the runs followed it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from domain_tokens.analysis.results_model import (
    DECLARED,
    EXPLORATORY,
    PRIMARY,
    Endpoint,
    PreregistrationRecord,
    PreregistrationSummary,
    Role,
)
from domain_tokens.analysis.statistics.paired import ALPHA
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.prereg import Prereg
from domain_tokens.runs.files import sha256_file
from domain_tokens.runs.layout import MODELS
from domain_tokens.runs.records import PreregRecord
from domain_tokens.runs.results import ALL_ITEMS, Condition, Pair

MARGIN = Prereg().equivalence_margin  # if nothing was declared


@dataclass(frozen=True)
class Preregistration:
    """The endpoints that are tested, and how the runs depart from what was declared.

    Attributes:
        endpoints: the primary one first. If nothing was declared, only the primary one, chosen by a fixed rule.
        is_declared: whether the endpoints were declared before the runs.
        alpha, margin: the rate of false positives and the equivalence margin.
        departures: in words, what was changed after the first manifest or is missing; empty if nothing was.
        record: what the manifests recorded; `None` if nothing was declared.
    """

    endpoints: tuple[Endpoint, ...]
    is_declared: bool
    alpha: float
    margin: float
    departures: tuple[str, ...]
    record: PreregistrationRecord | None

    def role(self, endpoint: Endpoint) -> Role:
        """Return whether an endpoint is the primary one, another declared one, or exploratory."""
        if endpoint == self.endpoints[0]:
            return PRIMARY
        return DECLARED if endpoint in self.endpoints else EXPLORATORY

    def summary(self) -> PreregistrationSummary:
        """Return what `results.json` says of it."""
        return PreregistrationSummary(is_declared=self.is_declared, departures=self.departures, record=self.record)


def read_preregistration(pair: Pair, prereg: Path | None = None) -> Preregistration:
    """Return what the manifests of both conditions recorded as declared in advance.

    Args:
        pair (`Pair`): the conditions.
        prereg (`Path`, *optional*): the file as it is now, which is compared with the recorded one.
    """
    records = [
        (f"{condition.name}, seed {run.seed}, {name}", stage.manifest.prereg)
        for condition in pair.sides
        for run in condition.seeds.values()
        for name, stage in run.stages.items()
    ]
    where, first = records[0]
    departures = [
        f"the manifest of {stage} records another preregistration than that of {where}"
        for stage, record in records[1:]
        if _sha256(record) != _sha256(first)
    ]
    fallback = _by_rule(pair.reference)
    if first is None:
        return Preregistration((fallback,), False, ALPHA, MARGIN, tuple(departures), None)
    if prereg is not None and prereg.is_file() and sha256_file(prereg) != first.sha256:
        departures.append(
            f"{prereg.name} has changed since the first manifest recorded it (sha256 {first.sha256[:12]} then, "
            f"{sha256_file(prereg)[:12]} now)"
        )
    recorded = _parsed(first, pair.reference)
    declared = recorded.declared
    evaluated = _evaluated(pair.reference)
    endpoints = tuple(
        Endpoint(model=one.model, task=one.task, metric=one.metric, group=one.group or ALL_ITEMS)
        for one in declared.endpoints
    )
    departures += [
        f"the declared endpoint {one.task} {one.metric} ({one.group}) of {one.model} was not evaluated"
        for one in endpoints
        if one not in evaluated
    ]
    departures += _seed_departures(declared.seeds, pair.seeds)
    kept = tuple(one for one in endpoints if one in evaluated)
    if not kept or kept[0] != endpoints[0]:
        kept = (fallback, *(one for one in kept if one != fallback))
    return Preregistration(kept, True, declared.alpha, declared.equivalence_margin, tuple(departures), recorded)


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
    last = max((model for model, _ in evaluations), key=MODELS.index)
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
        return PreregistrationRecord.model_validate(record.as_json())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(("prereg", *map(str, first["loc"])))
        raise RecipeError(
            f"{condition.folder}: the manifests' {key}: {first['msg'].lower()}; run the stages again"
        ) from error
