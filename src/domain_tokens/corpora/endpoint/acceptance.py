"""Whether a worked solution is accepted: its number is the program's, and what it states is true."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from domain_tokens.corpora.endpoint.answers import Unusable, read_answer
from domain_tokens.corpora.endpoint.ledger import Ledger
from domain_tokens.corpora.endpoint.prompts import WorkedSolution
from domain_tokens.corpora.endpoint.requests import Problem, request_for
from domain_tokens.corpora.endpoint.settings import Endpoint

NOT_ANSWERED = "not answered yet"
_MAX_DIGITS = 30  # of a number before the point; Decimal itself allows exponents that fill the memory as a fraction
_MAX_STEP = 500  # characters
_TOLERANCE = Fraction(1, 10**12)  # relative: 0.1 + 0.2 in a program is 0.30000000000000004, and 0.3 in prose
# A name of the program in the prose, or the marks of code and of the final line.
_CODE = re.compile(r"[A-Za-z]\w*_\w|`|####|<<|>>|\bdef \w+\(|\bprint\(")


class Statement(Protocol):
    """An equation as `evaluation.equations` reads it."""

    @property
    def right(self) -> bool:
        """Whether it holds."""

    @property
    def has_result(self) -> bool:
        """Whether the text gives its result."""


Reader = Callable[[str], Sequence[Statement]]
"""Returns what a text states: the project's one reader of equations, which lies in a higher layer."""


def result_of(problem: Problem, endpoint: Endpoint, ledger: Ledger, read: Reader) -> str | Unusable:
    """Return the worked solution of a problem, or why it has none.

    It depends on the problem and the ledger alone, so a set comes out the same in whatever order its answers came.

    Args:
        problem (`Problem`): what was asked.
        endpoint (`Endpoint`): as it was asked.
        ledger (`Ledger`): with the answers.
        read (`Reader`): returns the equations that a text states.
    """
    entry = ledger.answer(request_for(problem, endpoint).key)
    if entry is None:
        return Unusable(NOT_ANSWERED)
    if entry.kind == "denied":
        return Unusable(f"denied: {entry.raw}")
    solution = read_answer(entry.raw, endpoint.model)
    return solution if isinstance(solution, Unusable) else accept(solution, problem.executed, read)


def accept(solution: WorkedSolution, executed: int | float, read: Reader) -> str | Unusable:
    """Return the text of a worked solution that ends with `#### n`, or why it is not accepted.

    Args:
        solution (`WorkedSolution`): as the model wrote it.
        executed (`int` or `float`): what the program returned, finite.
        read (`Reader`): returns the equations that a text states.
    """
    steps = [" ".join(step.split()) for step in solution.steps]
    if not all(steps) or any(len(step) > _MAX_STEP or not step.isprintable() for step in steps):
        return Unusable("an empty, long or unprintable step")
    if any(_CODE.search(step) for step in steps):
        return Unusable("code in the prose")
    if not is_same(solution.final_answer, executed):
        return Unusable("another number than the program's")
    text = "\n".join(steps)
    stated = [equation for equation in read(text) if equation.has_result]
    if not stated:
        return Unusable("no equation")
    if not all(equation.right for equation in stated):
        return Unusable("a wrong equation")
    return f"{text}\n#### {_plain(solution.final_answer)}"


def is_same(number: Decimal, executed: int | float) -> bool:
    """Return whether a number is the one that a program returned, but for the errors of floats."""
    if not number.is_finite() or number.adjusted() > _MAX_DIGITS or number.adjusted() < -_MAX_DIGITS:
        return False
    exact = Fraction(executed)
    return abs(Fraction(number) - exact) <= (_TOLERANCE * abs(exact) if isinstance(executed, float) else 0)


def _plain(number: Decimal) -> str:
    """Return a number without an exponent and without zeros at the end of its decimals: `54.0` as `54`."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
