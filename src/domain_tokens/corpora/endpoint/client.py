"""Sends requests with the official client: one attempt at a time, and as many as can succeed within a time budget.

The client's own retries are off. They would send a request again that was out of quota, would wait longer than its
timeout says, and would not know that a lost answer may have been billed.
"""

import asyncio
import logging
import random
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from domain_tokens.corpora.endpoint.failures import EndpointError, TryAgain, failure_of
from domain_tokens.corpora.endpoint.requests import Request
from domain_tokens.corpora.endpoint.settings import Endpoint, Key, Limits
from domain_tokens.recipe import RecipeError

if TYPE_CHECKING:
    import openai

T = TypeVar("T")

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0  # seconds, where the endpoint names none
_LEAST_WAIT = 0.25
_TRIES_TO_CONNECT = 3  # to an address that never answered; a mistyped port needs no ten minutes


class GaveUp(Exception):
    """The time budget of a request ended before an attempt succeeded. `reason` is the last attempt's."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = f"gave up: {reason}"


class Stopped(Exception):
    """The run ends; this request was waiting."""


class Client:
    """A client of one endpoint, used inside `async with`.

    Args:
        endpoint (`Endpoint`): where requests go.
        limits (`Limits`): their time budget.
        key (`Key`): of the endpoint.

    Attributes:
        stop: when set, nothing more is sent, and what waits raises `Stopped`.
        any_answer: whether the endpoint answered a request of this run.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits, key: Key) -> None:
        self.endpoint = endpoint
        self.limits = limits
        self.key = key
        self.stop = asyncio.Event()
        self.any_answer = False
        self._not_before = 0.0  # of the event loop's clock; one rate limit holds for all requests
        self.api = _new_api(endpoint, limits, key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.api.close()

    async def chat(self, request: Request, seconds: float) -> str:
        """Send a request once and return the response as it came, without the key.

        Raises:
            TryAgain, Denied, EndpointError: as `failures` says.
        """

        async def send() -> str:
            response = await self.api.chat.completions.with_raw_response.create(**request.fields)
            return response.text

        return self.key.removed_from(await self.once(send, seconds))

    async def once(self, operation: Callable[[], Awaitable[T]], seconds: float) -> T:
        """Call the API once, within so many seconds from the first byte to the last; raises as `chat` does."""
        import openai

        try:
            async with asyncio.timeout(seconds):
                return await operation()
        except TimeoutError:  # a response that drips resets the client's own timeout with every byte
            raise TryAgain("timeout", billed=True) from None
        except ValueError:  # the client reads some responses as JSON, whatever they are
            raise TryAgain("response cut or not JSON", billed=True) from None
        except openai.APIError as error:
            # Without the original error, whose text and request may hold the key.
            raise failure_of(error, self.key.removed_from, self.any_answer) from None

    async def patiently(self, attempt: Callable[[float], Awaitable[T]]) -> T:
        """Call until an attempt succeeds, none can succeed, or the time budget ends.

        Args:
            attempt (`Callable`): takes the seconds that it has, and raises `TryAgain` if a later one can succeed.

        Raises:
            GaveUp: if the budget ended.
            Stopped: if the run ends.
            EndpointError: if the endpoint cannot be reached, or asks for a wait that no budget holds.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.limits.budget_seconds
        for number in count():
            await self._sleep(self._not_before - clock(), deadline - clock(), "rate limit")
            try:
                return await attempt(min(self.limits.attempt_seconds, deadline - clock()))
            except TryAgain as failure:
                if not failure.reached and not self.any_answer and number + 1 >= _TRIES_TO_CONNECT:
                    raise EndpointError(
                        f"{self.endpoint.base_url}: no connection; expected a server there; check the base URL"
                    ) from None
                wait = self._wait(failure, number)
                if failure.wait_seconds is not None:
                    self._not_before = max(self._not_before, clock() + wait)
                await self._sleep(wait, deadline - clock(), failure.reason)
        raise AssertionError("unreachable")

    def _wait(self, failure: TryAgain, number: int) -> float:
        """Return how long to wait: as the endpoint asks, or twice as long each time."""
        # Spread, so that requests that were refused together do not return together.
        if failure.wait_seconds is None:
            return min(_FIRST_WAIT * 2.0 ** min(number, 10), _LONGEST_WAIT) * random.uniform(0.75, 1.0)
        if failure.wait_seconds >= self.limits.budget_seconds:
            raise EndpointError(
                f"the endpoint asks to wait {failure.wait_seconds:,.0f} s, longer than the time budget of "
                f"{self.limits.budget_seconds:,.0f} s; run again then"
            )
        return max(failure.wait_seconds, _LEAST_WAIT) * random.uniform(1.0, 1.05)

    async def _sleep(self, seconds: float, left: float, reason: str) -> None:
        if self.stop.is_set():
            raise Stopped
        if seconds >= left:
            raise GaveUp(reason)
        if seconds <= 0:
            return
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped


def _new_api(endpoint: Endpoint, limits: Limits, key: Key) -> "openai.AsyncOpenAI":
    try:
        import httpx2
        import openai
    except ImportError:
        raise RecipeError(
            "the package openai is not installed; install this project with its extra: pip install -e '.[api]'"
        ) from None
    # At this level it writes the headers of responses, where a server may repeat the key.
    logging.getLogger("httpcore2").setLevel(logging.INFO)
    try:
        # A redirect is an error: the key belongs to the address that the user gave.
        http = openai.DefaultAsyncHttpxClient(
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=limits.at_once, max_keepalive_connections=limits.at_once),
        )
    except (ImportError, ValueError, httpx2.InvalidURL) as error:  # without its text: a proxy may have a password
        raise RecipeError(
            f"the proxy in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY cannot be used ({type(error).__name__}); expected an "
            "address such as http://host:8080, or NO_PROXY with the endpoint's host; a SOCKS proxy needs the package "
            "socksio"
        ) from None
    return openai.AsyncOpenAI(
        api_key=key.reveal(),
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=limits.attempt_seconds,
        http_client=http,
    )


@contextmanager
def ended_by_signals(client: Client, end: Callable[[], None]) -> Iterator[None]:
    """Call `end` at the first SIGINT or SIGTERM inside the block, and cancel the block at the second.

    Args:
        client (`Client`): whose `stop` says that an end has begun.
        end (`Callable`): sets `stop`, among other things.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def handle() -> None:
        if client.stop.is_set():
            task.cancel()
        end()

    signals = (signal.SIGINT, signal.SIGTERM)
    unsupported = (NotImplementedError, RuntimeError, ValueError)  # Windows, and threads other than the main one
    with suppress(*unsupported):
        for number in signals:
            loop.add_signal_handler(number, handle)
    try:
        yield
    finally:
        with suppress(*unsupported):
            for number in signals:
                loop.remove_signal_handler(number)
