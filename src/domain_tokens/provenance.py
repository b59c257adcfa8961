"""What went into a folder and what came out of it: manifests, hashes, and whether a stage is complete or open.

A stage writes its folder under a temporary name and renames it when `manifest.json` is in place, so a folder with a
manifest is complete. The manifest holds the stage's inputs; a stage whose inputs differ from those recorded refuses to
run rather than mix old with new.
"""

import hashlib
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from domain_tokens.recipe import Recipe, RecipeError, flatten, load_prereg, to_yaml
from domain_tokens.recipe.prereg import TEST

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
RUN_CONFIG = "run_config.yaml"
_INPUTS = "inputs.json"
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


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Return the sha256 of a value written as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def sha256_weights(folder: Path) -> str:
    """Return one hash of all safetensors files in a model folder."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise RecipeError(f"{folder}: no safetensors file; expected a saved model")
    return sha256_json([[file.name, sha256_file(file)] for file in files])


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that the file is either the old one or the new one, whatever happens in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises `RecipeError` if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such file; run the stage that writes it first") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: damaged ({error}); remove its folder and run the stage again") from error


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


def require(folder: Path, made_by: str) -> dict[str, Any]:
    """Return the manifest of the stage before. Raises `RecipeError` saying which script makes the folder."""
    if not (folder / MANIFEST).is_file():
        raise RecipeError(f"{folder}: not there or not complete; run {made_by} with the same recipe first")
    return read_json(folder / MANIFEST)


class Stage:
    """One stage's folder: skipped when complete, entered when open, refused when its inputs are another's.

    Example:

    ```python
    stage = Stage("pretrain", folder, inputs={"seed": 0})
    if stage.is_complete():
        return
    with stage.writing(recipe) as (partial, manifest):
        model.save_pretrained(partial)
        manifest["steps"] = 100
    ```
    """

    def __init__(self, name: str, folder: Path, inputs: dict[str, Any]) -> None:
        self.name = name
        self.folder = folder
        self.inputs = json.loads(json.dumps(inputs))  # as they read after a round trip through the file
        self._started = time.monotonic()

    def is_complete(self) -> bool:
        """Return whether the stage ran to its end with these inputs.

        Raises:
            RecipeError: if the folder was made from other inputs, naming the first that differ.
        """
        if not (self.folder / MANIFEST).is_file():
            return False
        self._refuse_other(read_json(self.folder / MANIFEST)["inputs"], self.folder)
        logger.info("%s: complete, skipped (%s)", self.name, self.folder)
        return True

    def open_work(self, work_dir: Path) -> None:
        """Claim the folder of unfinished work (checkpoints) for these inputs.

        Raises:
            RecipeError: if it holds work that was begun with other inputs.
        """
        recorded = work_dir / _INPUTS
        if recorded.is_file():
            self._refuse_other(read_json(recorded), work_dir)
        else:
            write_json(recorded, self.inputs)

    @contextmanager
    def writing(self, recipe: Recipe) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Give a temporary folder and a manifest to fill in; on leaving, the folder takes its final name."""
        partial = self.folder.with_name(f"{self.folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        manifest: dict[str, Any] = {"stage": self.name, "condition": recipe.condition, "seed": recipe.seed}
        yield partial, manifest
        (partial / RUN_CONFIG).write_text(to_yaml(recipe), encoding="utf-8")
        manifest["inputs"] = self.inputs
        manifest["prereg"] = None if recipe.prereg is None else describe_prereg(Path(recipe.prereg))
        manifest["environment"] = environment()
        manifest["wall_time_s"] = round(time.monotonic() - self._started, 2)
        manifest["files"] = {
            str(path.relative_to(partial)): sha256_file(path) for path in sorted(partial.rglob("*")) if path.is_file()
        }
        write_json(partial / MANIFEST, manifest)
        shutil.rmtree(self.folder, ignore_errors=True)  # what an interrupted stage of an older layout left
        partial.rename(self.folder)

    def _refuse_other(self, recorded: dict[str, Any], folder: Path) -> None:
        old, new = flatten(recorded), flatten(self.inputs)
        differing = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
        if differing:
            shown = "; ".join(f"{key}: there {old.get(key)!r}, now {new.get(key)!r}" for key in differing[:3])
            more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
            raise RecipeError(
                f"{folder}: made from another recipe or other inputs ({shown}{more}); "
                "remove the folder to make it anew, or give the run another experiment name or seed"
            )


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
