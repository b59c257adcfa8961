"""What a repository will hold: the files of a stage, of a checkpoint or of an experiment's results."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from domain_tokens.publishing.allowed import (
    PLACEMENT,
    TOKENIZER_RECORDS,
    is_of_checkpoint,
    is_of_results,
    is_of_stage,
)
from domain_tokens.publishing.checking import check_stage, check_tokenizer_records, experiment_of
from domain_tokens.publishing.names import Placement, is_final_of, model_repository, results_repository
from domain_tokens.publishing.secrets import Secret, check_no_secret
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.checkpoints.verified import damage_of, saved_steps
from domain_tokens.runs.files import read_json, sha256_file
from domain_tokens.runs.layout import (
    INPUTS,
    MANIFEST,
    README,
    RUN_CONFIG,
    TOKENIZER,
    VERIFIED,
    VERIFIER_FINAL,
    checkpoint_folder,
    weights_folder,
)
from domain_tokens.runs.records import Manifest
from domain_tokens.runs.stage_folder import input_changes, require

logger = logging.getLogger(__name__)

MAIN = "main"


@dataclass(frozen=True)
class PublishedFile:
    """One file of a repository.

    Attributes:
        path: in the repository, with `/` between folders.
        content: the file on this machine, or what is made for the repository alone.
    """

    path: str
    content: Path | bytes

    @property
    def num_bytes(self) -> int:
        """Its size."""
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)

    @property
    def sha256(self) -> str:
        """The hash of its content."""
        if isinstance(self.content, Path):
            return sha256_file(self.content)
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Contents:
    """What one revision of a repository will hold.

    Attributes:
        repository: `namespace/name`.
        kind: of the repository, as the Hub calls it.
        revision: `main`, or `step-<n>` for a checkpoint.
        files: without the card.
        card: makes `README.md`.
        placement: what it is of.
        left: the names of files beside them that are not published.
    """

    repository: str
    kind: Literal["model", "dataset"]
    revision: str
    files: tuple[PublishedFile, ...]
    card: Callable[[], str]
    placement: Placement
    left: tuple[str, ...] = ()

    def with_card(self) -> list[PublishedFile]:
        """Return all files, the card among them, in the order of their paths."""
        card = PublishedFile(README, self.card().encode())
        return sorted([*self.files, card], key=lambda one: one.path)

    def check_no_secrets(self, secrets: list[Secret], files: list[PublishedFile]) -> None:
        """Search all files. Raises `RecipeError` naming the file, before anything is sent."""
        for file in files:
            where = file.content if isinstance(file.content, Path) else f"{self.repository}: {file.path}"
            check_no_secret(str(where), file.content, secrets)


@dataclass(frozen=True)
class Stage:
    """A finished stage of a run on this machine.

    Attributes:
        run: `outputs/<experiment>/exp_<condition>/seed_<n>`.
        placement: which stage it is.
        manifest: its manifest.
    """

    run: Path
    placement: Placement
    manifest: Manifest

    @property
    def folder(self) -> Path:
        """Its final folder."""
        return self.run / str(self.placement.model)

    @property
    def work(self) -> Path:
        """The folder of its checkpoints."""
        return self.run / "checkpoints" / str(self.placement.stage)


def find_stages(run: Path) -> list[Stage]:
    """Return the finished stages of a run in training order.

    Args:
        run (`Path`): `outputs/<experiment>/exp_<condition>/seed_<n>`.
    """
    found = []
    for path in sorted(run.glob(f"*/{MANIFEST}")):
        folder = path.parent
        if folder.name == VERIFIER_FINAL or not (folder / "config.json").is_file():
            continue
        if not folder.resolve().is_relative_to(run.resolve().parents[1]):
            logger.info("%s: a link to a stage of another experiment, which is published with that one", folder)
            continue
        found.append(stage_at(folder))
    return sorted(found, key=lambda one: (len(one.manifest.ledger), one.placement.stage == "grpo"))


def stage_at(folder: Path) -> Stage:
    """Return the stage of a final folder. Raises `RecipeError` if it is not complete, or not where a run has it."""
    manifest, run = require(folder, "its stage"), folder.parent.resolve()
    seed, condition = run.name.removeprefix("seed_"), run.parent.name.removeprefix("exp_")
    if not manifest.ledger or (seed, condition) != (str(manifest.seed), manifest.condition):
        raise RecipeError(
            f"{folder}: its manifest is of {manifest.condition}, seed {manifest.seed}; expected the folder of a "
            "finished stage where the stage made it, outputs/<experiment>/exp_<condition>/seed_<n>/<stage>"
        )
    stage, experiment = manifest.ledger[-1].stage.replace("/", "_", 1), run.parents[1].name
    if not is_final_of(folder.name, stage):
        raise RecipeError(
            f"{folder}: its manifest is of {stage}, which never ends in a folder of this name; expected the folder as "
            "the stage made it: move a copy out of the run"
        )
    if (made_in := experiment_of(folder / RUN_CONFIG)) not in (None, experiment):
        raise RecipeError(
            f"{folder}: was made in the experiment {made_in}, so what is pulled would not be verified; expected it in "
            f"a folder of that name, not in {experiment}"
        )
    placement = Placement(
        kind="stage",
        experiment=experiment,
        condition=manifest.condition,
        seed=manifest.seed,
        stage=stage,
        model=folder.name,
    )
    return Stage(run, placement, manifest)


def stage_contents(stage: Stage, namespace: str, card: Callable[[], str]) -> Contents:
    """Return what is published of a finished stage.

    Raises:
        RecipeError: if a file differs from what its manifest or its certificate says, or a file that the manifest
            lists is none that is published.
    """
    folder = stage.folder
    check_stage(folder, stage.manifest)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    if hidden := [name for name in stage.manifest.files if not is_of_stage(name)]:
        raise RecipeError(
            f"{folder / hidden[0]}: the manifest lists it, but it is no file that is published, so what is pulled "
            "could not be complete; expected a folder as the stage made it"
        )
    listed = {*stage.manifest.files, MANIFEST}
    files = [PublishedFile(name, folder / name) for name in names if is_of_stage(name) and name in listed]
    files += [
        PublishedFile(record, stage.run.parent / record)
        for record in TOKENIZER_RECORDS
        if (stage.run.parent / record).is_file()
    ]
    check_tokenizer_records(stage.run.parent / TOKENIZER, folder)
    files.append(_placement_file(stage.placement, [one for one in files if one.path not in stage.manifest.files]))
    left = tuple(name for name in names if not is_of_stage(name) or name not in listed)
    repository = model_repository(namespace, stage.placement)
    return Contents(repository, "model", MAIN, tuple(files), card, stage.placement, left)


def checkpoint_contents(stage: Stage, namespace: str) -> Iterator[Contents]:
    """Yield what is published of each whole checkpoint of a finished stage: its model, in order of steps.

    The list of files with their hashes names these alone, as of weights that are kept for good.
    """
    for step in sorted({*saved_steps(stage.work), *saved_steps(stage.work, "weights")}):
        folders = checkpoint_folder(stage.work, step), weights_folder(stage.work, step)
        folder = next((one for one in folders if one.is_dir() and damage_of(one, to_resume=False) is None), None)
        if folder is None or not (stage.work / INPUTS).is_file():
            continue
        _check_inputs(stage)
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
        chosen = [name for name in names if is_of_checkpoint(name) and name not in (VERIFIED, INPUTS)]
        hashes = {name: digest for name, digest in read_json(folder / VERIFIED).items() if name in chosen}
        placement = stage.placement.model_copy(update={"kind": "checkpoint", "step": step})
        files = [PublishedFile(name, folder / name) for name in chosen if name in hashes]
        records = [PublishedFile(VERIFIED, _as_json(hashes)), PublishedFile(INPUTS, stage.work / INPUTS)]
        files += [*records, _placement_file(placement, records)]
        left = tuple(name for name in names if name not in hashes and name != VERIFIED)
        repository = model_repository(namespace, stage.placement)

        def card(step: int = step, repository: str = repository) -> str:
            return _checkpoint_card(repository, stage.placement, step)

        yield Contents(repository, "model", f"step-{step}", tuple(files), card, placement, left)


def _check_inputs(stage: Stage) -> None:
    """Check that the folder of checkpoints is of the stage that ended. Raises `RecipeError` if not."""
    if changed := input_changes(stage.manifest.inputs, read_json(stage.work / INPUTS)):
        raise RecipeError(
            f"{stage.work / INPUTS}: differs from the inputs in the manifest of {stage.folder.name} "
            f"({'; '.join(changed[:3])}); expected the file as the stage wrote it"
        )


def results_contents(experiment: Path, namespace: str, card: Callable[[], str]) -> Contents:
    """Return what is published of an experiment's results.

    Args:
        experiment (`Path`): `outputs/<experiment>`.
        namespace (`str`): where to.
        card: makes the page of the experiment.
    """
    experiment = experiment.resolve()
    files = [
        PublishedFile(name, experiment / name)
        for path in sorted(experiment.rglob("*"))
        if path.is_file() and is_of_results(name := path.relative_to(experiment).as_posix())
    ]
    for file in files:
        if not (experiment / file.path).resolve().is_relative_to(experiment):
            raise RecipeError(
                f"{experiment / file.path}: is a link to a file outside of the experiment; expected results alone: "
                "remove it, or copy the file"
            )
    placement = Placement(kind="results", experiment=experiment.name)
    files.append(_placement_file(placement, files))
    repository = results_repository(namespace, experiment.name)
    beside = [path.name for path in experiment.iterdir() if path.is_file() and not path.name.startswith(".")]
    left = tuple(sorted({*beside} - {file.path for file in files}))
    return Contents(repository, "dataset", MAIN, tuple(files), card, placement, left)


def _checkpoint_card(repository: str, placement: Placement, step: int) -> str:
    return (
        f"# {repository}, step {step}\n\nThe model after {step} steps of `{placement.stage}` (condition "
        f"`{placement.condition}`, seed {placement.seed}), for evaluation: training cannot go on from it. The "
        f"finished model and its card are on the revision `{MAIN}`.\n"
    )


def _placement_file(placement: Placement, files: Iterable[PublishedFile]) -> PublishedFile:
    """Return `published.json` with the hashes of files that no other file lists."""
    return PublishedFile(PLACEMENT, _as_json(placement.sealed({one.path: one.sha256 for one in files}).as_json()))


def _as_json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
