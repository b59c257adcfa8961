"""Follows the metrics of a stage while it writes them: curves, the last values, and how long a step takes."""

import json
import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from domain_tokens.watch.files.reading import number

LOSS: Final = "loss"
VALIDATION: Final = "eval_loss"
REWARD: Final = "reward"
_DRAWN = (LOSS, VALIDATION, REWARD)
_MOST_POINTS = 2000  # of a curve; then every second one is dropped
_HEAD = 4096  # bytes by which a log that was rewritten is told from one that has grown
_RECENT = 10  # rows by which the speed is judged

Points = list[tuple[float, float]]


@dataclass
class Metrics:
    """What a stage has logged so far.

    Attributes:
        step: the last optimizer step that was logged.
        last: the last value of each metric.
        curves: steps and values of what is drawn.
    """

    step: int = 0
    last: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Points] = field(default_factory=lambda: {name: [] for name in _DRAWN})
    _times: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    @property
    def step_time_s(self) -> float | None:
        """Seconds a step took lately: the median of ten rows, without evaluations."""
        return statistics.median(self._times) if self._times else None

    @property
    def epoch(self) -> float | None:
        """How often the stage has read its data."""
        return self.last.get("epoch")

    def add(self, row: dict[str, object]) -> None:
        """Add a line of the log."""
        if (step := number(row.get("step"))) is None or not math.isfinite(step):
            return
        self.step = max(self.step, int(step))
        for name, value in row.items():
            if (found := number(value)) is not None:
                self.last[name] = found
        if (seconds := number(row.get("step_time_s"))) is not None and seconds > 0:
            self._times.append(seconds)
        for name, points in self.curves.items():
            if (found := number(row.get(name))) is not None and math.isfinite(found):
                points.append((step, found))
                if len(points) > _MOST_POINTS:
                    del points[1:-1:2]


@dataclass
class _Followed:
    inode: int
    head: bytes = b""
    offset: int = 0
    metrics: Metrics = field(default_factory=Metrics)


class MetricsReader:
    """Reads `metrics.jsonl` of stages, at every look only what was added since the one before."""

    def __init__(self) -> None:
        self._files: dict[tuple[Path, str], _Followed] = {}

    def read(self, paths: Sequence[Path], stage: str = "") -> Metrics | None:
        """Return what the first of some files that exists says; `None` if none does.

        Args:
            paths (`Sequence[Path]`): the log of the running stage, and the one in its final folder.
            stage (`str`, *optional*): the stage of fine-tuning whose rows count, if a file has those of several.
        """
        for path in paths:
            try:
                return self._follow(path, stage)
            except OSError:  # not there, or moved away at this moment
                self._files.pop((path, stage), None)
        return None

    def _follow(self, path: Path, stage: str) -> Metrics:
        with path.open("rb") as file:
            inode = path.stat().st_ino
            known = self._files.get((path, stage))
            is_same = known is not None and known.inode == inode and file.read(len(known.head)) == known.head
            size = file.seek(0, 2)
            if known is None or not is_same or size < known.offset:  # a resumed stage rewrites its log
                known = _Followed(inode)
                self._files[path, stage] = known
            file.seek(known.offset)
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]  # the last line may be half written
        known.offset += len(whole)
        known.head = known.head or whole[:_HEAD]
        for line in whole.splitlines():
            if (row := _parse(line)) is not None and (not stage or row.get("stage") in (None, stage)):
                known.metrics.add(row)
        return known.metrics


def _parse(line: bytes) -> dict[str, object] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
