"""The tables of a model's card: what it is, what it scored, its data, its ledger and its settings."""

from collections.abc import Iterator, Sequence

from domain_tokens.analysis.report.formats import DASH, Scale, listed, number
from domain_tokens.publishing.cards.comparisons import Found
from domain_tokens.publishing.cards.data import UsedSource
from domain_tokens.publishing.cards.markup import Markdown, code, data_link, prose, table
from domain_tokens.publishing.cards.run import Stage, TrainedModel
from domain_tokens.publishing.cards.scores import Score
from domain_tokens.runs.results import ALL_ITEMS

TOGETHER = "†"
"""Marks a score of tokenizer and model together."""


def identity_table(model: TrainedModel) -> Markdown:
    """Return what identifies a model."""
    environment, manifest = model.environment, model.last.manifest
    packages = [f"{name} {version}" for name, version in environment.packages.items() if version is not None]
    commit = environment.git_commit
    rows: list[tuple[str, str | None]] = [
        ("experiment", code(model.experiment.name)),
        ("condition", code(model.condition)),
        ("seed", str(model.seed)),
        ("folder in the run", code(model.name)),
        ("weights, sha256", None if model.step is not None else code(manifest.weights_sha256)),
        ("tokenizer", code(model.intervention.name)),
        ("commit of the code", None if commit is None else code(commit)),
        ("trained with", ", ".join([f"Python {environment.python}", *packages]) if environment.python else None),
        ("on", environment.device or " ".join(filter(None, (environment.system, environment.machine, "CPU")))),
        ("finished", environment.time_utc),
    ]
    return table(("", ""), [(what, value) for what, value in rows if value is not None], labels=2)


def score_table(model: TrainedModel, scores: Sequence[Score], compared: Found) -> Markdown | None:
    """Return what the model scored, with the mean over all seeds where a comparison has it; `None` without scores.

    A cell that says what the one above it says is empty.
    """
    if not scores:
        return None
    rows, before = [], ("", "")
    for score in scores:
        scale, mean = Scale(score.unit), compared.over_seeds(score, model)
        labels = (score.data, _metric(score))
        rows.append([
            *("" if label == above and labels[0] == before[0] else label
              for label, above in zip(labels, before, strict=True)),
            f"{'all' if score.group == ALL_ITEMS else score.group}{f' {TOGETHER}' if score.with_tokenizer else ''}",
            number(score.num_items),
            _with_interval(score.value, score.interval, scale),
            DASH if mean is None or mean[0] == 1 else _with_interval(mean[1].accuracy, mean[1].interval, scale),
        ])  # fmt: skip
        before = labels
    seeds = {mean[0] for score in scores if (mean := compared.over_seeds(score, model)) is not None}
    several = f"mean of {listed([number(one) for one in sorted(seeds)])} seeds" if seeds else "mean of the seeds"
    header = ["questions", "metric", "group", "N", f"seed {model.seed}", several]
    if not seeds - {1}:
        header, rows = header[:-1], [row[:-1] for row in rows]
    return table(header, rows, labels=3)


def _metric(score: Score) -> str:
    name = score.metric.replace("_", " ")
    unit = "" if score.unit is None or score.unit in name else f", in {score.unit}"
    return f"{name}{unit}{', lower is better' if score.lower_is_better else ''}"


def _with_interval(value: float, ends: tuple[float, float] | None, scale: Scale) -> str:
    shown = scale.value(value)
    if ends is None:
        return shown
    low, high = (scale.value(end).rstrip("%") for end in ends)
    return f"{shown} ({low} to {high})"


def source_table(sources: Sequence[UsedSource]) -> Markdown | None:
    """Return data with versions and licences; `None` if there are none."""
    if not sources:
        return None
    by_stage = any(source.stages for source in sources)
    rows = []
    for source in sources:
        content = prose(source.content)
        if source.hub_id is not None:
            rest = source.content.removeprefix(source.hub_id)
            content = Markdown(f"[{prose(source.hub_id)}]({data_link(source.hub_id)}){prose(rest)}")
        stages = [", ".join(source.stages)] if by_stage else []
        rows.append([code(source.name), *stages, content, source.revision, source.licence])
    header = ["source", *["read in"] * by_stage, "what", "version", "licence"]
    return table(header, rows, labels=len(header))


def ledger_table(model: TrainedModel) -> Markdown:
    """Return what each stage consumed."""
    rows = []
    for stage in model.stages:
        entry = stage.entry
        rows.append([
            entry.stage,
            *(number(value) for value in (
                entry.steps, entry.examples, entry.tokens, entry.padding_tokens, entry.generated_tokens,
                entry.source_bytes,
            )),
            number(float(entry.flops)),
            number(round(entry.wall_time_s)),
        ])  # fmt: skip
    header = (
        "stage",
        "steps",
        "examples",
        "tokens",
        "of them padding",
        "generated",
        "bytes of text",
        "FLOPs",
        "seconds",
    )
    return table(header, rows)


def settings_table(model: TrainedModel) -> Markdown:
    """Return the main settings of each stage."""
    rows = []
    for stage in model.stages:
        entry = stage.entry
        optimizer, schedule = entry.optimizer, entry.schedule
        per_step = [f"{number(value)} {what}" for what, value in _per_step(stage)]
        rows.append([
            entry.stage,
            _shown(optimizer.get("optim")),
            _shown(optimizer.get("learning_rate")),
            _shown(schedule.get("lr_scheduler_type")),
            ", ".join(per_step) or DASH,
            _shown(entry.precision.get("mixed")),
        ])  # fmt: skip
    header = ("stage", "optimizer", "learning rate", "schedule", "a step", "mixed precision")
    return table(header, rows, labels=len(header))


def _per_step(stage: Stage) -> Iterator[tuple[str, int]]:
    """Yield what one optimizer step of a stage consumes, as far as the manifest has it."""
    matched = stage.manifest.matched
    stages, name = matched.get("stages"), stage.entry.stage.partition("/")[2]
    listed_stages = [one for one in stages if isinstance(one, dict)] if isinstance(stages, list) else []
    own = next((one for one in listed_stages if one.get("name") == name), None)
    for fields in (matched, own):
        for key, what in (
            ("tokens_per_step", "tokens"), ("examples_per_step", "examples"), ("completions_per_step", "completions")
        ):  # fmt: skip
            value = fields.get(key) if isinstance(fields, dict) else None
            if isinstance(value, int):
                yield what, value


def _shown(value: object) -> str:
    return DASH if value is None else f"{value:g}" if isinstance(value, float) else str(value)
