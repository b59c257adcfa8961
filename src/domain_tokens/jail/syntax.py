"""The allow-list of syntax: which statements, names, attributes and imports a model-written program may have.

It is the first layer and needs no support of the system. It names what is allowed, so what Python gains later is
refused. A program that passes can still take memory and time, which is what the other layers limit.
"""

import ast
import string
from collections.abc import Callable, Iterator
from typing import Any

from domain_tokens.jail.allowed import ATTRIBUTES, BUILTINS, IMPORTS, SETTABLE
from domain_tokens.jail.outcomes import Reason, Refused

# Left out: classes, `with`, `match`, `yield`, `async`, bytes, `except*`. Programs for word problems have none.
_NODES = frozenset({
    ast.Module, ast.Expr, ast.FunctionDef, ast.arguments, ast.arg, ast.Lambda, ast.Return, ast.keyword,
    ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr, ast.Delete, ast.Pass, ast.Assert, ast.Global,
    ast.Nonlocal, ast.If, ast.IfExp, ast.For, ast.While, ast.Break, ast.Continue, ast.Raise, ast.Try,
    ast.ExceptHandler, ast.Import, ast.ImportFrom, ast.alias, ast.Call, ast.Attribute, ast.Name, ast.Constant,
    ast.Subscript, ast.Slice, ast.Starred, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.ListComp, ast.SetComp,
    ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.JoinedStr, ast.FormattedValue, ast.BinOp, ast.UnaryOp,
    ast.BoolOp, ast.Compare, ast.Load, ast.Store, ast.Del, ast.And, ast.Or, ast.Not, ast.Invert, ast.UAdd, ast.USub,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift, ast.RShift, ast.BitOr,
    ast.BitXor, ast.BitAnd, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn,
})  # fmt: skip

_CONSTANTS = frozenset({int, float, complex, str, bool, type(None), type(...)})

_MODULE_NAME = "__name__"  # the one name with `__`: programs ask whether it is "__main__"


def check(tree: ast.Module) -> None:
    """Refuse a program with anything that is not on the lists.

    Raises:
        Refused: with a kind of statement, a name, an attribute or an import that is not allowed.
    """
    used: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree):
        kind = type(node)
        if kind not in _NODES:
            raise Refused(Reason.SYNTAX, kind.__name__)
        if kind is ast.Name:
            (used if type(node.ctx) is ast.Load else bound).add(node.id)  # type: ignore[attr-defined]
        elif kind in _CHECKS:
            bound.update(_CHECKS[kind](node))
    for name in bound:
        if "__" in name:
            raise Refused(Reason.NAME, name)
    for name in used - bound - BUILTINS - {_MODULE_NAME}:
        raise Refused(Reason.NAME, name)


# Each of these checks one kind of node and yields the identifiers in it, of which none may have `__`.


def _attribute(node: ast.Attribute) -> Iterator[str]:
    if node.attr == "format" and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        _check_format(node.value.value)
    elif node.attr not in (ATTRIBUTES if isinstance(node.ctx, ast.Load) else SETTABLE):
        raise Refused(Reason.ATTRIBUTE, node.attr)
    yield from ()


def _check_format(text: str) -> None:
    """Refuse a format string that reads attributes or items, in a nested specification too."""
    try:
        fields = list(string.Formatter().parse(text))
    except ValueError:  # the program will fail by itself
        return
    for _, name, specification, _ in fields:
        if name is not None and any(sign in name for sign in ".["):
            raise Refused(Reason.ATTRIBUTE, f"{{{name}}}")
        if specification:
            _check_format(specification)


def _constant(node: ast.Constant) -> Iterator[str]:
    if type(node.value) not in _CONSTANTS:
        raise Refused(Reason.SYNTAX, type(node.value).__name__)
    yield from ()


def _import(node: ast.Import) -> Iterator[str]:
    for alias in node.names:
        if alias.name not in IMPORTS:
            raise Refused(Reason.IMPORT, alias.name)
        yield alias.asname or alias.name


def _import_from(node: ast.ImportFrom) -> Iterator[str]:
    allowed = IMPORTS.get(node.module or "", frozenset()) if node.level == 0 else frozenset()
    for alias in node.names:
        if alias.name == "*" and allowed:
            yield from allowed
        elif alias.name in allowed:
            yield alias.asname or alias.name
        else:
            raise Refused(Reason.IMPORT, f"{'.' * node.level}{node.module or ''}.{alias.name}")


def _comprehension(node: ast.comprehension) -> Iterator[str]:
    if node.is_async:
        raise Refused(Reason.SYNTAX, "asynchronous comprehension")
    yield from ()


def _function(node: ast.FunctionDef) -> Iterator[str]:
    yield node.name


def _argument(node: ast.arg | ast.keyword) -> Iterator[str]:
    yield from filter(None, [node.arg])


def _handler(node: ast.ExceptHandler) -> Iterator[str]:
    yield from filter(None, [node.name])


def _names(node: ast.Global | ast.Nonlocal) -> Iterator[str]:
    yield from node.names


_CHECKS: dict[type[ast.AST], Callable[[Any], Iterator[str]]] = {
    ast.Attribute: _attribute,
    ast.Constant: _constant,
    ast.Import: _import,
    ast.ImportFrom: _import_from,
    ast.comprehension: _comprehension,
    ast.FunctionDef: _function,
    ast.arg: _argument,
    ast.keyword: _argument,
    ast.ExceptHandler: _handler,
    ast.Global: _names,
    ast.Nonlocal: _names,
}
