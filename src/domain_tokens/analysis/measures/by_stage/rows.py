"""The rows of the tables by stage: accuracy and use of facts after every stage, and whether answers end."""

from collections.abc import Callable, Sequence
from statistics import fmean

from domain_tokens.analysis.measures.by_stage.published import counterpart
from domain_tokens.analysis.results_model import (
    ByStage,
    EndsRow,
    Means,
    PublishedResults,
    ResultRow,
    StageRow,
    TokenUse,
)
from domain_tokens.runs.records import AnswerEnds
from domain_tokens.runs.results import ALL_ITEMS, Pair, SeedRun, StageRun

_KINDS = {"pretrain": "pretraining", "grpo": "GRPO"}


def by_stage(
    pair: Pair, rows: Sequence[ResultRow], use: Sequence[TokenUse], earlier_study: PublishedResults
) -> ByStage:
    """Return what each stage changed. Arguments as for `stage_rows`."""
    return ByStage(rows=stage_rows(pair, rows, use, earlier_study), answer_ends=ends_rows(pair))


def stage_rows(
    pair: Pair, rows: Sequence[ResultRow], use: Sequence[TokenUse], earlier_study: PublishedResults
) -> tuple[StageRow, ...]:
    """Return every evaluated model at the main metric of every task, task by task, in the order of training.

    Args:
        pair (`Pair`): the two conditions.
        rows (`Sequence[ResultRow]`): all results, from which accuracies and intervals come.
        use (`Sequence[TokenUse]`): facts per response.
        earlier_study (`PublishedResults`): whose numbers stand beside a stage of the same kind.
    """
    first, facts = pair.first_run, {(one.model, one.task): one.facts_per_response for one in use}
    found = []
    for row in rows:
        if row.group != ALL_ITEMS or row.last_checkpoints > 1:
            continue
        if row.metric != first.evaluations[row.model, row.task].main_metric:
            continue
        stages = _stages_before(first, row.model)
        found.append(
            StageRow(
                **{name: getattr(row, name) for name in _SHARED},
                stage=_label(row.model, stages),
                facts_per_response=facts.get((row.model, row.task)),
                published=counterpart(earlier_study, stages, row),
            )
        )
    tasks = list(dict.fromkeys(row.task for row in found))
    return tuple(sorted(found, key=lambda row: tasks.index(row.task)))


_SHARED = (
    "model", "task", "metric", "num_items", "unit", "lower_is_better", "reference", "other", "delta", "interval",
    "source",
)  # fmt: skip
"""The fields that a row by stage has from its result."""


def ends_rows(pair: Pair) -> tuple[EndsRow, ...]:
    """Return how many answers to training prompts end before and after each stage, evaluated or not."""
    first, found = pair.first_run, []
    for model in _models(first):
        ends = [[_ends(run, model) for run in side.seeds.values()] for side in pair.sides]
        known = [[one for one in side if one is not None] for side in ends]
        if not all(known):
            continue
        found.append(
            EndsRow(
                stage=_label(model, _stages_before(first, model)),
                model=model,
                num_prompts=known[0][0].num_prompts,
                max_new_tokens=known[0][0].max_new_tokens,
                before=_shares(known, lambda one: one.before),
                after=_shares(known, lambda one: one.after),
                falls=tuple(
                    f"{side.name}, seed {seed}"
                    for side, counts in zip(pair.sides, ends, strict=True)
                    for seed, one in zip(side.seeds, counts, strict=True)
                    if one is not None and one.falls
                ),
            )
        )
    return tuple(found)


def _models(run: SeedRun) -> list[str]:
    """Return all finished models of a run in training order, evaluated or not."""
    kinds = [name for name in run.stages if name == "pretrain_final"]
    return [*kinds, *run.earlier, *(name for name in run.stages if name not in kinds)]


def _stage_of(run: SeedRun, model: str) -> StageRun | None:
    return run.stages.get(model) or run.earlier.get(model)


def _ends(run: SeedRun, model: str) -> AnswerEnds | None:
    stage = _stage_of(run, model)
    return None if stage is None else stage.manifest.answer_ends


def _stages_before(run: SeedRun, model: str) -> tuple[str, ...]:
    """Return the names of the stages that made a model, those of fine-tuning one by one, as far as known."""
    stage = _stage_of(run, model)
    return () if stage is None else tuple(entry.stage.removeprefix("sft/") for entry in stage.manifest.ledger)


def _label(model: str, stages: tuple[str, ...]) -> str:
    kind = model.partition("_")[0]
    return _KINDS.get(kind) or f"SFT on {stages[-1] if stages else model.partition('_')[2]}"


def _shares(sides: list[list[AnswerEnds]], count: Callable[[AnswerEnds], int]) -> Means:
    reference, other = (fmean(count(one) / one.num_prompts for one in side) for side in sides)
    return Means(reference=reference, other=other)
