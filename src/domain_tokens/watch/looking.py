"""Looks at a folder: an experiment, or a study, which holds an experiment for each of its points."""

import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.layout import LOCK, LOGS, TOKENIZER
from domain_tokens.watch.curves import charts_of
from domain_tokens.watch.files.metrics import MetricsReader
from domain_tokens.watch.files.outcome import headline_of, result_files
from domain_tokens.watch.files.reading import Reader, changed_at, clean, folders, tail
from domain_tokens.watch.files.runner_log import RunnerLog, read_log, read_study_log
from domain_tokens.watch.files.signs import Signs, signs_of
from domain_tokens.watch.plan import STUDY_LOG, Run, is_study, runs_of, seeds_of_study, started
from domain_tokens.watch.remaining import remaining, usual_durations
from domain_tokens.watch.stages import Place, Readers, stages_of
from domain_tokens.watch.view import ExperimentView, Failure, RunView, State, View, Whole, running_stages

_EXPERIMENT_LOG = "experiment.log"
_TAIL_LINES = 12
_MOST_NAMED = 5  # experiments in a folder
_TRIES = 3
_KILL = 9  # SIGKILL, which Windows has not
_ATTEMPT = re.compile(
    r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \S.*\.py\b"
)  # what a runner writes above the output of a stage
_BESIDE_RUNS = {
    "comparison": "compare",
    "importing the libraries": "preparation",
    "finding the micro batch": "micro_batch",
}


