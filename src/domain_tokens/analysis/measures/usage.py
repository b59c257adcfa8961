"""What each condition consumed and produced: text, compute, and tokens and facts in responses."""

from collections.abc import Callable, Mapping
from functools import partial
from statistics import fmean

from domain_tokens.analysis.results_model import ForcedStage, Means, QuantityRow, TokenUse
from domain_tokens.runs.results import Condition, Pair, SeedRun

# Sums over the stages of fine-tuning; the whole ledger is shown elsewhere.
_LEDGER = (
    "steps", "tokens", "padding_tokens", "generated_tokens", "question_facts", "answer_facts", "examples",
    "source_bytes", "flops", "wall_time_s",
)  # fmt: skip
_CORPUS = ("documents", "source_bytes", "tokens", "facts")

Read = Callable[[SeedRun], float | None]


def token_use(pair: Pair) -> tuple[TokenUse, ...]:
    """Return the use of tokens and facts in every model and task with responses, means over all items and seeds.

    Tokens of different base vocabularies are not compared.
    """
    rows = []
    for key in pair.first_run.plain():
        facts, tokens, finished = (
            _means(pair, partial(_response, key, name)) for name in ("num_facts", "num_tokens", "finished")
        )
        if pair.different_vocabularies:
            tokens = Means(reference=None, other=None)
        if any(value is not None for means in (facts, tokens, finished) for value in means.sides):
            row = TokenUse(
                model=key[0], task=key[1], facts_per_response=facts, tokens_per_response=tokens, finished=finished
            )
            rows.append(row)
    return tuple(rows)


def text_and_compute(pair: Pair) -> tuple[QuantityRow, ...]:
    """Return every quantity that a stage consumed or reported: means over seeds, `None` where it was not recorded.

    `domain_tokens.runs.ledger` says what the quantities are. Wall time is that of the training loop, in seconds.
    """
    rows = [
        QuantityRow(
            stage="corpus",
            quantity=quantity,
            reference=getattr(pair.reference.corpus, quantity, None),
            other=getattr(pair.other.corpus, quantity, None),
        )
        for quantity in _CORPUS
    ]
    for stage in pair.first_run.stages:
        for read, quantities in ((_consumed, _LEDGER), (_stated, _reported(stage, pair))):
            for quantity in quantities:
                means = _means(pair, partial(read, stage, quantity))
                if any(value is not None for value in means.sides):
                    rows.append(
                        QuantityRow(stage=stage, quantity=quantity, reference=means.reference, other=means.other)
                    )
    return tuple(rows)


def _reported(stage: str, pair: Pair) -> list[str]:
    runs = [run for condition in pair.sides for run in condition.seeds.values()]
    return list(dict.fromkeys(key for run in runs for key in run.stages[stage].manifest.reported))


def forced_stages(pair: Pair) -> tuple[ForcedStage, ...]:
    """Return the runs of GRPO that `--force` let begin although too few prompts were solved."""
    rows = []
    for condition in pair.sides:
        for seed, run in condition.seeds.items():
            for stage, one in run.stages.items():
                found = one.manifest.reported.get("preflight")
                if isinstance(found, Mapping) and found.get("forced") is True:
                    k, value = int(str(found["k"])), float(str(found["value"]))
                    rows.append(ForcedStage(condition=condition.name, seed=seed, stage=stage, k=k, pass_at_k=value))
    return tuple(rows)


def _consumed(stage: str, quantity: str, run: SeedRun) -> float | None:
    values = [getattr(entry, quantity) or 0 for entry in run.stages[stage].manifest.ledger]
    return sum(values) if any(values) else None  # what a stage has none of, like padding in pretraining, has no row


def _stated(stage: str, quantity: str, run: SeedRun) -> float | None:
    value = run.stages[stage].manifest.reported.get(quantity)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _response(key: tuple[str, str], name: str, run: SeedRun) -> float | None:
    items = run.evaluations[key].items.values()
    values = [value for item in items if (value := getattr(item, name, None)) is not None]
    return fmean(values) if values else None


def _means(pair: Pair, read: Read) -> Means:
    return Means(reference=_mean(pair.reference, read), other=_mean(pair.other, read))


def _mean(condition: Condition, read: Read) -> float | None:
    values = [value for run in condition.seeds.values() if (value := read(run)) is not None]
    if not values or len(values) < len(condition.seeds):
        return None
    mean = fmean(values)
    return int(mean) if all(isinstance(value, int) for value in values) and mean.is_integer() else mean
