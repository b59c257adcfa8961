"""What went wrong with the Hub, in one line each: what, with which repository, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError

from domain_tokens.corpora.hub import causes_of, is_unreachable, retry_after_s, shown
from domain_tokens.recipe import RecipeError

_WAYS_TO_GIVE_A_TOKEN = "set HF_TOKEN, or log in with hf auth login"


class HubProblem(RecipeError):
    """The Hub was not reached, or refused.

    Args:
        message (`str`): what went wrong, with what, and what to do.
        status (`int`, *optional*): the status of the Hub's answer, if it gave one.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def hub_problems(what: str, again: str, *, is_reading: bool = False) -> Iterator[None]:
    """Turn what the Hub's library raises into one `HubProblem`.

    Args:
        what (`str`): what is being done, with the repository: `pushing me/demo`.
        again (`str`): what a second try will do.
        is_reading (`bool`, *optional*): whether nothing is written, so that no right to write is missing.
    """
    try:
        yield
    except RecipeError:
        raise
    except Exception as error:  # huggingface_hub and the libraries below it each raise kinds of their own
        message = f"{what}: {_explained(error, again, is_reading)}"
        raise HubProblem(_without_token(" ".join(message.split())), status_of(error)) from error


def status_of(error: BaseException) -> int | None:
    """Return the status of the Hub's answer that an error came from; `None` if it came from none."""
    from huggingface_hub.errors import HfHubHTTPError

    found = [one.response.status_code for one in causes_of(error) if isinstance(one, HfHubHTTPError)]
    return found[0] if found else None


def _explained(error: Exception, again: str, is_reading: bool) -> str:
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        HFValidationError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    kinds = tuple(type(one) for one in causes_of(error))
    if OfflineModeIsEnabled in kinds:
        return "HF_HUB_OFFLINE is set; unset it"
    if LocalTokenNotFoundError in kinds:
        return f"there is no token; {_WAYS_TO_GIVE_A_TOKEN}"
    if HFValidationError in kinds:
        return "that is no name of a repository; expected namespace/name"
    if RevisionNotFoundError in kinds:
        return "there is no such revision; expected a branch, a tag or a commit's 40 digits"
    if RepositoryNotFoundError in kinds:
        return (
            f"there is no such repository on {constants.ENDPOINT}, or it is private; {_WAYS_TO_GIVE_A_TOKEN} for a "
            "private one"
        )
    status = status_of(error)
    if status is not None and (said := _refused(status, is_reading)) is not None:
        return said
    if status in (409, 412) and not is_reading:
        return f"somebody else changed it at the same time ({status}); {again}"
    return _failed(error, status, again)


def _refused(status: int, is_reading: bool) -> str | None:
    """Return what a status means for which the same command again would be in vain; `None` for others."""
    from huggingface_hub import constants

    hub = constants.ENDPOINT
    if status == 401:
        return f"the token is not valid on {hub} (401); {_WAYS_TO_GIVE_A_TOKEN}"
    if status == 403 and is_reading:
        return f"{hub} does not let this token read it (403); use one with access to it"
    if status == 403:
        return "the token may not write there (403); use one with write access to this namespace, or another namespace"
    if status == 404:
        return f"{hub} has nothing at this address (404); check HF_ENDPOINT, and that huggingface_hub is up to date"
    if status == 413:
        return f"{hub} takes nothing as large as this (413); expected smaller files: save the weights in several"
    return None


def _failed(error: Exception, status: int | None, again: str) -> str:
    """Return what kept the Hub from answering, and what to do."""
    from huggingface_hub import constants

    hub = constants.ENDPOINT
    if status == 429:
        wait_s = retry_after_s(error)
        return f"{hub} asks to wait{f' {wait_s} s' if wait_s else ''} (429, too many requests); then {again}"
    if any(isinstance(one, JSONDecodeError) for one in causes_of(error)):
        return f"the answer of {hub} cannot be read: {shown(error)}; check that HF_ENDPOINT is a Hub, and {again}"
    if is_unreachable(error):
        return f"no connection to {hub}: {shown(error)}; check the network, and {again}"
    if status is not None and status >= 500:
        return f"{hub} does not answer ({status}); {again}"
    while isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the library wraps what happened in a thread in an error that says little
    said = shown(error).rstrip(".")
    return f"{hub} refused it: {said}" if status is not None else f"{said}; {again}"


def _without_token(text: str) -> str:
    """Return a text without the token of the Hub, which a server may repeat in its errors."""
    from huggingface_hub import get_token

    token = get_token() or ""
    return text.replace(token, "[token]") if len(token) > 8 else text
