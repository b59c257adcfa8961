"""The newest checkpoint of a stage, and whether a stage could be resumed from it, without reading its content."""

from dataclasses import dataclass
from pathlib import Path

from domain_tokens.runs.checkpoints.verified import damage_of, saved_steps
from domain_tokens.runs.checkpoints.writing import staging_folder
from domain_tokens.runs.layout import checkpoint_folder
from domain_tokens.watch.files.reading import changed_at

CHECK = (
    "Checked of the newest checkpoint: every file that it lists is there, none is empty or cut short, and there is no "
    "other file. What they hold is not read: the stage compares the hash of every file when it resumes."
)


@dataclass(frozen=True)
class Health:
    """What is known of the checkpoints of a stage.

    Attributes:
        step: of the newest; `None` if there is none.
        problem: why it is not whole; empty if it is.
        older: the steps of the others, the newest first.
        num_files, num_bytes: of the newest.
        written: when it was finished, in seconds since 1970.
        is_saving: whether another one is being written, or was when the stage was killed.
    """

    step: int | None
    problem: str = ""
    older: tuple[int, ...] = ()
    num_files: int = 0
    num_bytes: int = 0
    written: float | None = None
    is_saving: bool = False


def health_of(work: Path) -> Health:
    """Look at the checkpoints of a stage. One that is removed at this moment is passed over for the next.

    Args:
        work (`Path`): `checkpoints/<stage>` of a run.
    """
    steps = sorted(_steps(work), reverse=True)
    is_saving = staging_folder(work).is_dir()
    for place, step in enumerate(steps):
        folder = checkpoint_folder(work, step)
        try:
            problem = damage_of(folder, to_resume=True, by_hash=False) or ""
            sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        except OSError:
            problem, sizes = "it cannot be read", []
        if not folder.is_dir():
            continue
        older = tuple(steps[place + 1 :])
        return Health(step, problem, older, len(sizes), sum(sizes), changed_at(folder), is_saving)
    return Health(None, is_saving=is_saving)


def _steps(work: Path) -> list[int]:
    try:
        return list(saved_steps(work))
    except OSError:
        return []
