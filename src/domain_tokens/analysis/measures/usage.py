"""What each condition consumed and produced: text, compute, and tokens and facts in responses."""

from collections.abc import Callable
from functools import partial
from statistics import fmean
from typing import Any

from domain_tokens.runs.results import Condition, SeedRun

# Sums over the stages of fine-tuning; the whole ledger stands elsewhere.
_LEDGER = ("steps", "tokens", "padding_tokens", "generated_tokens", "examples", "source_bytes", "flops", "wall_time_s")
_CORPUS = ("documents", "source_bytes", "tokens", "facts")
_MEASURES = {"facts_per_response": "num_facts", "tokens_per_response": "num_tokens", "finished": "finished"}


def token_use(reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return, for every model and task with written responses, means over all items and seeds.

    Each of `facts_per_response`, `tokens_per_response` and `finished` (the fraction of responses that ended before the
    longest allowed length) is `{"reference": x, "other": y}`.
    """
    rows = []
    for place in next(iter(reference.seeds.values())).plain():
        use = {name: _both(reference, other, partial(_response, place, key)) for name, key in _MEASURES.items()}
        if any(value is not None for values in use.values() for value in values.values()):
            rows.append({"model": place[0], "task": place[1]} | use)
    return rows


def text_and_compute(reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return rows of `stage`, `quantity`, `reference`, `other`: means over seeds, `None` where it was not recorded.

    Every number that a stage reports has a row, beside what it consumed: `domain_tokens.runs.ledger` says what the
    quantities are. Wall time is that of the training loop, in seconds.
    """
    rows: list[dict[str, Any]] = []
    for quantity in _CORPUS:
        sides = {"reference": reference.corpus, "other": other.corpus}
        values = {side: None if corpus is None else getattr(corpus, quantity) for side, corpus in sides.items()}
        rows.append({"stage": "corpus", "quantity": quantity} | values)
    for stage in next(iter(reference.seeds.values())).stages:
        for read, quantities in ((_consumed, _LEDGER), (_stated, _reported(stage, reference, other))):
            for quantity in quantities:
                values = _both(reference, other, partial(read, stage, quantity))
                if any(value is not None for value in values.values()):
                    rows.append({"stage": stage, "quantity": quantity} | values)
    return rows


def _reported(stage: str, *conditions: Condition) -> list[str]:
    runs = [run for condition in conditions for run in condition.seeds.values()]
    return list(dict.fromkeys(key for run in runs for key in run.stages[stage].manifest.reported))


def _consumed(stage: str, quantity: str, run: SeedRun) -> float | None:
    values = [getattr(entry, quantity) for entry in run.stages[stage].manifest.ledger]
    return sum(values) if any(values) else None  # what a stage has none of, like padding in pretraining, has no row


def _stated(stage: str, quantity: str, run: SeedRun) -> float | None:
    value = run.stages[stage].manifest.reported.get(quantity)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _response(place: tuple[str, str], key: str, run: SeedRun) -> float | None:
    items = run.evaluations[place].items.values()
    values = [value for item in items if (value := getattr(item, key, None)) is not None]
    return fmean(values) if values else None


def _both(reference: Condition, other: Condition, read: Callable[[SeedRun], float | None]) -> dict[str, float | None]:
    return {"reference": _mean(reference, read), "other": _mean(other, read)}


def _mean(condition: Condition, read: Callable[[SeedRun], float | None]) -> float | None:
    values = [value for run in condition.seeds.values() if (value := read(run)) is not None]
    if not values or len(values) < len(condition.seeds):
        return None
    mean = fmean(values)
    return int(mean) if all(isinstance(value, int) for value in values) and mean.is_integer() else mean
