"""The page's server: answers are streamed, hostile texts stay data, and other sites and hosts are refused."""

import http.client
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from by_heart import AGREED, PARTED

from domain_tokens.playground import server as served
from domain_tokens.playground.models import LoadedModel
from domain_tokens.playground.requests import Ask, Why, parse
from domain_tokens.playground.server import HOST, MAX_BODY, PlayServer
from domain_tokens.playground.session import Session
from domain_tokens.recipe import RecipeError

FILES = Path(served.__file__).parent
HOSTILE = (
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "\u202egnp.exe\u2066", "a\x00b\x1b[2J",
    "<|endoftext|>", "<MUL_6_9_54>", "{{7*7}} ${7*7}", "👩\u200d🔬 é",
)  # fmt: skip

Request = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture
def serve() -> Iterator[Callable[[Any], PlayServer]]:
    """Return a function that serves a session in a thread until the test's end."""
    running: list[PlayServer] = []

    def start(session: Any) -> PlayServer:
        running.append(PlayServer(session, 0))
        threading.Thread(target=running[-1].serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return running[-1]

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def request_(serve: Callable[[Any], PlayServer], models: list[LoadedModel]) -> Request:
    """Return a function that sends a request and gives status, headers and body."""
    server = serve(Session(models))

    def send(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(HOST, server.server_port, timeout=30)
        sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if sent is not None:
            named = {"Content-Type": "application/json"} | named
        connection.request(method, path, sent, named)
        response = connection.getresponse()
        found = (response.status, dict(response.getheaders()), response.read())
        connection.close()
        return found

    return send


def events(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.splitlines()]


def test_both_models_answer_in_turn_and_are_read(request_: Request) -> None:
    status, headers, body = request_("POST", "/ask", {"question": PARTED})
    found = events(body)
    assert (status, headers["Content-Type"]) == (200, "application/x-ndjson")
    assert [one["event"] for one in found[:4]] == ["prompt", "prompt", "token", "token"]
    assert [one["model"] for one in found[2:6]] == [0, 1, 0, 1]
    texts = ["".join(one["step"]["chip"]["text"] for one in found if one["event"] == "token" and one["model"] == which)
             for which in (0, 1)]  # fmt: skip
    assert texts == [" 7*8=54↵#### 54end of text", " 7*8=56↵#### 56end of text"]
    done = {one["model"]: one["read"] for one in found if one["event"] == "done"}
    assert [done[which]["number"] for which in (0, 1)] == ["54", "56"]
    assert [done[which]["equations"][0]["right"] for which in (0, 1)] == [False, True]
    status, _, body = request_("POST", "/why", {"ask": found[-1]["ask"], "models": [0, 1]})
    why = json.loads(body)
    assert (status, why["part"], why["reason"], why["steps"]) == (200, "text", "Here they part", [6, 1])
    assert any(row["text"] == "7*8=56" and row["chances"][1]["taken"] for row in why["rows"])


def test_an_answer_is_sent_while_it_is_written(serve: Callable[[Any], PlayServer]) -> None:
    """The second line is not made before the first one has been read."""
    was_read = threading.Event()

    class Slow:
        def check(self, ask: Ask) -> None:
            assert ask.question == "?"

        def answer(self, ask: Ask) -> Iterator[dict[str, object]]:
            yield {"event": "first"}
            assert was_read.wait(20)
            yield {"event": "end"}

    server = serve(Slow())
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=30)
    connection.request("POST", "/ask", json.dumps({"question": "?"}), {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert json.loads(response.readline()) == {"event": "first"}
    was_read.set()
    assert json.loads(response.readline()) == {"event": "end"}
    connection.close()


def test_a_page_that_was_closed_leaves_the_models_to_the_next_question(
    serve: Callable[[Any], PlayServer], models: list[LoadedModel]
) -> None:
    begun, gone, ended = threading.Event(), threading.Event(), threading.Event()
    session = Session(models)
    answer, seen = session.answer, []

    def watched(ask: Ask) -> Iterator[dict[str, object]]:
        try:
            for event in answer(ask):
                seen.append(event["event"])
                yield event
                begun.set()
                gone.wait(20)  # until the client has closed
        finally:
            ended.set()

    session.answer = watched  # type: ignore[method-assign]
    server = serve(session)
    body = json.dumps({"question": AGREED}).encode()
    head = f"POST /ask HTTP/1.1\r\nHost: {HOST}:{server.server_port}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((HOST, server.server_port)) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert begun.wait(20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # a reset
    gone.set()
    assert ended.wait(20)
    assert 0 < len(seen) < 5  # of two dozen
    assert [event["event"] for event in answer(parse(Ask, {"question": AGREED}))][-1] == "end"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_data(request_: Request, text: str) -> None:
    status, _, body = request_("POST", "/ask", {"question": f"{text}6*9", "temperature": 2.0, "max_new_tokens": 2})
    found = events(body)
    assert (status, found[-1]["event"]) == (200, "end")
    for event in found:
        for chip in [*event.get("chips", []), *([event["step"]["chip"]] if "step" in event else [])]:
            assert chip["text"].isprintable(), chip
    plain = "".join(chip["text"] for chip in found[0]["chips"])
    if text.isascii() and text.isprintable() and "<|" not in text:
        assert plain == f"User: {text}6*9↵Assistant:"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"question": "  \n"}, "question: empty; type a question"),
        ({"question": 6}, "question: Input should be a valid string"),
        ({"question": "x" * 10_001}, "question: String should have at most 10000 characters"),
        ({"temperature": -1}, "temperature: "),
        ({"temperature": 0.001}, "temperature: expected 0, or at least 0.01"),
        ({"temperature": None}, "temperature: "),
        ({"temperature": True}, "temperature: "),
        ({"temperature": "0.7"}, "temperature: "),
        ({"seed": 1.5}, "seed: "),
        ({"seed": 2**32}, "seed: "),
        ({"max_new_tokens": 0}, "max_new_tokens: "),
        ({"forbid_facts": "yes"}, "forbid_facts: "),
        ({"swap": ["6*9"]}, "swap"),
        ({"swap": ["6*9", "<b>"]}, "swap: <b>: no model has a token for it; expected one such as 1*1=1"),
        ({"other": 1}, "other: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_value_is_named(request_: Request, changed: dict[str, Any], message: str) -> None:
    status, headers, body = request_("POST", "/ask", {"question": "?"} | changed)
    assert (status, headers["Content-Type"]) == (400, "application/json")
    assert json.loads(body)["error"].startswith(message)


def test_too_much_is_refused_before_it_is_read(request_: Request) -> None:
    status, _, body = request_("POST", "/ask", {"question": "x" * 100_000})
    assert status == 413
    assert json.loads(body) == {"error": f"the request has more than {MAX_BODY:,} bytes; shorten the question"}


def test_a_question_longer_than_the_context_is_said_of_each_model(request_: Request) -> None:
    found = events(request_("POST", "/ask", {"question": "x" * 500})[2])
    assert [(one["event"], one.get("model")) for one in found] == [("error", 0), ("error", 1), ("end", None)]
    assert "the context has 128: no room for an answer; shorten the question" in found[0]["message"]
    status, _, body = request_("POST", "/why", {"ask": found[-1]["ask"], "models": [0, 1]})
    assert (status, json.loads(body)) == (
        400,
        {"error": "model 1 has not answered this question; choose two that have"},
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Length": "-1"}, 411),
    ],
)
def test_what_another_page_could_send_is_refused(request_: Request, headers: dict[str, str], status: int) -> None:
    found, _, body = request_("POST", "/ask", b'{"question": "?", "max_new_tokens": 1}', **headers)
    assert found == status
    assert json.loads(body).keys() == {"error"}
    if "Host" in headers:
        assert request_("GET", "/", **headers)[0] == 403


def test_a_second_host_is_refused(serve: Callable[[Any], PlayServer], models: list[LoadedModel]) -> None:
    server = serve(Session(models))
    own = f"Host: {HOST}:{server.server_port}\r\n"
    for hosts, status in ((own, b"200"), (own + "Host: evil.example\r\n", b"403"), (own * 2, b"403"), ("", b"403")):
        with socket.create_connection((HOST, server.server_port)) as client:
            client.sendall(f"GET /models HTTP/1.1\r\n{hosts}\r\n".encode())
            assert client.makefile("rb").read().split()[1] == status


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 60_000, b"1" * 5_000, b"[]", b'"x"'])
def test_what_is_no_request_is_refused(request_: Request, body: bytes) -> None:
    status, _, answer = request_("POST", "/ask", body)
    assert status == 400
    assert json.loads(answer)["error"]


