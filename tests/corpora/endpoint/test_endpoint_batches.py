"""The Batch API: submitted once whatever is killed, and read line by line."""

import dataclasses
import json
import os
import signal
from collections.abc import Callable

import multiprocess
import pytest
from conftest import Route, open_ledger
from misbehaving_server import CANARY, Behaviours, Handler, problem, result_line

from domain_tokens.corpora.endpoint.answers import Unusable
from domain_tokens.corpora.endpoint.asking import Asked
from domain_tokens.corpora.endpoint.batch import BatchOptions, ask_in_batches, open_batches
from domain_tokens.corpora.endpoint.ledger import Ledger
from domain_tokens.corpora.endpoint.requests import Problem, request_for
from domain_tokens.corpora.endpoint.settings import Key
from domain_tokens.recipe import RecipeError

Served = tuple[str, Behaviours]
Many = Callable[[int], list[Problem]]
OPTIONS = BatchOptions(poll_seconds=0.02)


def ask(route: Route, problems: list[Problem], options: BatchOptions = OPTIONS) -> tuple[Asked, Ledger]:
    ledger = open_ledger(route.folder)
    requests = [request_for(one, route.endpoint) for one in problems]
    return ask_in_batches(requests, ledger, route.endpoint, route.limits, Key(CANARY), options), ledger


def test_a_batch_gives_what_single_requests_give(server: Served, route: Route, problems: Many) -> None:
    asked, ledger = ask(route, problems(6) * 2, dataclasses.replace(OPTIONS, keep_days=3))
    (batch,) = server[1].batches.values()
    assert batch["status"] == "completed"
    assert batch["output_expires_after"] == {"anchor": "created_at", "seconds": 3 * 86_400}
    assert asked == Asked(answers=6)
    assert ledger.spent == 6 * 350
    assert ledger.answer(request_for(problem(0), route.endpoint).key).batch == "batch-0"
    assert route.ask(problems(6))[0].answers == 0
    assert server[1].hits() == 0
    assert route.results(problems(6))[0] == "2 boxes with 7 pens hold 2 × 7 = 14 pens.\n#### 14"
    assert ask(route, problems(6))[0] == Asked()
    assert len(server[1].batches) == 1


def test_large_sets_are_several_batches(server: Served, route: Route, problems: Many) -> None:
    asked, _ = ask(route, problems(7), dataclasses.replace(OPTIONS, max_requests=3))
    assert [len(server[1].files[f"file-{number}"].splitlines()) for number in (1, 2, 3)] == [3, 3, 1]
    assert asked.answers == 7


def test_lines_that_are_no_answers_are_counted_and_asked_for_again(
    server: Served, route: Route, problems: Many
) -> None:
    def lines(key: str, question: str) -> list[object]:
        good = result_line(key, question)
        boxes = int(question.removeprefix("Problem:\n").split()[0])
        return {
            2: [good, good],
            3: [{"id": "r", "custom_id": key, "response": None, "error": {"code": "batch_expired"}}],
            4: [result_line(key, question, 429)],
            8: [result_line(key, question, 400)],
            5: [good, {**good, "custom_id": "unknown"}],
            6: ['{"id": "r", "custom_id"'],
            7: [],
        }.get(boxes, [good])

    server[1].result_lines, server[1].completed = lines, 2
    asked, ledger = ask(route, problems(7))
    assert asked.answers == 2
    assert ledger.num_settled == 3
    assert ledger.num_repeated == 0
    assert dict(asked.failed) == {
        "batch: a line that is broken or of no request": 2,
        "batch: status 0": 1,
        "batch: status 429": 1,
        "batch: status 400": 1,
        "no answer in a batch that is completed": 4,
    }
    server[1].result_lines = lambda key, question: [result_line(key, question)]
    server[1].completed = None
    again, ledger = ask(route, problems(7))
    assert again.answers == 4
    assert ledger.spent == 6 * 350
    assert len(server[1].batches) == 2


def test_an_expired_batch_leaves_the_rest_to_the_next_run(server: Served, route: Route, problems: Many) -> None:
    server[1].ends_as = "expired"
    server[1].result_lines = lambda key, question: [result_line(key, question)] * (int(key, 16) % 2)
    first, _ = ask(route, problems(8))
    assert 0 < first.answers < 8
    assert dict(first.failed) == {"no answer in a batch that is expired": 8 - first.answers}
    server[1].result_lines = lambda key, question: [result_line(key, question)]
    assert ask(route, problems(8))[0].answers == 8 - first.answers


def test_a_batch_that_failed_is_said(server: Served, route: Route, problems: Many) -> None:
    server[1].ends_as = "failed"
    asked, ledger = ask(route, problems(3))
    assert asked.stopped == "batch batch-0 failed: line 1 [key]"
    assert ledger.spent == 0
    assert not open_batches(route.folder)


