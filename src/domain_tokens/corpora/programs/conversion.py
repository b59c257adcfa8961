"""Converts a program that solves a question into worked prose: source in, sentences and `#### n` out."""

import ast
import re
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from domain_tokens.corpora.programs.interpreter import execute
from domain_tokens.corpora.programs.numbers import written
from domain_tokens.corpora.programs.prose import sentences_of
from domain_tokens.corpora.programs.refusal import Reason, RefusedError
from domain_tokens.corpora.programs.wording.question import Question
from domain_tokens.jail.outcomes import Json

CONVERTER_VERSION = 5
"""Rises with every change of what is written, or of how a program's result is read."""

EXAMPLES = Path(__file__).with_name("own_programs.jsonl")
"""Ten questions with programs, written for the documentation: columns `question` and `code`."""

_MAX_CHARACTERS = 20_000
# At an error of syntax, Python opens the file of that name to quote the line, which ends a process in a jail. No file
# can have this name.
_NO_FILE = "\ud800"
_FENCE = re.compile(r"```[ \t]*[A-Za-z0-9+_-]*[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_BEGINS = re.compile(r"^(?:def|import|from|#|[A-Za-z_]\w*\s*=)", re.MULTILINE)
_BEFORE_COMMENT = re.compile(r"""[^'"#]*(?:"[^"]*"[^'"#]*|'[^']*'[^'"#]*)*#""")


@dataclass(frozen=True, slots=True)
class Conversion:
    """A solution in prose.

    Attributes:
        answer: the sentences, one a line, and `#### n`.
        number: the number behind `####`.
        program: what was executed, without the text around it.
    """

    answer: str
    number: Fraction
    program: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """A program that is not converted, with the reason that is counted and what was found."""

    reason: Reason
    detail: str


def convert(
    source: str, question: str, *, split_products: bool = False, check: Callable[[str], bool] | None = None
) -> Conversion | Rejection:
    r"""Convert a program to worked prose. The same program and question give the same text, in every condition.

    Args:
        source (`str`): the program, alone or in a fence of Markdown.
        question (`str`): the question that it answers; its words are used.
        split_products (`bool`, *optional*): whether products of longer whole numbers are worked out by single digits.
        check (`Callable[[str], bool]`, *optional*): whether every equation of an answer is true, as someone else reads
            it.

    Example:
    ```python
    >>> convert("def f():\n    price = 6\n    total_cost = price * 9\n    return total_cost", "9 pens at $6").answer
    'The total cost is 6 × 9 = 54 dollars.\n#### 54'
    ```
    """
    try:
        conversion = _convert(source, question, split_products)
    except RefusedError as error:
        return Rejection(error.reason, error.detail)
    except RecursionError:
        return Rejection(Reason.BROKEN, "nested too deeply")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return Rejection(Reason.RAISES, f"{type(error).__name__}: {error}"[:200])  # as the program itself would
    if check is not None and not check(conversion.answer):
        return Rejection(Reason.UNTRUE, conversion.answer)
    return conversion


def convert_item(item: Json) -> Json:
    """Convert one program in a jail, whose items and results are JSON.

    Args:
        item: the program, its question, and whether products are split.

    Returns:
        `answer`, `number` as upper and lower part, and `program`; or `reason` and `detail`.
    """
    assert isinstance(item, list)
    source, question, split_products = item
    converted = convert(str(source), str(question), split_products=bool(split_products))
    if isinstance(converted, Rejection):
        return {"reason": converted.reason.value, "detail": converted.detail[:200]}
    number = converted.number
    return {
        "answer": converted.answer,
        "number": [str(number.numerator), str(number.denominator)],
        "program": converted.program,
    }


def _convert(source: str, question: str, split_products: bool) -> Conversion:
    if not source.strip() or not question.strip():
        raise RefusedError(Reason.NO_TEXT)
    if (longer := max(len(source), len(question))) > _MAX_CHARACTERS:
        raise RefusedError(Reason.TOO_LONG, f"{longer} characters")
    tree, code = parse(source)
    execution = execute(tree, split_products)
    sentences = sentences_of(execution, Question(question), comments_of(code))
    number = execution.result.exact
    return Conversion("\n".join([*sentences, f"#### {written(number)}"]), number, code)


def parse(source: str) -> tuple[ast.Module, str]:
    """Return the syntax tree of the program in a text, and its code.

    Raises:
        RefusedError: if no part of the text is a program, or several fences hold one with a function.
    """
    if len({code.strip() for code in _fenced(_plain(source)) if "def " in code}) > 1:
        raise RefusedError(Reason.SEVERAL_NUMBERS, "several programs, each in a fence")
    error = ""
    for code in _codes(source):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                return ast.parse(code, _NO_FILE), code
        except SyntaxError as raised:
            error = error or raised.msg
        except (ValueError, MemoryError) as raised:
            error = error or str(raised)
    raise RefusedError(Reason.NOT_PYTHON, error)


def code_in(source: str) -> str:
    """Return what is likeliest to be the program in a text. It is not parsed, so any text may be given."""
    return _codes(source)[0]


def _codes(source: str) -> list[str]:
    """Return what may be the program, the likeliest first."""
    text = _plain(source)
    fenced = _fenced(text)
    fenced.sort(key=lambda code: "def " not in code)
    found = [textwrap.dedent(code) for code in fenced] or [textwrap.dedent(text).strip("\n")]
    begins = _BEGINS.search(text)
    if begins is not None and begins.start() and not fenced:
        found.append(text[begins.start() :])
    return [*found, *(code.expandtabs(4) for code in found if "\t" in code)]


def _plain(source: str) -> str:
    return source.replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ").lstrip("\ufeff")


def _fenced(text: str) -> list[str]:
    return _FENCE.findall(text) if "```" in text else []


def comments_of(code: str) -> dict[int, str]:
    """Return the comments of a program by the line that they belong to: the one they stand on, or the one below."""
    found: dict[int, str] = {}
    if "#" not in code:
        return found
    above = ""
    for number, line in enumerate(code.split("\n"), 1):
        stripped = line.strip()
        if stripped.startswith("#"):
            above = stripped.lstrip("# ").rstrip()
            continue
        if "#" in stripped and (match := _BEFORE_COMMENT.match(stripped)) is not None:
            found[number] = stripped[match.end() :].strip()
        elif above and stripped:
            found[number] = above
        above = ""
    return found
