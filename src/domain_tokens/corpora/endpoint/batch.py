"""The Batch API: many requests as one file, answered within a day at a lower price.

A batch is written down before it exists. A run that was killed while it submitted one looks for it at the endpoint
before it submits again, so no batch is paid for twice.
"""

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from tqdm import tqdm

from domain_tokens.corpora.endpoint.answers import usage_of
from domain_tokens.corpora.endpoint.asking import Asked
from domain_tokens.corpora.endpoint.client import Client, GaveUp, Stopped, ended_by_signals
from domain_tokens.corpora.endpoint.failures import FOR_GOOD, Denied, EndpointError
from domain_tokens.corpora.endpoint.ledger import Ending, Entry, Ledger, now
from domain_tokens.corpora.endpoint.requests import Request
from domain_tokens.corpora.endpoint.settings import Endpoint, Key, Limits
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json, write_json, write_text

if TYPE_CHECKING:
    from openai.types import Batch

T = TypeVar("T")

FOLDER = "batches"
# The API takes 50,000 requests and 200 MB a batch; a file may hold less, so that a lost one costs less.
_MAX_REQUESTS, _MAX_BYTES = 50_000, 190_000_000
_ENDED = ("completed", "failed", "expired", "cancelled")
_DAY = 86_400  # seconds
_AT_ONCE = 1_000  # answers written with one fsync


