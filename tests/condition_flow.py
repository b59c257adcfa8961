"""Follows what tells conditions apart through a package: assignments, loops, calls and what functions return.

Three kinds of values tell two conditions apart: an intervention (`WHOLE`), a part of one (`PART`), and the name of a
condition or the path of its tokenizer's file (`NAME`). `decisions` names the functions in which a part or a name, or a
value that was computed from one, is compared, searched or branched on, wherever in the package it came from.

Values are followed by name: through variables of a function, attributes of `self` within a class, arguments of
functions of the package (of every function of that name), and what these return. They are not followed into records
and back, through files, or into text with more than the value in it (a folder's name): the fields of a record that
hold a name are sources themselves.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

WHOLE, PART, NAME = "whole", "part", "name"
Flow = frozenset[str]
"""The kinds of a value, and `parameter <name>` for what it is of its function's parameters."""

NOTHING: Flow = frozenset()
DECIDING = frozenset((PART, NAME))
# What an intervention consists of. `num_ids` is not here: it is the same in every condition.
PARTS = frozenset((
    "name", "about", "entries", "token_names", "token_contents", "matches", "permutation_seed", "numbers", "tokens",
    "facts", "rules",
))  # fmt: skip
YIELDS = frozenset(("intervention_of", "load_intervention", "default_intervention", "load_matched", "from_json"))
# Of what is not the package's own: these return something of their argument, or of what they are called on.
_PASSING = frozenset((
    "str", "repr", "len", "bool", "int", "sorted", "list", "tuple", "set", "frozenset", "dict", "any", "all", "sum",
    "min", "max", "reversed", "enumerate", "zip", "iter", "next", "Path", "map", "filter",
    "lower", "upper", "casefold", "strip", "lstrip", "rstrip", "removeprefix", "removesuffix", "split", "rsplit",
    "partition", "rpartition", "replace", "join", "startswith", "endswith", "find", "rfind", "index", "count",
    "get", "items", "keys", "values", "pop", "copy", "search", "match", "fullmatch", "findall", "fnmatch",
))  # fmt: skip
_PREDICATES = frozenset(
    ("startswith", "endswith", "find", "rfind", "search", "match", "fullmatch", "fnmatch", "count", "index")
)
_OF_PATHS = frozenset(("name", "stem", "parts", "suffix"))


_FOLLOWED = (
    ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.AugAssign, ast.For, ast.AsyncFor, ast.comprehension, ast.withitem,
    ast.Return, ast.Yield, ast.YieldFrom, ast.Call,
)  # fmt: skip


@dataclass
class Function:
    """A function of the package, and what is known so far of the values in it."""

    path: Path
    name: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    owner: str
    names: dict[str, Flow] = field(default_factory=dict)
    returned: Flow = NOTHING

    def __post_init__(self) -> None:
        nodes = list(ast.walk(self.node))
        self.followed = [node for node in nodes if isinstance(node, _FOLLOWED)]
        self.tests = [test for node in nodes for test in _tests(node)]

    @property
    def parameters(self) -> list[str]:
        arguments = self.node.args
        return [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]

    @property
    def is_property(self) -> bool:
        return any("property" in ast.unparse(one) for one in self.node.decorator_list)


