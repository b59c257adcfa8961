"""What asking would take: counted beside what the server then counts, and without a word to anybody."""

from collections.abc import Callable

import pytest
from conftest import Route
from misbehaving_server import Behaviours

from domain_tokens.corpora.endpoint.estimate import estimate
from domain_tokens.corpora.endpoint.requests import Problem
from domain_tokens.corpora.endpoint.settings import Prices

Served = tuple[str, Behaviours]
Many = Callable[[int], list[Problem]]


def test_nothing_is_asked_and_nothing_is_written(server: Served, route: Route, problems: Many) -> None:
    found = estimate(problems(10) * 3, route.endpoint, route.folder / "none")
    assert (found.rows, found.repeated, found.answered, found.requests) == (30, 20, 0, 10)
    assert found.basis == "taken to be as long as the programs"
    assert found.most_completion_tokens == 10 * route.endpoint.max_tokens
    assert not server[1].asked
    assert not list(route.folder.iterdir())


def test_prompts_are_counted_in_tokens(route: Route, problems: Many) -> None:
    found = estimate(problems(10), route.endpoint, route.folder)
    words = sum(len(message["content"].split()) for message in request_messages(route, problems(1)[0]))
    assert 1.0 * words < found.prompt_tokens / 10 < 2.5 * words


def request_messages(route: Route, problem: Problem) -> list[dict[str, str]]:
    from domain_tokens.corpora.endpoint.requests import request_for

    return request_for(problem, route.endpoint).fields["messages"]


def test_what_was_answered_is_not_counted_again_and_says_how_long_answers_are(route: Route, problems: Many) -> None:
    route.ask(problems(25))
    found = estimate(problems(40), route.endpoint, route.folder)
    assert (found.requests, found.answered) == (15, 25)
    assert found.completion_tokens == 15 * 50  # as the server reports
    assert found.basis == "as in 25 answers"


def test_cost_is_of_the_given_prices(route: Route, problems: Many) -> None:
    solutions = ["one two three four five six seven eight nine ten"]
    found = estimate(problems(1000), route.endpoint, route.folder, solutions)
    assert found.completion_tokens == 1000 * 10
    assert "not known" in found.lines(None)[-1]
    line = found.lines(Prices(prompt=1.0, completion=100.0))[-1]
    assert line.startswith(f"cost: about {found.prompt_tokens / 1e6 + 1.0:,.2f}, at most about ")


@pytest.mark.parametrize("rows", [0, 1])
def test_small_sets(route: Route, problems: Many, rows: int) -> None:
    assert estimate(problems(rows), route.endpoint, route.folder).requests == rows
