"""What was declared before the results, as the runs' manifests recorded it, and whether it was kept to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain_tokens.analysis.statistics.paired import ALPHA
from domain_tokens.recipe.prereg import Prereg
from domain_tokens.runs.files import sha256_file
from domain_tokens.runs.layout import MODELS
from domain_tokens.runs.records import PreregRecord
from domain_tokens.runs.results import ALL_ITEMS, Condition

MARGIN = Prereg().equivalence_margin  # where nothing was declared


@dataclass(frozen=True)
class Endpoint:
    """One comparison: a task's metric of a model, over all items or one group."""

    model: str
    task: str
    metric: str
    group: str


@dataclass(frozen=True)
class Declaration:
    """What was declared, and how what was found departs from it.

    Attributes:
        endpoints: the primary one first; only the primary one, by a fixed rule, where nothing was declared.
        is_declared: whether the endpoints were declared in advance.
        alpha, margin: the rate of false positives and the equivalence margin.
        departures: in words, what was changed after the first manifest or is missing; none if all was kept to.
        record: what the manifests hold, for the report; `None` where nothing was declared.
    """

    endpoints: tuple[Endpoint, ...]
    is_declared: bool
    alpha: float
    margin: float
    departures: tuple[str, ...]
    record: dict[str, Any] | None


def declaration(reference: Condition, other: Condition, prereg: Path | None = None) -> Declaration:
    """Return the declaration that the manifests of both conditions recorded.

    Args:
        reference, other (`Condition`): the conditions.
        prereg (`Path`, *optional*): the declaration as it stands now, compared with the one recorded.
    """
    records = [
        (f"{condition.name}, seed {run.seed}, {name}", stage.manifest.prereg)
        for condition in (reference, other)
        for run in condition.seeds.values()
        for name, stage in run.stages.items()
    ]
    evaluated = _evaluated(reference)
    where, first = records[0]
    departures = [
        f"the manifest of {place} records another declaration than the one of {where}"
        for place, record in records[1:]
        if _sha256(record) != _sha256(first)
    ]
    if first is None:
        return Declaration((_by_rule(reference),), False, ALPHA, MARGIN, tuple(departures), None)
    declared: dict[str, Any] = dict(first.declared)
    if prereg is not None and prereg.is_file() and sha256_file(prereg) != first.sha256:
        departures.append(
            f"{prereg.name} has changed since the first manifest recorded it (sha256 {first.sha256[:12]} there, "
            f"{sha256_file(prereg)[:12]} now)"
        )
    endpoints = tuple(
        Endpoint(one["model"], one["task"], one["metric"], one["group"] or ALL_ITEMS) for one in declared["endpoints"]
    )
    departures += [
        f"the declared endpoint {one.task} {one.metric} ({one.group}) of {one.model} was not evaluated"
        for one in endpoints
        if one not in evaluated
    ]
    missing = [seed for seed in declared["seeds"] if seed not in reference.seeds]
    further = [seed for seed in reference.seeds if seed not in declared["seeds"]]
    if missing and len(reference.seeds) > 1:  # a pilot of one seed decides nothing, and is no departure
        departures.append(f"declared seeds that were not run: {', '.join(map(str, missing))}")
    if further:
        departures.append(f"seeds that were run and not declared: {', '.join(map(str, further))}")
    kept = tuple(one for one in endpoints if one in evaluated)
    if not kept or kept[0] != endpoints[0]:
        kept = (_by_rule(reference), *(one for one in kept if one != _by_rule(reference)))
    return Declaration(
        kept, True, declared["alpha"], declared["equivalence_margin"], tuple(departures), first.as_json()
    )


def _by_rule(condition: Condition) -> Endpoint:
    """Return the main metric of the last model's first task; the rule reads which files exist, never what they say."""
    evaluations = next(iter(condition.seeds.values())).plain()
    last = max((model for model, _ in evaluations), key=MODELS.index)
    (model, task), evaluation = next(item for item in evaluations.items() if item[0][0] == last)
    return Endpoint(model, task, evaluation.main_metric, ALL_ITEMS)


def _evaluated(condition: Condition) -> set[Endpoint]:
    return {
        Endpoint(model, task, metric, group)
        for (model, task), evaluation in next(iter(condition.seeds.values())).plain().items()
        for metric in evaluation.outcome_keys
        for group in evaluation.groups()
    }


def _sha256(record: PreregRecord | None) -> str | None:
    return None if record is None else record.sha256