class Package:
    """The functions of some files, with the flows of their values, followed until nothing changes.

    Args:
        sources: the text of each file, by path.
        labels: folders that hold conditions apart by their names, whatever they are: names are not followed in them.
    """

    def __init__(self, sources: Mapping[Path, str], labels: tuple[str, ...] = ()) -> None:
        self.labels = labels
        self.functions: list[Function] = []
        self.imported: dict[tuple[Path, str], tuple[Path, str]] = {}
        for path, source in sources.items():
            tree = ast.parse(source)
            self.functions += [Function(path, *found) for found in _functions(tree)]
            self.imported |= {(path, name): origin for name, origin in _imports(tree, sources)}
        self.at = {(one.path, one.name): one for one in self.functions}
        self.methods: dict[str, list[Function]] = defaultdict(list)
        for function in self.functions:
            if function.owner:
                self.methods[function.node.name].append(function)
        self.of_self: dict[tuple[str, str], Flow] = {}
        self.resolved: dict[int, Function | None] = {}
        self.passed: dict[tuple[str, str, str], Flow] = {}
        self.callers: dict[int, list[Function]] = defaultdict(list)
        self.waiting = dict.fromkeys(range(len(self.functions)))
        self.numbers = {id(function): number for number, function in enumerate(self.functions)}
        while self.waiting:
            function = self.functions[next(iter(self.waiting))]
            del self.waiting[self.numbers[id(function)]]
            self._follow(function)

    def decisions(self) -> list[str]:
        """Return the functions in which what tells conditions apart decides something, as `path:function`."""
        return sorted({f"{one.path}:{one.name}" for one in self.functions if any(self._deciding(one))})

    def _deciding(self, function: Function) -> Iterator[ast.expr]:
        kinds = DECIDING - {NAME} if self._is_label(function) else DECIDING
        for test in function.tests:
            flow = self._passed_in(function, self._flow(function, test))
            is_whole = WHOLE in flow and isinstance(test, ast.Compare) and not _is_with_none(test)
            if kinds & flow or is_whole:
                yield test

    def _again(self, *functions: Function) -> None:
        self.waiting |= dict.fromkeys(self.numbers[id(one)] for one in functions)

    def _called(self, function: Function, node: ast.expr) -> Function | None:
        """Return the function of the package that an expression names, if that can be told."""
        if id(node) not in self.resolved:
            found = self.resolved[id(node)] = self._resolve(function, node)
            if found is not None:
                self.callers[id(found)].append(function)
        return self.resolved[id(node)]

    def _resolve(self, function: Function, node: ast.expr) -> Function | None:
        if isinstance(node, ast.Name):
            key = (function.path, node.id)
            while key in self.imported:
                key = self.imported[key]
            return self.at.get(key)
        if not isinstance(node, ast.Attribute):
            return None
        if _last(node.value) in ("self", "cls"):
            found = self.at.get((function.path, f"{function.owner}.{node.attr}"))
            if found is not None:
                return found
        methods = self.methods.get(node.attr, [])
        return methods[0] if len(methods) == 1 and node.attr not in _PASSING | PARTS else None

    def _is_label(self, function: Function) -> bool:
        return bool(set(self.labels) & set(function.path.parts))

    def _passed_in(self, function: Function, flow: Flow) -> Flow:
        """Add what callers pass in the parameters that a flow names."""
        found = set(flow)
        for one in flow:
            if one.startswith("parameter "):
                found |= self.passed.get((str(function.path), function.name, one.removeprefix("parameter ")), NOTHING)
        return frozenset(found)

    def _follow(self, function: Function) -> None:
        for name in function.parameters:
            self._name(function, name, frozenset((f"parameter {name}",)))
        for node in function.followed:
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr | ast.AugAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    self._assign(function, target, self._flow(function, node.value))
            elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
                self._assign(function, node.target, self._flow(function, node.iter))
            elif isinstance(node, ast.withitem) and node.optional_vars is not None:
                self._assign(function, node.optional_vars, self._flow(function, node.context_expr))
            elif isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) and node.value is not None:
                if (flow := self._flow(function, node.value)) - function.returned:
                    function.returned |= flow
                    self._again(*self.callers[id(function)])
            elif isinstance(node, ast.Call):
                self._pass(function, node)

    def _assign(self, function: Function, target: ast.expr, flow: Flow) -> None:
        if isinstance(target, ast.Name):
            self._name(function, target.id, flow)
        elif isinstance(target, ast.Tuple | ast.List):
            for one in target.elts:
                self._assign(function, one, flow)
        elif isinstance(target, ast.Starred | ast.Subscript):
            self._assign(function, target.value, flow)
        elif isinstance(target, ast.Attribute) and _last(target.value) == "self":
            key, known = (function.owner, target.attr), self._passed_in(function, flow) & {WHOLE, PART, NAME}
            if known - self.of_self.get(key, NOTHING):
                self.of_self[key] = self.of_self.get(key, NOTHING) | known
                self._again(*(one for one in self.functions if one.owner == function.owner))

    def _name(self, function: Function, name: str, flow: Flow) -> None:
        if flow - function.names.get(name, NOTHING):
            function.names[name] = function.names.get(name, NOTHING) | flow
            self._again(function)

    def _pass(self, function: Function, call: ast.Call) -> None:
        """Record what a call passes to functions of the package."""
        if (called := self._called(function, call.func)) is not None:
            for name, argument in _bound(call, called):
                flow = self._passed_in(function, self._flow(function, argument)) & {WHOLE, PART, NAME}
                if self._is_label(function):
                    flow -= {NAME}
                key = (str(called.path), called.name, name)
                if flow - self.passed.get(key, NOTHING):
                    self.passed[key] = self.passed.get(key, NOTHING) | flow
                    self._again(called)

    def _flow(self, function: Function, node: ast.expr | None) -> Flow:
        if node is None or isinstance(node, ast.Constant | ast.Lambda):
            return NOTHING
        if isinstance(node, ast.Name):
            return function.names.get(node.id, NOTHING)
        if isinstance(node, ast.Attribute):
            return self._of_attribute(function, node)
        if isinstance(node, ast.Call):
            return self._of_call(function, node)
        if isinstance(node, ast.Subscript):
            key = self._flow(function, node.slice) if _is_table(node.value) else NOTHING
            return self._flow(function, node.value) | key
        if isinstance(node, ast.JoinedStr):
            alone = len(node.values) == 1 and isinstance(node.values[0], ast.FormattedValue)
            return self._flow(function, node.values[0].value) if alone else NOTHING  # type: ignore[attr-defined]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            return NOTHING  # a path in a folder
        if isinstance(node, ast.Compare) and not isinstance(node.ops[0], ast.In | ast.NotIn) and _is_with_none(node):
            return self._flow(function, node.left) - {WHOLE}
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp):
            return self._flow(function, node.elt)
        parts = [self._flow(function, one) for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr)]
        return NOTHING.union(*parts)

    def _of_attribute(self, function: Function, node: ast.Attribute) -> Flow:
        value, found = self._flow(function, node.value), NOTHING
        is_path = node.attr in _OF_PATHS and _last(node.value) in ("condition_dir", "tokenizer_dir")
        if is_path or node.attr == "condition" or (node.attr == "tokenizer" and _last(node.value) == "recipe"):
            found |= {NAME}
        elif "intervention" in node.attr:
            found |= {WHOLE}
        is_whole = WHOLE in value or any(word in _last(node.value) for word in ("intervention", "placebo"))
        unmistakable = node.attr in ("token_names", "token_contents", "permutation_seed")
        if unmistakable or (is_whole and node.attr in PARTS):
            found |= {PART}
        if _last(node.value) == "self":
            found |= self.of_self.get((function.owner, node.attr), NOTHING)
        if (read := self._called(function, node)) is not None and read.is_property:
            found |= read.returned & {WHOLE, PART, NAME}
        if PART in value or (NAME in value and node.attr in _OF_PATHS):
            found |= value & DECIDING
        return found

    def _of_call(self, function: Function, node: ast.Call) -> Flow:
        name = _last(node.func)
        if name in YIELDS:
            return frozenset((WHOLE,))
        if (called := self._called(function, node.func)) is not None:
            arguments = [
                self._flow(function, argument)
                for parameter, argument in _bound(node, called)
                if f"parameter {parameter}" in called.returned
            ]
            return (called.returned & {WHOLE, PART, NAME}).union(*arguments)
        found = self._flow(function, node.func) if isinstance(node.func, ast.Attribute) else NOTHING
        if name in _PASSING:
            of = self._flow(function, node.func.value) if isinstance(node.func, ast.Attribute) else NOTHING
            arguments = [self._flow(function, one) for one in (*node.args, *(one.value for one in node.keywords))]
            is_lookup = name == "get" and isinstance(node.func, ast.Attribute) and not _is_table(node.func.value)
            found |= of if is_lookup else of.union(*arguments)
        return found


