"""Writes the solutions of a data set in shards, each complete or absent, so that a run goes on where another ended."""

import itertools
import json
import multiprocessing
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from domain_tokens.corpora.solutions.problems import Problem
from domain_tokens.corpora.solutions.records import (
    METADATA,
    REJECTED,
    SHARD_RECORDS,
    Counts,
    SolutionSettings,
    SolutionShard,
    SolutionsRecord,
)
from domain_tokens.corpora.solutions.rejections import line_of, rejected_in_shard, write_rejected
from domain_tokens.corpora.solutions.route import MakeRoute, Route, Solved
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import lock, sha256_file, write_text
from domain_tokens.runs.records import read_record, write_record
from domain_tokens.tokenization.intervention import default_intervention
from domain_tokens.tokenization.rewriter import rewriter_of

_SETTINGS = "settings.json"  # in the folder of the records of single shards
_INTERRUPT = (signal.SIGINT,)


class Made(NamedTuple):
    """A shard in memory: its lines, the lines of its rows without a solution, and what became of all its rows."""

    text: str
    rejected: str
    counts: Counts


def write_solutions(
    problems: Iterable[Problem],
    num_rows: int | None,
    make: MakeRoute,
    settings: SolutionSettings,
    folder: Path,
    workers: int,
) -> SolutionsRecord:
    """Write the solutions of problems in shards, and beside them a record and the rows without a solution.

    A shard depends on its rows and the settings alone, not on the number of workers, on what was interrupted before,
    or on how many rows follow it. Shards that are complete are kept.

    Args:
        problems (`Iterable[Problem]`): the problems in order, from row 0 on.
        num_rows (`int`, *optional*): how many there are, for the display.
        make (`MakeRoute`): makes the route, once in every worker.
        settings (`SolutionSettings`): all that the content depends on.
        folder (`Path`): where the shards go.
        workers (`int`): how many processes solve shards.

    Raises:
        RecipeError: if the folder cannot be made, was written with other settings or more rows, or there is no
            problem.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"{folder}: {error.strerror}; expected a folder that can be made or exists") from error
    lock(folder / ".lock")
    _check_settings(folder, settings)
    _check_rows(folder, num_rows)
    for name in (METADATA, REJECTED):  # until all shards are there again, so that they never describe others
        (folder / name).unlink(missing_ok=True)
    shards: dict[int, SolutionShard] = {}
    with tqdm(total=num_rows, desc="solving", unit=" rows", disable=not sys.stderr.isatty(), leave=False) as bar:
        for index, shard in _shards(problems, make, settings.rows_per_shard, folder, workers):
            shards[index] = shard
            bar.update(shard.counts.rows)
    if not shards:
        raise RecipeError(f"source {settings.source['name']}: no rows; expected questions with programs")
    found = tuple(shards[index] for index in sorted(shards))
    record = SolutionsRecord(settings=settings, counts=total(shard.counts for shard in found), shards=found)
    try:
        write_rejected(folder, map(_name, sorted(shards)))
        write_record(folder / METADATA, record)
    except OSError as error:
        raise _no_room(folder, error) from error
    return record


def _no_room(path: Path, error: OSError) -> RecipeError:
    return RecipeError(f"{path}: {error.strerror}; make room and run again, to go on with what is there")


def _check_settings(folder: Path, settings: SolutionSettings) -> None:
    path = folder / SHARD_RECORDS / _SETTINGS
    if path.is_file():
        before, now = _content(read_record(path, SolutionSettings)), _content(settings)
        changed = [key for key in before | now if before.get(key) != now.get(key)]
        if changed:
            raise RecipeError(
                f"{folder} was written with another {changed[0]}: {before.get(changed[0])!r}, now "
                f"{now.get(changed[0])!r}; remove the folder, or name another one with --output"
            )
    write_record(path, settings)


def _content(settings: SolutionSettings) -> dict[str, object]:
    """Return settings by name, without where files lie: their hashes say what is in them."""
    fields = settings.as_json()
    content: dict[str, object] = {}
    for name, value in fields.items():
        if not isinstance(value, dict):
            content[name] = value
            continue
        is_hashed = "sha256" in value
        content.update({f"{name}.{key}": inner for key, inner in value.items() if not (is_hashed and key == "path")})
    return content


def _check_rows(folder: Path, num_rows: int | None) -> None:
    """Refuse fewer rows than a folder has: the shards of the others would stay there and be read."""
    paths = (folder / SHARD_RECORDS).glob("train-*.json")
    written = max((shard.first_row + shard.counts.rows for shard in map(_record, paths)), default=0)
    if num_rows is not None and written > num_rows:
        raise RecipeError(
            f"{folder} has solutions of {written:,} rows, now {num_rows:,} are to be read; remove the folder, or name "
            "another one with --output"
        )


def _record(path: Path) -> SolutionShard:
    return read_record(path, SolutionShard)


def _shards(
    problems: Iterable[Problem], make: MakeRoute, rows_per_shard: int, folder: Path, workers: int
) -> Iterator[tuple[int, SolutionShard]]:
    """Yield the shards with their numbers, as they are complete."""
    parts = enumerate(_parts(problems, rows_per_shard))
    if workers == 1:
        with ExitStack() as stack:
            route: Route | None = None
            for index, part in parts:
                complete = _complete(folder, index, part)
                if complete is None:
                    route = route or stack.enter_context(make())
                    complete = _write(folder, index, part, solve(part, route))
                yield index, complete
        return
    context = multiprocessing.get_context("spawn")  # a forked child would hold what this process holds
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(make,)) as pool:
        running: dict[Future[Made], tuple[int, list[Problem]]] = {}
        try:
            for index, part in parts:
                complete = _complete(folder, index, part)
                if complete is not None:
                    yield index, complete
                    continue
                with _without_interrupts():  # the first one starts the workers
                    future = pool.submit(_solve_here, part)
                running[future] = (index, part)
                if len(running) > workers:  # no more rows in memory than the workers need
                    yield from _written(folder, running)
            while running:
                yield from _written(folder, running)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _written(
    folder: Path, running: dict[Future[Made], tuple[int, list[Problem]]]
) -> Iterator[tuple[int, SolutionShard]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        index, part = running.pop(future)
        yield index, _write(folder, index, part, future.result())


def _parts(problems: Iterable[Problem], size: int) -> Iterator[list[Problem]]:
    rows = iter(problems)
    while part := list(itertools.islice(rows, size)):
        yield part


def _name(index: int) -> str:
    return f"train-{index:05}"


def _complete(folder: Path, index: int, part: Sequence[Problem]) -> SolutionShard | None:
    """Return a shard that was written before, if it is whole and has all rows."""
    path, record = folder / f"{_name(index)}.jsonl", folder / SHARD_RECORDS / f"{_name(index)}.json"
    rejected = rejected_in_shard(folder, _name(index))
    if not (path.is_file() and record.is_file() and rejected.is_file()):
        return None
    shard = _record(record)
    is_whole = shard.sha256 == sha256_file(path) and shard.rejected_sha256 == sha256_file(rejected)
    return shard if shard.counts.rows == len(part) and is_whole else None


def _write(folder: Path, index: int, part: Sequence[Problem], made: Made) -> SolutionShard:
    path = folder / f"{_name(index)}.jsonl"
    digest, rejected = (sha256(text.encode()).hexdigest() for text in (made.text, made.rejected))
    shard = SolutionShard(
        file=path.name, sha256=digest, first_row=part[0].row, counts=made.counts, rejected_sha256=rejected
    )
    try:
        write_text(path, made.text)
        write_text(rejected_in_shard(folder, _name(index)), made.rejected)
        write_record(folder / SHARD_RECORDS / f"{_name(index)}.json", shard)
    except OSError as error:
        raise _no_room(path, error) from error
    return shard


_ROUTES: list[Route] = []


def _begin(make: MakeRoute) -> None:
    """Make the route of a worker; it ends with the process."""
    _ROUTES.append(make())


def _solve_here(part: list[Problem]) -> Made:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)  # one that came before ends this part, not the process
    try:
        return solve(part, _ROUTES[0])
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let SIGINT wait until the end of the block. A worker that is started inside it lets it wait until it works.

    A terminal sends it to workers, too, which may still be importing and would each print a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def solve(problems: Sequence[Problem], route: Route) -> Made:
    """Return the solutions of problems as lines of JSON, with what became of every row."""
    find = rewriter_of(default_intervention())
    lines, without, rejected = [], [], Counter[str]()
    before = after = with_facts = characters = 0
    for problem, outcome in zip(problems, route.solve(problems), strict=True):
        if not isinstance(outcome, Solved):
            rejected[outcome.reason] += 1
            without.append(line_of(problem, outcome))
            continue
        num_facts = len(find.rewritten(outcome.answer))
        before += len(find.rewritten(problem.program))
        after, with_facts, characters = (
            after + num_facts,
            with_facts + (num_facts > 0),
            characters + len(outcome.answer),
        )
        line = {"id": str(problem.row), "question": problem.question, "answer": outcome.answer}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    counts = Counts(
        rows=len(problems),
        solved=len(lines),
        rejected=dict(sorted(rejected.items())),
        facts_before=before,
        facts_after=after,
        solutions_with_facts=with_facts,
        characters=characters,
    )
    return Made("".join(lines), "".join(without), counts)


def total(parts: Iterable[Counts]) -> Counts:
    """Return the sum of counts."""
    found = list(parts)
    rejected: Counter[str] = Counter()
    for part in found:
        rejected.update(part.rejected)
    return Counts(
        rows=sum(part.rows for part in found),
        solved=sum(part.solved for part in found),
        rejected=dict(rejected.most_common()),
        facts_before=sum(part.facts_before for part in found),
        facts_after=sum(part.facts_after for part in found),
        solutions_with_facts=sum(part.solutions_with_facts for part in found),
        characters=sum(part.characters for part in found),
    )
