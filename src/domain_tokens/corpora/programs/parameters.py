"""The parameters of a program's functions, and the arguments of a call by their names."""

import ast

from domain_tokens.corpora.programs.library.containers import Call
from domain_tokens.corpora.programs.refusal import Reason, RefusedError
from domain_tokens.corpora.programs.values import Function, Value, is_same
from domain_tokens.jail.results import needs_arguments


def is_cache(decorator: ast.expr) -> bool:
    """Return whether a decorator only remembers results, with which nothing else comes out."""
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(function).removeprefix("functools.") in ("cache", "lru_cache")


def is_called_otherwise(function: Function, call: Call) -> bool:
    """Return whether a function that can be called without arguments is called with some that are not its defaults."""
    if not (call.positional or call.named) or needs_arguments(function.node):
        return False
    arguments, defaults = bound(function, call), bound(function, call._replace(positional=[], named={}))
    return not all(is_same(arguments[name], value) for name, value in defaults.items())


def bound(function: Function, call: Call) -> dict[str, Value]:
    """Return the arguments of a call by their names."""
    arguments = function.node.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    keywords = [argument.arg for argument in arguments.kwonlyargs]
    if (len(call.positional) > len(names) and not arguments.vararg) or arguments.kwarg:
        raise RefusedError(Reason.RAISES, "too many arguments")
    values: dict[str, Value] = {}
    if function.defaults:
        values.update(zip(names[-len(function.defaults) :], function.defaults, strict=True))
    for name, default, node in zip(keywords, function.keyword_defaults, arguments.kw_defaults, strict=False):
        if node is not None:
            values[name] = default
    values.update(zip(names, call.positional, strict=False))
    if arguments.vararg:
        values[arguments.vararg.arg] = tuple(call.positional[len(names) :])
    for name, value in call.named.items():
        if name not in (*names, *keywords):
            raise RefusedError(Reason.RAISES, f"no argument {name}")
        values[name] = value
    if missing := [name for name in (*names, *keywords) if name not in values]:
        raise RefusedError(Reason.RAISES, f"no argument {missing[0]}")
    return values
