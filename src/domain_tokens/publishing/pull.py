"""Brings back what was published: a revision is downloaded, checked, and laid out as a run folder made here.

It is downloaded beside its place and gets its name when everything has been checked, so what was cut is no run yet;
the same command goes on with what is missing.
"""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from domain_tokens.publishing.allowed import is_published
from domain_tokens.publishing.checking import as_downloaded
from domain_tokens.publishing.laying import lay
from domain_tokens.publishing.names import Placement, check_repository, read_placement
from domain_tokens.publishing.problems import hub_problems
from domain_tokens.publishing.uploading import show_progress_in_terminals_alone
from domain_tokens.recipe import RecipeError, first_line
from domain_tokens.runs.files import lock, make_folder

if TYPE_CHECKING:
    from huggingface_hub import HfApi

logger = logging.getLogger(__name__)

AGAIN = "run the same command again: what has arrived is kept"
_DATASETS = "datasets/"
_DOWNLOADS = ".pulling"  # in the output folder, until everything in it was checked
_LOCK = f"{_DOWNLOADS}.lock"


@dataclass(frozen=True)
class Pulled:
    """What was laid out.

    Attributes:
        repository: `namespace/name`.
        commit: the commit that was read.
        placement: what it is of.
        folder: where it is now.
        is_new: whether it was not there before.
    """

    repository: str
    commit: str
    placement: Placement
    folder: Path
    is_new: bool


def pull(repository: str, revision: str | None, output_dir: Path) -> Pulled:
    """Download a revision of a repository, check it, and lay it out below an output folder.

    Args:
        repository (`str`): `namespace/name`; of a data set also `datasets/namespace/name`.
        revision (`str`, *optional*): a branch such as `step-1000`, a tag or a commit; by default the newest.
        output_dir (`Path`): where experiments are.

    Raises:
        HubProblem: if it cannot be downloaded.
        RecipeError: if it is none of this project, a file differs from what the manifest or the certificate says, or
            something else is in its place.
    """
    from huggingface_hub import HfApi

    show_progress_in_terminals_alone()
    api, name = HfApi(), repository.removeprefix(_DATASETS)
    if revision is not None and not revision.strip():
        raise RecipeError("--revision: expected a branch, a tag or a commit, got nothing; leave it out for the newest")
    where = name if revision is None else f"{name}, {revision}"
    _claim(output_dir)
    with hub_problems(f"pulling {where}", AGAIN, is_reading=True):
        kind, commit = _find(api, name, revision, is_dataset=repository.startswith(_DATASETS))
        folder = output_dir / _DOWNLOADS / f"{name.replace('/', '--')}-{commit}"
        make_folder(folder)
        _download(api, name, kind, commit, folder)
    try:
        with as_downloaded(folder):
            placement = read_placement(folder)
        check_repository(placement, name, revision)
        place, is_new = lay(folder, placement, output_dir)
    except RecipeError as error:
        _forget(folder)  # what was refused once is refused again
        raise RecipeError(f"{where} ({commit[:12]}): {error}") from error
    except OSError as error:
        raise RecipeError(
            f"{where} ({commit[:12]}): cannot be laid out in {output_dir}: {first_line(error)}; expected a folder "
            f"that can be written to. What was downloaded stays in {folder.parent} until a pull succeeds"
        ) from error
    _forget(folder)
    return Pulled(name, commit, placement, place, is_new)


def _claim(output_dir: Path) -> None:
    """Keep two pulls out of one output folder: both would write to the same places."""
    make_folder(output_dir)
    try:
        lock(output_dir / _LOCK)
    except OSError as error:
        raise RecipeError(
            f"{output_dir}: {first_line(error)}; expected a folder that can be written to, as --output-dir"
        ) from error


def _forget(folder: Path) -> None:
    """Remove what was downloaded, and the folder of downloads with the last of them."""
    shutil.rmtree(folder)
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def _find(
    api: "HfApi", name: str, revision: str | None, *, is_dataset: bool
) -> tuple[Literal["model", "dataset"], str]:
    """Return whether a repository is a model's or a data set's, and the commit of the revision."""
    from huggingface_hub.errors import RepositoryNotFoundError

    kind: Literal["model", "dataset"] = "dataset" if is_dataset else "model"
    try:
        info = api.repo_info(name, repo_type=kind, revision=revision)
    except RepositoryNotFoundError:
        if is_dataset:
            raise
        kind = "dataset"
        info = api.repo_info(name, repo_type=kind, revision=revision)
    assert info.sha is not None, "the Hub leaves the commit out only where other fields alone are asked for"
    return kind, info.sha


def _download(api: "HfApi", name: str, kind: Literal["model", "dataset"], commit: str, folder: Path) -> None:
    """Download the files of a commit that this project publishes, and no others: no pickle, no code."""
    listed = api.list_repo_files(name, repo_type=kind, revision=commit)
    wanted = [path for path in listed if is_published(path, is_dataset=kind == "dataset")]
    if others := sorted({*listed} - {*wanted, ".gitattributes"}):
        logger.info("%s: left there: %s", name, ", ".join(others))
    if wanted:
        patterns = [path.translate({ord(sign): "?" for sign in "*?["}) for path in wanted]
        api.snapshot_download(name, repo_type=kind, revision=commit, local_dir=folder, allow_patterns=patterns)
