"""Signal and noise of every endpoint that a pilot evaluated; see `statistics/signal.py`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain_tokens.analysis.measures.outcomes import has_checkpoints, outcomes_at
from domain_tokens.analysis.results_model import Endpoint
from domain_tokens.analysis.statistics.signal import Signal, signal
from domain_tokens.runs.records import CheckpointTask
from domain_tokens.runs.results import ALL_ITEMS, Pair, SeedRun

LAST = 3
"""How many last checkpoints show the spread within a run."""


@dataclass(frozen=True)
class EndpointSignal:
    """An endpoint with its signal and noise.

    Attributes:
        endpoint: the endpoint.
        unit: of its values; `None` for accuracies.
        found: the signal and the noise.
        source: the recorded name of the data source.
    """

    endpoint: Endpoint
    unit: str | None
    found: Signal
    source: str | None = None


def endpoint_signals(
    pair: Pair, declared: Sequence[Endpoint], smallest_effect: Callable[[Endpoint, float, str | None], float | None]
) -> list[EndpointSignal]:
    """Return signal and noise of the declared endpoints, and then of the main metric of every task and model.

    Args:
        pair (`Pair`): the pilot.
        declared (`Sequence[Endpoint]`): those that the pilot did not evaluate are left out.
        smallest_effect (`Callable`): the smallest effect of interest at an endpoint, at a value of the reference in
            its unit; `None` if there is none.
    """
    evaluations = pair.first_run.plain()
    endpoints = [
        one
        for one in declared
        if (one.model, one.task) in evaluations
        and one.metric in evaluations[one.model, one.task].outcome_keys
        and one.group in evaluations[one.model, one.task].groups()
        and all(one.last_checkpoints == 1 or has_checkpoints(side, one) for side in pair.sides)
    ]
    endpoints += [
        Endpoint(model=model, task=task, metric=evaluation.main_metric, group=ALL_ITEMS)
        for (model, task), evaluation in evaluations.items()
    ]
    found = []
    for endpoint in dict.fromkeys(endpoints):
        sides = outcomes_at(pair, endpoint)
        unit = evaluations[endpoint.model, endpoint.task].unit(endpoint.metric)
        effect = smallest_effect(endpoint, float(sides.reference.mean()), unit)
        runs = [run for side in pair.sides for run in side.seeds.values()]
        values = [_last_values(run, endpoint) for run in runs]
        measured = signal(sides.reference, sides.other, effect, values, sides.clusters)
        source = evaluations[endpoint.model, endpoint.task].result.source
        found.append(EndpointSignal(endpoint, unit, measured, source))
    return found


def _last_values(run: SeedRun, endpoint: Endpoint) -> list[float]:
    """Return an endpoint's means at the last evaluated checkpoints of its stage."""
    tasks = [point.result.tasks.get(endpoint.task) for point in run.last_checkpoints(endpoint.model)]
    values = [_value(task, endpoint) for task in tasks if task is not None]
    return [value for value in values if value is not None][-LAST:]


def _value(task: CheckpointTask, endpoint: Endpoint) -> float | None:
    if endpoint.group == ALL_ITEMS:
        return task.metrics.get(endpoint.metric)
    return task.groups[endpoint.group].accuracy if endpoint.group in task.groups else None
