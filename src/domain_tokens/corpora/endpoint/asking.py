"""Asks for all that has no answer yet: many requests at once, within the cap, each answer on disk first."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from tqdm import tqdm

from domain_tokens.corpora.endpoint.answers import Unusable, read_answer, usage_of
from domain_tokens.corpora.endpoint.client import Client, GaveUp, Stopped, ended_by_signals
from domain_tokens.corpora.endpoint.failures import Denied, EndpointError, TryAgain, failure_in
from domain_tokens.corpora.endpoint.ledger import Ending, Ledger
from domain_tokens.corpora.endpoint.requests import Request
from domain_tokens.corpora.endpoint.settings import Endpoint, Key, Limits
from domain_tokens.recipe import RecipeError

# So many in a row that brought nothing end a run: before the first success, something is wrong with all of them.
_FAILURES_AT_FIRST, _FAILURES_LATER = 5, 50
_UNUSABLE_AT_FIRST = 20


@dataclass
class Asked:
    """What a run did.

    Attributes:
        answers: answers that came.
        failed: requests without an answer, by reason; the next run sends them again.
        stopped: why the run ended before all was asked, or an empty text.
        interrupted: whether the user ended it.
    """

    answers: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    stopped: str = ""
    interrupted: bool = False


def ask(
    requests: Iterable[Request], total: int, ledger: Ledger, endpoint: Endpoint, limits: Limits, key: Key
) -> Asked:
    """Send every request that the ledger has no answer to, each once.

    The first SIGINT or SIGTERM sends nothing more and waits for the answers under way; the second leaves them.

    Args:
        requests (`Iterable[Request]`): all requests, repeated ones among them; read as they are sent.
        total (`int`): how many there are, for the display.
        ledger (`Ledger`): where answers are written.
        endpoint, limits, key: where requests go.

    Raises:
        RecipeError: if the ledger cannot be written.
    """
    return asyncio.run(_ask(requests, total, ledger, endpoint, limits, key))


async def _ask(
    requests: Iterable[Request], total: int, ledger: Ledger, endpoint: Endpoint, limits: Limits, key: Key
) -> Asked:
    async with Client(endpoint, limits, key) as client:
        with tqdm(total=total, desc="asking", unit=" rows", disable=not sys.stderr.isatty(), leave=False) as bar:
            run = _Run(client, ledger, bar)
            try:
                with ended_by_signals(client, run.interrupt), suppress(asyncio.CancelledError):
                    await run.all(iter(requests))
            except* RecipeError as errors:
                raise errors.exceptions[0] from None
    return run.asked


class _Run:
    def __init__(self, client: Client, ledger: Ledger, bar: tqdm) -> None:
        self.client = client
        self.ledger = ledger
        self.asked = Asked()
        self._bar = bar
        self._seen: set[str] = set()
        self._under_way: set[str] = set()
        self._settled = asyncio.Condition()
        self._failures = 0  # in a row
        self._unusable = 0  # before the first usable one
        self._any_usable = False

    def end(self, why: str) -> None:
        """Send nothing more. The first reason is the one that counts."""
        if not self.client.stop.is_set():
            self.asked.stopped = why
            self.client.stop.set()

    def interrupt(self) -> None:
        """Send nothing more, because the user says so."""
        self.asked.interrupted = True
        self.end("interrupted")

    async def all(self, requests: Iterator[Request]) -> None:
        """Send what has no answer, so many at once."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.client.limits.at_once):
                group.create_task(self._worker(requests))

    async def _worker(self, requests: Iterator[Request]) -> None:
        while not self.client.stop.is_set():
            request = next(requests, None)
            if request is None:
                return
            if request.key not in self._seen and not self.ledger.is_settled(request.key):
                self._seen.add(request.key)
                await self._one(request)
            self._bar.update()

    async def _one(self, request: Request) -> None:
        try:
            await self.client.patiently(partial(self._attempt, request))
            self._failures = 0
        except (Denied, GaveUp) as failure:
            self.asked.failed[failure.reason] += 1
            if isinstance(failure, Denied) and failure.for_good:
                self._end("denied", request, failure.reason)
                self._under_way.discard(request.key)
            self._failures += 1
            if self._failures >= (_FAILURES_LATER if self.client.any_answer else _FAILURES_AT_FIRST):
                self.end(f"{self._failures} requests in a row had no answer, the last one: {failure}")
        except EndpointError as error:
            self.end(str(error))
        except Stopped:
            pass
        except asyncio.CancelledError:
            self._under_way.discard(request.key)  # it stays in doubt
            raise
        finally:
            if request.key in self._under_way:
                self._end("free", request, "not answered")
            await self._settle(request)

    async def _attempt(self, request: Request, seconds: float) -> None:
        await self._reserve(request)
        try:
            raw = await self.client.chat(request, seconds)
            if (failure := failure_in(raw, self.client.any_answer)) is not None:
                raise failure
        except TryAgain as again:
            if again.billed:
                self._end("lost", request, again.reason, request.most_tokens)
                await self._settle(request)
            raise
        used = usage_of(raw)
        self._end("answer", request, raw, sum(used) if used is not None else request.most_tokens, used)
        await self._settle(request)
        self.client.any_answer = True
        self.asked.answers += 1
        self._look_at(raw)

    def _end(self, kind: Ending, request: Request, raw: str, tokens: int = 0, used: list[int] | None = None) -> None:
        base_url = self.client.endpoint.base_url
        self.ledger.end(kind, request.key, raw, base_url=base_url, tokens=tokens, used=used)

    async def _reserve(self, request: Request) -> None:
        """Wait until a request cannot exceed the cap. Raises `EndpointError` if it would after all others ended."""
        cap, need = self.client.limits.token_cap, request.most_tokens
        async with self._settled:
            if request.key in self._under_way:
                return  # an attempt that cost nothing has left its reservation
            while self.ledger.spent + self.ledger.in_doubt + need > cap:
                if self.client.stop.is_set():
                    raise Stopped
                if not self._under_way:
                    spent, in_doubt = self.ledger.spent, self.ledger.in_doubt
                    raise EndpointError(
                        f"the cap of {cap:,} tokens is reached: {spent:,} used, {in_doubt:,} in doubt (sent without "
                        f"an answer), and the next request may take {need:,}; raise the cap to go on"
                    )
                await self._settled.wait()
            self.ledger.begin(request.key, need)
            self._under_way.add(request.key)

    async def _settle(self, request: Request) -> None:
        async with self._settled:
            self._under_way.discard(request.key)
            self._settled.notify_all()

    def _look_at(self, raw: str) -> None:
        """End the run if the endpoint answers in another form than it was asked for: every answer costs."""
        if self._any_usable:
            return
        found = read_answer(raw, self.client.endpoint.model)
        if not isinstance(found, Unusable):
            self._any_usable = True
            return
        self._unusable += 1
        if self._unusable >= _UNUSABLE_AT_FIRST:
            structured = self.client.endpoint.structured
            self.end(
                f"none of the first {self._unusable} answers is a worked solution, the last one: {found.reason}; with "
                f"structured: {structured} the endpoint has to answer in the form of the request. Some servers ignore "
                "response_format without a word: ask one for `prompt` then, or another model"
            )
