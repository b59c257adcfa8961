"""Records what a run depends on besides its recipe: versions, commit, machine and preregistration."""

import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from domain_tokens.recipe import load_prereg
from domain_tokens.recipe.prereg import TEST
from domain_tokens.runs.files import sha256_file, sha256_json
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

_PACKAGE = Path(__file__).parents[1]
# What makes data, trains and evaluates. What reports and what starts the stages changes no result.
_STAGES = ("recipe", "runs", "corpora", "tokenization", "training", "evaluation", "verifier")
# The folders of the repository whose files a run reads.
_READ = ("src", "scripts", "recipes", "accelerate_configs")


def describe_prereg(path: Path) -> PreregRecord:
    """Return a preregistration as it is now: file name, sha256, content and time."""
    declared = asdict(load_prereg(path)) | {"test": TEST}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return PreregRecord(file=path.name, sha256=sha256_file(path), declared=declared, recorded_utc=now)


def environment() -> Environment:
    """Return what a run depends on besides its recipe: versions, git commit, machine."""
    return Environment(
        python=platform.python_version(),
        packages=packages(),
        git_commit=git_commit(),
        git_dirty=git_is_dirty(),
        machine=platform.machine(),
        system=platform.system(),
        code_sha256=CODE_SHA256,
        device=_device(),
        threads=sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None,
        command=Path(sys.argv[0]).name,
        time_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _device() -> str | None:
    """Return the name of the GPU that this process has used, if any; asking for one would start CUDA."""
    cuda = sys.modules["torch"].cuda if "torch" in sys.modules else None
    return str(cuda.get_device_name()) if cuda is not None and cuda.is_initialized() else None


def _code_sha256() -> str:
    files = sorted(path for name in _STAGES for path in (_PACKAGE / name).rglob("*.py"))
    return sha256_json([[path.relative_to(_PACKAGE).as_posix(), sha256_file(path)] for path in files])


CODE_SHA256 = _code_sha256()
"""Hash of the files of this package that make data, train and evaluate.

It is taken when the package is imported: a file that is edited later is not what this process runs.
"""


def git_commit(folder: Path = _PACKAGE) -> str | None:
    """Return the commit of the repository that has files of a folder; `None` without git."""
    found = _git(folder, "rev-parse", "HEAD") if _is_tracked(folder) else None
    return None if found is None else found.strip()


def git_is_dirty(folder: Path = _PACKAGE) -> bool:
    """Return whether the code or the recipes differ from the commit.

    Counts changed tracked files, and untracked files among the code and the recipes, because a run may read them.
    `False` without git.
    """
    if not _is_tracked(folder):
        return False
    status = _git(folder, "status", "--porcelain", "--untracked-files=all") or ""
    read = tuple(f"?? {quote}{name}/" for name in _READ for quote in ("", '"'))
    return any(not line.startswith("??") or line.startswith(read) for line in status.splitlines())


def _is_tracked(folder: Path) -> bool:
    """Return whether a repository has files of a folder. A package may be installed inside another project's."""
    return bool(_git(folder, "ls-files"))


def packages() -> dict[str, str | None]:
    """Return the versions of the libraries that results depend on; `None` if one is not installed."""
    return {name: _version(name) for name in _PACKAGES}


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
