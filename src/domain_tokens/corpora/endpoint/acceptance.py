"""Whether a worked solution is accepted: its number is the program's, what it states is true and leads there."""

import itertools
import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from functools import partial

from domain_tokens.corpora.endpoint.answers import Unusable, read_answer
from domain_tokens.corpora.endpoint.checking.claims import (
    claims_another,
    compares_wrongly,
    ends_otherwise,
    rounds_wrongly,
)
from domain_tokens.corpora.endpoint.checking.reaching import Reader, Statement, value_of, why_unreached
from domain_tokens.corpora.endpoint.checking.wording import in_signs
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
# Prose and equations consist of these. What is left out: markup, special tokens, other digits and other scripts, and
# signs that the reader of equations does not read, such as powers, roots and arrows.
_PLAIN = re.compile(r"[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f0-9 .,;:'\"!?()%$€£¢°&×÷·+*/=≈≠‘’“”–—−½¼¾-]*")
_MARKUP = re.compile(r"\*\*|&#?\w+;|[\d)]\$|https?:|www\.", re.IGNORECASE)
_NUMBER = r"-?\d[\d,]*(?:\.\d+)?"
_NUMERAL = re.compile(r"(?<![A-Za-z_\d])\d[\d_]*(?:\.\d+)?|(?<!\d)\.\d+")  # in a program
_EQUALS = re.compile(r" ?[=≈]")
_IN_WORDS = re.compile(rf"{_NUMBER}\)? (?:plus|minus|squared|cubed|to the power)\b", re.IGNORECASE)
_CONVERSION = re.compile(rf"({_NUMBER}) ([a-z]+) = ({_NUMBER}) (?!\2\b)([a-z]+)")  # 1 hour = 60 minutes


def result_of(problem: Problem, endpoint: Endpoint, ledger: Ledger, read: Reader) -> str | Unusable:
    """Return the worked solution of a problem, or why it has none.

    It depends on the problem and the ledger alone, so a set comes out the same in whatever order its answers came.

    Args:
        problem (`Problem`): what was asked.
        endpoint (`Endpoint`): as it was asked.
        ledger (`Ledger`): with the answers.
        read (`Reader`): reads equations and numbers.
    """
    entry = ledger.answer(request_for(problem, endpoint).key)
    if entry is None:
        return Unusable(NOT_ANSWERED)
    if entry.kind == "denied":
        return Unusable(f"denied: {entry.raw}")
    solution = read_answer(entry.raw, endpoint.model)
    return solution if isinstance(solution, Unusable) else accept(solution, problem, read)


def accept(solution: WorkedSolution, problem: Problem, read: Reader) -> str | Unusable:
    """Return the text of a worked solution that ends with `#### n`, or why it is not accepted.

    Args:
        solution (`WorkedSolution`): as the model wrote it.
        problem (`Problem`): what was asked, with what the program returned.
        read (`Reader`): reads equations and numbers.
    """
    steps = [" ".join(step.split()) for step in solution.steps]
    if not all(steps) or any(len(step) > _MAX_STEP or not step.isprintable() for step in steps):
        return Unusable("an empty, long or unprintable step")
    if any(_CODE.search(step) for step in steps):
        return Unusable("code in the prose")
    if any(_MARKUP.search(step) or not _PLAIN.fullmatch(step) for step in steps):
        return Unusable("markup or other signs in the prose")
    if not is_same(solution.final_answer, problem.executed):
        return Unusable("another number than the program's")
    final = _plain(solution.final_answer)
    why = _why_untrue([in_signs(step, partial(_holds, read)) for step in steps], final, problem, read)
    return Unusable(why) if why is not None else "\n".join([*steps, f"#### {final}"])


def _why_untrue(steps: Sequence[str], final: str, problem: Problem, read: Reader) -> str | None:
    """Return why what steps state is not true or does not lead to the final number, or `None` if it does.

    Args:
        steps (`Sequence[str]`): the sentences, in which arithmetic in words is written with signs.
        final (`str`): the final number.
        problem (`Problem`): what was asked.
        read (`Reader`): reads equations and numbers.
    """
    text, number = "\n".join(steps), Fraction(final)
    stated = _stated(read, f"{text}\n#### {final}")
    if not stated:
        return "no equation"
    if not all(equation.right for equation in stated):
        return "a wrong equation"
    if not _all_read(text, stated, read):
        return "something like an equation that was not read"
    if claims_another(steps, stated, number):
        return "another answer in the prose"
    if compares_wrongly(text):
        return "a wrong comparison"
    if rounds_wrongly(steps, stated):
        return "rounded the wrong way"
    given = {*read.numbers(problem.question), *read.numbers(" ; ".join(_NUMERAL.findall(problem.code)))}
    worked = _stated(read, problem.worked)
    computed = {value for one in worked for values in (one.reached, *one.operands) for value in values}
    why = why_unreached(steps, stated, number, given, computed)
    if why is not None:
        return why
    behind = _CONVERSION.sub("", text[max(one.end for one in stated) :])  # those that are there are right
    return "another answer in the prose" if ends_otherwise(behind, steps[-1], number) else None


def _stated(read: Reader, text: str) -> list[Statement]:
    return [equation for equation in read.equations(text) if equation.has_result]


def _holds(read: Reader, text: str) -> bool:
    stated = _stated(read, text)
    return bool(stated) and all(equation.right for equation in stated)


def _all_read(text: str, stated: Sequence[Statement], read: Reader) -> bool:
    """Return whether a text has no `=` and no operation in words but in equations that were read, which are true.

    A label may stand before an equation, as in `The total = 6 × 9 = 54`, and a unit may be converted.
    """
    spans = sorted((equation.start, equation.end) for equation in stated)
    for (_, end), (start, _) in itertools.pairwise(spans):
        # 6 × 9 = 54 × 2 = 108 says that 6 × 9 is 108; in 20% of 84 = 0.2 × 84 = 16.8 each side is a whole one.
        if start < end and not _EQUALS.match(text, end):
            return False
    spans += _conversions(text, read)
    starts = {start for start, _ in spans}
    for found in re.finditer("[=≈≠]", text):
        place = found.start()
        if any(start <= place < end for start, end in spans):
            continue
        is_label = text[:place].rstrip()[-1:].isalpha() and _next(text, place + 1) in starts
        if not is_label:
            return False
    return all(any(start <= found.start() < end for start, end in spans) for found in _IN_WORDS.finditer(text))


def _conversions(text: str, read: Reader) -> list[tuple[int, int]]:
    """Return the spans of what converts a unit rightly."""
    return [
        found.span()
        for found in _CONVERSION.finditer(text)
        if read.is_conversion(_signless(found[1]), found[2], _signless(found[3]), found[4])
    ]


def _signless(number: str) -> Fraction:
    return value_of(number.lstrip("-"))


def _next(text: str, place: int) -> int:
    """Return where the next sign stands that is neither a space nor a sign of money."""
    while text[place : place + 1] in (" ", "$", "€", "£"):
        place += 1
    return place


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
