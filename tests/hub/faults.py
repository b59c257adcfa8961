"""What goes wrong between a server and its reader."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass
class Fault:
    """Something that goes wrong with the next requests that match.

    Attributes:
        matches: a pattern found in `METHOD path`, for example `GET .*/resolve/`.
        after: how many requests that match are answered as usual before.
        times: with how many requests; then it is over.
        status: answer this instead, with `headers`.
        cut_after: announce the whole answer and close the connection after this many bytes of it.
        cut_body_after: close the connection after this many bytes of what the client sends, and answer nothing.
        pause: send the answer in `_PIECES` pieces with this many seconds between them.
        headers: of the answer in place.
    """

    matches: str
    times: int = 1
    after: int = 0
    status: int | None = None
    cut_after: int | None = None
    cut_body_after: int | None = None
    pause: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)

    def takes(self, request: str) -> bool:
        """Return whether this request is one of those that go wrong, and count it."""
        if self.times == 0 or re.search(self.matches, request) is None:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


@dataclass
class Meanwhile(Fault):
    """Something that somebody else does just before a request, which is then answered as usual."""

    act: Callable[[], object] = lambda: None

    def takes(self, request: str) -> bool:
        """Do it if this is the request."""
        if super().takes(request):
            self.act()
        return False