def test_results_that_are_no_longer_kept(server: Served, route: Route, problems: Many) -> None:
    server[1].completed = 0
    server[1].result_lines = lambda key, question: []
    ask(route, problems(3))
    server[1].batches["batch-0"]["output_file_id"] = "removed"
    record = next((route.folder / "batches").glob("*.json"))
    record.write_text(record.read_text().replace('"read"', '"submitted"'))
    asked, _ = ask(route, problems(3))
    assert "no longer kept" in asked.stopped
    assert not open_batches(route.folder)


def test_a_result_file_that_was_cut_is_read_again(server: Served, route: Route, problems: Many) -> None:
    server[1].completed = 5
    server[1].result_lines = lambda key, question: [result_line(key, question)] * (int(key, 16) % 2)
    asked, ledger = ask(route, problems(5))
    assert "its results hold" in asked.stopped
    assert ledger.num_settled == asked.answers > 0
    (record,) = open_batches(route.folder)
    batch = server[1].batches["batch-0"]
    lines = server[1].files[batch["input_file_id"]].splitlines()
    whole = [result_line(request_for(one, route.endpoint).key, one.question) for one in problems(5)]
    assert len(lines) == len(whole)
    server[1].files[batch["output_file_id"]] = "".join(f"{json.dumps(line)}\n" for line in whole).encode()
    again, ledger = ask(route, problems(5))
    assert record.batch_id == "batch-0"
    assert again.answers == 5 - asked.answers
    assert ledger.spent == 5 * 350
    assert len(server[1].batches) == 1


def test_a_response_to_a_submission_that_was_lost(server: Served, route: Route, problems: Many) -> None:
    server[1].at_creation = Handler.reset
    asked, _ = ask(route, problems(3))
    assert asked.answers == 3
    assert len(server[1].batches) == 1


@pytest.mark.parametrize("moment", ["upload", "creation", "polling"])
def test_a_run_that_is_killed_submits_nothing_twice(
    server: Served, route: Route, problems: Many, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = server[1]
    process = multiprocess.get_context("fork").Process(target=ask, args=(route, problems(4)))

    def kill(handler: Handler, *others: object) -> None:
        os.kill(process.pid, signal.SIGKILL)
        handler.reset()

    state.num_polls = 10**6
    with monkeypatch.context() as patch:
        if moment == "creation":
            state.at_creation = kill
        else:
            patch.setattr(Handler, {"upload": "_upload", "polling": "_polled"}[moment], kill)
        process.start()
        process.join(20)
    assert process.exitcode == -signal.SIGKILL
    assert len(state.batches) == (moment != "upload")
    assert len(open_batches(route.folder)) == 1
    state.at_creation, state.num_polls = None, 2
    asked, ledger = ask(route, problems(4))
    assert asked.answers == 4
    assert len(state.batches) == 1
    assert ledger.spent == 4 * 350


def test_the_cap_holds_for_a_batch(server: Served, route: Route, problems: Many) -> None:
    need = request_for(problem(0), route.endpoint).most_tokens
    route.limits = dataclasses.replace(route.limits, token_cap=2 * need + 10)
    asked, _ = ask(route, problems(9))
    assert asked.answers == 2
    assert "cap" in asked.stopped
    again, ledger = ask(route, problems(9))  # what was reserved and not used is free again
    assert again.answers == 1
    assert ledger.spent <= route.limits.token_cap


def test_the_cap_of_a_batch_counts_what_is_in_doubt(server: Served, route: Route, problems: Many) -> None:
    need = request_for(problem(0), route.endpoint).most_tokens
    route.limits = dataclasses.replace(route.limits, token_cap=2 * need + 10)
    open_ledger(route.folder).begin("asked for by a run that was killed", need)
    asked, ledger = ask(route, problems(9))
    assert asked.answers == 1
    assert ledger.in_doubt == need
    assert "leaves 10, and the next" in asked.stopped


def test_another_address_does_not_fetch_a_batch(server: Served, route: Route, problems: Many) -> None:
    server[1].completed = 4
    server[1].result_lines = lambda key, question: []
    ask(route, problems(3))
    assert open_batches(route.folder)
    route.endpoint = dataclasses.replace(route.endpoint, base_url="http://127.0.0.1:9/v1")
    with pytest.raises(RecipeError, match="fetch it from there first"):
        ask(route, problems(3))
    assert route.results(problems(1)) == [Unusable("not answered yet")]


def test_an_endpoint_without_batches(server: Served, route: Route, problems: Many) -> None:
    route.endpoint = dataclasses.replace(route.endpoint, base_url=f"{server[0]}/none")
    asked, _ = ask(route, problems(3))
    assert "no such path" in asked.stopped
    assert not server[1].batches
