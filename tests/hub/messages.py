"""A request as the routes see it, and what they answer."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hub.repositories import Repository

Repositories = dict[str, Repository]
"""Data sets by name, `owner/name`, and models as `models/owner/name`."""


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        method: `GET`, `HEAD`, `POST` or `PUT`.
        path: without the query, still quoted.
        query: the first value of each key.
        headers: by name in lower case.
        body: empty without one.
        endpoint: the server's address, `http://127.0.0.1:<port>`.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    endpoint: str

    @property
    def token(self) -> str:
        """The token that it came with; empty without one."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass(frozen=True)
class Response:
    """One answer. `Content-Length` is added by the server."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, value: object, headers: Mapping[str, str] | None = None, status: int = 200) -> "Response":
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    @classmethod
    def error(cls, status: int, code: str, message: str) -> "Response":
        """Return an error as the Hub names it, in two headers that `huggingface_hub` reads."""
        return cls(status, json.dumps({"error": message}).encode(), {"X-Error-Code": code, "X-Error-Message": message})


Route = tuple[str, str, Callable[[Repositories, Request, Mapping[str, str]], Response]]
"""Methods (`GET|HEAD`), a pattern with named groups that matches the whole path, and what answers."""
