"""Self-adaptation in this process, and what it left."""

import json
from pathlib import Path

from domain_tokens.recipe import Recipe
from domain_tokens.seal.records import ROWS


def adapt_here(recipe: Recipe) -> Path:
    """Adapt a run's model in this process; returns the folder of the results."""
    from accelerate.state import AcceleratorState

    from domain_tokens.seal.run import adapt

    try:
        return adapt(recipe)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def rows_of(folder: Path) -> list[dict[str, object]]:
    """Return the rows of a folder of results without what depends on the machine."""
    rows = [json.loads(line) for line in (folder / ROWS).read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return when every file and folder was changed, and its size."""
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}
