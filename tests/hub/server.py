"""A Hub on loopback, in threads of the test's own process."""

import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from hub import reading
from hub.faults import Fault
from hub.messages import Repositories, Request, Response, Route
from hub.repositories import Repository

_PIECES = 4


class HubServer:
    """A Hub that answers `datasets` and `huggingface_hub` where `HF_ENDPOINT` is its address.

    Args:
        routes (`Iterable[Route]`): what it can do; reading alone by default.

    Attributes:
        repositories: data sets by name; a test adds to them.
        faults: what goes wrong with coming requests. Of those that match a request, the first happens.
        connections: those that are open.
        requests: `METHOD path` of every request, with `range` after it where one was asked for.
        received: what clients have sent, in order: the bodies of their requests.
    """

    def __init__(self, routes: Iterable[Route] = reading.ROUTES) -> None:
        self.repositories: Repositories = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.received: list[bytes] = []
        self.connections: set[socket.socket] = set()
        self.routes = tuple(routes)
        self._lock = threading.Lock()
        self._port = 0
        self._http: ThreadingHTTPServer | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def add(self, name: str) -> Repository:
        """Return a new, empty repository of this name."""
        self.repositories[name] = Repository()
        return self.repositories[name]

    def start(self) -> None:
        """Begin to answer, on the same port as before if it was stopped."""
        self._http = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        self._port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and end those that are open."""
        assert self._http is not None
        self._http.shutdown()
        self._http.server_close()
        for connection in tuple(self.connections):
            with suppress(OSError):  # ended by the other side
                connection.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def trouble(self, *faults: Fault) -> Iterator[None]:
        """Let these faults happen inside the block, and check that each did, as often as it could."""
        self.faults = [replace(fault) for fault in faults]  # each counts down
        try:
            yield
        finally:
            left, self.faults = [fault for fault in self.faults if fault.times > 0], []
        assert not left, f"did not happen: {left}"

    def fault_for(self, request: Request) -> Fault | None:
        line = f"{request.method} {request.path}"
        with self._lock:
            self.requests.append(f"{line} {request.headers.get('range', '')}".strip())
            return next((fault for fault in self.faults if fault.takes(line)), None)

    def answer(self, request: Request) -> Response:
        for methods, pattern, route in self.routes:
            found = re.fullmatch(pattern, request.path)
            if found is not None and request.method in methods.split("|"):
                with self._lock:
                    return route(self.repositories, request, found.groupdict())
        return Response.error(404, "RepoNotFound", f"no route for {request.method} {request.path}")


def _handler(server: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or a body waits 40 ms until its header is acknowledged

        def setup(self) -> None:
            super().setup()
            server.connections.add(self.connection)

        def finish(self) -> None:
            server.connections.discard(self.connection)
            super().finish()

        def _respond(self) -> None:
            url = urlsplit(self.path)
            request = Request(
                method=self.command,
                path=url.path,
                query=dict(parse_qsl(url.query)),
                headers={name.lower(): value for name, value in self.headers.items()},
                body=b"",
                endpoint=server.endpoint,
            )
            fault = server.fault_for(request)
            if fault is not None and fault.cut_body_after is not None:
                self.rfile.read(fault.cut_body_after)
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            request = replace(request, body=self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            server.received.append(request.body)
            if fault is not None and fault.status is not None:
                self._send(Response(fault.status, b"trouble", fault.headers))
            else:
                self._send(server.answer(request), fault)

        def _send(self, response: Response, fault: Fault | None = None) -> None:
            self.send_response(response.status)
            for name, value in {**response.headers, "Content-Length": str(len(response.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            body = b"" if self.command == "HEAD" else response.body
            if fault is not None and fault.cut_after is not None:
                self.wfile.write(body[: fault.cut_after])
                self.close_connection = True
            elif fault is not None and body:
                size = -(-len(body) // _PIECES)
                for start in range(0, len(body), size):
                    time.sleep(fault.pause)
                    self.wfile.write(body[start : start + size])
            else:
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = _respond

        def log_message(self, *arguments: object) -> None:
            """Say nothing; `requests` has what was asked."""

    return Handler