def _functions(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """Yield the functions of a module and of its classes: dotted name, node and class."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (f"{owner}.{node.name}" if owner else node.name), node, owner
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{owner}.{node.name}" if owner else node.name)


def _imports(tree: ast.Module, sources: Mapping[Path, str]) -> Iterator[tuple[str, tuple[Path, str]]]:
    """Yield the names that a module imports from the package, with the file and the name that each stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            parts = node.module.split(".")[1:]
            for alias in node.names:
                for path in (Path(*parts).with_suffix(".py") if parts else Path(), Path(*parts, "__init__.py")):
                    if path in sources:
                        yield alias.asname or alias.name, (path, alias.name)


def _tests(node: ast.AST) -> list[ast.expr]:
    """Return the expressions by which a node decides; a comparison decides wherever it stands."""
    if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
        return [node.test]
    if isinstance(node, ast.comprehension):
        return node.ifs
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.Match):
        return [node.subject]
    if isinstance(node, ast.Compare):
        return [node]
    if isinstance(node, ast.Subscript):
        return [node.slice] if _is_table(node.value) else []
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return []
    if node.func.attr == "get" and _is_table(node.func.value):
        return node.args[:1]
    return [node] if node.func.attr in _PREDICATES else []


def _is_table(node: ast.expr) -> bool:
    """Return whether a mapping is written in the source, here or as a constant."""
    return isinstance(node, ast.Dict) or _last(node).isupper()


def _bound(call: ast.Call, called: Function) -> Iterator[tuple[str, ast.expr]]:
    """Yield the arguments of a call with the names of the parameters that they are for."""
    parameters = called.parameters
    is_method = called.owner and isinstance(call.func, ast.Attribute) and parameters[:1] in (["self"], ["cls"])
    yield from zip(parameters[1:] if is_method else parameters, call.args, strict=False)
    for keyword in call.keywords:
        if keyword.arg in parameters:
            yield keyword.arg or "", keyword.value


def _is_with_none(test: ast.Compare) -> bool:
    return any(isinstance(side, ast.Constant) and side.value is None for side in (test.left, *test.comparators))


def _last(node: ast.AST) -> str:
    """Return the last part of a name, or of what is called: `intervention` for `self.intervention`."""
    if isinstance(node, ast.Call):
        return _last(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
