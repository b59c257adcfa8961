"""Overrides of a command line, `key.path=value`: what they say, and that no two contradict each other."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from functools import cache
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from domain_tokens.recipe.errors import RecipeError, first_line
from domain_tokens.recipe.schema import Recipe
from domain_tokens.recipe.values.interpolation import explained
from domain_tokens.recipe.values.scalars import read_override
from domain_tokens.recipe.values.types import Values, clash, is_text, member, misfits

_PATTERNS = ("document_separator",)  # `[0-9]+` is no list there
_VALUE = "value"  # no key of a recipe
_OVERRIDE = re.compile(r"(\w+)[\w.\[\]-]*=")


def refuse_contradictions(overrides: Sequence[str]) -> None:
    """Refuse overrides that give one key two values; the last would win without a word.

    Raises:
        RecipeError: naming the key and both values, or an entry of a list that is counted from its end.
    """
    given: dict[str, tuple[str, str]] = {}
    for override in overrides:
        for key, value in leaves(override).items():
            if any(re.fullmatch(r"-\d+", part) for part in key.split(".")):
                raise RecipeError(f"override {override!r}: entries of a list have numbers, and the first is 0")
            first, before = given.setdefault(key, (override, repr(value)))
            if before != repr(value):
                raise RecipeError(f"override {override!r}: {first!r} gives {key} another value; keep one of them")
    order = {key: number for number, key in enumerate(given)}
    for key, (override, _) in given.items():
        for whole in filter(given.__contains__, _above(key)):
            # A part behind a whole changes what the whole says; one before it, or of nothing, would be lost.
            if given[whole][1] == "None" or (order[key] < order[whole] and given[whole][1] != "{}"):
                raise RecipeError(f"override {override!r}: {given[whole][0]!r} gives all of {whole}; keep one of them")


def _above(key: str) -> Iterator[str]:
    """Yield the keys in which one stands: of `a.b.c`, `a` and `a.b`."""
    parts = key.split(".")
    return (".".join(parts[:number]) for number in range(1, len(parts)))


def layered(*overrides: Sequence[str]) -> list[str]:
    """Return lists of overrides as one, without what a later list says of the same keys.

    Raises:
        RecipeError: if a list contradicts itself.
    """
    kept: list[str] = []
    for one in overrides:
        refuse_contradictions(one)
        later = {key for override in one for key in leaves(override)}
        kept = [rest for override in kept for rest in _without(override, later)] + list(one)
    return kept


def _without(override: str, keys: set[str]) -> list[str]:
    """Return what an override says of other keys, which stand in none of these, and no null of what these stand in."""
    said = leaves(override)
    above = {one for key in keys for one in _above(key)}
    kept = {
        key: value
        for key, value in said.items()
        if keys.isdisjoint((key, *_above(key))) and not (value is None and key in above)
    }
    if len(kept) == len(said):
        return [override]
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in kept.items()]


@cache
def leaves(override: str) -> dict[str, object]:
    """Return what an override says, by dotted key."""
    key, _, text = override.partition("=")
    try:
        value = _as_typed(key, text)
    except (YAMLError, ValueError):
        value = text  # said where it is applied
    return dict(_below(".".join(_parts(key)), value))


def _below(key: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield the keys below one, with their values; a list is one value."""
    if isinstance(value, dict) and value:
        for name, one in value.items():
            yield from _below(f"{key}.{name}", one)
    else:
        yield key, value


def _parts(key: str) -> list[str]:
    """Return the parts of a dotted key: `a[0].b` is `a.0.b`."""
    parts = re.split(r"[.\[\]]+", key.rstrip("]"))
    return [str(int(part)) if part.isdecimal() else part for part in parts]


def is_override(argument: str) -> bool:
    """Return whether an argument that is no file is `key.path=value`, and not the name of a missing file."""
    match = _OVERRIDE.match(argument)
    looks_like_file = argument.lower().endswith((".yaml", ".yml", ".json"))
    return match is not None and not (looks_like_file and match[1] not in {field.name for field in fields(Recipe)})


def overridden(values: Values, overrides: Sequence[str]) -> Values:
    """Return the values of files with what overrides say. Raises `RecipeError` naming one and what was expected."""
    if not overrides:
        return values
    merged = deepcopy(values)
    for override in overrides:
        merged = _applied(merged, override)
    return merged


def _applied(values: Values, override: str) -> Values:
    """Return the values, which may be changed, with what one override says."""
    key, _, text = override.partition("=")
    try:
        value = _as_typed(key, text)
        if (misfit := next(misfits(_kind(key), value, key, is_resolved=False), None)) is not None:
            raise RecipeError(f"override {override!r}: {misfit}")
        if _set_where_plain(values, key, value, override):
            return values
        merged = OmegaConf.create(values)
        _separate(merged, key)
        before = OmegaConf.select(merged, key, throw_on_missing=False, throw_on_resolution_failure=False)
        before = OmegaConf.to_container(before) if OmegaConf.is_config(before) else before
        if (found := clash(before, value, key)) is not None:
            raise RecipeError(f"override {override!r}: {found}")
        OmegaConf.update(merged, key, value, force_add=True)
        return cast(Values, OmegaConf.to_container(merged))
    except RecipeError:
        raise
    except IndexError as error:
        raise RecipeError(f"override {override!r}: the list has no such entry; the first is 0") from error
    except YAMLError as error:
        said = getattr(error, "problem", None) or first_line(error)
        raise RecipeError(
            f"override {override!r}: {said}; expected a list as [a, b], and quotes around text with brackets, commas "
            "or quotes in it"
        ) from error
    except (OmegaConfBaseException, TypeError, ValueError) as error:
        if "is not an int" in str(error):
            raise RecipeError(f"override {override!r}: entries of a list have numbers, and the first is 0") from error
        raise RecipeError(f"override {override!r}: {explained(error)}") from error


