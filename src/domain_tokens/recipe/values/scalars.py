"""What an unquoted value of YAML is: a number, true, false, null, or text.

YAML 1.1 reads `no` as false, `010` as 8 and `1:30` as 90; YAML 1.2 reads other things. Here only what every reader
agrees on is a number or a truth value. Other words are text, and numbers on which readers differ are refused.
"""

import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError

try:  # ten times as fast, where PyYAML was built with libyaml
    from yaml import CSafeLoader as _SafeLoader
except ImportError:
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUTH = re.compile(r"true|True|TRUE|false|False|FALSE")
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
# Octal, binary and hexadecimal numbers, digits with underscores, and numbers of base 60.
_DISPUTED = re.compile(
    r"[-+]?(?:0[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|0[oO][0-7_]+|0[bB][01_]+|0[xX][0-9a-fA-F_]+"
    r"|[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)"
)
_FLOW = ("[", "{", '"', "'")

Scalar = str | int | float | bool | None


def read_scalar(text: str) -> Scalar:
    """Return what an unquoted text is.

    Raises:
        ValueError: if it is a number to some readers and another number, or text, to others.
    """
    if _NULL.fullmatch(text):
        return None
    if _TRUTH.fullmatch(text):
        return text.lower() == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
    if _DISPUTED.fullmatch(text):
        raise ValueError(
            f"{text} is a number of another base or form to some readers of YAML; expected a number in plain digits, "
            f'or "{text}" in quotes for text'
        )
    return text


def is_number(text: str) -> bool:
    """Return whether a text is a number in plain digits; infinity counts."""
    return _DECIMAL.fullmatch(text) is not None


def read_override(text: str) -> object:
    """Return the value of an override: a list, a mapping or quoted text as YAML writes it, else one unquoted value.

    Raises:
        ValueError, yaml.YAMLError: saying what cannot be read.
    """
    text = text.strip()
    return yaml.load(text, Loader=Loader) if text.startswith(_FLOW) else read_scalar(text)


class Loader(_SafeLoader):
    """Reads YAML with the values of `read_scalar`; keys are text, and none may occur twice."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # `read_scalar` decides

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: object) -> str:
        """Mark unquoted values, which `read_scalar` reads, and merge keys."""
        if kind is yaml.ScalarNode and isinstance(implicit, tuple) and implicit[0]:
            return "tag:yaml.org,2002:merge" if value == "<<" else "!unquoted"
        return str(super().resolve(kind, value, implicit))

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping whose keys are text, whatever they look like."""
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for index, key in enumerate(keys):
            if key.tag == "!unquoted":
                key.tag = self.DEFAULT_SCALAR_TAG
            if any(key.value == other.value for other in keys[:index]):
                raise ConstructorError(None, None, f"found duplicate key {key.value!r}", key.start_mark)
        return super().construct_mapping(node, deep)

    def construct_unquoted(self, node: yaml.ScalarNode) -> Scalar:
        """Return the value of an unquoted scalar."""
        try:
            return read_scalar(node.value)
        except ValueError as error:
            raise ConstructorError(None, None, str(error), node.start_mark) from error


Loader.add_constructor("!unquoted", Loader.construct_unquoted)
for _tag in ("int", "float", "bool"):  # `!!int 010`
    Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", Loader.construct_unquoted)
