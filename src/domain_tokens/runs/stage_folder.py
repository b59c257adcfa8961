"""The folder of a stage. A finished stage is skipped, an unfinished one resumed, and changed inputs are refused.

A stage writes its folder under a temporary name and renames it once `manifest.json` is in place, so a folder with a
manifest is complete. The manifest records the stage's inputs. A stage whose inputs differ from the recorded ones
refuses to run rather than mix old and new results.
"""

import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from domain_tokens.recipe import Recipe, RecipeError, to_yaml
from domain_tokens.recipe.values.effective import effective_inputs
from domain_tokens.runs.files import lock, read_json, sha256_file, write_json
from domain_tokens.runs.layout import CHANGES, DECLARED, INPUTS, LOCK, MANIFEST, RUN_CONFIG, RUNNING
from domain_tokens.runs.preregistration import read_frozen
from domain_tokens.runs.provenance import describe_prereg, environment
from domain_tokens.runs.records import Change, Fields, Manifest

logger = logging.getLogger(__name__)


def require(folder: Path, made_by: str) -> Manifest:
    """Return the manifest of an earlier stage.

    Args:
        folder (`Path`): the final folder of that stage.
        made_by (`str`): the script that creates it, for the message.

    Raises:
        RecipeError: if the folder is missing or incomplete, or its manifest is damaged.
    """
    if not (folder / MANIFEST).is_file():
        raise RecipeError(f"{folder}: missing or incomplete; run {made_by} with the same recipe first")
    return Manifest.parse(read_json(folder / MANIFEST), folder / MANIFEST)


