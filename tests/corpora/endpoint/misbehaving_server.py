"""A real server on loopback that speaks the API of OpenAI, and misbehaves where a test says so."""

import json
import re
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from domain_tokens.corpora.endpoint.requests import Problem

MODEL = "tiny-model"
CANARY = "sk-canary/0123456789-abcdef"
_PRODUCT = re.compile(r"(\d+) boxes hold (\d+) pens")


def problem(number: int, executed: float | None = None) -> Problem:
    """The nth problem; the server reads its numbers from the question."""
    boxes, pens = number + 2, 7
    return Problem(
        f"{boxes} boxes hold {pens} pens each. How many pens are there?",
        f"boxes = {boxes}\npens = {pens}\nresult = boxes * pens\nreturn result",
        boxes * pens if executed is None else executed,
    )


def good_content(question: str) -> str:
    boxes, pens = map(int, _PRODUCT.search(question).groups())
    steps = [f"{boxes} boxes with {pens} pens hold {boxes} × {pens} = {boxes * pens} pens."]
    return json.dumps({"steps": steps, "final_answer": boxes * pens}, ensure_ascii=False)


def completion(content: str | None, **changes: Any) -> dict[str, Any]:
    """A response. `changes` are of the choice, the message or the response, wherever the key belongs."""
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 300, "completion_tokens": 50, "total_tokens": 350}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice], "usage": usage}
    for key, value in changes.items():
        place = message if key in message else choice if key in choice else body
        place[key] = value
    return body


@dataclass
class Asked:
    """A request that arrived."""

    at: float
    question: str
    fields: dict[str, Any]
    authorization: str


Behaviour = Callable[["Handler", Asked], None]


