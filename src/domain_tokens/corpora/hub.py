"""Reads data sets on the Hub: at which commit, whether they can be read, and their rows, through an outage.

`datasets` streams the files and retries what fails for some seconds. What is added here: a branch or tag becomes a
commit once, so that nothing read later is of another; a problem is one message before work begins; and an outage is
waited for, after which reading goes on at the next row.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from domain_tokens.local_data.row import Row
from domain_tokens.recipe import RecipeError, Source

if TYPE_CHECKING:
    from datasets import DatasetBuilder, IterableDataset

logger = logging.getLogger(__name__)

T = TypeVar("T")


class NoConnection(RecipeError):
    """There is no way to the Hub from here, whichever data set is asked for."""


LOCAL_COPY = "name a local copy with kind: file and path"
LOCAL_FILES = "write kind: file and the files of the split"
"""What messages advise, in a recipe's keys."""

_FIRST_WAITS_S = (1, 2, 4)
"""Before work begins: a user waits for the message."""
_WAITS_S = (15, 30, 60, 120, 240, 480, 900)
"""In the middle of work, half an hour in all: longer than most outages, and nothing is lost by waiting. The libraries
have retried for 23 s before."""
_BATCH = 1000  # rows of a parquet file on the Hub that are held at a time
_COMMIT = re.compile("[0-9a-f]{40}")
_COMMITS: dict[tuple[str, str | None], str] = {}  # by data set and revision


def commit_of(source: Source) -> str:
    """Return the commit of a data set that a source's `revision` names, after asking the Hub whether it can be read.

    Asked once in a process, so that all that it reads is of one commit.

    Raises:
        RecipeError: if the Hub cannot be reached, or the data set or the revision does not exist or is closed to this
            user; the message says which.
    """
    _refuse_folder(source)
    key = (str(source.path), source.revision)
    if key not in _COMMITS:
        try:
            _COMMITS[key] = _patiently(f"source {source.name}", _FIRST_WAITS_S, lambda: _ask(*key))
        except Exception as error:  # huggingface_hub and the libraries below it each raise kinds of their own
            kind = NoConnection if is_unreachable(error) else RecipeError
            raise kind(f"source {source.name}: {_explain(*key, error)}") from error
    return _COMMITS[key]


def no_connection(error: NoConnection) -> str:
    """Return why there is no way to the Hub and what to do, whichever data set was asked for."""
    from huggingface_hub import constants
    from huggingface_hub.errors import OfflineModeIsEnabled

    first = error.__cause__ if isinstance(error.__cause__, Exception) else error
    if any(isinstance(one, OfflineModeIsEnabled) for one in causes_of(first)):
        return f"they are on the Hub and HF_HUB_OFFLINE is set; unset it, or {LOCAL_COPY}"
    return f"no connection to the Hub ({constants.ENDPOINT}): {shown(first)}; check the network, or {LOCAL_COPY}"


def pinned(source: Source) -> Source:
    """Return a source whose `revision`, if it is on the Hub, is a commit. Raises `RecipeError` as `commit_of`."""
    if source.kind != "hub":
        return source
    return replace(source, revision=commit_of(source))


def commits_read(sources: Sequence[Source]) -> dict[str, str]:
    """Return the commit of each source that this process has asked the Hub about, by the source's name."""
    keys = {source.name: (str(source.path), source.revision) for source in sources if source.kind == "hub"}
    return {name: _COMMITS[key] for name, key in keys.items() if key in _COMMITS}


def check_hub(sources: Sequence[Source]) -> None:
    """Check that each source on the Hub has its revision, configuration and split; no row is read.

    Raises:
        RecipeError: naming the first source that cannot be read, and why.
    """
    checked = set()
    for source in sources:
        what = (str(source.path), source.revision, source.config, source.split)
        if source.kind == "hub" and what not in checked:
            checked.add(what)
            open_hub(pinned(source))


def commits_of(sources: Sequence[Source], begun: Mapping[str, str]) -> dict[str, str]:
    """Return the commit of each source on the Hub, after checking that all can be read.

    Args:
        sources (`Sequence[Source]`): what will be read.
        begun (`Mapping[str, str]`): the commits that unfinished work began with, by the source's name; it goes on with
            them.

    Raises:
        RecipeError: as `check_hub`.
    """
    known = [replace(source, revision=begun.get(source.name, source.revision)) for source in sources]
    check_hub(known)
    return commits_read(known)


