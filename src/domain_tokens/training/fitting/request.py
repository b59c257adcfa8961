"""What a trial is asked, what it answers, and which of the micro batches it tried is taken.

Imports none of the training libraries.
"""

from collections.abc import Sequence
from pathlib import Path

from domain_tokens.runs.micro_batches import MicroBatchTry
from domain_tokens.runs.records import Record, read_rows

SAME_SPEED = 0.05
"""Two micro batches whose speeds differ by less are equally fast: less than what one step varies by."""

_WITHOUT_GAIN = 2


class Request(Record):
    """What a trial tries."""

    recipe: tuple[str, ...]
    """The arguments of `load_recipe`: the condition with the largest vocabulary."""
    stage: str
    sizes: tuple[int, ...]
    """Micro batches, ascending."""
    num_processes: int
    runs_at_a_time: int
    limit_bytes: int | None = None
    """Memory that is not exceeded, whatever there is."""
    parent: int | None = None
    """The process with which the trial ends; `None` if another one sees to that."""


class Answer(Record):
    """What is known of a trial that has ended, however it did."""

    device: str = ""
    memory_bytes: int = 0
    tries: tuple[MicroBatchTry, ...] = ()
    trying: int | None = None
    """The micro batch that was not answered."""
    error: str = ""


class _Line(Record):
    """A line that a trial writes: one of three kinds."""

    device: str | None = None
    memory_bytes: int = 0
    trying: int | None = None
    error: str | None = None
    micro_batch: int | None = None


def read_answer(path: Path) -> Answer:
    """Read what a trial wrote before it ended."""
    device, memory_bytes, trying, error = "", 0, None, ""
    tries: list[MicroBatchTry] = []
    for line in read_rows(path, _Line) if path.is_file() else ():
        if line.device is not None:
            device, memory_bytes = line.device, line.memory_bytes
        elif line.error is not None:
            error = line.error
        elif line.trying is not None:
            trying = line.trying
        else:
            tries.append(MicroBatchTry.parse(line.as_json(), path))
            trying = None
    return Answer(device=device, memory_bytes=memory_bytes, tries=tuple(tries), trying=trying, error=error)


def gains(speeds: Sequence[float]) -> bool:
    """Return whether larger micro batches are worth trying: no more after two that were not faster than a smaller one.

    On a CPU the smallest is about as fast as any, and trying all that fit would take minutes and all memory.

    Args:
        speeds (`Sequence[float]`): rows a second of the micro batches that were tried, ascending.
    """
    if len(speeds) <= _WITHOUT_GAIN:
        return True
    return max(speeds[-_WITHOUT_GAIN:]) > max(speeds[:-_WITHOUT_GAIN]) * (1 + SAME_SPEED)


def choose(tries: Sequence[MicroBatchTry]) -> int | None:
    """Return the smallest micro batch that fits and is as fast as the fastest; `None` if none fits."""
    speeds = {one.micro_batch: one.rows / one.seconds for one in tries if one.fits and one.rows and one.seconds}
    return min(
        (size for size, speed in speeds.items() if speed * (1 + SAME_SPEED) >= max(speeds.values())), default=None
    )