@dataclass
class Behaviours:
    """What the server does, and what it saw.

    Attributes:
        first: for a question that contains the text, what each of its first requests meets; then it is answered well.
        always: what every request meets.
        seconds: how long an answer takes.
    """

    first: dict[str, list[Behaviour]] = field(default_factory=dict)
    always: Behaviour | None = None
    seconds: float = 0.0
    asked: list[Asked] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    answered: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    at_creation: Callable[["Handler"], None] | None = None  # when a batch exists, in place of the response
    num_polls: int = 2  # until a batch has ended
    ends_as: str = "completed"
    result_lines: Callable[[str, str], list[object]] = lambda key, question: [result_line(key, question)]
    completed: int | None = None  # what a batch claims to have answered
    uploads: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hits(self, question: str = "") -> int:
        return sum(question in one.question for one in self.asked)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    behaviours: Behaviours

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that were killed


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a body waits 40 ms until its header is acknowledged
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def send(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        kind = "text/html" if raw.startswith(b"<") else "application/json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/files":
            self._upload(raw)
        elif self.path == "/v1/batches":
            self._create(json.loads(raw))
        elif self.path == "/v1/chat/completions":
            self._chat(json.loads(raw))
        else:
            self.send(404, {"error": {"message": "no such path"}})

    def do_GET(self) -> None:
        state = self.server.behaviours
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[1:] == ["batches"]:
            newest_first = list(state.batches.values())[::-1]
            self.send(200, {"object": "list", "data": newest_first, "has_more": False})
        elif parts[1] == "batches":
            self.send(200, self._polled(state.batches[parts[2]]))
        elif parts[2] in state.files:
            self.send(200, state.files[parts[2]], {"Content-Type": "application/octet-stream"})
        else:
            self.send(404, {"error": {"message": "no such file"}})

    def _chat(self, fields: dict[str, Any]) -> None:
        state = self.server.behaviours
        one = Asked(time.monotonic(), fields["messages"][-1]["content"], fields, self.headers["Authorization"])
        with state.lock:
            state.asked.append(one)
            state.at_once += 1
            state.most_at_once = max(state.most_at_once, state.at_once)
            waiting = next((todo for text, todo in state.first.items() if text in one.question and todo), None)
            behaviour = waiting.pop(0) if waiting else state.always
        try:
            time.sleep(state.seconds)
            if behaviour is None:
                self.send(200, completion(good_content(one.question)))
                state.answered[one.question] += 1
            else:
                behaviour(self, one)
        finally:
            with state.lock:
                state.at_once -= 1

    def _upload(self, raw: bytes) -> None:
        state = self.server.behaviours
        content = raw[raw.index(b'{"custom_id"') : raw.rindex(b"}\n") + 2]
        state.uploads += 1
        name = f"file-{state.uploads}"
        state.files[name] = content
        self.send(
            200, {"id": name, "object": "file", "bytes": 1, "created_at": 1, "filename": "a", "purpose": "batch"}
        )

    def _create(self, fields: dict[str, Any]) -> None:
        state = self.server.behaviours
        with state.lock:
            name = f"batch-{len(state.batches)}"
            state.batches[name] = {
                "id": name, "object": "batch", "endpoint": fields["endpoint"], "completion_window": "24h",
                "created_at": int(time.time()), "status": "in_progress", **fields,
            }  # fmt: skip
        if state.at_creation is None:
            self.send(200, state.batches[name])
        else:
            state.at_creation(self)

    def _polled(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return a batch, which ends when it was looked at often enough; errors are in a file of their own."""
        state = self.server.behaviours
        batch["metadata"]["polls"] = str(int(batch["metadata"].get("polls", 0)) + 1)
        if int(batch["metadata"]["polls"]) < state.num_polls or batch["status"] != "in_progress":
            return batch
        batch["status"] = state.ends_as
        if state.ends_as == "failed":
            batch["errors"] = {"object": "list", "data": [{"code": "invalid", "message": f"line 1 {CANARY}"}]}
            return batch
        good, errors = [], []
        for line in state.files[batch["input_file_id"]].splitlines():
            fields = json.loads(line)
            for result in state.result_lines(fields["custom_id"], fields["body"]["messages"][-1]["content"]):
                failed = isinstance(result, dict) and (result["error"] or result["response"]["status_code"] != 200)
                (errors if failed else good).append(result)
        for name, lines in (("output_file_id", good), ("error_file_id", errors)):
            if lines:
                batch[name] = f"{batch['id']}-{name}"
                texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
                state.files[batch[name]] = "".join(f"{text}\n" for text in texts).encode()
        completed = len(good) if state.completed is None else state.completed
        batch["request_counts"] = {"total": len(good) + len(errors), "completed": completed, "failed": len(errors)}
        return batch

    def finish(self) -> None:
        if not self.wfile.closed:
            super().finish()


def status(code: int, body: object = None, **headers: str) -> Behaviour:
    """Answers with a status; underscores in names of headers are hyphens."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, one: handler.send(code, body or {"error": {"message": f"status {code}"}}, names)


def quota(handler: Handler, one: Asked) -> None:
    said = {"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"}
    handler.send(429, {"error": said})


def hang(handler: Handler, one: Asked) -> None:
    time.sleep(5)
    handler.reset()


def reset(handler: Handler, one: Asked) -> None:
    handler.reset()


def cut_body(handler: Handler, one: Asked) -> None:
    raw = json.dumps(completion(good_content(one.question))).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(raw)))
    handler.end_headers()
    handler.wfile.write(raw[: len(raw) // 2])
    handler.wfile.flush()
    handler.reset()


def cut_json(handler: Handler, one: Asked) -> None:
    raw = json.dumps(completion(good_content(one.question))).encode()
    handler.send(200, raw[: len(raw) // 2])


def drip(handler: Handler, one: Asked) -> None:
    """A byte now and then, so that no read times out."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)
    handler.reset()


def answer(content: str | None, **changes: Any) -> Behaviour:
    return lambda handler, one: handler.send(200, completion(content, **changes))


def good_but(**changes: Any) -> Behaviour:
    return lambda handler, one: handler.send(200, completion(good_content(one.question), **changes))


def result_line(key: str, question: str, code: int = 200) -> dict[str, Any]:
    """A line of a batch's result file."""
    body = completion(good_content(question)) if code == 200 else {"error": {"message": "no"}}
    return {"id": "r", "custom_id": key, "response": {"status_code": code, "body": body}, "error": None}


@contextmanager
def misbehaving_server() -> Iterator[tuple[str, Behaviours]]:
    """Yield the base URL of a server and its behaviours."""
    server = Server(("127.0.0.1", 0), Handler)
    server.behaviours = Behaviours()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", server.behaviours
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