class Watch:
    """Looks at one folder again and again.

    Args:
        folder (`Path`): `outputs/<experiment>`, or `outputs/studies/<study>`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._readers = Readers(Reader(), MetricsReader())
        self._were_held = set[Path]()  # by a process of this machine, at an earlier look

    def exists(self) -> bool:
        """Return whether there is anything to look at: an experiment's folder from its first second on."""
        return self._is_experiment(self.folder) or bool(self._inner())

    def look(self) -> View:
        """Return where everything stands.

        Raises:
            RecipeError: if the folder is not there, cannot be read, or is neither an experiment nor a study.
        """
        for _ in range(_TRIES):
            try:
                return self._look()
            except OSError as error:  # a folder that was moved away between listing and reading it
                last = error
        raise RecipeError(f"{self.folder}: cannot be read: {last}; expected a folder that this user may read")

    def _look(self) -> View:
        if not self.folder.is_dir():
            raise RecipeError(
                f"{self.folder}: no such folder; expected outputs/<experiment> or outputs/studies/<study>, or --wait "
                "before it is made"
            )
        now, files = time.time(), self._readers.files
        if (folder := self._one_experiment()) is not None:
            log = files.lines_as(folder / LOGS / _EXPERIMENT_LOG, read_log)
            return self._view(now, log, [self._experiment(folder, log, now)], [log], False)
        log = files.lines_as(self.folder / LOGS / STUDY_LOG, read_study_log)
        points, seeds = self._inner(), seeds_of_study(self.folder, files)
        of_points = [log.of_point(clean(point.name)) for point in points]
        found = [self._experiment(point, own, now, seeds) for point, own in zip(points, of_points, strict=True)]
        return self._view(now, log, found, of_points, True)

    def _one_experiment(self) -> Path | None:
        """Return the folder of the experiment that is looked at; `None` for a study.

        A folder that holds one experiment and is no study is an `output_dir`, as a recipe may name one.
        """
        if self._is_experiment(self.folder):
            return self.folder
        found = self._inner()
        if found and is_study(self.folder):
            return None
        if len(found) == 1:
            return found[0]
        if found:
            raise RecipeError(
                f"{self.folder}: holds {len(found)} experiments and is no study (it has no study.yaml); expected one "
                f"of them: {', '.join(clean(str(one)) for one in found[:_MOST_NAMED])}"
                f"{', ...' if len(found) > _MOST_NAMED else ''}"
            )
        raise RecipeError(
            f"{self.folder}: neither an experiment (it would hold exp_<condition> or logs) nor a study "
            "(folders of such); expected outputs/<experiment> or outputs/studies/<study>, or --wait until then"
        )

    def _inner(self) -> list[Path]:
        """Return the experiments in the folder: the points, if it is a study."""
        return [folder for folder in folders(self.folder, "*") if self._is_experiment(folder)]

    def _is_experiment(self, folder: Path) -> bool:
        begun = any(folders(folder, f"exp_*/{TOKENIZER}")) or any(folders(folder, "exp_*/seed_*"))
        return begun or (folder / LOGS / _EXPERIMENT_LOG).is_file()

    def _view(
        self, now: float, log: RunnerLog, found: list[ExperimentView], logs: list[RunnerLog], of_study: bool
    ) -> View:
        folder = self.folder if of_study else found[0].folder
        signs = _together([one.signs for one in found], now)
        total, done = sum(len(one.stages) for one in found), sum(one.count(State.DONE) for one in found)
        is_done = done == total and total > 0
        compares = not of_study and len(found[0].conditions) > 1
        headline, report = self._outcome(found[0], log) if is_done and compares else ("", None)
        has_result = bool(headline) or not compares
        state = _state(found, signs, is_done, has_result)
        if total and compares:  # the comparison is a stage of the runner's count
            total, done = total + 1, done + has_result
        total = max(total, log.total or 0)  # before data are prepared, the runner alone knows them all
        is_running = state == "running"
        usual = {one.name: usual_durations(own) for one, own in zip(found, logs, strict=True)}
        return View(
            folder, now, of_study, tuple(found), state, signs, done, total, is_done and not has_result,
            remaining(found, usual, log.jobs) if is_running else None,
            now - log.began.timestamp() if is_running and log.began is not None else None,
            headline if state == "finished" else "", report if state == "finished" else None,
        )  # fmt: skip

    def _outcome(self, experiment: ExperimentView, log: RunnerLog) -> tuple[str, Path | None]:
        """Return what the comparison found and its report; nothing if it is not of all that is there."""
        files, folder = self._readers.files, experiment.folder
        last = log.tasks.get("comparison")
        completed = None if last is None or last.outcome not in ("done", "skipped") else last.at
        newer = [one for one in log.tasks.values() if one.outcome == "done" and completed and one.at > completed]
        if last is not None and (completed is None or newer):
            made = [changed_at(path) or 0.0 for path in result_files(folder, files)]
            if not made or min(made) <= (changed_at(folder / LOGS / _EXPERIMENT_LOG) or 0.0):
                return "", None  # else somebody has compared by hand since
        named = [clean(name) for name in started(folder, files)[0]]
        seeds: dict[str, set[int]] = {}
        for run in experiment.runs:
            if not named or run.condition in named:
                seeds.setdefault(run.condition, set()).add(run.seed)
        return headline_of(folder, files, seeds)

    def _experiment(
        self, folder: Path, log: RunnerLog, now: float, study_seeds: Sequence[int] | None = None
    ) -> ExperimentView:
        is_point = study_seeds is not None
        logs, runs = folder / LOGS, runs_of(folder, self._readers.files, study_seeds or ())
        signs = signs_of(logs / LOCK, _written(folder), now)
        has_failed = not is_point and any(one.outcome == "failed" for one in log.tasks.values())
        if has_failed or log.has_ended or folder in self._were_held:  # a failure ends an experiment, and no study
            signs = replace(signs, has_ended=True)
        if signs.pid is not None:
            self._were_held.add(folder)
        usual = usual_durations(log)
        views = []
        for run in runs:
            place = Place(run, logs, log, signs, now, usual)
            views.append(RunView(run.condition, run.seed, tuple(stages_of(place, self._readers, is_point))))
        columns = list(dict.fromkeys(stage.name for run in views for stage in run.stages))
        columns.sort(key=_order_of(views))
        failures = [*_failures_of_runs(views, runs, logs, log), *_failures_beside(log, logs)]
        failures.sort(key=lambda failure: failure.state != State.FAILED)
        charts = charts_of(runs, self._readers)
        return ExperimentView(clean(folder.name), folder, tuple(columns), tuple(views), tuple(failures), charts, signs)


