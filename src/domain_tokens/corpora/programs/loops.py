"""What a program's syntax says about its names: which a function owns, and which loops only try numbers."""

import ast
from collections.abc import Iterable, Iterator

_SCOPES = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.SetComp)
_LEAVES = (ast.Return, ast.Break, ast.Continue)


def names_owned(node: ast.FunctionDef | ast.Lambda) -> frozenset[str]:
    """Return the names that a function assigns anywhere. Python does not look them up outside of it."""
    if not isinstance(node, ast.FunctionDef):
        return frozenset()
    elsewhere = {
        name for one in _within(node.body) if isinstance(one, ast.Global | ast.Nonlocal) for name in one.names
    }
    return frozenset(_stored(node.body) - elsewhere)


def is_search(node: ast.For) -> bool:
    """Return whether a loop tries numbers until one fits, and keeps nothing of those that do not.

    What one turn of the loop assigns, no later turn may read.
    """
    if not _ends_early(node.body):
        return False
    for one in _within(node.body):
        is_kept = isinstance(one, ast.AugAssign) or (isinstance(one, ast.Subscript) and isinstance(one.ctx, ast.Store))
        if is_kept or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Call) and _is_method(one.value)):
            return False
    early: set[str] = set()
    _read(node.body, set(), early)
    return early.isdisjoint(_stored(node.body))


def _is_method(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute)


def _within(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield nodes and what they consist of, without the inside of other scopes."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _SCOPES):
            waiting += ast.iter_child_nodes(node)


def _stored(nodes: Iterable[ast.AST]) -> set[str]:
    names = set()
    for node in _within(nodes):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return names


def _ends_early(body: list[ast.stmt]) -> bool:
    """Return whether a `return`, or a `break` that belongs to this loop, ends it."""
    for node in body:
        if isinstance(node, ast.Return | ast.Break):
            return True
        if isinstance(node, ast.For | ast.While):
            if any(isinstance(one, ast.Return) for one in _within([node])) or _ends_early(node.orelse):
                return True
        elif isinstance(node, ast.If | ast.Try) and (_ends_early(node.body) or _ends_early(node.orelse)):
            return True
    return False


def _read(body: list[ast.stmt], stored: set[str], early: set[str]) -> None:
    """Collect the names that statements may read before they have assigned them; `stored` gains what they assign."""
    for node in body:
        if isinstance(node, ast.If):
            _read_expressions([node.test], stored, early)
            branches = []
            for branch in (node.body, node.orelse):
                inner = set(stored)
                _read(branch, inner, early)
                if not (branch and isinstance(branch[-1], _LEAVES)):
                    branches.append(inner)
            if branches:
                stored |= set.intersection(*branches)
        elif isinstance(node, ast.For | ast.While):
            head = node.iter if isinstance(node, ast.For) else node.test
            _read_expressions([head], stored, early)
            inner = stored | (_stored([node.target]) if isinstance(node, ast.For) else set())
            _read(node.body, inner, early)
            _read(node.orelse, set(stored), early)
        else:
            _read_expressions([node], stored, early)
            stored |= _stored([node])


def _read_expressions(nodes: Iterable[ast.AST], stored: set[str], early: set[str]) -> None:
    for top in nodes:
        for node in ast.walk(top):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in stored:
                early.add(node.id)
