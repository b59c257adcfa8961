"""The equations of a worked solution: those in annotations, and those in its text that have none."""

import re
from dataclasses import dataclass
from fractions import Fraction

from domain_tokens.corpora.renumbering.reading.arithmetic import (
    Expression,
    Operand,
    Read,
    Value,
    evaluate,
    number,
    read,
    simple,
)

_ANNOTATION = re.compile(r"<<([^<>=]*)=([^<>=]*)>>")
_RESULT = re.compile(r"\s*\$?\s*(-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|-?\.\d+)(?![\d%])")
_BEFORE = re.compile(r"[-+*/()xX×÷%$\d.,–− ]+$")
# `12 floors/building x 2 buildings`: numbers with words behind them, and signs between.
_PART = re.compile(
    r"(?P<number>\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?%?)|"
    r"(?P<sign>[-+*/×÷–−]|[xX](?= ?\$?[\d.]))|(?P<word>[A-Za-z'’]+)|(?P<space> +)|(?P<other>.)"
)
_FINAL = re.compile(r"^####\s*(-?[\d,]+(?:\.\d+)?)\s*$", re.MULTILINE)


class Unfaithful(Exception):
    """Why a problem is no template.

    Args:
        reason (`str`): the same for all problems of its kind.
        detail (`str`, *optional*): which number or step of the problem.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


class Stays(Exception):
    """A number of the question that has to stay, and why."""

    def __init__(self, value: Value, reason: str) -> None:
        super().__init__(reason)
        self.value = value


@dataclass(frozen=True, slots=True)
class Equation:
    """An equation of a solution.

    Attributes:
        start, end: its span, from the first sign of its left side to the end of its result.
        line: the number of its line.
        expression, operands: its left side.
        result: the number behind its equals sign, with its span.
        copies: the operands that say the same before an annotation, `48/2 = <<48/2=24>>24`, each with the index of
            the operand in the annotation.
        repeated: where the result stands again behind the annotation.
    """

    start: int
    end: int
    line: int
    expression: Expression
    operands: tuple[Operand, ...]
    result: Operand
    copies: tuple[tuple[Operand, int], ...] = ()
    repeated: int | None = None


def final_number(answer: str) -> tuple[int, int, Value]:
    """Return the span and value of the number behind `####`. Raises `Unfaithful` if there is none."""
    found = list(_FINAL.finditer(answer))
    if len(found) != 1:
        raise Unfaithful("no final number")
    (match,) = found
    return match.start(1), match.end(1), number(match[1])


def equations(answer: str) -> list[Equation]:
    """Return the equations of a solution in order.

    Raises:
        Unfaithful: if an annotation is no arithmetic or does not hold exactly.
    """
    found = [_annotated(answer, match) for match in _ANNOTATION.finditer(answer)]
    covered = [(one.start, one.end) for one in found]
    for equals in re.finditer("=", answer):
        if not any(start <= equals.start() < end for start, end in covered):
            plain = _plain(answer, equals.start())
            if plain is not None:
                found.append(plain)
    if not found:
        raise Unfaithful("no equation")
    found.sort(key=lambda one: one.result.start)
    if any(one.end > other.start for one, other in zip(found, found[1:], strict=False)):
        raise Unfaithful("equations that overlap")
    return found


def _annotated(answer: str, match: re.Match[str]) -> Equation:
    left = read(answer, match.start(1), match.end(1))
    right = read(answer, match.start(2), match.end(2))
    if left is None or right is None or len(right.operands) != 1 or right.expression != 0:
        raise Unfaithful("an annotation that is no arithmetic", match.group())
    _check(left.expression, left.operands, right.operands[0].value, match.group())
    before = answer[: match.start()].rstrip(" $")
    copies: tuple[tuple[Operand, int], ...] = ()
    start = match.start()
    if before.endswith("="):
        side = _left_side(answer, len(before) - 1)
        if side is not None:
            pairs = _paired(side[1].operands, left.operands)
            if pairs is not None:
                copies, start = pairs, side[0]
        start = min(start, len(before) - 1)
    behind = _RESULT.match(answer, match.end())
    repeated = None
    end = match.end()
    if behind and _signed(behind[1]) == right.operands[0].value:
        repeated, end = behind.start(1), behind.end(1)
    line = answer.count("\n", 0, match.start())
    return Equation(start, end, line, left.expression, left.operands, right.operands[0], copies, repeated)


def _signed(text: str) -> Value:
    """Return the value of a number that may have a sign."""
    value = number(text.lstrip("-"))
    return -value if text.startswith("-") else value


def _plain(answer: str, equals: int) -> Equation | None:
    """Return the equation around an equals sign of the text, `12/3=4`; `None` if it is none."""
    behind = _RESULT.match(answer, equals + 1)
    side = _left_side(answer, equals)
    if behind is None or side is None or len(side[1].operands) < 2:
        return None
    start, left = side
    value = _signed(behind[1])
    percent = answer.startswith("%", behind.end())
    if percent and any(one.percent for one in left.operands):
        value = simple(Fraction(value, 100))
    if answer.startswith("/", behind.end()) or not holds(left.expression, left.operands, value):
        return None  # words between numbers make no equation of them
    result = Operand(behind.start(1), behind.end(1), value, percent)
    return Equation(start, behind.end(), answer.count("\n", 0, equals), left.expression, left.operands, result)


def _left_side(answer: str, equals: int) -> tuple[int, Read] | None:
    """Return the expression before an equals sign, and where it begins; words between its numbers are passed over."""
    closed = answer.rfind(">>", 0, equals)
    line = max(answer.rfind("\n", 0, equals) + 1, closed + 2 if closed >= 0 else 0)
    before = answer[line:equals].rstrip()
    match = _BEFORE.search(before)
    if match is not None:
        for begin in range(line + match.start(), equals):  # what comes before may be a dash or the end of a sentence
            if answer[begin] in " )-*/+,%xX":
                continue
            left = read(answer, begin, equals)
            if left is not None and len(left.operands) > 1:
                return begin, left
            if answer[begin] not in "$(.":
                break
    return _worded(answer, line, line + len(before))


def _worded(answer: str, line: int, end: int) -> tuple[int, Read] | None:
    """Return the last numbers of a line with signs between them, and words behind them: `3 boxes x 5 pens/box`."""
    parts = [match for match in _PART.finditer(answer, line, end) if match.lastgroup != "space"]
    kept: list[tuple[int, int]] = []
    start, wants_number = end, True
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if part.lastgroup == "word" and wants_number:
            continue
        if part.lastgroup == "number" and wants_number:
            wants_number, start = False, part.start()
        elif part.lastgroup == "sign":
            is_word = index + 1 < len(parts) and parts[index + 1].lastgroup == "word"
            if is_word and part.group() in "/-–" and wants_number:  # of `miles/hour`
                continue
            if wants_number:
                return None
            wants_number = True
        else:
            break
        kept.append(part.span())
    text = [" "] * (end - start)
    for first, last in kept:
        if first >= start:
            text[first - start : last - start] = answer[first:last]
    left = read(" " * start + "".join(text), start, end)
    return None if left is None or len(left.operands) < 2 else (start, left)


def _paired(said: tuple[Operand, ...], operands: tuple[Operand, ...]) -> tuple[tuple[Operand, int], ...] | None:
    """Return each operand of the text with the index of the same in the annotation; `None` if they differ."""
    if [one.value for one in said] == [one.value for one in operands]:
        return tuple((one, index) for index, one in enumerate(said))
    if sorted(one.value for one in said) != sorted(one.value for one in operands):
        return None
    values = [one.value for one in operands]
    if len(set(values)) < len(values):
        return None
    return tuple((one, values.index(one.value)) for one in said)


def _check(expression: Expression, operands: tuple[Operand, ...], result: Value, text: str) -> None:
    if not holds(expression, operands, result):
        raise Unfaithful("an equation that does not hold exactly", text)


def holds(expression: Expression, operands: tuple[Operand, ...], result: Value) -> bool:
    """Return whether an expression has a value."""
    try:
        return evaluate(expression, [one.value for one in operands]) == result
    except ZeroDivisionError:
        return False
