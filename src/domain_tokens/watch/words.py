"""What is said of stages and of the whole, in the terminal and on the page."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from domain_tokens.analysis.report.formats import DASH
from domain_tokens.experiment.lines import duration
from domain_tokens.watch.files.health import Health
from domain_tokens.watch.files.reading import clean
from domain_tokens.watch.view import ExperimentView, Left, StageView, State, View

SIGNS = {
    State.WAITING: "·",
    State.RUNNING: "▶",
    State.DONE: "✓",
    State.FAILED: "✗",
    State.INTERRUPTED: "‖",
}
"""A sign for each state, so that none is told by its colour alone."""

_MOST_NAMED = 3  # points of a study

COLUMNS = {"prepare_data": "data", "eval_checkpoints": "curves"}


def column(name: str) -> str:
    """Return a stage's name for the head of a column: `sft drills` for `sft_drills`."""
    return COLUMNS.get(name, name.replace("_", " ", 1))


def headline(view: View) -> str:
    """Return in one sentence where the whole stands."""
    done = f"{view.done} of {view.total} stages are done"
    if view.state == "finished":
        return f"Finished: all {view.total} stages are done."
    if view.state == "empty":
        return "Nothing has begun yet."
    if view.state == "running":
        if view.lacks_comparison:
            return f"Running: {done}, and the comparison, the last one, is being made."
        since = f", begun {duration(view.passed)} ago" if view.passed is not None else ""
        if not view.total:
            return f"Running{since}: the libraries are imported and the recipes checked; no stage has begun."
        return f"Running: {done}{since}. {time_left(view.left, view.is_study)}"
    why = "Stopped after a failure" if view.state == "failed" else "Interrupted"
    if view.lacks_comparison:
        return f"{why}: {done}, and the comparison, the last one, is not. The same command makes it."
    return f"{why}: {done}, and nothing works here now. The same command goes on."


def time_left(left: Left | None, is_study: bool) -> str:
    """Return the time left of everything as a sentence, and what it rests on."""
    if left is None:
        return ""
    if left.seconds is not None:
        return f"About {duration(left.seconds)} left, if stages take as long as earlier ones of their kind."
    missing = _without(left, is_study)
    if left.at_least < 1:
        return f"Time left unknown{f': no stage has ended yet of {missing}' if missing else ''}."
    return f"At least {duration(left.at_least)} left{f'; no stage has ended yet of {missing}' if missing else ''}."


def _without(left: Left, is_study: bool) -> str:
    """Return the kinds of stages for whose time there is no basis; of a study, by point."""
    names = list(dict.fromkeys(name for name, _ in left.without_basis))
    kinds = {name: ", ".join(column(kind) for one, kind in left.without_basis if one == name) for name in names}
    if not is_study:
        return ", ".join(kinds.values())
    shown = [f"{name} ({kinds[name]})" for name in names[:_MOST_NAMED]]
    more = f" and {len(names) - _MOST_NAMED} other points" if len(names) > _MOST_NAMED else ""
    return ", ".join(shown) + more


def alive(view: View) -> str:
    """Return what is known of the process that works here."""
    signs = view.signs
    if signs.pid is not None:
        return f"Process {signs.pid} of this machine holds the lock."
    if signs.age is None:
        return "No sign of a process."
    ago = f"something was last written {duration(signs.age)} ago"
    return f"No process of this machine is known to hold the lock; {ago}."


def path(where: Path) -> str:
    """Return a path that can be shown."""
    return clean(str(where))


def when(seconds: float) -> str:
    """Return a moment in local time, with its zone."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def cell(stage: StageView) -> str:
    """Return in few words where a stage stands."""
    if stage.state == State.DONE:
        return "done" if stage.seconds is None else duration(stage.seconds)
    if stage.state == State.RUNNING:
        return f"{100 * stage.share:.0f}%" if stage.share is not None else "running"
    if stage.state == State.INTERRUPTED and stage.step:
        return f"step {stage.step:,}"
    return "" if stage.state == State.WAITING else str(stage.state)


def at_work(stage: StageView) -> str:
    """Return what a running stage does: `step 120 of 400`, or `item 3,168 of 4,392`."""
    progress = stage.progress
    if progress is not None and progress.unit != "step":
        part = f"{progress.part}, " if progress.part else ""
        whole = "" if progress.total is None else f" of {progress.total:,}"
        return f"{part}{progress.unit} {progress.done:,}{whole}"
    if stage.step is None:
        return "starting"
    reward = "" if stage.reward is None else f", reward {stage.reward:.3f}"
    return f"step {stage.step:,}" + ("" if stage.total is None else f" of {stage.total:,}") + reward


def seconds(value: float | None) -> str:
    """Return a duration, or a dash."""
    return DASH if value is None else duration(value)


def loss(value: float | None) -> str:
    """Return a loss, or a dash."""
    return DASH if value is None else f"{value:.3f}"


def speed(value: float | None) -> str:
    """Return tokens per second, or a dash."""
    return DASH if value is None else f"{value:,.0f}"


def size(num_bytes: int) -> str:
    """Return a number of bytes: `7.9 MB`."""
    value, unit = float(num_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def checkpoint(health: Health) -> str:
    """Return what is known of the newest checkpoint of a stage."""
    if health.step is None:
        return "none yet"
    return (
        f"not whole: {health.problem}"
        if health.problem
        else f"whole, {health.num_files} files, {size(health.num_bytes)}"
    )


def whole(saved: Sequence[Health]) -> str:
    """Return how many stages have checkpoints, and of how many the newest one is whole."""
    number = sum(not health.problem for health in saved)
    have = "1 stage has" if len(saved) == 1 else f"{len(saved)} stages have"
    if number == len(saved):
        return f"{have} checkpoints, and the newest one{' of each' if number > 1 else ''} is whole."
    return f"{have} checkpoints; the newest one is whole in {number} and not in {len(saved) - number}."


def older(health: Health) -> str:
    """Return the steps of the other checkpoints."""
    saving = ["one is being written"] if health.is_saving else []
    return ", ".join([*(f"{step:,}" for step in health.older), *saving]) or DASH


def counts(experiment: ExperimentView) -> str:
    """Return how many stages of an experiment are in which state."""
    found = [(state, experiment.count(state)) for state in State]
    return ", ".join(f"{number} {state}" for state, number in found if number)
