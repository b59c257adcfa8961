"""Requests against a real server that misbehaves: what is sent again, what ends a run, what an answer costs."""

import dataclasses
import email.utils
import time
from collections.abc import Callable

import pytest
from conftest import Route
from misbehaving_server import (
    Behaviour,
    Behaviours,
    answer,
    cut_body,
    cut_json,
    drip,
    good_but,
    hang,
    problem,
    quota,
    reset,
    status,
)

from domain_tokens.corpora.endpoint.answers import Unusable, tally
from domain_tokens.corpora.endpoint.failures import retry_after
from domain_tokens.corpora.endpoint.requests import Problem, request_for

Served = tuple[str, Behaviours]
Many = Callable[[int], list[Problem]]


def test_every_row_has_its_worked_solution(server: Served, route: Route, problems: Many) -> None:
    state = server[1]
    state.seconds = 0.02
    asked, ledger = route.ask(problems(12))
    assert asked.answers == state.hits() == ledger.num_settled == 12
    assert ledger.spent == 12 * 350
    assert ledger.in_doubt == 0
    assert not asked.stopped
    assert not asked.failed
    assert 1 < state.most_at_once <= route.limits.at_once
    assert route.results(problems(12))[1] == "3 boxes with 7 pens hold 3 × 7 = 21 pens.\n#### 21"


@pytest.mark.parametrize(
    ("misbehaves", "billed"),
    [
        (status(429), False),
        (status(429, Retry_After="0"), False),
        pytest.param(status(429, retry_after_ms="20"), False, marks=pytest.mark.slow),
        pytest.param(status(429, Retry_After="soon"), False, marks=pytest.mark.slow),
        pytest.param(status(408), False, marks=pytest.mark.slow),
        (status(500), False),
        pytest.param(status(503, b"<html>busy</html>"), False, marks=pytest.mark.slow),
        (status(200, {"error": {"code": 503, "message": "no server behind"}}), False),
        (status(502), True),
        (reset, True),
        (cut_body, True),
        (cut_json, True),
    ],
)  # fmt: skip
def test_what_can_succeed_is_sent_again(
    server: Served, route: Route, problems: Many, misbehaves: Behaviour, billed: bool
) -> None:
    server[1].first = {"4 boxes": [misbehaves, misbehaves]}
    asked, ledger = route.ask(problems(4))
    assert server[1].hits("4 boxes") == 3
    assert server[1].hits() == 6
    assert asked.answers == 4
    assert not asked.failed
    most = request_for(problem(2), route.endpoint).most_tokens
    assert ledger.in_doubt == (2 * most if billed else 0)  # a lost answer may have been billed
    assert ledger.spent == 4 * 350


@pytest.mark.parametrize(
    ("misbehaves", "said"),
    [
        (status(401), "OPENAI_API_KEY"),
        (quota, "no quota left"),
        (status(200, {"error": {"message": "empty", "type": "insufficient_quota"}}), "no quota left"),
        pytest.param(status(402), "no quota left", marks=pytest.mark.slow),
        pytest.param(status(403), "check base URL and model", marks=pytest.mark.slow),
        (status(404, {"error": {"message": "no such model", "code": "model_not_found"}}), "no such model"),
        (status(307, Location="http://127.0.0.1:9/v1"), "redirects"),
        (status(429, Retry_After="3600"), "longer than the time budget"),
    ],
)  # fmt: skip
def test_what_cannot_succeed_ends_the_run(
    server: Served, route: Route, problems: Many, misbehaves: Behaviour, said: str
) -> None:
    server[1].always = misbehaves
    asked, ledger = route.ask(problems(30))
    assert 1 <= server[1].hits() <= route.limits.at_once  # those under way together
    assert len({one.question for one in server[1].asked}) == server[1].hits()
    assert said in asked.stopped
    assert ledger.in_doubt == ledger.spent == 0