def _set_where_plain(values: Values, key: str, value: object, override: str) -> bool:
    """Set a key where nothing on the way to it is missing or stands for another value; return whether that was so.

    OmegaConf does the same, and copies all values for it.
    """
    above, _, last = ".".join(_parts(key)).rpartition(".")
    section = _at(values, above) if above else values
    before = _at(section, last)
    if not (isinstance(section, dict) or before is not None) or not _is_plain(value) or not _is_plain(before):
        return False
    if (found := clash(before, value, key)) is not None:
        raise RecipeError(f"override {override!r}: {found}")
    new = joined(before, value)
    if isinstance(section, dict):
        section[last] = new
    else:
        section[int(last)] = new
    return True


def _is_plain(value: object) -> bool:
    """Return whether a value is read the same with and without OmegaConf."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or (isinstance(value, str | bool | int | float) and not _stands_in(value))


def joined(before: object, value: object) -> object:
    """Return two values as OmegaConf merges them where none stands for another: mappings key by key."""
    if not isinstance(before, dict) or not isinstance(value, dict):
        return value
    return before | {key: joined(before.get(key), one) for key, one in value.items()}


def _separate(merged: DictConfig, key: str) -> None:
    """Give what stands above a key values of its own where those of another section stand for it.

    Otherwise the override would change that other section, too.
    """
    section: Any = merged
    for part in _parts(key)[:-1]:
        if OmegaConf.is_dict(section) and part in section:
            name: int | str = part
        elif OmegaConf.is_list(section) and part.isdecimal() and int(part) < len(section):
            name = int(part)
        else:
            return
        if OmegaConf.is_interpolation(section, name) and OmegaConf.is_config(section[name]):
            section[name] = OmegaConf.to_container(section[name])
        section = section[name]


def drop_arguments_of_another_schedule(values: Values, given: Mapping[str, object]) -> None:
    """Drop `lr_scheduler_kwargs` where another `lr_scheduler_type` is given: they are arguments of the one before.

    Args:
        values (`Values`): those so far, changed in place.
        given (`Mapping[str, object]`): those about to be merged, by dotted key.
    """
    for key, value in given.items():
        section, _, name = key.rpartition(".")
        before = _value_of(values, key) if name == "lr_scheduler_type" else None
        if before not in (None, value) and not _stands_in(value):  # what it stands for may come with it
            _at(values, section).pop("lr_scheduler_kwargs", None)


def drop_what_stages_say_themselves(values: Values, given: Mapping[str, object]) -> None:
    """Drop an argument of single stages of fine-tuning where a command line gives it for all of them.

    Otherwise `sft.learning_rate=1e-5` would not move a stage whose recipe has a learning rate of its own.

    Args:
        values (`Values`): those so far, changed in place.
        given (`Mapping[str, object]`): the overrides, by dotted key.
    """
    listed = values.get("sft_stages")
    stages = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    for key in given:
        section, _, name = key.partition(".")
        for stage in stages:
            if section == "sft" and isinstance(args := _resolved(values, stage.get("args")), dict):
                stage["args"] = args
                args.pop(name.partition(".")[0], None)
            elif key == "budget.sft_examples_per_step":
                stage.pop("examples_per_step", None)


def drop_keys_of_a_generated_source(values: Values, given: Mapping[str, object]) -> None:
    """Drop what says what is generated, and how much of it, where a generated source becomes a file or a data set.

    Otherwise a file in place of 200 generated questions would be cut to 200 rows without a word.

    Args:
        values (`Values`): those so far, changed in place.
        given (`Mapping[str, object]`): those about to be merged, by dotted key.
    """
    for key, value in given.items():
        source, _, name = key.rpartition(".")
        before = _value_of(values, key) if name == "kind" else None
        if before == "synthetic" and value != before:
            for generated in ("what", "kinds", "max_items"):
                _at(values, source).pop(generated, None)


def _at(values: Any, key: str) -> Any:
    """Return what stands below a dotted key; `None` if there is no such key."""
    for part in _parts(key):
        if isinstance(values, dict):
            values = values.get(part)
        elif isinstance(values, list) and part.isdecimal() and int(part) < len(values):
            values = values[int(part)]
        else:
            return None
    return values


def _value_of(values: Values, key: str) -> Any:
    """Return the value of a dotted key; where another stands for it, that one's."""
    return _resolved(values, _at(values, key))


def _stands_in(value: object) -> bool:
    return isinstance(value, str) and "${" in value


def _resolved(values: Values, value: Any) -> Any:
    """Return a copy of what stands for a value (`${x}`), and any other as it is; `None` if nothing does yet."""
    if not _stands_in(value):
        return value
    given = OmegaConf.create({**values, _VALUE: value})
    found = OmegaConf.select(given, _VALUE, throw_on_resolution_failure=False)
    return OmegaConf.to_container(found) if OmegaConf.is_config(found) else found


def _kind(key: str) -> Any:
    """Return the type of a key of a recipe; `Any` where the type does not say."""
    kind: object = Recipe
    for part in _parts(key):
        kind = member(kind, part)
    return kind


def _as_typed(key: str, text: str) -> object:
    """Return the value of an override: `1.10` and `no` are text where the schema has text."""
    kind = _kind(key)
    if _parts(key)[-1] in _PATTERNS and not text.lstrip().startswith(('"', "'")):
        return text.strip() or None
    if is_text(kind) and text not in ("", "null", "~") and not text.lstrip().startswith(("[", '"', "'")):
        return text.strip()
    return read_override(text)
