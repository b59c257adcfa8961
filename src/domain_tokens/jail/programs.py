"""Executes a model-written program inside a child, and reads its answer."""

import ast
import builtins
import importlib
import io
import math
import sys
import types
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from domain_tokens.jail.allowed import BUILTINS, IMPORTS
from domain_tokens.jail.outcomes import Reason, Refusal, Refused
from domain_tokens.jail.results import (
    MAIN_FUNCTION,
    RESULT_NAMES,
    entry_function,
    last_line,
    needs_arguments,
    number_in,
    plain_number,
)
from domain_tokens.jail.syntax import check

MAX_SOURCE_CHARS = 100_000
"""The longest program that is looked at."""

MAX_OUTPUT_CHARS = 100_000
"""The most that a program may print."""

# `statistics` imports so much that every fork would take longer.
_AT_START = IMPORTS.keys() - {"statistics"}

# What is imported in a program's name: to parse names that are not ASCII, by `strptime` and `most_common`, and from
# Python 3.12 on to compute with numbers of thousands of digits.
_HIDDEN = {"unicodedata", "_strptime", "heapq", *(["_pylong"] if sys.version_info >= (3, 12) else [])}


def import_modules() -> None:
    """Import what programs often import, before any child is forked: a confined child can open no file."""
    for name in _AT_START | _HIDDEN:
        importlib.import_module(name)


def import_modules_of(source: str) -> None:
    """Import what a program may import and `import_modules` left out. It looks for the name in the text, no more."""
    for name in IMPORTS.keys() - _AT_START:
        if name in source:
            importlib.import_module(name)


def answer(source: str, guarded: bool = True, reads_texts: bool = False) -> int | float:
    """Return the number that a program computes.

    It is what `simple_math_problem()` returns, if the program defines it so that it can be called without arguments.
    Otherwise it is the last line printed; if nothing was printed, a variable `result` or `answer`; if there is none,
    what the last function returns that can be called without arguments. The converter has the same rules (`results`).
    A program with `return` outside functions is taken as a function's body.

    Args:
        source (`str`): the program.
        guarded (`bool`): whether the allow-list of syntax applies. Tests switch it off to see that the other layers
            hold alone.
        reads_texts (`bool`): whether the only number on the last line of a text is its number (`results.number_in`),
            a `Fraction` or `Decimal` is one, too, and a function that returns nothing has the last line printed.

    Raises:
        Refused: if there is no finite number.
    """
    output = _Output()
    try:
        tree = _parse(source)
        if guarded:
            check(tree)
        value = _execute(tree, output, guarded, reads_texts)
        if reads_texts:
            value = _read(value, tree)
    except Refused:
        raise
    except RecursionError as error:
        raise Refused(Reason.RECURSION) from error
    except MemoryError as error:
        raise Refused(Reason.MEMORY) from error
    except BaseException as error:
        raise Refused(Reason.RAISED, f"{type(error).__name__}: {error}") from error
    if output.is_full:  # the program may have caught the refusal
        raise Refused(Reason.TOO_MUCH_OUTPUT)
    return _finite(value)


class _Output(io.StringIO):
    """What a program prints, up to `MAX_OUTPUT_CHARS`."""

    is_full = False

    def write(self, text: str, /) -> int:
        if self.tell() + len(text) > MAX_OUTPUT_CHARS:
            self.is_full = True
            raise Refused(Reason.TOO_MUCH_OUTPUT)
        return super().write(text)

    def last_line(self) -> str | None:
        return last_line(self.getvalue())

    def number_or_line(self) -> int | float | str | None:
        """Return the last line, as a number if it is one."""
        line = self.last_line()
        number = None if line is None else plain_number(line)
        return line if number is None else number


def _parse(source: str) -> ast.Module:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes, lone surrogates, digits beyond the limit
        raise Refused(Reason.NOT_PYTHON, str(error)) from error
    except (RecursionError, MemoryError) as error:
        raise Refused(Reason.NOT_PYTHON, "nested too deeply") from error
    if any(isinstance(statement, ast.Return) for statement in tree.body):
        return _as_function(tree)
    return tree


def _as_function(tree: ast.Module) -> ast.Module:
    function = ast.parse(f"def {MAIN_FUNCTION}(): pass")
    assert isinstance(function.body[0], ast.FunctionDef)
    function.body[0].body = tree.body
    return function


def _compile(tree: ast.Module) -> types.CodeType:
    try:
        return compile(tree, "<program>", "exec")
    except (SyntaxError, ValueError) as error:
        raise Refused(Reason.NOT_PYTHON, str(error)) from error
    except (RecursionError, MemoryError) as error:
        raise Refused(Reason.NOT_PYTHON, "nested too deeply") from error


def _execute(tree: ast.Module, output: _Output, guarded: bool, reads_texts: bool) -> object:
    """Execute a program, and return what it arrives at."""
    names = _namespace(output, guarded)
    exec(_compile(tree), names)
    nodes = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    functions = {node.name: node for node in nodes if callable(names.get(node.name))}
    main = names.get(MAIN_FUNCTION)
    if callable(main) and not (MAIN_FUNCTION in functions and needs_arguments(functions[MAIN_FUNCTION])):
        return _returned(main(), output, reads_texts)
    if output.last_line() is not None:
        return output.number_or_line()
    for name in RESULT_NAMES:
        if name in names and not callable(names[name]):
            return names[name]
    entry = entry_function(functions)
    if entry is not None and callable(function := names[entry.name]):
        return _returned(function(), output, reads_texts)
    raise Refused(Reason.NO_RESULT, "no function without arguments, nothing printed, and no variable result")


def _returned(value: object, output: _Output, reads_texts: bool) -> object:
    return output.number_or_line() if reads_texts and value is None else value


def _namespace(output: _Output, guarded: bool) -> dict[str, object]:
    def printing(*values: object, sep: str | None = " ", end: str | None = "\n", **_: object) -> None:
        print(*values, sep=sep, end=end, file=output)

    if guarded:
        known = {name: getattr(builtins, name) for name in BUILTINS}
        known["__import__"] = _import
    else:
        known = dict(vars(builtins))
    known["print"] = printing
    return {"__name__": "__main__", "__builtins__": known}


def _import(
    name: str,
    _globals: Mapping[str, object] | None = None,
    _locals: Mapping[str, object] | None = None,
    _names: tuple[str, ...] = (),
    level: int = 0,
) -> types.ModuleType:
    if level or name not in IMPORTS.keys() | _HIDDEN:
        raise Refused(Reason.IMPORT, name)
    return sys.modules[name]


def _read(value: object, tree: ast.Module) -> object:
    """Return the number that a text shows, or that a fraction or decimal is; other values as they are."""
    if type(value) is Fraction or type(value) is Decimal:
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if type(value) is not str:
        return value
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    number = number_in(value, [text for text in constants if isinstance(text, str)])
    if isinstance(number, Refusal):
        raise Refused(number.reason, number.detail)
    return number


def _finite(value: object) -> int | float:
    if type(value) is not int and type(value) is not float:  # not `isinstance`: bool, and classes of the program
        raise Refused(Reason.NOT_A_NUMBER, type(value).__name__)
    try:
        is_finite = math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        is_finite = False
    if not is_finite:
        raise Refused(Reason.NOT_FINITE)
    return value
