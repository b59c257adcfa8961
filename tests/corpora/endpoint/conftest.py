from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from misbehaving_server import CANARY, MODEL, Behaviours, misbehaving_server, problem

from domain_tokens.corpora.endpoint import client
from domain_tokens.corpora.endpoint.acceptance import result_of
from domain_tokens.corpora.endpoint.answers import Unusable
from domain_tokens.corpora.endpoint.asking import Asked, ask
from domain_tokens.corpora.endpoint.checking.reaching import Reader
from domain_tokens.corpora.endpoint.ledger import Ledger
from domain_tokens.corpora.endpoint.requests import Problem, request_for
from domain_tokens.corpora.endpoint.settings import Endpoint, Key, Limits
from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.evaluation.equations import Equation, is_conversion, numbers_of, read_equations
from domain_tokens.runs import files
from domain_tokens.tokenization.intervention import default_intervention


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Behaviours]]:
    monkeypatch.setattr(client, "_FIRST_WAIT", 0.02)
    monkeypatch.setattr(client, "_LEAST_WAIT", 0.02)
    with misbehaving_server() as served:
        yield served


@pytest.fixture(scope="session")
def read() -> Reader:
    reader = AnswerReader(default_intervention(), default_intervention())

    def equations(text: str) -> list[Equation]:
        return read_equations(reader.read(text))

    return Reader(equations, numbers_of, is_conversion)


class Route:
    """The route from problems to worked solutions, against one server and in one folder."""

    def __init__(self, base_url: str, folder: Path, read: Reader) -> None:
        self.endpoint = Endpoint(base_url, MODEL)
        self.folder = folder
        self.read = read
        self.limits = Limits(token_cap=10_000_000, at_once=4, attempt_seconds=5, budget_seconds=20)

    def ask(self, problems: list[Problem]) -> tuple[Asked, Ledger]:
        ledger = open_ledger(self.folder)
        requests = (request_for(one, self.endpoint) for one in problems)
        return ask(requests, len(problems), ledger, self.endpoint, self.limits, Key(CANARY)), ledger

    def results(self, problems: list[Problem]) -> list[str | Unusable]:
        ledger = open_ledger(self.folder)
        return [result_of(one, self.endpoint, ledger, self.read) for one in problems]


def open_ledger(folder: Path) -> Ledger:
    """Open a ledger as a new process would."""
    files._let_go()
    return Ledger(folder)


@pytest.fixture
def route(server: tuple[str, Behaviours], tmp_path: Path, read: Reader) -> Route:
    return Route(server[0], tmp_path, read)


@pytest.fixture
def problems() -> Callable[[int], list[Problem]]:
    return lambda number: [problem(index) for index in range(number)]
