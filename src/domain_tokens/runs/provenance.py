"""What a run depends on besides its recipe: versions, commit, machine, and what was declared in advance."""

import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from domain_tokens.recipe import load_prereg
from domain_tokens.recipe.prereg import TEST
from domain_tokens.runs.files import sha256_file

_PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "accelerate",
    "datasets",
    "tokenizers",
    "deepspeed",
    "lighteval",
    "datatrove",
)


def describe_prereg(path: Path) -> dict[str, Any]:
    """Return a declaration as manifests record it: the file's name, its sha256, and what it says."""
    declared = asdict(load_prereg(path)) | {"test": TEST}
    return {"file": path.name, "sha256": sha256_file(path), "declared": declared}


def environment() -> dict[str, Any]:
    """Return what a run depends on beside its recipe: versions, git commit, machine."""
    packages: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        "python": platform.python_version(),
        "packages": packages,
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "machine": platform.machine(),
        "system": platform.system(),
        "command": Path(sys.argv[0]).name,
        "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
