"""What is shown: an experiment or a study at one moment, in the terminal and on the page alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from domain_tokens.runs.progress import Progress
from domain_tokens.watch.files.health import Health
from domain_tokens.watch.files.metrics import Points
from domain_tokens.watch.files.signs import Signs


class State(StrEnum):
    """What became of a stage."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class StageView:
    """One stage of one run.

    Attributes:
        name: `prepare_data`, `pretrain`, `sft_<name>`, `grpo`, `eval` or `eval_checkpoints`.
        kind: the script that runs it; all stages of fine-tuning are of one.
        state: what became of it.
        step, total: optimizer steps done, and of how many, where it trains and they are known.
        progress: its latest report, while it runs under a runner.
        loss, validation_loss: the last ones, in nats a token; GRPO, whose loss is its objective, has none.
        reward: the last mean reward of GRPO.
        tokens_per_s: the last one logged.
        seconds: how long it took, or has run.
        seconds_left: an estimate, while it runs.
        health: of its newest checkpoint, if it trains and has begun.
        problem: why a stage that was complete is no more; empty if it is, or has not been.
    """

    name: str
    kind: str
    state: State
    step: int | None = None
    total: int | None = None
    progress: Progress | None = None
    loss: float | None = None
    validation_loss: float | None = None
    reward: float | None = None
    tokens_per_s: float | None = None
    seconds: float | None = None
    seconds_left: float | None = None
    health: Health | None = None
    problem: str = ""

    @property
    def share(self) -> float | None:
        """How much of a running stage is done, from 0 to 1."""
        done, total = self.step, self.total
        if self.progress is not None and self.progress.unit != "step":
            done, total = self.progress.done, self.progress.total
        return min(1.0, done / total) if done is not None and total else None


@dataclass(frozen=True)
class RunView:
    """One condition with one seed: its stages, in order."""

    condition: str
    seed: int
    stages: tuple[StageView, ...]

    @property
    def name(self) -> str:
        """The name of the run, as the runner writes it."""
        return f"{self.condition}, seed {self.seed}"


@dataclass(frozen=True)
class Failure:
    """A stage that did not end well.

    Attributes:
        name: of the stage, as the runner writes it.
        state: failed or interrupted.
        why: the reason in one line.
        lines: the end of its log.
        log: the log.
    """

    name: str
    state: State
    why: str
    lines: tuple[str, ...]
    log: Path


@dataclass(frozen=True)
class Line:
    """A curve of one run: steps and values."""

    condition: str
    seed: int
    points: Points
    is_validation: bool = False


@dataclass(frozen=True)
class Chart:
    """Curves of several runs with common axes.

    Attributes:
        title: what is drawn.
        unit: of the values.
        note: what can be concluded, and what cannot.
        lines: the curves.
    """

    title: str
    unit: str
    note: str
    lines: tuple[Line, ...]

    def newest_of(self, condition: str, is_validation: bool) -> Line | None:
        """Return the curve of a condition's last run that has one, in training or in validation."""
        own = [line for line in self.lines if line.condition == condition and line.is_validation == is_validation]
        return next((line for line in reversed(own) if line.points), None)


@dataclass(frozen=True)
class Left:
    """The time left of everything, as far as there is a basis for it.

    Attributes:
        seconds: an estimate; `None` if some kind of stage was never seen to take its time.
        at_least: what the other kinds take.
        without_basis: of which kinds none has ended, each with the name of its experiment.
    """

    seconds: float | None
    at_least: float
    without_basis: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ExperimentView:
    """One experiment: its runs, failures and curves.

    Attributes:
        name: of its folder.
        folder: where it is.
        columns: the names of all stages, in order.
        runs: conditions and seeds.
        failures: what did not end well.
        charts: curves of all runs.
        signs: of its runner.
    """

    name: str
    folder: Path
    columns: tuple[str, ...]
    runs: tuple[RunView, ...]
    failures: tuple[Failure, ...]
    charts: tuple[Chart, ...]
    signs: Signs

    @property
    def stages(self) -> list[StageView]:
        """The stages of all runs."""
        return [stage for run in self.runs for stage in run.stages]

    def count(self, state: State) -> int:
        """Return how many stages are in a state."""
        return sum(stage.state == state for stage in self.stages)

    @property
    def conditions(self) -> list[str]:
        """The conditions, in order."""
        return list(dict.fromkeys(run.condition for run in self.runs))

    @property
    def healths(self) -> list[tuple[RunView, StageView, Health]]:
        """The stages that have checkpoints, or are about to."""
        return [(run, one, one.health) for run in self.runs for one in run.stages if one.health is not None]

    @property
    def saved(self) -> list[Health]:
        """The newest checkpoints of all stages that have one."""
        return [health for *_, health in self.healths if health.step is not None]


Whole = Literal["running", "finished", "failed", "interrupted", "empty"]


@dataclass(frozen=True)
class View:
    """A folder at one moment.

    Attributes:
        folder: that was asked for.
        at: when it was looked at, in seconds since 1970.
        is_study: whether it holds several experiments.
        experiments: those that it holds.
        state: of the whole.
        signs: of whatever works in it.
        done, total: stages, with the comparison of an experiment of several conditions, as the runner counts.
        lacks_comparison: whether all stages are done but that one.
        left: the time left, while something runs.
        passed: seconds since the runner's last command began, while something runs.
        headline: what was found, once there are results.
        report: the report with it.
    """

    folder: Path
    at: float
    is_study: bool
    experiments: tuple[ExperimentView, ...]
    state: Whole
    signs: Signs
    done: int
    total: int
    lacks_comparison: bool
    left: Left | None
    passed: float | None
    headline: str
    report: Path | None

    @property
    def failures(self) -> list[Failure]:
        """What did not end well, in all experiments."""
        return [one for experiment in self.experiments for one in experiment.failures]

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.state == "finished"


def running_stages(experiments: Sequence[ExperimentView]) -> list[tuple[ExperimentView, RunView, StageView]]:
    """Return what runs at this moment."""
    return [
        (experiment, run, stage)
        for experiment in experiments
        for run in experiment.runs
        for stage in run.stages
        if stage.state == State.RUNNING
    ]