def test_a_request_that_is_denied_is_sent_once_and_others_go_on(server: Served, route: Route, problems: Many) -> None:
    server[1].first = {"4 boxes": [status(400)], "5 boxes": [status(422)], "6 boxes": [status(200, b"<html></html>")]}
    server[1].first["7 boxes"] = [status(200, {"error": "the model is asleep"})]
    route.limits = dataclasses.replace(route.limits, at_once=1)
    asked, ledger = route.ask(problems(8))
    assert server[1].hits() == 8
    assert dict(asked.failed) == {"status 400": 1, "status 422": 1, "HTML in place of JSON": 1, "status 200": 1}
    assert ledger.num_settled == 6
    assert ledger.in_doubt == 0
    assert route.results(problems(8))[2:5] == [
        Unusable("denied: status 400"), Unusable("denied: status 422"), Unusable("not answered yet"),
    ]  # fmt: skip
    assert route.ask(problems(8))[0].answers == 2
    assert server[1].hits() == 10


@pytest.mark.parametrize("misbehaves", [status(400), status(200, b"<html></html>")])
def test_a_run_ends_when_every_request_is_denied_and_none_is_denied_for_good(
    server: Served, route: Route, problems: Many, misbehaves: Behaviour
) -> None:
    server[1].always = misbehaves
    asked, _ = route.ask(problems(12))
    assert 5 <= server[1].hits() <= 5 + route.limits.at_once
    assert "in a row had no answer" in asked.stopped
    server[1].always = None
    assert route.ask(problems(12))[0].answers == 12


@pytest.mark.parametrize("misbehaves", [hang, drip])
def test_an_attempt_ends_at_its_time(server: Served, route: Route, problems: Many, misbehaves: Behaviour) -> None:
    server[1].first = {"4 boxes": [misbehaves]}
    route.limits = dataclasses.replace(route.limits, attempt_seconds=0.3)
    began = time.monotonic()
    asked, ledger = route.ask(problems(3))
    assert time.monotonic() - began < 4  # the server takes five seconds
    assert server[1].hits("4 boxes") == 2
    assert asked.answers == 3
    assert ledger.in_doubt == request_for(problem(2), route.endpoint).most_tokens


