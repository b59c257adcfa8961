"""Runs that end at any moment: by SIGKILL, by Ctrl-C once and twice. Nothing that was paid for is asked for again."""

import dataclasses
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable

import multiprocess
import pytest
from conftest import Route, open_ledger
from misbehaving_server import Behaviours

from domain_tokens.corpora.endpoint.ledger import LEDGER, entry_of
from domain_tokens.corpora.endpoint.requests import Problem, request_for

Served = tuple[str, Behaviours]
Many = Callable[[int], list[Problem]]


def start(route: Route, problems: list[Problem], target: Callable[..., object] | None = None) -> multiprocess.Process:
    process = multiprocess.get_context("fork").Process(target=target or route.ask, args=(problems,))
    process.start()
    return process


def recorded(route: Route) -> tuple[set[str], set[str]]:
    """Return the requests that have an answer on disk, and those that were begun and have none."""
    path = route.folder / LEDGER
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    entries = [entry for entry in map(entry_of, lines) if entry is not None]
    answered = {entry.key for entry in entries if entry.kind == "answer"}
    return answered, {entry.key for entry in entries if entry.kind == "begun"} - answered


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def check_kills(server: Served, route: Route, problems: list[Problem], kills: int) -> None:
    state = server[1]
    state.seconds = 0.06
    keys = {f"\n{one.question}\n": request_for(one, route.endpoint).key for one in problems}
    assert len(keys) == len(problems)
    draw = random.Random(kills)
    under_way: Counter[str] = Counter()  # how often a kill met each request
    for _ in range(kills):
        answered, _ = recorded(route)
        hits = len(state.asked)
        process = start(route, problems)
        wait_for(lambda hits=hits: len(state.asked) > hits)
        time.sleep(draw.uniform(0, 0.12))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL  # it was at work
        asked_now = [key_of(keys, one.question) for one in state.asked[hits:]]
        assert len(set(asked_now)) == len(asked_now)
        assert not answered.intersection(asked_now)
        met = set(asked_now) - recorded(route)[0]
        assert len(met) <= route.limits.at_once
        under_way.update(met)
    assert under_way.total() > kills  # most kills met several
    asked, ledger = route.ask(problems)
    assert asked.answers > 0
    sent = Counter(key_of(keys, one.question) for one in state.asked)
    assert sent == Counter(keys.values()) + under_way
    assert ledger.num_settled == len(problems)
    assert ledger.spent == 350 * len(problems)
    assert ledger.in_doubt > 0
    assert all(isinstance(one, str) for one in route.results(problems))


def key_of(keys: dict[str, str], message: str) -> str:
    return next(key for question, key in keys.items() if question in message)


def test_a_kill_repeats_only_what_was_under_way(server: Served, route: Route, problems: Many) -> None:
    check_kills(server, route, problems(30), kills=2)


@pytest.mark.slow
def test_twenty_kills_repeat_only_what_was_under_way(server: Served, route: Route, problems: Many) -> None:
    check_kills(server, route, problems(500), kills=20)


def interrupted(route: Route, problems: list[Problem]) -> Callable[[list[Problem]], None]:
    def run(rows: list[Problem]) -> None:
        asked, ledger = route.ask(rows)
        ended = asked.interrupted and asked.stopped == "interrupted" and ledger.num_settled == asked.answers
        os._exit(7 if ended else 8)

    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_waits_for_what_is_under_way(
    server: Served, route: Route, problems: Many, number: signal.Signals
) -> None:
    server[1].seconds = 0.3
    process = start(route, problems(40), interrupted(route, problems(40)))
    wait_for(lambda: server[1].hits() == route.limits.at_once)
    os.kill(process.pid, number)
    process.join(20)
    assert process.exitcode == 7
    answered, begun = recorded(route)
    assert len(answered) == server[1].hits() == route.limits.at_once
    assert not begun
    assert open_ledger(route.folder).in_doubt == 0


def test_the_second_signal_leaves_what_is_under_way(server: Served, route: Route, problems: Many) -> None:
    server[1].seconds = 8
    route.limits = dataclasses.replace(route.limits, attempt_seconds=20)
    process = start(route, problems(40), interrupted(route, problems(40)))
    wait_for(lambda: server[1].hits() == route.limits.at_once)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.2)
    assert process.is_alive()
    os.kill(process.pid, signal.SIGINT)
    process.join(6)
    assert process.exitcode == 7
    answered, begun = recorded(route)
    assert not answered
    assert len(begun) == route.limits.at_once
    needs = [request_for(one, route.endpoint).most_tokens for one in problems(4)]
    assert open_ledger(route.folder).in_doubt == sum(needs)  # they may have been billed