class StageFolder:
    """The folder of one stage. Skips a finished stage, resumes an unfinished one, and refuses changed inputs.

    Example:
    ```python
    stage = StageFolder("pretrain", folder, inputs={"seed": 0})
    if stage.is_complete():
        return
    with stage.writing(recipe) as (partial, manifest):
        model.save_pretrained(partial)
        manifest["reported"] = {"train_loss": 3.1}
    ```

    Args:
        name (`str`): the stage's name, for messages and the manifest.
        folder (`Path`): its final folder.
        inputs (`Fields`): the stage's inputs. If any value differs from the recorded one, the stage refuses to run.
    """

    def __init__(self, name: str, folder: Path, inputs: Fields) -> None:
        self.name = name
        self.folder = folder
        self.inputs: Fields = json.loads(json.dumps(inputs))  # as they read back from a file
        self._started = time.monotonic()
        self._declared: JsonValue = None
        self._changes: list[JsonValue] = []

    def is_complete(self) -> bool:
        """Return whether the stage was completed with these inputs.

        Raises:
            RecipeError: if a file is missing, or the folder was made from other inputs, naming the first differences.
        """
        if not (self.folder / MANIFEST).is_file():
            return False
        recorded = Manifest.parse(read_json(self.folder / MANIFEST), self.folder / MANIFEST)
        self.refuse_other(recorded.inputs, self.folder)
        for name in recorded.files:
            if not (self.folder / name).is_file():
                raise RecipeError(
                    f"{self.folder / name}: missing from a complete stage; remove the folder and run it again"
                )
        logger.info("%s: complete, skipped (%s)", self.name, self.folder)
        return True

    def open_work(
        self,
        work: Path,
        recipe: Recipe,
        running: Fields | None = None,
        allow_change: bool = False,
        has_results: bool = True,
    ) -> None:
        """Claim the folder of unfinished work (checkpoints) for these inputs, and record the declaration.

        Args:
            work (`Path`): the folder.
            recipe (`Recipe`): the run. Its declaration is recorded as it is when the stage begins, and stays when the
                stage is resumed.
            running (`Fields`, *optional*): what else the result depends on: code, libraries, processes, threads.
            allow_change (`bool`, *optional*, defaults to `False`): go on although inputs or `running` have changed,
                and record what has.
            has_results (`bool`, *optional*, defaults to `True`): whether anything in it could be gone on with.
                Otherwise other inputs begin it anew, as when a stage was refused before its first checkpoint.

        Raises:
            RecipeError: if it holds work that was started with other inputs, naming all differences, or if another
                process is working in it.
        """
        if os.environ.get("RANK", "0") == "0":  # the other processes of a launcher belong to the same stage
            lock(work / LOCK)
        now = {INPUTS: self.inputs, RUNNING: json.loads(json.dumps(running or {}))}
        changed = []
        for name, values in now.items():
            if (work / name).is_file():
                changed += input_changes(read_json(work / name), values)
        if changed and has_results and not allow_change:
            raise _unfinished_of_others(work, changed)
        if changed and not has_results:
            logger.info("%s: begins anew; an attempt with other inputs had saved nothing", self.name)
        elif changed:
            logger.warning("%s: goes on with changes: %s", self.name, "; ".join(changed))
            change = Change(time_utc=datetime.now(UTC).isoformat(timespec="seconds"), differences=tuple(changed))
            write_json(work / CHANGES, [*_recorded_changes(work), change.as_json()])
        self._changes = _recorded_changes(work)
        for name, values in reversed(now.items()):  # what is unfinished is known by its inputs, so they come last
            if changed or not (work / name).is_file():
                write_json(work / name, values)
        if not (work / DECLARED).is_file():
            write_json(work / DECLARED, _declared(recipe))
        self._declared = read_json(work / DECLARED)

    @contextmanager
    def writing(self, recipe: Recipe) -> Iterator[tuple[Path, dict[str, object]]]:
        """Create the final folder. It has a temporary name inside the block and its own name afterwards.

        After an error inside the block, the next attempt starts with an empty folder.

        Args:
            recipe (`Recipe`): the run, saved with the result.

        Yields:
            `tuple[Path, dict]`: the temporary folder, and the fields that this stage adds to its manifest
            (`records.Manifest` lists them).
        """
        declared = self._declared or _declared(recipe)
        partial = self.folder.with_name(f"{self.folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        added: dict[str, object] = {}
        yield partial, added
        (partial / RUN_CONFIG).write_text(to_yaml(recipe), encoding="utf-8")
        files = sorted(path for path in partial.rglob("*") if path.is_file())
        manifest = {"stage": self.name, "condition": recipe.condition, "seed": recipe.seed} | added
        manifest |= {
            "inputs": self.inputs,
            **({"changes": self._changes} if self._changes else {}),
            "prereg": declared,
            "environment": environment(),
            "wall_time_s": round(time.monotonic() - self._started, 2),
            "files": {str(path.relative_to(partial)): sha256_file(path) for path in files},
        }
        write_json(partial / MANIFEST, Manifest.model_validate(manifest).as_json())
        shutil.rmtree(self.folder, ignore_errors=True)  # left by an interrupted stage of an older version
        partial.rename(self.folder)

    def refuse_other(self, recorded: Fields, folder: Path, *, unfinished: bool = False) -> None:
        """Raise `RecipeError` if the inputs differ from those recorded in a folder, naming the first differences.

        Args:
            recorded (`Fields`): the inputs of what is there.
            folder (`Path`): where it is.
            unfinished (`bool`, *optional*): whether it is work that was never completed.

        Where the files of a source lay and what they were called does not count, since their content is hashed; nor
        does whether a trainer's argument is given that has this value anyway.
        """
        if changed := input_changes(recorded, self.inputs):
            if unfinished:
                raise _unfinished_of_others(folder, changed)
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise RecipeError(
                f"{folder}: made from another recipe or other inputs ({'; '.join(changed[:3])}{more}); "
                "remove the folder to create it again, or use another experiment name or seed"
            )


def _unfinished_of_others(work: Path, changed: list[str]) -> RecipeError:
    return RecipeError(
        f"{work}: unfinished work that was begun with another recipe or other inputs ({'; '.join(changed)}); "
        "remove the folder to begin anew, give the values that it was begun with to finish it, or go on "
        "with --allow-change, which records the change in the manifest"
    )


def input_changes(recorded: Fields, now: Fields) -> list[str]:
    """Return in which inputs a stage differs from what was recorded, one line each; not by where files lie."""
    old, new = _without_places(effective_inputs(recorded)), _without_places(effective_inputs(now))
    differing = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    return [f"{key}: recorded {old.get(key)!r}, now {new.get(key)!r}" for key in differing]


def _recorded_changes(work: Path) -> list[JsonValue]:
    return list(read_json(work / CHANGES)) if (work / CHANGES).is_file() else []


def _without_places(inputs: dict[str, object]) -> dict[str, object]:
    """Return inputs by dotted key without the paths and names of the files of sources."""
    files = [key.removesuffix("kind") for key, value in inputs.items() if key.endswith(".kind") and value == "file"]
    places = [re.compile(rf"{re.escape(source)}(?:path(?:\.\d+)?|sha256\.\d+\.0)") for source in files]
    return {key: value for key, value in inputs.items() if not any(place.fullmatch(key) for place in places)}


def _declared(recipe: Recipe) -> JsonValue:
    """Return the declaration as it is now, with the hash of what the experiment froze; `None` without one."""
    if recipe.prereg is None:
        return None
    frozen = read_frozen(recipe.experiment_dir)
    declared = describe_prereg(Path(recipe.prereg)).as_json()
    return declared | {"frozen_sha256": None if frozen is None else frozen.original.sha256}
