"""Executes a model-written program inside a child, and reads its answer."""

import ast
import builtins
import importlib
import io
import math
import re
import sys
import types
from collections.abc import Mapping

from domain_tokens.jail.allowed import BUILTINS, IMPORTS
from domain_tokens.jail.outcomes import Reason, Refused
from domain_tokens.jail.syntax import check

MAX_SOURCE_CHARS = 100_000
"""The longest program that is looked at."""

MAX_OUTPUT_CHARS = 100_000
"""The most that a program may print."""

_MAIN_FUNCTION = "simple_math_problem"
_RESULT_NAMES = ("result", "answer", "ans")
_WHOLE = re.compile(r"[+-]?[0-9]{1,4000}")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,4000}\.[0-9]{0,4000}|\.?[0-9]{1,4000})([eE][+-]?[0-9]{1,3})?")


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


def answer(source: str, guarded: bool = True) -> int | float:
    """Return the number that a program computes.

    It is what `simple_math_problem()` returns, if the program defines it. Otherwise it is the last line printed; if
    nothing was printed, what the last function returns that can be called without arguments; if there is none, the
    variable `result`, `answer` or `ans`. A program with `return` outside functions is taken as a function's body.

    Args:
        source (`str`): the program.
        guarded (`bool`): whether the allow-list of syntax applies. Tests switch it off to see that the other layers
            hold alone.

    Raises:
        Refused: if there is no finite number.
    """
    output = _Output()
    try:
        tree = _parse(source)
        if guarded:
            check(tree)
        value = _execute(tree, output, guarded)
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
        lines = self.getvalue().split()
        return self.getvalue().strip().splitlines()[-1].strip() if lines else None


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
    function = ast.parse(f"def {_MAIN_FUNCTION}(): pass")
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


def _execute(tree: ast.Module, output: _Output, guarded: bool) -> object:
    names = _namespace(output, guarded)
    exec(_compile(tree), names)
    if callable(function := names.get(_MAIN_FUNCTION)):
        return function()
    printed = output.last_line()
    if printed is not None:
        return _number_in(printed)
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and _takes_nothing(node.args)]
    if functions and callable(function := names.get(functions[-1])):
        return function()
    for name in _RESULT_NAMES:
        if name in names:
            return names[name]
    raise Refused(Reason.NO_RESULT, "no function without arguments, nothing printed, and no variable result")


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


def _takes_nothing(arguments: ast.arguments) -> bool:
    num_required = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return num_required == 0 and None not in arguments.kw_defaults


def _number_in(line: str) -> object:
    """Return the number that a printed line is, or the line."""
    if _WHOLE.fullmatch(line):
        return int(line)
    return float(line) if _DECIMAL.fullmatch(line) else line


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
