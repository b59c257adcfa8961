"""Which arguments the libraries' classes take, and what they are by default, without importing the libraries.

Importing transformers and trl takes more than four CPU-seconds, too long just to report a misspelled key.
`argument_table.json` lists names and defaults for one version of each library. If another version is installed, they
are read from the libraries themselves. To regenerate the table for the installed versions:

    python -m domain_tokens.recipe.argument_table
"""

import dataclasses
import json
import sys
from collections.abc import Mapping
from enum import Enum
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import JsonValue

Kind = Literal["TrainingArguments", "SFTConfig", "GRPOConfig", "GPT2Config"]
"""The classes whose arguments a recipe holds: of the sections `pretrain`, `sft`, `grpo` and `model`."""

TABLE = Path(__file__).with_name("argument_table.json")
LIBRARIES = ("transformers", "trl")


@dataclasses.dataclass(frozen=True)
class ArgumentTable:
    """The names of all arguments.

    Attributes:
        versions: the version of each of `LIBRARIES` that the names were read from.
        arguments: the names for each class, sorted.
        defaults: for each class the defaults that JSON can hold; null is left out.
    """

    versions: dict[str, str]
    arguments: dict[str, list[str]]
    defaults: dict[str, dict[str, JsonValue]] = dataclasses.field(default_factory=dict)


@cache
def known_arguments(kind: Kind) -> frozenset[str]:
    """Return the names of a class's arguments in the installed version of its library."""
    return frozenset(_table().arguments[kind])


@cache
def defaults(kind: Kind) -> Mapping[str, JsonValue]:
    """Return the defaults of a class's arguments in the installed version of its library, without null."""
    return MappingProxyType(_table().defaults.get(kind, {}))


def _table() -> ArgumentTable:
    table = ArgumentTable(**json.loads(TABLE.read_text(encoding="utf-8")))
    return table if table.versions == installed_versions() else read_libraries()


def installed_versions() -> dict[str, str]:
    """Return the installed version of each of `LIBRARIES`, without importing it."""
    return {library: version(library) for library in LIBRARIES}


def read_libraries() -> ArgumentTable:
    """Import the libraries and read the names from their classes."""
    from transformers import GPT2Config, TrainingArguments
    from trl import GRPOConfig, SFTConfig

    kinds = (TrainingArguments, SFTConfig, GRPOConfig)
    fields = {kind.__name__: [field for field in dataclasses.fields(kind) if field.init] for kind in kinds}
    model = GPT2Config().to_dict()
    return ArgumentTable(
        installed_versions(),
        {name: sorted(field.name for field in found) for name, found in fields.items()}
        | {"GPT2Config": sorted(model)},
        {name: _values({field.name: _default(field) for field in found}) for name, found in fields.items()}
        | {"GPT2Config": _values(model)},
    )


def _default(field: "dataclasses.Field[Any]") -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _values(defaults: dict[str, Any]) -> dict[str, JsonValue]:
    """Return the defaults that JSON can hold, a word in place of an enumeration's member, sorted by name."""
    found: dict[str, JsonValue] = {}
    for name, value in sorted(defaults.items()):
        value = value.value if isinstance(value, Enum) else value
        if isinstance(value, str | int | float | list | dict):
            found[name] = value
    return found


def to_json(table: ArgumentTable) -> str:
    """Return a table as `argument_table.json` holds it: in each part one line for each class."""
    parts: dict[str, Mapping[str, object]] = {"arguments": table.arguments, "defaults": table.defaults}
    shown = [f'  "versions": {json.dumps(table.versions)}']
    for name, part in parts.items():
        lines = [f"    {json.dumps(kind)}: {json.dumps(values)}" for kind, values in part.items()]
        shown.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n  }")
    return "{\n" + ",\n".join(shown) + "\n}\n"


if __name__ == "__main__":
    TABLE.write_text(to_json(read_libraries()), encoding="utf-8")
    sys.stdout.write(f"{TABLE}\n")