def _written(experiment: Path) -> Iterator[Path]:
    """Yield files that a living runner, or a stage that somebody started by hand, changes."""
    for pattern in ("logs/*.progress", "logs/*.log", "exp_*/seed_*/checkpoints/*/metrics.jsonl"):
        try:
            yield from experiment.glob(pattern)
        except OSError:
            continue


def _order_of(runs: Sequence[RunView]) -> Callable[[str], int]:
    """Return a key that sorts stages as the longest run has them; evaluations come last."""
    longest = max(runs, key=lambda run: len(run.stages), default=None)
    names = [] if longest is None else [stage.name for stage in longest.stages]
    return lambda name: names.index(name) if name in names else len(names)


def _failures_of_runs(views: Sequence[RunView], runs: Sequence[Run], logs: Path, log: RunnerLog) -> Iterator[Failure]:
    for view, run in zip(views, runs, strict=True):
        for stage in view.stages:
            if stage.problem:
                name = f"{view.name}: {stage.name}"
                yield Failure(name, State.FAILED, stage.problem, (), logs / f"{run.log_name}_{stage.kind}.log")
            elif stage.state in (State.FAILED, State.INTERRUPTED):
                name = f"{view.name}: {stage.kind}"
                logged = log.tasks.get(name)
                code = None if logged is None else logged.code
                yield _failure(name, stage.state, code, logs / f"{run.log_name}_{stage.kind}.log")


def _failures_beside(log: RunnerLog, logs: Path) -> Iterator[Failure]:
    """Yield what failed beside the stages of runs: what comes before the first, and the comparison."""
    for name, file in _BESIDE_RUNS.items():
        logged = log.tasks.get(name)
        if logged is not None and logged.outcome == "failed":
            yield _failure(name, State.FAILED, logged.code, logs / f"{file}.log")


def _failure(name: str, state: State, code: int | None, log: Path) -> Failure:
    lines = tail(log, _TAIL_LINES)
    begins = [number for number, line in enumerate(lines) if _ATTEMPT.match(line)]
    lines = lines[begins[-1] :] if begins else lines  # of the last attempt: a log has them all
    return Failure(name, state, _why(state, code, lines), tuple(lines), log)


def _why(state: State, code: int | None, lines: Sequence[str]) -> str:
    """Return the reason in one line: the stage's own message, else its last line, and how the process ended."""
    if state == State.INTERRUPTED:
        return "no process works on it any more; the same command goes on with it"
    said = next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), None)
    own = [line.strip() for line in lines if not _ATTEMPT.match(line)]
    last = said or (own[-1] if own else "its log says nothing")
    if (killed := _killed(code)) is not None:
        return f"{killed}; {f'last said: {last}' if own else last}"
    return last if code is None else f"{last} (exit code {code})"


def _killed(code: int | None) -> str | None:
    """Return by which signal a process was ended, in words; `None` if by none."""
    number = 0 if code is None else -code if code < 0 else code - 128
    if number not in set(signal.Signals):
        return None
    memory = ", often for want of memory" if number == _KILL else ""
    return f"ended by {signal.Signals(number).name}{memory}"


def _together(signs: Iterable[Signs], now: float) -> Signs:
    every = list(signs)
    pid = next((one.pid for one in every if one.pid is not None), None)
    written = max((one.written for one in every if one.written is not None), default=None)
    return Signs(pid, written, now, has_ended=not any(one.is_alive for one in every))


def _state(found: Sequence[ExperimentView], signs: Signs, is_done: bool, has_result: bool) -> Whole:
    if is_done and has_result and signs.pid is None:
        return "finished"
    has_failed = any(one.state == State.FAILED for experiment in found for one in experiment.failures)
    if signs.is_alive or running_stages(found):  # the runner, or a stage that somebody started by hand
        return "running"
    if has_failed:
        return "failed"
    if not any(experiment.runs for experiment in found):
        return "empty"
    return "interrupted"
