"""How a problem gets its solution: the interface of every route."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from domain_tokens.corpora.solutions.problems import Problem


@dataclass(frozen=True, slots=True)
class Solved:
    """A solution in prose, which ends with `#### n`."""

    answer: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """No solution, and why.

    Attributes:
        reason: what is counted; one of a few.
        detail: what was found, for a person.
    """

    reason: str
    detail: str = ""


Outcome = Solved | Rejected


class Route(Protocol):
    """Solves problems. It is a context manager, made anew in every process that uses it."""

    def __enter__(self) -> Self:
        """Acquire what it works with."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it."""

    def solve(self, problems: Sequence[Problem]) -> Iterator[Outcome]:
        """Yield the outcomes of problems in their order. They depend on the problems and the settings alone."""


class MakeRoute(Protocol):
    """Makes a route in the process that uses it; can be sent to another process.

    Attributes:
        settings: all that its outcomes depend on, which is recorded; a folder written with others is refused.
    """

    @property
    def settings(self) -> Mapping[str, str | int | bool]:
        """Return its name as `route`, its version, and its options."""

    def __call__(self) -> Route:
        """Make the route."""