class Record(BaseModel):
    """What is known of a batch, in `batches/<name>.json` beside its requests.

    Attributes:
        name: the beginning of the sha256 of its requests; the batch carries it as `metadata.requests`.
        state: `written` before the upload, `uploaded`, `creating` while the endpoint may or may not have made it,
            `submitted`, and in the end `read`, `failed` (nothing was answered) or `gone` (its results were removed).
        tokens: what its requests may take at most.
        began: when, in seconds since 1970.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    state: Literal["written", "uploaded", "creating", "submitted", "read", "failed", "gone"] = "written"
    base_url: str
    tokens: int
    began: float
    file_id: str = ""
    batch_id: str = ""

    @property
    def is_open(self) -> bool:
        """Whether answers may still come of it."""
        return self.state not in ("read", "failed", "gone")


@dataclass(frozen=True)
class BatchOptions:
    """How batches are made and awaited.

    Attributes:
        poll_seconds: between two looks at a batch.
        keep_days: how long the endpoint keeps results, from 1 to 30; `None` leaves it to the endpoint.
        max_requests: of one batch.
    """

    poll_seconds: float = 60.0
    keep_days: int | None = None
    max_requests: int = _MAX_REQUESTS


def open_batches(folder: Path) -> list[Record]:
    """Return the batches of a folder from which answers may still come, in the order in which they began."""
    try:
        records = [Record.model_validate(read_json(path)) for path in (folder / FOLDER).glob("*.json")]
    except ValidationError as error:
        raise RecipeError(f"{folder / FOLDER}: not a record of a batch ({error.errors()[0]['msg']})") from None
    return sorted((record for record in records if record.is_open), key=lambda record: (record.began, record.name))


def ask_in_batches(
    requests: Iterable[Request], ledger: Ledger, endpoint: Endpoint, limits: Limits, key: Key, options: BatchOptions
) -> Asked:
    """Fetch batches that were submitted, then submit what has no answer and wait for it.

    A signal ends the waiting; the endpoint goes on, and the next run fetches what it made.

    Args:
        requests (`Iterable[Request]`): all requests, repeated ones among them.
        ledger (`Ledger`): where answers are written.
        endpoint, limits, key: where requests go.
        options (`BatchOptions`): how.

    Raises:
        RecipeError: if the ledger or a record cannot be written, or is another endpoint's.
    """
    for record in open_batches(ledger.folder):
        if record.base_url != endpoint.base_url:
            raise RecipeError(
                f"batch {record.batch_id or record.name} was submitted to {record.base_url}, got {endpoint.base_url}; "
                "fetch it from there first"
            )
    return asyncio.run(_ask(requests, ledger, endpoint, limits, key, options))


async def _ask(
    requests: Iterable[Request],
    ledger: Ledger,
    endpoint: Endpoint,
    limits: Limits,
    key: Key,
    options: BatchOptions,
) -> Asked:
    asked = Asked()

    def interrupt() -> None:
        asked.interrupted = True
        asked.stopped = "interrupted; batches go on at the endpoint, and the next run fetches them"
        client.stop.set()

    async with Client(endpoint, limits, key) as client:
        run = _Run(client, ledger, options, asked)
        try:
            with ended_by_signals(client, interrupt), suppress(asyncio.CancelledError, Stopped):
                await run.fetch(open_batches(ledger.folder))
                await run.fetch(run.write(requests))
        except (EndpointError, Denied, GaveUp) as error:
            asked.stopped = str(error)
    return asked


class _Run:
    def __init__(self, client: Client, ledger: Ledger, options: BatchOptions, asked: Asked) -> None:
        self.client = client
        self.ledger = ledger
        self.options = options
        self.asked = asked
        self._folder = ledger.folder / FOLDER

    def write(self, requests: Iterable[Request]) -> list[Record]:
        """Write the requests without an answer as files for batches, as far as the cap allows."""
        room = self.client.limits.token_cap - self.ledger.spent - self.ledger.in_doubt
        records: list[Record] = []
        lines: list[str] = []
        seen: set[str] = set()
        size = tokens = 0
        for request in requests:
            if request.key in seen or self.ledger.is_settled(request.key):
                continue
            seen.add(request.key)
            if request.most_tokens > room:
                self.asked.stopped = (
                    f"the cap of {self.client.limits.token_cap:,} tokens leaves {room:,}, and the next request may "
                    f"take {request.most_tokens:,}; raise the cap to go on"
                )
                break
            room -= request.most_tokens
            line = _line(request)
            if lines and (len(lines) == self.options.max_requests or size + len(line.encode()) > _MAX_BYTES):
                records.append(self._written(lines, tokens))
                lines, size, tokens = [], 0, 0
            lines.append(line)
            size += len(line.encode())
            tokens += request.most_tokens
        return [*records, self._written(lines, tokens)] if lines else records

    async def fetch(self, records: list[Record]) -> None:
        """Submit what is not, then wait for each batch and write its answers."""
        for record in records:
            await self._submit(record)
        sizes = [len(_requests_in(self._folder / f"{record.name}.jsonl")) for record in records]
        hidden = not sys.stderr.isatty()
        with tqdm(total=sum(sizes), desc="in batches", unit=" answers", disable=hidden, leave=False) as bar:
            for record, size in zip(records, sizes, strict=True):
                before = bar.n
                await self._read(record, await self._ended(record, bar))
                bar.update(before + size - bar.n)

    def _written(self, lines: list[str], tokens: int) -> Record:
        text = "".join(lines)
        # With the time: what expired is submitted again as another batch.
        name = hashlib.sha256(f"{time.time_ns()}{text}".encode()).hexdigest()[:32]
        write_text(self._folder / f"{name}.jsonl", text)
        record = Record(name=name, base_url=self.client.endpoint.base_url, tokens=tokens, began=time.time())
        self._save(record)
        return record

    def _save(self, record: Record) -> None:
        write_json(self._folder / f"{record.name}.json", record.model_dump())

    async def _submit(self, record: Record) -> None:
        files, batches = self.client.api.files, self.client.api.batches
        if record.state == "written":
            path = self._folder / f"{record.name}.jsonl"
            upload = partial(files.create, file=path, purpose="batch")
            record.file_id = (await self._object(upload)).id
            record.state = "uploaded"
            self._save(record)

        async def create() -> "Batch":
            if record.state == "creating" and (found := await self._found(record)) is not None:
                return found
            record.state = "creating"
            self._save(record)
            keep = self.options.keep_days
            extra = {} if keep is None else {"output_expires_after": {"anchor": "created_at", "seconds": keep * _DAY}}
            return await batches.create(
                input_file_id=record.file_id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={"requests": record.name},
                extra_body=extra,
            )

        if record.state in ("uploaded", "creating"):
            record.batch_id = (await self._object(create)).id
            record.state = "submitted"
            self._save(record)

    async def _found(self, record: Record) -> "Batch | None":
        """Return the batch of a record if the endpoint has made it."""
        async for batch in self.client.api.batches.list(limit=100):
            if batch.input_file_id == record.file_id or (batch.metadata or {}).get("requests") == record.name:
                return batch
            if batch.created_at < record.began - _DAY:  # the newest come first
                return None
        return None

    async def _ended(self, record: Record, bar: tqdm) -> "Batch":
        before = bar.n
        while True:
            batch = await self._object(partial(self.client.api.batches.retrieve, record.batch_id))
            if batch.status in _ENDED:
                return batch
            bar.set_postfix_str(f"{batch.id} {batch.status}", refresh=False)
            bar.update(before + (batch.request_counts.completed if batch.request_counts else 0) - bar.n)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.client.stop.wait(), self.options.poll_seconds)

    async def _read(self, record: Record, batch: "Batch") -> None:
        if batch.status == "failed":
            said = "; ".join(str(error.message) for error in (batch.errors and batch.errors.data) or [])
            record.state = "failed"
            self._save(record)
            raise EndpointError(f"batch {batch.id} failed: {self.client.key.removed_from(said)[:500]}")
        own = _requests_in(self._folder / f"{record.name}.jsonl")
        answered = 0
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id is not None:
                answered += self._record(record, own, await self._content(record, file_id), answered > 0)
        if batch.request_counts is not None and answered < batch.request_counts.completed:
            raise EndpointError(
                f"batch {batch.id}: its results hold {answered:,} answers, and it counts "
                f"{batch.request_counts.completed:,}; what came is recorded; run again to read them once more"
            )
        if missing := sum(not self.ledger.is_settled(key) for key in own):
            self.asked.failed[f"no answer in a batch that is {batch.status}"] += missing
        record.state = "read"
        self._save(record)

    async def _content(self, record: Record, file_id: str) -> str:
        async def get() -> str:
            response = await self.client.api.files.content(file_id)
            return response.text

        try:
            return self.client.key.removed_from(await self._call(get))
        except Denied as denied:
            if denied.reason != "status 404":
                raise
            record.state = "gone"
            self._save(record)
            raise EndpointError(
                f"batch {record.batch_id}: its results are no longer kept at the endpoint; the next run submits what "
                "has no answer again, which is paid for again"
            ) from None

    def _record(self, record: Record, own: dict[str, Request], text: str, any_answer: bool) -> int:
        """Write the answers of a result file, and return how many there are of requests of this batch.

        Without any answer in the batch, what was denied may be a mistake in the settings, and is submitted again.
        """
        entries: list[Entry] = []
        answered = set()
        for line in text.split("\n"):
            key, status, body = _read_line(line)
            if key not in own:
                if line.strip():
                    self.asked.failed["batch: a line that is broken or of no request"] += 1
                continue
            if status != 200:
                self.asked.failed[f"batch: status {status}"] += 1
                if any_answer and status in FOR_GOOD and not self.ledger.is_settled(key):
                    entries.append(self._entry("denied", key, f"status {status}", record))
                continue
            answered.add(key)
            if not self.ledger.is_settled(key):
                used = usage_of(body)
                tokens = sum(used) if used is not None else own[key].most_tokens
                entries.append(self._entry("answer", key, body, record, tokens, used))
        first = list({entry.key: entry for entry in reversed(entries)}.values())[::-1]  # of answers that came twice
        for start in range(0, len(first), _AT_ONCE):
            self.ledger.write(first[start : start + _AT_ONCE])
        self.asked.answers += sum(entry.kind == "answer" for entry in first)
        return len(answered)

    def _entry(
        self, kind: Ending, key: str, raw: str, record: Record, tokens: int = 0, used: list[int] | None = None
    ) -> Entry:
        return Entry(
            kind=kind, key=key, at=now(), tokens=tokens, used=used, base_url=record.base_url, batch=record.batch_id,
            raw=raw,
        )  # fmt: skip

    async def _object(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Call the API as often as it takes, and check that an object of the API came back."""
        found = await self._call(operation)
        if not isinstance(found, BaseModel):
            raise EndpointError("the endpoint answers with something other than JSON; expected the Batch API there")
        self.client.any_answer = True
        return found

    async def _call(self, operation: Callable[[], Awaitable[T]]) -> T:
        async def attempt(_: float) -> T:  # files take longer than an answer
            return await self.client.once(operation, self.client.limits.budget_seconds)

        return await self.client.patiently(attempt)


def _line(request: Request) -> str:
    fields = {"custom_id": request.key, "method": "POST", "url": "/v1/chat/completions", "body": request.fields}
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _requests_in(path: Path) -> dict[str, Request]:
    """Return the requests of a batch from its file, which says what was submitted whatever is asked for today."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    return {
        line["custom_id"]: Request(line["custom_id"], json.dumps(line["body"], ensure_ascii=False)) for line in lines
    }


class _Response(BaseModel):
    status_code: int
    body: object = None


class _Line(BaseModel):
    custom_id: str
    response: _Response | None = None


def _read_line(line: str) -> tuple[str, int, str]:
    """Return whose a line of a result file is, its status (0 if it never ran), and the response as JSON."""
    try:
        read = _Line.model_validate(json.loads(line))
    except (ValueError, RecursionError):
        return "", 0, ""
    if read.response is None:
        return read.custom_id, 0, ""
    return read.custom_id, read.response.status_code, json.dumps(read.response.body, ensure_ascii=False)
