"""The methods of lists, dictionaries, sets and numbers that programs call."""

from collections.abc import Callable, Sequence

from domain_tokens.corpora.programs.library.containers import items_of, key_of, whole
from domain_tokens.corpora.programs.numbers import Number, of_python, undisturbed
from domain_tokens.corpora.programs.refusal import Reason, RefusedError
from domain_tokens.corpora.programs.values import Value, View

_Method = Callable[[Sequence[Value]], Value]

CHANGING = frozenset({"append", "extend", "insert", "pop", "remove", "reverse", "setdefault", "sort", "update"})
"""Methods that change what they belong to."""


def call_method(owner: Value, name: str, arguments: Sequence[Value]) -> Value:
    """Call a method.

    Raises:
        RefusedError: if it is not known, or not with so many arguments.
    """
    if isinstance(owner, list):
        method, numbers = _of_list(owner).get(name), _LIST_ARGUMENTS.get(name, (0,))
    elif isinstance(owner, dict):
        method, numbers = _of_dict(owner).get(name), _DICT_ARGUMENTS.get(name, (0,))
    elif isinstance(owner, Number) and name == "is_integer":
        is_whole = owner.exact.denominator == 1
        method, numbers = (lambda _: undisturbed(is_whole, owner.value % 1 == 0, owner)), (0,)
    else:
        method, numbers = None, ()
    if method is None or len(arguments) not in numbers:
        raise RefusedError(Reason.CALL, f".{name}()")
    return method(arguments)


_LIST_ARGUMENTS = {"append": (1,), "extend": (1,), "pop": (0, 1), "insert": (2,), "remove": (1,), "count": (1,),
                   "index": (1,)}  # fmt: skip
_DICT_ARGUMENTS = {"get": (1, 2), "pop": (1, 2), "setdefault": (2,), "update": (1,)}


def _of_list(owner: list[Value]) -> dict[str, _Method]:
    def pop(arguments: Sequence[Value]) -> Value:
        place = whole(arguments[0]) if arguments else -1
        if not -len(owner) <= place < len(owner):
            raise RefusedError(Reason.RAISES, "an index out of range")
        return owner.pop(place)

    def place_of(arguments: Sequence[Value]) -> int:
        keys = [key_of(item) for item in owner]
        if key_of(arguments[0]) not in keys:
            raise RefusedError(Reason.RAISES, "an item that is not in the list")
        return keys.index(key_of(arguments[0]))

    def count(arguments: Sequence[Value]) -> Value:
        return of_python([key_of(item) for item in owner].count(key_of(arguments[0])))

    return {
        "append": lambda arguments: owner.append(arguments[0]),
        "extend": lambda arguments: owner.extend(items_of(arguments[0])),
        "insert": lambda arguments: owner.insert(whole(arguments[0]), arguments[1]),
        "remove": lambda arguments: owner.__delitem__(place_of(arguments)),
        "reverse": lambda _: owner.reverse(),
        "copy": lambda _: list(owner),
        "index": lambda arguments: of_python(place_of(arguments)),
        "count": count,
        "pop": pop,
    }


def _of_dict(owner: dict[object, Value]) -> dict[str, _Method]:
    def get(arguments: Sequence[Value]) -> Value:
        return owner.get(key_of(arguments[0]), arguments[1] if len(arguments) > 1 else None)

    def pop(arguments: Sequence[Value]) -> Value:
        if key_of(arguments[0]) not in owner and len(arguments) == 1:
            raise RefusedError(Reason.RAISES, f"no key {key_of(arguments[0])!r}")
        return owner.pop(key_of(arguments[0]), arguments[-1])

    def update(arguments: Sequence[Value]) -> None:
        if not isinstance(arguments[0], dict):
            raise RefusedError(Reason.CALL, ".update() with what is no dictionary")
        owner.update(arguments[0])

    return {
        "items": lambda _: View(owner, "items"),
        "keys": lambda _: View(owner, "keys"),
        "values": lambda _: View(owner, "values"),
        "copy": lambda _: dict(owner),
        "get": get,
        "pop": pop,
        "setdefault": lambda arguments: owner.setdefault(key_of(arguments[0]), arguments[1]),
        "update": update,
    }
