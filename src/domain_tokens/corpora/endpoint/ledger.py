"""The ledger: every answer that was paid for, on disk before anything is done with it.

`ledger.jsonl` has a line for every request that began and for how it ended. A line carries its own checksum, and how a
request ended is followed by `fsync`. A kill therefore loses what was under way and nothing else, and the next run
knows how much of it may have been billed.
"""

import hashlib
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import lock

logger = logging.getLogger(__name__)

LEDGER = "ledger.jsonl"
BROKEN = "ledger.broken"


Ending = Literal["answer", "lost", "free", "denied"]


class Entry(BaseModel):
    """A line of the ledger.

    Attributes:
        kind: `begun`: sent soon after. `answer`: an answer came whole, whatever it says. `lost`: it was sent and no
            whole answer came, so it may have been billed. `free`: it ended with an error that costs nothing.
            `denied`: so, and it would again, such as a question that a filter of the endpoint does not let through.
        key: the request's.
        at: when, in UTC.
        tokens: of prompt and completion: at most (`begun`, `lost`) or as used (`answer`).
        used: as the endpoint reported it, prompt and completion; `None` where it did not.
        base_url: where it was asked.
        batch: the id of the batch that the answer came with.
        raw: the response as it came, without the key should it have held it; or why there is none.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["begun"] | Ending
    key: str
    at: str
    tokens: int = 0
    used: list[int] | None = None
    base_url: str = ""
    batch: str = ""
    raw: str = ""

    def as_line(self) -> bytes:
        """Return the line with its checksum."""
        content = self.model_dump_json(exclude_defaults=True)
        return f'{{"check":"{_check(content)}","entry":{content}}}\n'.encode()


def entry_of(line: bytes) -> Entry | None:
    """Return what a line says, or `None` if it is broken."""
    try:
        text = line.decode()
        check, content = text[10:26], text[36:-2]
        if (
            not line.endswith(b"}\n")
            or text != f'{{"check":"{check}","entry":{content}}}\n'
            or check != _check(content)
        ):
            return None
        return Entry.model_validate_json(content)
    except (UnicodeDecodeError, ValidationError):
        return None


class Ledger:
    """The ledger of a folder. One process at a time holds it.

    Args:
        folder (`Path`): where it lies; made if it does not exist.

    Attributes:
        spent: tokens of all answers.
        in_doubt: tokens that requests without an answer may have cost at most, those under way among them.
        num_broken: lines that were set aside, by this run and by earlier ones.
        num_repeated: answers to what had one already; the first counts.

    Raises:
        RecipeError: if another process holds it, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spent = 0
        self.in_doubt = 0
        self.num_repeated = 0
        self._ends: dict[str, int] = {}  # where the line begins that says what became of a request for good
        self._open: dict[str, int] = {}
        lock(folder / ".lock")
        self._path = folder / LEDGER
        try:
            self._path.touch()
            self.num_broken = self._read()
            self._file = os.open(self._path, os.O_RDWR | os.O_APPEND)
            _sync_folder(folder)
        except OSError as error:
            raise RecipeError(f"{self._path}: {error.strerror}; expected a folder that can be written to") from error

    @property
    def num_settled(self) -> int:
        """How many requests were answered or denied."""
        return len(self._ends)

    def is_settled(self, key: str) -> bool:
        """Return whether a request was answered or denied, so that it is not sent again."""
        return key in self._ends

    def answer(self, key: str) -> Entry | None:
        """Return the answer to a request or its denial, read from disk, or `None` if there is neither."""
        if key not in self._ends:
            return None
        with self._path.open("rb") as file:
            file.seek(self._ends[key])
            entry = entry_of(file.readline())
        if entry is None or entry.key != key:
            raise RecipeError(f"{self._path}: changed while it was read; end what writes to it and run again")
        return entry

    def begin(self, key: str, tokens: int) -> None:
        """Record that a request is about to be sent, which may cost so many tokens.

        The line outlives a kill of the process, which is what it is for. It is on the disk with the next answer.
        """
        if key not in self._open:
            self._append(Entry(kind="begun", key=key, at=now(), tokens=tokens))

    def end(
        self,
        kind: Ending,
        key: str,
        raw: str,
        *,
        base_url: str,
        tokens: int = 0,
        used: list[int] | None = None,
    ) -> None:
        """Record how a request ended. Arguments as in `Entry`."""
        self.write([Entry(kind=kind, key=key, at=now(), tokens=tokens, used=used, base_url=base_url, raw=raw)])

    def write(self, entries: list[Entry]) -> None:
        """Write lines and wait until they are on the disk. Raises `RecipeError` if it is full."""
        for entry in entries:
            self._append(entry)
        try:
            os.fsync(self._file)
        except OSError as error:
            raise self._unwritable(error) from error

    def _append(self, entry: Entry) -> None:
        line = memoryview(entry.as_line())
        start = os.lseek(self._file, 0, os.SEEK_END)
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            raise self._unwritable(error) from error
        self._count(entry, start)

    def _unwritable(self, error: OSError) -> RecipeError:
        return RecipeError(f"{self._path}: {error.strerror}; make room and run again, to go on with what is recorded")

    def _count(self, entry: Entry, start: int) -> None:
        key = entry.key
        if entry.kind == "begun":
            self.in_doubt += entry.tokens
            self._open[key] = entry.tokens
            return
        reserved = self._open.pop(key, 0)
        if entry.kind == "answer":
            self.in_doubt -= reserved
            self.spent += entry.tokens
            self.num_repeated += key in self._ends
            self._ends.setdefault(key, start)
        elif entry.kind != "lost":
            self.in_doubt -= reserved
            if entry.kind == "denied":
                self._ends.setdefault(key, start)

    def _read(self) -> int:
        """Read all lines, set broken ones aside, and return how many there are by now."""
        aside = self._path.with_name(BROKEN)
        known = _lines(aside) if aside.exists() else set()
        broken = []
        position = 0
        with self._path.open("rb") as file:
            for line in file:
                entry = entry_of(line)
                if entry is None:
                    broken.append(line if line.endswith(b"\n") else line + b"\n")
                    continue
                self._count(entry, position)
                position += len(line)
        if broken:
            new = [line for line in broken if line not in known]
            self._set_aside(aside, new)
            logger.warning("%s: %d broken lines, set aside in %s", self._path, len(broken), aside)
            known.update(new)
        self._open.clear()  # of a run that was killed: they stay in doubt
        return len(known)

    def _set_aside(self, aside: Path, lines: list[bytes]) -> None:
        """Copy broken lines into their own file, then write the ledger without them; a kill between loses neither."""
        with aside.open("ab") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        partial = self._path.with_name(f"{LEDGER}.partial")
        with self._path.open("rb") as old, partial.open("wb") as new:
            new.writelines(line for line in old if entry_of(line) is not None)
            new.flush()
            os.fsync(new.fileno())
        partial.replace(self._path)


def _lines(path: Path) -> set[bytes]:
    with path.open("rb") as file:  # `splitlines` would also split at a carriage return
        return set(file)


def _check(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def now() -> str:
    """Return the time as an entry has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
