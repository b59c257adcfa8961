"""Records what a run depends on besides its recipe: versions, commit, machine and preregistration."""

import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from domain_tokens.recipe import load_prereg
from domain_tokens.recipe.prereg import TEST
from domain_tokens.runs.files import sha256_file
from domain_tokens.runs.records import Environment, PreregRecord

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


def describe_prereg(path: Path) -> PreregRecord:
    """Return a preregistration as recorded in manifests: file name, sha256 and content."""
    declared = asdict(load_prereg(path)) | {"test": TEST}
    return PreregRecord(file=path.name, sha256=sha256_file(path), declared=declared)


def environment() -> Environment:
    """Return what a run depends on besides its recipe: versions, git commit, machine."""
    return Environment(
        python=platform.python_version(),
        packages=packages(),
        git_commit=_git("rev-parse", "HEAD"),
        git_dirty=bool(_git("status", "--porcelain", "--untracked-files=no")),
        machine=platform.machine(),
        system=platform.system(),
        threads=sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None,
        command=Path(sys.argv[0]).name,
        time_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def packages() -> dict[str, str | None]:
    """Return the versions of the libraries that results depend on; `None` if one is not installed."""
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