def test_the_time_budget_ends_a_request_and_not_the_run(server: Served, route: Route, problems: Many) -> None:
    server[1].first = {"4 boxes": [status(500)] * 1000}
    route.limits = dataclasses.replace(route.limits, budget_seconds=1)
    asked, ledger = route.ask(problems(6))
    assert 2 <= server[1].hits("4 boxes") < 10
    assert dict(asked.failed) == {"gave up: status 500": 1}
    assert asked.answers == 5
    assert ledger.in_doubt == 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None), ({"retry-after": "2.5"}, 2.5), ({"retry-after": "-2"}, 0), ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None), ({"retry-after": "9" * 400}, float("inf")), ({"retry-after": ""}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25), ({"retry-after-ms": "x", "retry-after": "9"}, 9),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"retry-after": "Thu, 99 Jan 2026 00:00:00 GMT"}, None),
    ],
)  # fmt: skip
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_dates_to_wait_for_are_of_their_zone(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    date = email.utils.formatdate(time.time() + 60, usegmt=True).replace("GMT", zone)
    found = retry_after({"retry-after": date})
    monkeypatch.undo()
    time.tzset()
    assert 57 < found <= 60


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_all_requests_wait_as_the_endpoint_asks(server: Served, route: Route, problems: Many, form: str) -> None:
    wait = "1" if form == "seconds" else email.utils.formatdate(time.time() + 2, usegmt=True)  # whole seconds
    server[1].first = {"2 boxes": [status(429, Retry_After=wait)]}
    route.limits = dataclasses.replace(route.limits, at_once=1)
    route.ask(problems(1))
    first, second = (one.at for one in server[1].asked)
    assert 0.9 < second - first < 10


def test_a_rate_limit_holds_for_all(server: Served, route: Route, problems: Many) -> None:
    server[1].first = {"2 boxes": [status(429, Retry_After="1")]}
    server[1].seconds = 0.03
    asked, _ = route.ask(problems(30))
    assert asked.answers == 30
    assert server[1].hits() == 31
    refused = next(one.at for one in server[1].asked if "2 boxes" in one.question)
    meanwhile = [one for one in server[1].asked if refused < one.at < refused + 1]
    assert len(meanwhile) < 15  # those under way; without a limit all others would take a quarter of a second


def test_no_connection_is_said_soon(route: Route, problems: Many) -> None:
    route.endpoint = dataclasses.replace(route.endpoint, base_url="http://127.0.0.1:9/v1")
    asked, ledger = route.ask(problems(3))
    assert "no connection" in asked.stopped
    assert "base URL" in asked.stopped
    assert ledger.in_doubt == 0


@pytest.mark.parametrize(
    ("misbehaves", "reason"),
    [
        (good_but(choices=[]), "empty choices"),
        (answer(None), "null content"),
        (good_but(finish_reason="length"), "cut by length"),
        (status(200, {"choices": "none"}), "not a chat completion"),
        (answer('{"steps": ["3 × 7 = 22 pens."], "final_answer": 28}'), "a wrong equation"),
        (answer('{"steps": ["4 × 7 = 28 pens."], "final_answer": 27}'), "another number than the program's"),
    ],
)  # fmt: skip
def test_an_answer_is_paid_once_and_refused_by_reason(
    server: Served, route: Route, problems: Many, misbehaves: Behaviour, reason: str
) -> None:
    server[1].first = {"4 boxes": [misbehaves]}
    asked, ledger = route.ask(problems(3))
    assert server[1].hits() == asked.answers == ledger.num_settled == 3
    results = route.results(problems(3))
    assert results[2] == Unusable(reason)
    assert all(isinstance(one, str) for one in results[:2])
    again, _ = route.ask(problems(3))
    assert again.answers == 0
    assert server[1].hits() == 3


def test_an_endpoint_that_ignores_the_form_is_not_paid_for_every_row(
    server: Served, route: Route, problems: Many
) -> None:
    server[1].always = answer("Sure! The answer is 28.")
    asked, ledger = route.ask(problems(30))
    assert 20 <= ledger.num_settled <= 20 + route.limits.at_once
    assert "none of the first 20 answers" in asked.stopped
    assert all(one.fields["response_format"]["type"] == "json_schema" for one in server[1].asked)


@pytest.mark.parametrize(
    ("structured", "sent"), [("schema", "json_schema"), ("json", "json_object"), ("prompt", None)]
)
def test_the_form_is_asked_for_as_it_is_set(
    server: Served, route: Route, problems: Many, structured: str, sent: str | None
) -> None:
    route.endpoint = dataclasses.replace(route.endpoint, structured=structured)
    route.ask(problems(1))
    fields = server[1].asked[0].fields
    assert fields.get("response_format", {}).get("type") == sent
    assert ("final_answer" in fields["messages"][0]["content"]) == (structured != "schema")


def test_repeated_rows_are_asked_for_once(server: Served, route: Route, problems: Many) -> None:
    rows = problems(3) * 4
    asked, _ = route.ask(rows)
    assert asked.answers == server[1].hits() == 3
    results = route.results(rows)
    assert tally(map(str, results))[0][1] == 4
    assert results[:3] == results[3:6]


def test_the_cap_is_never_exceeded(server: Served, route: Route, problems: Many) -> None:
    need = request_for(problem(0), route.endpoint).most_tokens
    route.limits = dataclasses.replace(route.limits, token_cap=need + 5 * 350)
    asked, ledger = route.ask(problems(30))
    assert 5 <= ledger.num_settled <= 6
    assert ledger.spent <= route.limits.token_cap < ledger.spent + need + 350
    assert "cap" in asked.stopped
    again, ledger = route.ask(problems(30))  # of all runs together
    assert again.answers == 0
    assert "cap" in again.stopped
    route.limits = dataclasses.replace(route.limits, token_cap=10**9)
    assert route.ask(problems(30))[0].answers == 30 - ledger.num_settled


def test_answers_without_usage_count_as_much_as_they_may_have_cost(
    server: Served, route: Route, problems: Many
) -> None:
    server[1].always = good_but(usage=None)
    _, ledger = route.ask(problems(3))
    assert ledger.spent == sum(request_for(one, route.endpoint).most_tokens for one in problems(3))


def test_results_do_not_depend_on_the_order_of_answers(server: Served, route: Route, problems: Many) -> None:
    route.ask(problems(10)[::-1])
    assert [text.splitlines()[-1] for text in route.results(problems(10)) if isinstance(text, str)] == [
        f"#### {7 * boxes}" for boxes in range(2, 12)
    ]
