"""Where each stage of a run stands."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from domain_tokens.runs.checkpoints.verified import damage_at_a_glance
from domain_tokens.runs.layout import (
    CHECKPOINT_RESULTS,
    EVALUATION,
    INPUTS,
    LOCK,
    MANIFEST,
    METRICS,
    TOKENIZER,
    TRAINER_STATE,
    checkpoint_folder,
)
from domain_tokens.runs.progress import Progress, read_progress
from domain_tokens.watch.files.health import health_of
from domain_tokens.watch.files.metrics import LOSS, REWARD, VALIDATION, Metrics, MetricsReader
from domain_tokens.watch.files.reading import Reader, clean, folders, number, part_of
from domain_tokens.watch.files.runner_log import Logged, RunnerLog
from domain_tokens.watch.files.signs import Signs, signs_of
from domain_tokens.watch.plan import CURVES, EVALUATE, PREPARE, Run
from domain_tokens.watch.view import StageView, State

_GRPO = "grpo"
_SPEED, _TOO_SOON = "tokens_per_s", 5.0  # seconds of work before its speed says how long the rest takes


@dataclass(frozen=True)
class Readers:
    """What remembers files between two looks."""

    files: Reader
    metrics: MetricsReader


@dataclass(frozen=True)
class Place:
    """Where a run is, and what is known of whoever runs it.

    Attributes:
        run: condition, seed and stages.
        logs: the folder of the runner's logs.
        log: what the runner logged.
        signs: of the runner.
        now: seconds since 1970.
        usual: seconds that a stage of a kind takes.
    """

    run: Run
    logs: Path
    log: RunnerLog
    signs: Signs
    now: float
    usual: Mapping[str, float]

    def logged(self, kind: str) -> Logged | None:
        """Return what the runner logged of a kind of stage."""
        return self.log.tasks.get(f"{self.run.condition}, seed {self.run.seed}: {kind}")

    def log_file(self, kind: str, ending: str = ".log") -> Path:
        """Return the log of a kind of stage, or another file with its name."""
        return self.logs / f"{self.run.log_name}_{kind}{ending}"

    def is_running(self, kind: str) -> bool:
        """Return whether the runner has started a kind of stage, has not seen its end, and is alive."""
        logged = self.logged(kind)
        return logged is not None and logged.outcome == "started" and self.signs.is_alive


def kinds_of(run: Run, is_point: bool) -> list[str]:
    """Return the kinds of stages of a run, in order.

    Args:
        run (`Run`): the run.
        is_point (`bool`): whether it is one of a study, which asks no tasks after training.
    """
    if not run.models:  # no recipe is there before data are prepared, and no work
        return [PREPARE]
    trained = list(dict.fromkeys(stage.partition("_")[0] for stage in run.models))
    return [PREPARE, *trained, *([] if is_point else [EVALUATE]), CURVES]


def stages_of(place: Place, readers: Readers, is_point: bool) -> Iterator[StageView]:
    """Yield the stages of a run, in order."""
    for kind in kinds_of(place.run, is_point):
        parts = [stage for stage in place.run.models if stage.partition("_")[0] == kind]
        if parts:
            yield from _training(place, readers, kind, parts)
        else:
            yield _other(place, readers, kind)


def _other(place: Place, readers: Readers, kind: str) -> StageView:
    """Return where a stage stands that does not train."""
    problem = _damage(_results_of(place.run, kind), readers.files)
    state = _state(place, kind, problem == "", has_begun=False)
    if problem and state != State.RUNNING:
        return StageView(kind, kind, State.FAILED, problem=problem)
    seconds = _elapsed(place, kind) if state == State.RUNNING else place.log.durations.get(_name(place, kind))
    if kind == PREPARE and state == State.DONE and seconds is None:
        seconds = _time_of_data(place.run, readers.files)
    stage = StageView(kind, kind, state, seconds=seconds)
    if state != State.RUNNING:
        return stage
    stage = replace(stage, progress=(progress := _progress(place, kind)))
    return replace(stage, seconds_left=_left_of_items(place, kind, progress, seconds))


def _training(place: Place, readers: Readers, kind: str, parts: list[str]) -> Iterator[StageView]:
    """Yield the training stages that one script runs. The first that is not complete is the one that runs."""
    is_next = True
    for part in parts:
        final = place.run.folder / place.run.models[part]
        work = place.run.folder / "checkpoints" / part
        if (problem := _damage([final], readers.files)) is not None:
            whole = _finished(place, readers, kind, part)
            yield replace(whole, state=State.FAILED, problem=problem) if problem else whole
            continue
        state = State.WAITING
        if is_next:
            state = _state(place, kind, False, (work / INPUTS).is_file())
        if state != State.RUNNING and _runs_alone(place, kind, work, is_next):
            state = State.RUNNING
        is_next = False
        yield _unfinished(place, readers, kind, part, state)


def _runs_alone(place: Place, kind: str, work: Path, is_next: bool) -> bool:
    """Return whether a stage runs that its runner did not start: somebody holds its lock, or writes its metrics."""
    alone = signs_of(work / LOCK, [work / METRICS], place.now)
    return alone.pid is not None or (is_next and place.logged(kind) is None and alone.is_alive)


def _finished(place: Place, readers: Readers, kind: str, part: str) -> StageView:
    final = place.run.folder / place.run.models[part]
    manifest = readers.files.fields(final / MANIFEST)
    metrics = metrics_of(place.run, readers.metrics, part)
    ledger = part_of(manifest, "ledger")
    steps = number(part_of(ledger[-1], "steps")) if isinstance(ledger, list) and ledger else None
    total = None if steps is None else int(steps)
    alone = len([one for one in place.run.models if one.partition("_")[0] == kind]) == 1
    seconds = place.log.durations.get(_name(place, kind)) if alone else None
    seconds = number(part_of(manifest, "wall_time_s")) if seconds is None else seconds
    stage = StageView(part, kind, State.DONE, total, total, seconds=seconds)
    work = place.run.folder / "checkpoints" / part
    health = health_of(work) if work.is_dir() else None
    return replace(_with_metrics(stage, metrics), health=None if health is None or health.step is None else health)


def _unfinished(place: Place, readers: Readers, kind: str, part: str, state: State) -> StageView:
    work = place.run.folder / "checkpoints" / part
    metrics = metrics_of(place.run, readers.metrics, part)
    health = health_of(work) if work.is_dir() else None
    progress = _progress(place, kind) if state == State.RUNNING and place.is_running(kind) else None
    trains = progress is not None and progress.unit == "step"
    step = progress.done if progress is not None and trains else metrics.step if metrics else None
    total = progress.total if progress is not None and trains else None
    if total is None:
        total = _total(place.run, readers.files, part, metrics, None if health is None else health.step)
    stage = StageView(part, kind, state, step, total, progress, health=health)
    stage = _with_metrics(stage, metrics)
    if progress is not None and trains:
        speed = stage.tokens_per_s if progress.tokens_per_s is None else progress.tokens_per_s
        loss = stage.loss if progress.loss is None or part == _GRPO else progress.loss
        stage = replace(stage, loss=loss, tokens_per_s=speed)
    if state != State.RUNNING:
        return stage
    seconds = _elapsed(place, kind)
    if metrics is not None and metrics.step_time_s is not None and step is not None and total is not None:
        # After its last step a stage evaluates and saves, for which steps say nothing.
        left = metrics.step_time_s * (total - step) if step < total else None
    else:
        left = _left_of_items(place, kind, None if trains else progress, seconds)
    return replace(stage, seconds=seconds, seconds_left=left)


def metrics_of(run: Run, reader: MetricsReader, part: str) -> Metrics | None:
    """Return the metrics of a training stage: of its unfinished work, which stays, else of its final folder."""
    own = run.folder / "checkpoints" / part / METRICS
    kind, _, name = part.partition("_")
    return reader.read([own, run.folder / run.models[part] / METRICS], name if kind == "sft" else "")


def _with_metrics(stage: StageView, metrics: Metrics | None) -> StageView:
    if metrics is None:
        return stage
    last = metrics.last
    if stage.kind == _GRPO:  # its loss is the objective of the policy, and no one's nats per token
        return replace(stage, reward=last.get(REWARD), tokens_per_s=last.get(_SPEED))
    return replace(stage, loss=last.get(LOSS), validation_loss=last.get(VALIDATION), tokens_per_s=last.get(_SPEED))


def _state(place: Place, kind: str, is_done: bool, has_begun: bool) -> State:
    logged = place.logged(kind)
    if place.is_running(kind):
        return State.RUNNING
    if is_done:
        return State.DONE
    if logged is not None and logged.outcome == "failed":
        return State.FAILED
    if logged is not None and logged.outcome in ("started", "interrupted"):
        return State.INTERRUPTED
    return State.INTERRUPTED if has_begun and not place.signs.is_alive else State.WAITING


def _results_of(run: Run, kind: str) -> list[Path]:
    """Return the folders that a stage that does not train fills; none if one is not there yet."""
    if kind == PREPARE:
        data = [folder for folder in folders(run.folder.parent, "corpus_*") if (folder / MANIFEST).is_file()]
        return [*data, run.folder.parent / TOKENIZER] if data else []
    return [run.folder / (EVALUATION if kind == EVALUATE else CHECKPOINT_RESULTS)]


def _damage(results: Sequence[Path], reader: Reader) -> str | None:
    """Return why the folders of a complete stage are not whole, empty if they are; `None` if it is not complete."""
    if not results or not all((folder / MANIFEST).is_file() for folder in results):
        return None
    for folder in results:
        if (manifest := reader.fields(folder / MANIFEST)) is None:
            return (
                f"{clean(str(folder / MANIFEST))} is damaged; remove the folder, and the same command makes it again"
            )
        files = part_of(manifest, "files")
        for name, digest in files.items() if isinstance(files, dict) else ():
            if damage := damage_at_a_glance(folder / name, digest):
                return (
                    f"{clean(str(folder / name))} is {damage}; remove the folder, and the same command makes it again"
                )
    return ""


def _total(run: Run, reader: Reader, part: str, metrics: Metrics | None, saved: int | None) -> int | None:
    """Return how many steps a stage has, as far as files say so."""
    work = run.folder / "checkpoints" / part
    if saved is not None:
        state = reader.fields(checkpoint_folder(work, saved) / TRAINER_STATE)
        if (steps := number(part_of(state, "max_steps"))) is not None and steps > 0:
            return int(steps)
    if part in run.max_steps:
        return run.max_steps[part]
    if metrics is not None and metrics.epoch and part in run.epochs:
        return max(metrics.step, round(metrics.step / metrics.epoch * run.epochs[part]))
    return None


def _progress(place: Place, kind: str) -> Progress | None:
    try:
        return read_progress(place.log_file(kind, ".progress"))
    except (OSError, ValueError, TypeError):  # of another version, or damaged
        return None


def _left_of_items(place: Place, kind: str, progress: Progress | None, seconds: float | None) -> float | None:
    """Return the time left of a stage that reports no steps: as long as others of its kind took, or by its speed.

    One that takes longer than others did is judged by its speed; after its last item, nothing says how long it takes.
    """
    if progress is not None and progress.seconds_left:
        return progress.seconds_left
    if seconds is not None and seconds < place.usual.get(kind, 0.0):
        return place.usual[kind] - seconds
    if progress is None or progress.part or not progress.total or not progress.done or seconds is None:
        return None
    left = seconds * (progress.total - progress.done) / progress.done
    return left if seconds > _TOO_SOON and left > 0 else None


def _elapsed(place: Place, kind: str) -> float | None:
    """Return how long a stage has run. The runner's log is in local time, without a date in its lines."""
    logged = place.logged(kind)
    return None if logged is None else max(0.0, place.now - logged.at.timestamp())


def _name(place: Place, kind: str) -> str:
    return f"{place.run.condition}, seed {place.run.seed}: {kind}"


def _time_of_data(run: Run, reader: Reader) -> float | None:
    manifests = [reader.fields(folder / MANIFEST) for folder in folders(run.folder.parent, "corpus_*")]
    times = [time for one in manifests if (time := number(part_of(one, "wall_time_s"))) is not None]
    return sum(times) if times else None
