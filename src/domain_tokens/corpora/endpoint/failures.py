"""What can go wrong with a request, and what follows: it is sent again, it alone fails, or the run ends."""

import email.utils
import json
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING

from domain_tokens.corpora.endpoint.settings import KEY_VARIABLE
from domain_tokens.recipe import RecipeError

if TYPE_CHECKING:
    import openai

# No request to the same account can succeed. A 429 with another code is a rate limit.
_NO_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "account_deactivated")
_AGAIN = (408, 409, 425, 429)
# A gateway gave up on the server behind it, which may have finished and billed.
_GATEWAY = (502, 504, *range(520, 528))
FOR_GOOD = (400, 403, 413, 422)
"""Statuses that concern the content of one request, once others have been answered: too long, or not let through."""
_SHOWN = 300  # characters of the endpoint's own words


class TryAgain(Exception):
    """A later attempt can succeed.

    Args:
        reason (`str`): in words that are counted.
        billed (`bool`): whether the attempt may have been billed.
        wait_seconds (`float`, *optional*): how long the endpoint asks to wait.
        reached (`bool`): whether the endpoint was reached at all.
    """

    def __init__(self, reason: str, *, billed: bool, wait_seconds: float | None = None, reached: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.billed = billed
        self.wait_seconds = wait_seconds
        self.reached = reached


class Denied(Exception):
    """The endpoint does not answer this request; others may have an answer.

    Args:
        reason (`str`): in words that are counted.
        said (`str`): the endpoint's own words.
        for_good (`bool`): whether it would not be answered by the next run either.
    """

    def __init__(self, reason: str, said: str, *, for_good: bool) -> None:
        super().__init__(f"{reason}: {said}")
        self.reason = reason
        self.for_good = for_good


class EndpointError(RecipeError):
    """No request of this run can succeed."""


def failure_of(
    error: "openai.APIError", clean: Callable[[str], str], any_answer: bool
) -> TryAgain | Denied | EndpointError:
    """Return what follows from an error of the client.

    Args:
        error (`openai.APIError`): as the client raised it.
        clean (`Callable`): takes the key out of the endpoint's words.
        any_answer (`bool`): whether this run had an answer, so that address, key and model are right.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        codes = (str(error.code), str(error.type))
        said = clean(error.response.text)
        return _of_status(error.status_code, codes, said, error.response.headers, clean, any_answer)
    return _of_connection(error)


def failure_in(raw: str, any_answer: bool) -> TryAgain | Denied | EndpointError | None:
    """Return what follows from a response of status 200, or `None` if it is an answer.

    Some gateways report the failure of the server behind them in this way. Then nothing is billed.

    Args:
        raw (`str`): the response, without the key.
        any_answer (`bool`): as in `failure_of`.
    """
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        if raw.lstrip().startswith("<"):
            said = "expected the API at this base URL; does it end with /v1?"
            return Denied("HTML in place of JSON", said, for_good=False)
        return TryAgain("response cut or not JSON", billed=True)
    error = body.get("error")
    if not error or "choices" in body:
        return None
    details = error if isinstance(error, dict) else {}
    codes = (str(details.get("code")), str(details.get("type")))
    status = next((int(code) for code in codes if code.isdecimal() and len(code) == 3), 200)
    return _of_status(status, codes, raw, {}, str, any_answer)


def _of_connection(error: "openai.APIError") -> TryAgain:
    import httpx2

    cause = error.__cause__
    if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return TryAgain("no connection", billed=False, reached=False)
    if isinstance(cause, httpx2.TimeoutException):
        return TryAgain("timeout", billed=True)
    return TryAgain("connection lost", billed=True)


def _of_status(
    status: int,
    codes: tuple[str, ...],
    said: str,
    headers: Mapping[str, str],
    clean: Callable[[str], str],
    any_answer: bool,
) -> TryAgain | Denied | EndpointError:
    said = " ".join(said.split())[:_SHOWN]
    if status == 402 or any(code in _NO_QUOTA for code in codes):
        return EndpointError(f"the endpoint has no quota left for this key ({status}: {said}); run again when it has")
    if status in _AGAIN or status >= 500:
        if headers.get("x-should-retry") == "false":
            return Denied(f"status {status}, not to be sent again", said, for_good=False)
        reason = "rate limit" if status == 429 else f"status {status}"
        return TryAgain(reason, billed=status in _GATEWAY, wait_seconds=retry_after(headers))
    if status == 401:
        return EndpointError(f"the endpoint does not take the key in {KEY_VARIABLE} (401: {said})")
    if 300 <= status < 400:
        where = clean(headers.get("location", "")).partition("?")[0]
        return EndpointError(f"the endpoint redirects ({status}) to {where!r}; give the address behind it as base URL")
    if status in (403, 404, 405) and not any_answer:
        return EndpointError(
            f"the endpoint refuses address, model or account ({status}: {said}); check base URL and model"
        )
    # Before the first answer the mistake may lie elsewhere, and then the request is sent again once it is mended.
    return Denied(f"status {status}", said, for_good=any_answer and status in FOR_GOOD)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds an endpoint asks to wait, or `None` if it does not say so readably.

    `Retry-After` is seconds or a date (RFC 9110, 10.2.3); `retry-after-ms` is OpenAI's own.
    """
    for name, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers[name]) / divisor
        except (KeyError, ValueError):
            continue
        return None if math.isnan(seconds) else max(seconds, 0.0)
    try:
        date = email.utils.parsedate_to_datetime(headers["retry-after"])
        date = date if date.tzinfo else date.replace(tzinfo=UTC)  # a zone written as -0000
        return max(date.timestamp() - time.time(), 0.0)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
