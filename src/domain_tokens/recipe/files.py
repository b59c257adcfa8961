"""Reads one recipe, overlay or intervention file, in YAML or JSON according to its suffix."""

import json
import os
import re
from pathlib import Path
from typing import Any, NoReturn, cast

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from domain_tokens.recipe.errors import RecipeError, first_line
from domain_tokens.recipe.values.interpolation import explained
from domain_tokens.recipe.values.scalars import Loader
from domain_tokens.recipe.values.types import Values

# The structure of a JSON text: strings, followed by a colon if they are keys, and braces.
_JSON_STRUCTURE = re.compile(r'(?P<string>"(?:[^"\\]|\\.)*")(?P<colon>\s*:)?|[{}]')


def read_file(path: Path) -> Values:
    """Read a file; interpolations (`${experiment}`) are as they are written there.

    Raises:
        RecipeError: with the file, the position and what is wrong.
    """
    if not os.path.isfile(path):  # of a name that is too long as well
        found = "a folder" if os.path.isdir(path) else "no such file"
        raise RecipeError(f"{path}: {found}; expected a YAML or JSON file")
    is_json = path.suffix.lower() == ".json"
    try:
        values = _read_json(path) if is_json else yaml.load(path.read_text(encoding="utf-8-sig"), Loader=Loader)
        if not isinstance(values, dict | None):
            raise RecipeError(f"{path}: expected keys and values at the top level")
        values = _copied(values or {})
        return values if _is_plain(values) else _checked(values)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None)
        raise RecipeError(f"{path}: {f'{key}: ' if key else ''}{explained(error)}") from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError, RecursionError) as error:
        said = " ".join(str(error).replace('"<unicode string>", ', "").split())
        raise RecipeError(f"{path}: not readable as YAML: {said}") from error


def _copied(value: Any) -> Any:
    """Return values of which none is another's: in YAML `*name` is what `&name` is, and changing one changes both."""
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


def _is_plain(value: object) -> bool:
    """Return whether values are read by OmegaConf as they stand; it takes 20 times as long to find out itself."""
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return "${" not in value if isinstance(value, str) else isinstance(value, int | float | None)


def _checked(values: object) -> Values:
    """Return values as OmegaConf reads them. Raises its error if it knows no such interpolation, key or type."""
    return cast(Values, OmegaConf.to_container(OmegaConf.create(cast(Values, values))))


def _read_json(path: Path) -> dict[str, object]:
    """Read a JSON object strictly: no duplicate keys, trailing commas or NaN."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"{path}: not readable as JSON: {error}") from error

    def refuse_constant(name: str) -> NoReturn:
        raise RecipeError(f"{path}: not readable as JSON: {name} is not a JSON number")

    try:
        value = json.loads(text, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise RecipeError(
            f"{path}, {_position(text, error.pos)}: not readable as JSON: {_why(text, error)}"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise RecipeError(f"{path}: not readable as JSON: {first_line(error)}") from error
    if not isinstance(value, dict):
        raise RecipeError(f"{path}, line 1, column 1: expected an object, {{...}}, at the top level")
    _refuse_duplicates(path, text)
    return value


def _why(text: str, error: json.JSONDecodeError) -> str:
    before = text[: error.pos].rstrip()
    if before.endswith(",") and text[error.pos : error.pos + 1] in ("}", "]"):
        return "a comma before a closing bracket; remove it"
    if text[error.pos :].startswith(("//", "/*", "#")):
        return "JSON has no comments; remove it, or use a YAML file"
    return error.msg


def _refuse_duplicates(path: Path, text: str) -> None:
    """Refuse a key that occurs twice in one object of a valid JSON text; `json` would silently keep the last."""
    objects: list[set[str]] = []
    for match in _JSON_STRUCTURE.finditer(text):
        if match.group() == "{":
            objects.append(set())
        elif match.group() == "}":
            objects.pop()
        elif match["colon"]:
            key = str(json.loads(match["string"]))
            if key in objects[-1]:
                raise RecipeError(
                    f"{path}, {_position(text, match.start())}: the key {key!r} is a duplicate; keep one of the two"
                )
            objects[-1].add(key)


def _position(text: str, index: int) -> str:
    return f"line {text.count(chr(10), 0, index) + 1}, column {index - text.rfind(chr(10), 0, index)}"
