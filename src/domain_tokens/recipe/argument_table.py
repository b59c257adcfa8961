"""Which arguments the libraries' classes take, without importing the libraries.

Importing transformers and trl takes more than four CPU-seconds, too long just to report a misspelled key.
`argument_table.json` lists the names for one version of each library. If another version is installed, the
names are read from the libraries themselves. To regenerate the table for the installed versions:

    python -m domain_tokens.recipe.argument_table
"""

import dataclasses
import json
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal

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
    """

    versions: dict[str, str]
    arguments: dict[str, list[str]]


@cache
def known_arguments(kind: Kind) -> frozenset[str]:
    """Return the names of a class's arguments in the installed version of its library."""
    table = ArgumentTable(**json.loads(TABLE.read_text(encoding="utf-8")))
    if table.versions != installed_versions():
        table = read_libraries()
    return frozenset(table.arguments[kind])


def installed_versions() -> dict[str, str]:
    """Return the installed version of each of `LIBRARIES`, without importing it."""
    return {library: version(library) for library in LIBRARIES}


def read_libraries() -> ArgumentTable:
    """Import the libraries and read the names from their classes."""
    from transformers import GPT2Config, TrainingArguments
    from trl import GRPOConfig, SFTConfig

    arguments = {
        kind.__name__: sorted(field.name for field in dataclasses.fields(kind) if field.init)
        for kind in (TrainingArguments, SFTConfig, GRPOConfig)
    }
    return ArgumentTable(installed_versions(), arguments | {"GPT2Config": sorted(GPT2Config().to_dict())})


def to_json(table: ArgumentTable) -> str:
    """Return a table as `argument_table.json` holds it: one line for each class."""
    lines = [f"    {json.dumps(kind)}: {json.dumps(names)}" for kind, names in table.arguments.items()]
    return f'{{\n  "versions": {json.dumps(table.versions)},\n  "arguments": {{\n' + ",\n".join(lines) + "\n  }\n}\n"


if __name__ == "__main__":
    TABLE.write_text(to_json(read_libraries()), encoding="utf-8")
    sys.stdout.write(f"{TABLE}\n")
