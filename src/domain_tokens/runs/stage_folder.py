"""The folder of a stage: skipped when complete, resumed when unfinished, refused when its inputs differ.

A stage writes its folder under a temporary name and renames it when `manifest.json` is in place, so a folder with a
manifest is complete. The manifest holds the stage's inputs; a stage whose inputs differ from those recorded refuses to
run rather than mix old with new.
"""

import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from domain_tokens.recipe import Recipe, RecipeError, flatten, to_yaml
from domain_tokens.runs.files import read_json, sha256_file, write_json
from domain_tokens.runs.layout import INPUTS, MANIFEST, RUN_CONFIG
from domain_tokens.runs.provenance import describe_prereg, environment

logger = logging.getLogger(__name__)


def require(folder: Path, made_by: str) -> dict[str, Any]:
    """Return the manifest of the stage before. Raises `RecipeError` saying which script makes the folder."""
    if not (folder / MANIFEST).is_file():
        raise RecipeError(f"{folder}: not there or not complete; run {made_by} with the same recipe first")
    return read_json(folder / MANIFEST)


class StageFolder:
    """One stage's folder: skipped when complete, entered when open, refused when its inputs are another's.

    Example:

    ```python
    stage = StageFolder("pretrain", folder, inputs={"seed": 0})
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
        self.refuse_other(read_json(self.folder / MANIFEST)["inputs"], self.folder)
        logger.info("%s: complete, skipped (%s)", self.name, self.folder)
        return True

    def open_work(self, work_dir: Path) -> None:
        """Claim the folder of unfinished work (checkpoints) for these inputs.

        Raises:
            RecipeError: if it holds work that was begun with other inputs.
        """
        recorded = work_dir / INPUTS
        if recorded.is_file():
            self.refuse_other(read_json(recorded), work_dir)
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

    def refuse_other(self, recorded: dict[str, Any], folder: Path) -> None:
        """Raise `RecipeError` naming the first inputs that differ from those that a folder recorded."""
        old, new = flatten(recorded), flatten(self.inputs)
        differing = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
        if differing:
            shown = "; ".join(f"{key}: there {old.get(key)!r}, now {new.get(key)!r}" for key in differing[:3])
            more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
            raise RecipeError(
                f"{folder}: made from another recipe or other inputs ({shown}{more}); "
                "remove the folder to make it anew, or give the run another experiment name or seed"
            )
