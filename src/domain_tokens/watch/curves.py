"""The curves of an experiment: losses while training, reward, and bits per byte where they can be had."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from domain_tokens.runs.layout import CHECKPOINT_RESULTS, MANIFEST
from domain_tokens.watch.files.metrics import LOSS, REWARD, VALIDATION, Metrics, Points
from domain_tokens.watch.files.reading import Reader, folders, number, part_of
from domain_tokens.watch.plan import Run
from domain_tokens.watch.stages import Readers, metrics_of
from domain_tokens.watch.view import Chart, Line

_NATS = "nats per token"
_PER_TOKEN = (
    "Each condition has tokens of its own, so losses per token of two conditions are not comparable: watch whether a "
    "curve falls, not which is lower."
)
_CONVERTED = (
    "The validation loss times the tokens per byte of the condition's own validation split. What rewriting drops from "
    "the text is not counted, so a condition that rewrites looks a little better than it is; the curve of evaluated "
    "checkpoints, once there is one, counts it."
)
_MEASURED = (
    "Of the checkpoints that were evaluated, what rewriting drops from the text included: comparable between "
    "conditions."
)


def charts_of(runs: Sequence[Run], readers: Readers) -> tuple[Chart, ...]:
    """Return the charts of an experiment that have a curve, in the order of training."""
    stages = list(dict.fromkeys(stage for run in runs for stage in run.models))
    charts = []
    for stage in stages:
        logged = [
            (run, metrics)
            for run in runs
            if stage in run.models and (metrics := metrics_of(run, readers.metrics, stage))
        ]
        charts += list(_of_stage(stage, logged, readers.files))
    charts.append(
        Chart(
            "Evaluated checkpoints of all stages",
            "bits per byte",
            _MEASURED,
            _measured(runs, readers.files),
        )
    )
    return tuple(chart for chart in charts if any(len(line.points) > 1 for line in chart.lines))


def _of_stage(stage: str, logged: Sequence[tuple[Run, Metrics]], reader: Reader) -> Iterator[Chart]:
    if stage == "grpo":
        rewards = tuple(Line(run.condition, run.seed, metrics.curves[REWARD]) for run, metrics in logged)
        yield Chart(
            "GRPO: mean reward", "", "The reward of sampled answers, read as text in every condition.", rewards
        )
        return
    name = "Pretraining" if stage == "pretrain" else f"Fine-tuning, {stage.partition('_')[2]}"
    lines = [Line(run.condition, run.seed, metrics.curves[LOSS]) for run, metrics in logged]
    checked = [Line(run.condition, run.seed, metrics.curves[VALIDATION], True) for run, metrics in logged]
    checked = [line for line in checked if line.points]
    what = "loss" if not checked else "loss (dashed: validation)"
    yield Chart(f"{name}: {what}", _NATS, _PER_TOKEN, (*lines, *checked))
    if stage == "pretrain":
        yield Chart(f"{name}: validation loss", "bits per byte", _CONVERTED, tuple(_per_byte(logged, reader)))


def _per_byte(logged: Sequence[tuple[Run, Metrics]], reader: Reader) -> Iterator[Line]:
    for run, metrics in logged:
        points = metrics.curves[VALIDATION]
        if points and (rate := _tokens_per_byte(run, reader)) is not None:
            yield Line(run.condition, run.seed, [(step, loss * rate / math.log(2)) for step, loss in points], True)


def _tokens_per_byte(run: Run, reader: Reader) -> float | None:
    for folder in folders(run.folder.parent, "corpus_*"):
        split = part_of(reader.fields(folder / MANIFEST), "reported", "validation")
        tokens, num_bytes = number(part_of(split, "tokens")), number(part_of(split, "source_bytes"))
        if tokens and num_bytes:
            return tokens / num_bytes
    return None


def _measured(runs: Sequence[Run], reader: Reader) -> tuple[Line, ...]:
    return tuple(Line(run.condition, run.seed, _checkpoints(run.folder, reader), True) for run in runs)


def _checkpoints(run: Path, reader: Reader) -> Points:
    """Return bits per byte by optimizer step, the steps of all stages one after the other."""
    found = []
    for path in sorted((run / CHECKPOINT_RESULTS).glob("*-*.json")):
        result = reader.fields(path)
        place = number(part_of(result, "stage_number")), number(part_of(result, "step"))
        bits = number(part_of(result, "metrics", "bits_per_byte"))
        if place[0] is not None and place[1] is not None and bits is not None:
            found.append((place[0], place[1], bits))
    points: Points = []
    before, last, stage = 0.0, 0.0, None
    for number_of_stage, step, bits in sorted(found):
        if number_of_stage != stage:
            before, stage = last, number_of_stage
        last = before + step
        points.append((last, bits))
    return points
