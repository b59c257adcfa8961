"""Where a program has its result, and which number a text shows: the rules of the jail and of the converter alike."""

import ast
import re
import unicodedata
from collections.abc import Iterable, Mapping

from domain_tokens.jail.outcomes import Reason, Refusal

MAIN_FUNCTION = "simple_math_problem"
RESULT_NAMES = ("result", "answer", "ans", "final_answer", "final_result")

_ENTRY_FUNCTIONS = ("solution", "solve", "main")
_WHOLE = re.compile(r"[+-]?[0-9]{1,4000}")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,4000}\.[0-9]{0,4000}|\.?[0-9]{1,4000})([eE][+-]?[0-9]{1,3})?")
_FRACTION = re.compile(r"([+-]?[0-9]{1,4000})/([0-9]{1,4000})")
_NUMERAL = re.compile(r"\.?[0-9](?:[0-9]|[,._](?=[0-9]))*(?:[eE][+-]?[0-9]{1,3})?")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:(?:,[0-9]{3})+|(?:_[0-9]{3})+)(?:\.[0-9]+)?")
_CURRENCY = "$€£¥₹"
_MINUS = "-\N{MINUS SIGN}"
_BEFORE_A_SIGN = "([=:"
_BESIDE = f"{_CURRENCY}{_MINUS}\N{EN DASH}\N{EM DASH}+."  # what changes a number, or may, where it touches it


def needs_arguments(node: ast.FunctionDef | ast.Lambda) -> bool:
    """Return whether a function cannot be called without arguments."""
    arguments = node.args
    num_needed = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return num_needed > 0 or any(default is None for default in arguments.kw_defaults)


def entry_function(functions: Mapping[str, ast.FunctionDef]) -> ast.FunctionDef | None:
    """Return the function that has the result of a program that prints nothing and has no `RESULT_NAMES`.

    Args:
        functions: those of the module by their names, in their order.

    Returns:
        One that can be called without arguments, named `solution`, `solve` or `main`, or else the last; `None` if
        there is none.
    """
    callable_ones = [node for node in functions.values() if not needs_arguments(node)]
    named = (node for node in callable_ones if node.name in _ENTRY_FUNCTIONS)
    return next(named, callable_ones[-1] if callable_ones else None)


def last_line(text: str) -> str | None:
    """Return the last line of a text that is not empty, without the space around it."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else None


def plain_number(line: str) -> int | float | None:
    """Return the number that a line is; `None` if anything else is on it."""
    if _WHOLE.fullmatch(line):
        return int(line)
    return float(line) if _DECIMAL.fullmatch(line) else None


def number_in(text: str, literals: Iterable[str] = ()) -> int | float | Refusal:
    """Return the only number on the last line of a text: 13 of `Packs needed: 13`, -1250.5 of `-$1,250.50`.

    Nothing is guessed. Refused are a second number, but for a line that is a fraction (`27/2`), digits that are not
    ASCII, a list, and a dash that may be no minus.

    Args:
        text (`str`): what a program printed or returned.
        literals: texts that stand in the program; a number of theirs is none that it computes.
    """
    line = last_line(text) or ""
    if (number := plain_number(line)) is not None:
        return number
    if (fraction := _FRACTION.fullmatch(line)) is not None:
        return _divided(int(fraction[1]), int(fraction[2]))
    found = list(_NUMERAL.finditer(line))
    has_others = any(unicodedata.category(character)[0] == "N" for character in _NUMERAL.sub("", line))
    if len(found) > 1 or has_others:
        return Refusal(Reason.SEVERAL_NUMBERS, line)
    if not found:
        return Refusal(Reason.NOT_A_NUMBER, line)
    numeral, before, behind = found[0][0], line[: found[0].start()], line[found[0].end() :]
    sentences = (literal.strip() for literal in literals if plain_number(literal.strip()) is None)
    if any(sentence in line and numeral in _NUMERAL.findall(sentence) for sentence in sentences):
        return Refusal(Reason.NOT_A_NUMBER, f"a number that the program does not compute: {line}")
    value, sign = _value(numeral), _sign(before, numeral)
    is_list = ("[" in before and "]" in behind) or (line[0] in "({" and line[-1] in ")}")
    if value is None or sign is None or is_list:
        return Refusal(Reason.SEVERAL_NUMBERS, f"not read for certain: {line}")
    return sign * value


def _divided(upper: int, lower: int) -> float | Refusal:
    try:
        return upper / lower
    except ArithmeticError as error:
        return Refusal(Reason.NOT_FINITE, str(error))


def _value(numeral: str) -> int | float | None:
    return plain_number(re.sub("[,_]", "", numeral) if _THOUSANDS.fullmatch(numeral) else numeral)


def _sign(before: str, numeral: str) -> int | None:
    """Return the sign of a number by what stands before it; `None` if that can be read in several ways."""
    rest = before.rstrip(_BESIDE)
    beside = before[len(rest) :]
    if numeral.startswith(".") and not beside and rest[-1:].isalnum():
        return None
    signs = beside.translate(dict.fromkeys(map(ord, _CURRENCY)))
    if len(beside) - len(signs) > 1:
        return None
    if not signs:
        return 1
    is_sign = signs in (*_MINUS, "+") and (not rest or rest[-1].isspace() or rest[-1] in _BEFORE_A_SIGN)
    return (1 if signs == "+" else -1) if is_sign else None
