"""Sends what a repository lacks, in one commit: all of it is there afterwards, or nothing has changed.

The library sends large files before the commit, and asks first which of them the Hub has already. So a push that was
cut goes on with the files that are missing. What is the same on the Hub is not sent at all.
"""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.publishing.allowed import PLACEMENT, is_published
from domain_tokens.publishing.contents import MAIN, Contents, PublishedFile
from domain_tokens.publishing.names import Placement
from domain_tokens.publishing.problems import hub_problems
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.layout import README
from domain_tokens.runs.records import read_record

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

logger = logging.getLogger(__name__)

AGAIN = "run the same command again: files that have arrived are not sent again"


@dataclass(frozen=True)
class Pushed:
    """What a push left on the Hub.

    Attributes:
        commit: the commit that the revision names now.
        num_sent: how many files the commit changed; 0 if nothing was to be sent.
        num_bytes: their size.
        num_removed: how many files of an earlier push it removed.
    """

    commit: str
    num_sent: int
    num_bytes: int
    num_removed: int


def show_progress_in_terminals_alone() -> None:
    """Turn the library's progress bars off where nobody watches them: a file would be full of them."""
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()


def push(api: "HfApi", contents: Contents, files: Sequence[PublishedFile], *, private: bool) -> Pushed:
    """Make a revision of a repository hold these files, and send nothing that it holds already.

    Args:
        api (`HfApi`): the Hub.
        contents (`Contents`): the repository and the revision. Both are made if they do not exist.
        files (`Sequence[PublishedFile]`): what it will hold, the card among them.
        private (`bool`): whether a repository that is made is private.

    Raises:
        HubProblem: saying in one line what went wrong and what to do.
    """
    where = contents.repository if contents.revision == MAIN else f"{contents.repository}, {contents.revision}"
    with hub_problems(f"pushing {where}", AGAIN):
        api.create_repo(contents.repository, repo_type=contents.kind, private=private, exist_ok=True)
        if contents.revision != MAIN:
            _make_branch(api, contents)
        info = api.repo_info(contents.repository, repo_type=contents.kind, revision=contents.revision)
        _check_visibility(contents.repository, is_private=bool(info.private), private=private)
        head = info.sha
        assert head is not None, "the Hub leaves the commit out only where other fields alone are asked for"
        there = _files_there(api, contents, head)
        _check_is_own(api, contents, there, head)
        changed = [file for file in files if not _is_same(file, there.get(file.path))]
        is_dataset, kept = contents.kind == "dataset", {file.path for file in files}
        removed = [path for path in there if path not in kept and is_published(path, is_dataset=is_dataset)]
        num_bytes = sum(file.num_bytes for file in changed)
        if not changed and not removed:
            return Pushed(head, 0, 0, 0)
        logger.info("%s: sending %d of %d files, %.1f MB", where, len(changed), len(files), num_bytes / 1e6)
        commit = _commit(api, contents, changed, removed, head)
        return Pushed(commit, len(changed), num_bytes, len(removed))


def _check_is_own(api: "HfApi", contents: Contents, there: "Mapping[str, RepoFile]", head: str) -> None:
    """Refuse a revision that is of something else: the names of two runs may become one name on the Hub."""
    where = f"{contents.repository} ({contents.revision})"
    if PLACEMENT in there:
        file = api.hf_hub_download(contents.repository, PLACEMENT, repo_type=contents.kind, revision=head)
        found = read_record(Path(file), Placement)
        if found.identity != contents.placement.identity:
            raise RecipeError(
                f"{where}: holds {found.words}, and {contents.placement.words} would replace it; push one of them "
                "under another namespace, or rename the experiment or the condition"
            )
    elif others := sorted(
        one for one in {*there} - {README} if is_published(one, is_dataset=contents.kind == "dataset")
    ):
        raise RecipeError(
            f"{where}: holds {others[0]}, and no {PLACEMENT}, so it was not made by this project; expected a "
            "repository of its own: use another namespace, or rename that one"
        )


def _check_visibility(repository: str, *, is_private: bool, private: bool) -> None:
    if private and not is_private:
        raise RecipeError(
            f"{repository}: it exists and everybody can read it, but private was asked for; make it private on the "
            "Hub, or push with --public (in a recipe, hub.private=false)"
        )
    if is_private and not private:
        logger.warning("%s: it exists and is private, and stays so; change that on the Hub", repository)


def _commit(
    api: "HfApi", contents: Contents, changed: Sequence[PublishedFile], removed: Sequence[str], head: str
) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    additions = [CommitOperationAdd(path_in_repo=file.path, path_or_fileobj=file.content) for file in changed]
    deletions = [CommitOperationDelete(path_in_repo=path, is_folder=False) for path in removed]
    done = api.create_commit(
        contents.repository,
        [*additions, *deletions],
        commit_message=f"{contents.placement.kind.capitalize()} of {contents.placement.experiment}",
        repo_type=contents.kind,
        revision=contents.revision,
        parent_commit=head,  # what was compared: nobody's change in between is undone
    )
    return str(done.oid)


def _make_branch(api: "HfApi", contents: Contents) -> None:
    """Make the branch of a checkpoint, from the repository's first commit, in which there is no model."""
    refs = api.list_repo_refs(contents.repository, repo_type=contents.kind)
    if all(branch.name != contents.revision for branch in refs.branches):
        first = api.list_repo_commits(contents.repository, repo_type=contents.kind)[-1]
        api.create_branch(
            contents.repository, branch=contents.revision, revision=first.commit_id, repo_type=contents.kind
        )


def _files_there(api: "HfApi", contents: Contents, commit: str) -> "Mapping[str, RepoFile]":
    from huggingface_hub.hf_api import RepoFile

    tree = api.list_repo_tree(contents.repository, recursive=True, revision=commit, repo_type=contents.kind)
    return {one.path: one for one in tree if isinstance(one, RepoFile)}


def _is_same(file: PublishedFile, there: "RepoFile | None") -> bool:
    """Return whether the Hub has a file as it is: large ones are known by their sha256, others by git's id."""
    from huggingface_hub.utils.sha import git_hash

    if there is None or (there.size if there.lfs is None else there.lfs.size) != file.num_bytes:
        return False
    if there.lfs is not None:
        return there.lfs.sha256 == file.sha256
    content = file.content.read_bytes() if isinstance(file.content, Path) else file.content
    return there.blob_id == git_hash(content)