def open_hub(source: Source) -> "IterableDataset":
    """Open a data set on the Hub, at the commit of its `revision`, for streaming.

    Raises:
        RecipeError: if it cannot be read, or has no such configuration or split.
    """
    _refuse_folder(source)
    given = source.revision
    commit = given if given is not None and _COMMIT.fullmatch(given) else commit_of(source)
    try:
        return _patiently(f"source {source.name}", _WAITS_S, lambda: _load(source, commit))
    except Exception as error:  # datasets, pyarrow and the network's libraries each raise kinds of their own
        raise _unreadable(source, "", error) from error


def files_on_hub(source: Source) -> dict[str, int]:
    """Return the sizes of the files of a data set's configuration and split, by their paths in it.

    Raises:
        RecipeError: as `open_hub`.
    """
    _refuse_folder(source)
    commit = commit_of(source)
    try:
        return _patiently(f"source {source.name}", _FIRST_WAITS_S, lambda: _sizes(source, commit))
    except Exception as error:  # as in open_hub
        raise _unreadable(source, "", error) from error


def _sizes(source: Source, commit: str) -> dict[str, int]:
    from huggingface_hub import HfFileSystem

    files = _builder(source, commit).config.data_files
    if source.split not in files:
        raise ValueError(f"split: there is no {source.split!r}; expected one of {sorted(files)}")
    system, prefix = HfFileSystem(), f"hf://datasets/{source.path}@{commit}/"
    return {str(file).removeprefix(prefix): int(system.info(str(file))["size"]) for file in files[source.split]}


def licence_on_hub(source: Source) -> str | None:
    """Return the licence that a data set's card names, if it names one. Raises `RecipeError` as `commit_of`."""
    from huggingface_hub import HfApi

    card = HfApi().dataset_info(str(source.path), revision=commit_of(source)).card_data
    found = None if card is None else card.get("license")
    return ", ".join(found) if isinstance(found, list) else found


def _load(source: Source, commit: str) -> "IterableDataset":
    return _builder(source, commit).as_streaming_dataset(split=source.split)


def _builder(source: Source, commit: str) -> "DatasetBuilder":
    from datasets import load_dataset_builder

    builder = load_dataset_builder(f"hf://datasets/{source.path}", source.config, revision=commit)
    if hasattr(builder.config, "batch_size"):
        # Of parquet. By default it is that of the first group of rows, and 0 is an error (datasets 5.2).
        builder.config.batch_size = builder.config.batch_size or _BATCH
    return builder


def hub_rows(source: Source, dataset: "IterableDataset", part: str = "", *, shuffled: bool = False) -> Iterator[Row]:
    """Yield the rows of a data set on the Hub, or of a part of it.

    After an outage, the file that was being read is opened again and the rows that were read of it are passed over; of
    a shuffled data set, all that were read.

    Args:
        source (`Source`): what is read, for messages.
        dataset (`IterableDataset`): what `open_hub` returned, or a shard of it.
        part (`str`, *optional*): which part it is, for messages: ` of part 1 of 4`.
        shuffled (`bool`, *optional*): whether its rows are in an order of their own, which runs through all files.

    Raises:
        RecipeError: if it cannot be read to its end, naming the row after which it stopped.
    """
    number = 0
    num_files = 1 if shuffled else dataset.num_shards
    for index in range(num_files):
        file = dataset if num_files == 1 else dataset.shard(num_shards=num_files, index=index)
        read, waits = 0, iter(_WAITS_S)
        while True:
            try:
                for row in file.skip(read) if read else file:
                    read, number, waits = read + 1, number + 1, iter(_WAITS_S)
                    yield row if isinstance(row, Row) else Row.at(f"row {number}{part}", row)
                break
            except RecipeError as error:
                raise RecipeError(f"source {source.name}: {error}") from error
            except Exception as error:  # as in open_hub
                wait = next(waits, None)
                if wait is None or not _may_pass(error):
                    raise _unreadable(source, f" after row {number}{part}" if number else part, error) from error
                _sleep(f"source {source.name}, after row {number}{part}", error, wait)


def _ask(path: str, revision: str | None) -> str:
    from huggingface_hub import HfApi

    hub = HfApi()
    commit = hub.dataset_info(path, revision=revision).sha
    hub.auth_check(path, repo_type="dataset")  # the information on a gated data set is open to all
    assert commit is not None, "the Hub leaves the commit out only where other fields alone are asked for"
    return commit


