"""Serves the page and the answers on this machine alone, with Python's own `http.server`.

One person on one machine asks one question at a time, for which the standard library is enough: it takes 0.05 CPU-s to
import, where Starlette with uvicorn takes 0.14 and Gradio 6.31 takes 3.5 and seven more packages (82 MB). Answers are
streamed as lines of JSON, which a page reads while they come.

What a foreign page in the same browser could do is refused: a request whose `Host` is not this machine's (a name that
was made to point here), one whose `Origin` or `Sec-Fetch-Site` is another site's, and a body that is not JSON, which a
form cannot send. The page may load nothing but its own two files, and no text becomes markup: it uses `textContent`.
"""

import json
import logging
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer

from domain_tokens.playground.requests import Ask, Why, parse
from domain_tokens.playground.session import Session
from domain_tokens.recipe import RecipeError

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
MAX_BODY = 64_000  # bytes; a question of 10,000 characters has at most 60,000, each spelled as an escape of six
_DRAINED = 1_000_000
_SECONDS = 60.0  # that a client may take to send a request or to read a line

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_JSON = "application/json"


@dataclass(frozen=True)
class _File:
    name: str
    type: str


_FILES = {
    "/": _File("page.html", "text/html; charset=utf-8"),
    "/page.css": _File("page.css", "text/css; charset=utf-8"),
    "/page.js": _File("page.js", "text/javascript; charset=utf-8"),
}


class _Refused(Exception):
    """A request that is refused, with its status and what to say."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class PlayServer(ThreadingHTTPServer):
    """Serves a session. Listens as soon as it is made; `serve_forever` answers.

    Args:
        session (`Session`): what is served.
        port (`int`): 0 for one that is free.

    Raises:
        RecipeError: if the port is taken.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, session: Session, port: int) -> None:
        self.session = session
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise RecipeError(f"--port {port}: {error.strerror}; --port 0 takes one that is free") from error

    def server_bind(self) -> None:
        """Bind without asking for the machine's name, for which the library's own may wait for a network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.server_port}/"

    def hosts(self) -> tuple[str, ...]:
        """Return the names by which this machine's own pages ask."""
        return (f"{HOST}:{self.server_port}", f"localhost:{self.server_port}")


class _Handler(BaseHTTPRequestHandler):
    """Answers one request. Responses end with the connection, so that an answer may be streamed."""

    server: PlayServer
    server_version = "playground"
    sys_version = ""
    timeout = _SECONDS

    def do_GET(self) -> None:
        """Send the page, one of its files, or the models."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Answer a question, or say why two answers differ."""
        self._answer(self._post)

    def log_message(self, format: str, *args: object) -> None:
        """Keep requests out of the terminal."""
        logger.debug(format, *args)

    def _answer(self, respond: Callable[[], None]) -> None:
        with suppress(ConnectionError, TimeoutError):  # the page was closed, or another question was asked
            try:
                self._check_sender()
                respond()
            except _Refused as refused:
                self._send(refused.status, {"error": str(refused)})
            except RecipeError as error:
                self._send(HTTPStatus.BAD_REQUEST, {"error": str(error)})

    def _check_sender(self) -> None:
        hosts = self.server.hosts()
        named = self.headers.get_all("Host", [])
        if len(named) != 1 or named[0] not in hosts:
            raise _Refused(HTTPStatus.FORBIDDEN, f"Host: expected {hosts[0]}; open {self.server.url}")
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        if (origin is not None and origin not in [f"http://{host}" for host in hosts]) or (
            self.command == "POST" and site not in ("same-origin", "none")
        ):
            raise _Refused(HTTPStatus.FORBIDDEN, "the request comes from another site")

    def _get(self) -> None:
        if self.path == "/models":
            self._send(HTTPStatus.OK, self.server.session.describe())
        elif self.path in _FILES:
            file = _FILES[self.path]
            self._begin(HTTPStatus.OK, file.type)
            self.wfile.write(_content(file.name))
        else:
            raise _Refused(HTTPStatus.NOT_FOUND, "no such page")

    def _post(self) -> None:
        session = self.server.session
        if self.path == "/ask":
            ask = parse(Ask, self._body())
            session.check(ask)
            self._stream(session.answer(ask))
        elif self.path == "/why":
            self._send(HTTPStatus.OK, session.why(parse(Why, self._body())))
        else:
            raise _Refused(HTTPStatus.NOT_FOUND, "no such page")

    def _body(self) -> object:
        """Return the JSON of a request."""
        if self.headers.get_content_type() != _JSON:
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type: expected {_JSON}")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "Content-Length: expected a number of bytes")
        if len(length) > 12 or int(length) > MAX_BODY:
            self.rfile.read(min(int(length), _DRAINED))  # else the connection is reset before the answer is read
            raise _Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the request has more than {MAX_BODY:,} bytes; shorten the question",
            )
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, "the body is not JSON") from error

    def _stream(self, events: Generator[object]) -> None:
        self._begin(HTTPStatus.OK, "application/x-ndjson")
        with closing(events):  # which lets the next question begin, also where nobody reads this one's answer
            for event in events:
                self.wfile.write(json.dumps(event).encode() + b"\n")

    def _send(self, status: HTTPStatus, values: object) -> None:
        self._begin(status, _JSON)
        self.wfile.write(json.dumps(values).encode())

    def _begin(self, status: HTTPStatus, content_type: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, **_HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()


@cache
def _content(name: str) -> bytes:
    return (Path(__file__).parent / name).read_bytes()