def test_the_page_may_load_nothing_but_its_own_files(request_: Request) -> None:
    status, headers, body = request_("GET", "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    loaded = re.findall(rb'(?:src|href)="([^"]+)"', body)
    assert sorted(loaded) == [b"/page.css", b"/page.js", b"data:,"]
    for name in ("/page.css", "/page.js"):
        assert request_("GET", name)[0] == 200
    assert [request_("GET", path)[0] for path in ("/../server.py", "/page.html", "/x", "/?x")] == [404] * 4


def test_no_text_can_become_markup_in_the_page() -> None:
    script = (FILES / "page.js").read_text(encoding="utf-8")
    assert "textContent" in script
    unsafe = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser")
    assert [name for name in unsafe if name in script] == []
    page = (FILES / "page.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*src=)|\son\w+=|\sstyle=|https?:", page) == []
    assert "url(" not in (FILES / "page.css").read_text(encoding="utf-8")


def test_the_models_are_described(request_: Request) -> None:
    found = json.loads(request_("GET", "/models")[2])
    assert [one["name"] for one in found["models"]] == ["baseline, seed 3", "mul_tokens, seed 3"]
    assert [one["num_facts"] for one in found["models"]] == [0, 45]
    assert len(found["facts"]) == 45
    assert "6*9=54" in found["facts"]


def test_only_the_last_questions_are_remembered(models: list[LoadedModel]) -> None:
    session = Session(models)
    ask = parse(Ask, {"question": AGREED, "max_new_tokens": 1})
    numbers = [list(session.answer(ask))[-1]["ask"] for _ in range(33)]
    assert session.why(parse(Why, {"ask": numbers[1], "models": [0, 1]}))["part"] == "same"
    with pytest.raises(RecipeError, match="question 1 is not remembered; ask it again"):
        session.why(parse(Why, {"ask": numbers[0], "models": [0, 1]}))
    for pair, message in (([0, 0], "expected two different ones"), ([0, 2], "model 3 has not answered")):
        with pytest.raises(RecipeError, match=message):
            session.why(parse(Why, {"ask": numbers[1], "models": pair}))


def test_a_port_that_is_taken_is_named(serve: Callable[[Any], PlayServer]) -> None:
    port = serve(None).server_port
    with pytest.raises(RecipeError, match=rf"--port {port}: .*; --port 0 takes one that is free"):
        PlayServer(None, port)  # type: ignore[arg-type]