def _refuse_folder(source: Source) -> None:
    """Refuse a folder on this machine. `datasets` would take its name for a pattern, and guess types for its JSON."""
    if Path(str(source.path)).is_dir():
        raise RecipeError(
            f"source {source.name}: path: {source.path} is a folder on this machine; for a copy of a data set "
            f"{LOCAL_FILES}, such as path: '{source.path}/train-*.parquet'"
        )


def _patiently(where: str, waits: Sequence[int], action: Callable[[], T]) -> T:
    """Return what an action returns, trying it again after each of some waits as long as its error may pass."""
    for wait in waits:
        try:
            return action()
        except Exception as error:  # as in open_hub
            # Without a network, or with a wrong address, waiting for the first answer only delays the message.
            if not _may_pass(error) or (waits is _FIRST_WAITS_S and is_unreachable(error)):
                raise
            _sleep(where, error, wait)
    return action()


def _sleep(where: str, error: Exception, wait_s: int) -> None:
    wait_s = max(wait_s, retry_after_s(error))
    logger.warning("%s: the Hub does not answer (%s); trying again in %d s", where, shown(error), wait_s)
    time.sleep(wait_s)


def _may_pass(error: BaseException) -> bool:
    """Return whether an error may be over in a while: the network's, or the server's own."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    from huggingface_hub.utils import httpx

    causes = causes_of(error)
    if any(isinstance(one, OfflineModeIsEnabled) for one in causes):
        return False
    for one in causes:
        if isinstance(one, HfHubHTTPError):
            return one.response.status_code in (408, 429) or one.response.status_code >= 500
    return any(isinstance(one, httpx.TransportError | ConnectionError | TimeoutError) for one in causes)


def is_unreachable(error: BaseException) -> bool:
    """Return whether there was no connection: no network, an unknown name, nobody who listens, or offline mode."""
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import httpx

    return any(isinstance(one, httpx.ConnectError | OfflineModeIsEnabled) for one in causes_of(error))


def retry_after_s(error: BaseException) -> int:
    """Return for how many seconds a server asked not to be asked again; 0 if it did not."""
    from huggingface_hub.errors import HfHubHTTPError

    answers = [one.response for one in causes_of(error) if isinstance(one, HfHubHTTPError)]
    asked = [answer.headers.get("Retry-After", "") for answer in answers]
    return max((int(one) for one in asked if one.isdigit()), default=0)


def causes_of(error: BaseException) -> list[BaseException]:
    """Return an error and what it came from."""
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or one.__context__
    return found


def _explain(path: str, revision: str | None, error: Exception, part: str = "", after: str = "") -> str:
    """Return in one sentence why a data set cannot be read, and what to do."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    copy = LOCAL_COPY
    causes = causes_of(error)
    for one in causes:
        if isinstance(one, OfflineModeIsEnabled):
            return f"the data set {path!r} is on the Hub and HF_HUB_OFFLINE is set; unset it, or {copy}"
        if isinstance(one, GatedRepoError):
            if one.response.status_code == 401:
                return f"the data set {path!r} is gated; set HF_TOKEN to the token of an account that was let in"
            page = f"{constants.ENDPOINT}/datasets/{path}"
            return f"the data set {path!r} is gated and this account was not let in; ask for access at {page}"
        if isinstance(one, RevisionNotFoundError):
            expected = "a branch, a tag or a commit's 40 digits"
            return f"revision: the data set {path!r} has no {revision!r}; expected {expected}"
        if isinstance(one, RepositoryNotFoundError | HFValidationError):
            return (
                f"path: there is no data set {path!r} on the Hub ({constants.ENDPOINT}), or it is private; expected "
                "owner/name, and HF_TOKEN set for a private one"
            )
    why = shown(error)
    if not after and is_unreachable(error):
        hub = f"the Hub ({constants.ENDPOINT})"
        return f"the data set {path!r}{part}: no connection to {hub}: {why}; check the network, or {copy}"
    if _may_pass(error):
        hub = f"the Hub ({constants.ENDPOINT})"
        return f"the data set {path!r}{part}: {hub} does not answer{after}: {why}; try later, or {copy}"
    return f"the data set {path!r}{part} cannot be read from the Hub{after}: {why}; {copy}"


def _unreadable(source: Source, after: str, error: Exception) -> RecipeError:
    part = f" ({source.config}, {source.split})"
    why = _explain(str(source.path), source.revision, error, part, after)
    return RecipeError(f"source {source.name}: {why}")


def shown(error: Exception) -> str:
    """Return an error's message in one line, or its kind if it has none."""
    return " ".join(str(error).split())[:300] or type(error).__name__
