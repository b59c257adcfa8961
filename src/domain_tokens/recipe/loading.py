"""Merges recipe files and overrides into one `Recipe`."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from copy import copy, deepcopy
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, make_dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from domain_tokens.recipe.arguments import flatten
from domain_tokens.recipe.errors import RecipeError, first_line, suggest, suggest_file
from domain_tokens.recipe.files import read_file
from domain_tokens.recipe.mistaken import advice_on_missing, refuse_other_file
from domain_tokens.recipe.prereg import Prereg
from domain_tokens.recipe.schema import Recipe
from domain_tokens.recipe.values.interpolation import escaped, explained, unescaped
from domain_tokens.recipe.values.overrides import (
    drop_arguments_of_another_schedule,
    drop_keys_of_a_generated_source,
    drop_what_stages_say_themselves,
    is_override,
    joined,
    layered,
    leaves,
    overridden,
    refuse_contradictions,
)
from domain_tokens.recipe.values.types import Values, clash, misfits

T = TypeVar("T")

# Keys whose value is a file that may lie beside the recipe that names it.
_FILES = ("tokenizer", "canonical_table", "prereg")


def load_recipe(arguments: list[str]) -> Recipe:
    """Read a recipe from a command line: recipe files, then dotted overrides.

    An argument that is a file is a recipe, whatever its name looks like; another one with `=` is an override.
    Imports no training library: the names of their arguments come from a generated table.

    Args:
        arguments (`list[str]`): `[RECIPE.yaml, OVERLAY.json, ..., key.path=value, ...]`.

    Raises:
        RecipeError: with the file or override, the full path of the key, and what was expected.
    """
    files, overrides = _tell_apart(arguments)
    values: Values = {}
    for file in files:
        values = _merge(values, _read_with_parents(file, ()), str(file))
    refuse_contradictions(overrides)
    for override in overrides:
        drop_arguments_of_another_schedule(values, leaves(override))
        drop_keys_of_a_generated_source(values, leaves(override))
        drop_what_stages_say_themselves(values, leaves(override))
    where = " + ".join(str(file) for file in files)
    recipe = _to_dataclass(Recipe, overridden(values, overrides), where)
    recipe.check()
    recipe.evaluation.models = recipe.evaluated_models()
    if recipe.prereg is not None:
        check_named_files(recipe, arguments, ["prereg"])
        declared = load_prereg(Path(recipe.prereg))
        _check_models(recipe, declared)
        _check_averages(recipe, declared)
    return recipe


def check_named_files(
    recipe: Recipe, arguments: list[str], keys: Sequence[str] = ("tokenizer", "canonical_table")
) -> None:
    """Check that the files that a recipe names exist.

    Args:
        recipe (`Recipe`): what `load_recipe` made of the arguments.
        arguments (`list[str]`): the recipe files and overrides.
        keys (`Sequence[str]`, *optional*): which files; `load_recipe` itself needs the preregistration alone.

    Raises:
        RecipeError: with the recipe, the key, and where the file was looked for.
    """
    files, _ = _tell_apart(arguments)
    for key in keys:
        named = getattr(recipe, key)
        if named is None or os.path.isfile(named):
            continue
        if os.path.isdir(named):
            raise RecipeError(
                f"{' + '.join(map(str, files))}: {key}: {named} is a folder; expected an intervention's YAML file, "
                "such as recipes/interventions/none.yaml. On what vocabulary it is built, base_vocabulary says"
            )
        looked = list(dict.fromkeys(os.path.normpath(file.parent / named) for file in files))
        tried = [*looked, os.path.normpath(named)]
        there = sorted({str(one) for path in tried for one in Path(path).parent.glob("*.yaml")})
        close = next(filter(None, (suggest(path, there) for path in tried)), "")
        raise RecipeError(
            f"{' + '.join(map(str, files))}: {key}: {named}: no such file; looked for {' and '.join(looked)}, and for "
            f"{named} in the working folder {Path.cwd()}{close}"
        )


def _check_models(recipe: Recipe, declared: Prereg) -> None:
    """Check that a run trains the models at which a result is declared, or starts with one of them."""
    trained = list(recipe.all_model_folders.values())
    for endpoint in declared.endpoints:
        if endpoint.model not in trained:
            missing = "sft_stages" if endpoint.model.startswith("sft") else "grpo_prompts"
            raise RecipeError(
                f"{recipe.prereg}: endpoints: {endpoint.task} of {endpoint.model}: the run trains no such model "
                f"({missing} has no stage that ends in it); declare one of {', '.join(trained)}, in a file that "
                "prereg names"
            )


def _check_averages(recipe: Recipe, declared: Prereg) -> None:
    """Check that a run will have the checkpoints over which an endpoint is declared to be averaged."""
    kept = {"pretrain_final": recipe.pretrain, "sft_final": recipe.sft, "grpo_final": recipe.grpo}
    for endpoint in declared.endpoints:
        where = f"{recipe.prereg}: endpoints: {endpoint.model} {endpoint.task}: last_checkpoints"
        number = endpoint.last_checkpoints
        if number == 1 or endpoint.task not in recipe.evaluation.task_names():
            continue
        if endpoint.task not in recipe.evaluation.checkpoint_tasks:
            raise RecipeError(
                f"{where}: {number} checkpoints are declared, but {endpoint.task} is not among "
                "evaluation.checkpoint_tasks; add it there"
            )
        settings = kept.get(endpoint.model, {})
        steps, every = settings.get("max_steps"), settings.get("save_steps")
        if isinstance(steps, int) and isinstance(every, int) and 0 < steps < (number - 1) * every + 1:
            raise RecipeError(
                f"{where}: {number} checkpoints are declared, but {steps} steps with one every {every} make "
                f"{-(-steps // every)}"
            )
        limit = settings.get("save_total_limit")
        if isinstance(limit, int) and limit < number:
            section = endpoint.model.removesuffix("_final")
            raise RecipeError(
                f"{where}: {number} checkpoints are declared, but {section}.save_total_limit keeps {limit}; "
                f"set it to {number} or more"
            )


def _tell_apart(arguments: list[str]) -> tuple[list[Path], list[str]]:
    """Return the recipe files and the overrides among the arguments of a command line."""
    files, overrides = [], []
    for argument in arguments:
        path = expand(argument, argument)
        if os.path.isfile(path):
            files.append(Path(path))
        elif is_override(argument):
            overrides.append(argument)
        else:
            found = "a folder" if os.path.isdir(path) else "no such file"
            raise RecipeError(
                f"{argument}: {found}; expected a recipe's YAML or JSON file, or an override key.path=value, for "
                f"example pretrain.max_steps=50{suggest_file(Path(path))}"
            )
    if not files:
        named = f"; no such file: {overrides[0]}" if overrides else ""
        raise RecipeError(
            f"no recipe given: expected a YAML or JSON file first, for example recipes/mul_tokens.yaml{named}"
        )
    return files, overrides


def overlaid(arguments: list[str], overrides: Sequence[str]) -> list[str]:
    """Return the arguments of `load_recipe` with overrides that replace what they say of the same keys."""
    files, given = _tell_apart(arguments)
    return [*map(str, files), *layered(given, overrides)]


def expand(path: str, where: str) -> str:
    """Return a path with `~` at its beginning replaced by the home folder.

    Args:
        path (`str`): a path, a pattern of paths, or anything else, which is returned as it is.
        where (`str`): its key, for the message.
    """
    if not path.startswith("~"):
        return path
    if (expanded := os.path.expanduser(path)) == path:
        raise RecipeError(f"{where}: {path}: no home folder of this name; expected a path without ~, or ./{path}")
    return expanded


def _expand_paths(section: object) -> None:
    """Replace `~` in every path below a section, once and for all stages."""
    if isinstance(section, dict):
        for key, value in section.items():
            if isinstance(value, str) and value.startswith("~/"):
                section[key] = expand(value, str(key))
            _expand_paths(value)
    elif isinstance(section, list):
        for value in section:
            _expand_paths(value)
    elif is_dataclass(section):
        for field in fields(section):
            value = getattr(section, field.name)
            if field.metadata.get("path") and isinstance(value, str):
                setattr(section, field.name, expand(value, field.name))
            elif field.metadata.get("path") and isinstance(value, list):
                setattr(section, field.name, [expand(one, field.name) for one in value])
            else:
                _expand_paths(value)


def load_section(kind: type[T], path: Path) -> T:
    """Read one YAML or JSON file into a strict dataclass. Raises `RecipeError` with the file and the key.

    Every stage and every check reads the same few files again; one that has not changed is not converted again.
    """
    content = b""
    with suppress(OSError, ValueError):  # said by `read_file`
        content = path.read_bytes()
    if b"$" in content or b"~" in content:  # the environment may have changed
        return _to_dataclass(kind, read_file(path), str(path))
    read = deepcopy(_read_section(cast(type, kind), path, content))
    assert isinstance(read, kind)
    return read


@lru_cache
def _read_section(kind: type, path: Path, content: bytes) -> object:
    return _to_dataclass(kind, read_file(path), str(path))


def load_prereg(path: Path) -> Prereg:
    """Read a preregistration. Raises `RecipeError` with the file, the key and what was expected."""
    declared = load_section(Prereg, path)
    declared.check(str(path))
    return declared


def read_resolved(path: Path) -> Values:
    """Return a resolved recipe (`run_config.yaml`) by dotted key, without the checks of the present version.

    Raises:
        RecipeError: if the file is missing or damaged.
    """
    return {key: unescaped(value) for key, value in flatten(read_file(path)).items()}


def to_yaml(recipe: Recipe) -> str:
    """Return the resolved recipe as YAML, as written to `run_config.yaml`; `load_recipe` can read it back."""
    return yaml.dump(escaped(to_dict(recipe)), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


_LINE_ENDS = re.compile("[\x85\u2028\u2029]")  # outside of double quotes, YAML folds them into a space


class _Dumper(yaml.SafeDumper):
    """Writes text in quotes wherever this project's reader would take it for a number: `0o7`, `1e3`, `1:30`."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Return the node of a text."""
        style = "'" if data[:1] in tuple("0123456789+-.") else '"' if _LINE_ENDS.search(data) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def to_dict(recipe: Recipe) -> Values:
    """Return the resolved recipe as plain dictionaries and lists."""
    return asdict(recipe)


def _read_with_parents(path: Path, children: tuple[Path, ...]) -> Values:
    resolved = path.resolve()
    if resolved in children:
        raise RecipeError(f"{path}: extends itself, through {' -> '.join(str(child) for child in children)}")
    values = read_file(path)
    refuse_other_file(values, str(path))
    if "measured_as" in values:  # its name before version 0.4
        if "canonical_table" in values:
            raise RecipeError(f"{path}: measured_as is the old name of canonical_table; expected one of them")
        values["canonical_table"] = values.pop("measured_as")
    merged: Values = {}
    for parent in _parents(values, path):
        parent_path = path.parent / expand(parent, f"{path}: extends")
        merged = _merge(merged, _read_with_parents(parent_path, (*children, resolved)), str(path))
    # A file is given relative to the recipe's own folder. A resolved recipe (run_config.yaml) gives it relative to the
    # working folder.
    _check_types(Recipe, values, str(path))
    for key in _FILES:
        beside = path.parent / str(values.get(key) or "")
        if os.path.isfile(beside):
            values[key] = os.path.normpath(beside)
    _find_task_files(values.get("evaluation"), path.parent)
    return _merge(merged, values, str(path))


def _parents(values: Values, path: Path) -> list[str]:
    """Take the files that a recipe extends out of its values."""
    given = {"extends": values.pop("extends", None)}
    try:
        if _is_interpolated(given):
            given["extends"] = OmegaConf.select(OmegaConf.create(values | given), "extends")
    except OmegaConfBaseException as error:
        raise RecipeError(f"{path}: extends: {explained(error)}") from error
    found = given["extends"]
    files = [] if found is None else list(found) if isinstance(found, list | ListConfig) else [found]
    if not all(isinstance(one, str) and one for one in files):
        raise RecipeError(f"{path}: extends: expected a file or a list of files, got {found!r}")
    return files


def _find_task_files(evaluation: object, folder: Path) -> None:
    """Replace the tasks that are files in the recipe's own folder by their paths from the working folder."""
    tasks = evaluation.get("tasks") if isinstance(evaluation, dict) else None
    if not isinstance(tasks, list):
        return
    for index, task in enumerate(tasks):
        beside = folder / str(task)
        if beside.suffix == ".py" and os.path.isfile(beside):
            tasks[index] = os.path.normpath(beside)


def _merge(left: Values, right: Values, where: str) -> Values:
    """Merge two files into one; `left` may not be used afterwards."""
    if (found := clash(left, right, "")) is not None:
        raise RecipeError(f"{where}: {found}")
    said = flatten(right)
    drop_arguments_of_another_schedule(left, said)
    drop_keys_of_a_generated_source(left, said)
    if not _is_interpolated(left) and not _is_interpolated(right):
        return cast(Values, joined(left, right))
    try:
        return cast(Values, OmegaConf.to_container(OmegaConf.unsafe_merge(left, right)))
    except (OmegaConfBaseException, TypeError) as error:
        raise RecipeError(f"{where}: {first_line(error)}") from error


def _check_types(kind: type, values: Values, where: str) -> None:
    """Check the values of one file, so that a message names it, and no two files of other types are merged."""
    misfit = next(misfits(kind, values, "", is_resolved=False), None)
    if misfit is not None:
        raise RecipeError(f"{where}: {misfit}")


def _to_dataclass(kind: type[T], given: Values, where: str) -> T:
    _check_types(kind, given, where)
    values = _resolve(kind, given, where)
    if (misfit := next(misfits(kind, values, ""), None)) is not None:
        raise RecipeError(f"{where}: {misfit}")
    in_parts = _by_section(kind, values) if kind is Recipe else None  # other files are small, and kept whole
    value = in_parts or _converted(kind, values, where)
    _expand_paths(value)
    return value


def _converted(kind: type[T], values: object, where: str) -> T:
    """Convert values of the right shapes. Raises `RecipeError` with the full path of the key."""
    try:
        typed = OmegaConf.unsafe_merge(deepcopy(_structured(cast(type, kind))), escaped(values))
    except OmegaConfBaseException as error:
        raise RecipeError(f"{where}: {_locate(kind, values, '') or first_line(error)}") from error
    try:
        value = OmegaConf.to_object(typed)
    except MissingMandatoryValue as error:
        missing = sorted(OmegaConf.missing_keys(typed))
        raise RecipeError(f"{where}: missing: {', '.join(missing)}; {advice_on_missing(missing)}") from error
    assert isinstance(value, kind)
    return value


@dataclass(frozen=True)
class _Said:
    """What is said of one section; equal where the same is said, of whatever types the values are."""

    kind: type
    text: str
    values: object = field(compare=False)


def _by_section(kind: type[T], values: object) -> T | None:
    """Convert the sections of a recipe by themselves, each once for all recipes that say the same of it.

    Recipes of one experiment, of its seeds and of its stages differ in few sections, and the whole takes 60 ms.
    Returns nothing where something does not fit: the whole is converted then, for a message with the full key.
    """
    if not isinstance(values, dict):
        return None
    sections, others = _parts(cast(type, kind))
    found: dict[str, object] = {}
    try:
        for key, (section, shape) in sections.items():
            said = values.get(key)
            if shape is list and isinstance(said, list) and all(isinstance(one, dict) for one in said):
                found[key] = [deepcopy(_section(_Said(section, repr(one), one))) for one in said]
            elif shape is not list and isinstance(said, dict):
                found[key] = deepcopy(_section(_Said(section, repr(said), said)))
            elif shape is NoneType and said is None:
                found[key] = None
            elif key in values:
                return None
        rest: object = _converted(others, {key: said for key, said in values.items() if key not in found}, "")
    except RecipeError:
        return None
    return kind(**vars(rest), **found)


@lru_cache(maxsize=512)
def _section(said: _Said) -> object:
    return _converted(said.kind, said.values, "")


@cache
def _parts(kind: type) -> tuple[dict[str, tuple[type, type]], type]:
    """Return the fields that are sections, and a class of the other fields.

    Beside each section stands `list` if the field is a list of them, `NoneType` if it is none by default, and else the
    section again. A section counts if it is by itself what it is in the whole by default.
    """
    hints = get_type_hints(kind)
    sections: dict[str, tuple[type, type]] = {}
    for one in fields(kind):
        choices = [choice for choice in get_args(hints[one.name]) if choice is not NoneType]
        (section, *more) = choices or [hints[one.name]]
        if more or not isinstance(section, type) or not is_dataclass(section):
            continue
        default = one.default if one.default_factory is MISSING else one.default_factory()
        if get_origin(hints[one.name]) is list:
            sections[one.name] = (section, list)
        elif default is None or default == section():
            sections[one.name] = (section, NoneType if default is None else section)
    others = [(one.name, hints[one.name], copy(one)) for one in fields(kind) if one.name not in sections]
    return sections, make_dataclass(f"{kind.__name__}WithoutSections", others)


def _resolve(kind: type, values: Values, where: str) -> object:
    """Return the values with interpolations such as `${experiment}` resolved from the file or from defaults.

    Types are checked afterwards: OmegaConf 2.4 refuses an interpolation inside a list that may also be a string.
    Values without an interpolation are returned as they are, and lack the defaults.
    """
    if not _is_interpolated(values):
        return values
    try:
        merged = OmegaConf.unsafe_merge(OmegaConf.to_container(_structured(kind)), values)
        resolved = OmegaConf.to_container(merged, resolve=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None)
        raise RecipeError(f"{where}: {f'{key}: ' if key else ''}{explained(error)}") from error
    return resolved


@cache
def _structured(kind: type) -> DictConfig:
    """Return a section with its defaults, which nobody may change: to copy it takes a fifth of making it."""
    structured = OmegaConf.structured(kind)
    assert isinstance(structured, DictConfig)
    return structured


def _is_interpolated(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_is_interpolated, value.values()))
    if isinstance(value, list):
        return any(map(_is_interpolated, value))
    return isinstance(value, str) and "${" in value


def _locate(kind: Any, value: Any, path: str) -> str | None:
    """Return the first key below `path` that does not fit its type, and why; OmegaConf's error lacks part of the path.

    Args:
        kind: a dataclass, or the type of one of its fields.
        value: the values, as dictionaries and lists.
        path (`str`): the key of `value`, empty at the top level.
    """
    kind = next((one for one in get_args(kind) if is_dataclass(one) and get_origin(kind) is UnionType), kind)
    inside, item = get_origin(kind), next(iter(get_args(kind)[-1:]), None)
    if inside is list and is_dataclass(item) and isinstance(value, list):
        return next(filter(None, (_locate(item, one, f"{path}.{index}") for index, one in enumerate(value))), None)
    if inside is dict and is_dataclass(item) and isinstance(value, dict):
        return next(filter(None, (_locate(item, one, f"{path}.{key}") for key, one in value.items())), None)
    if not is_dataclass(kind) or not isinstance(value, dict):
        return None
    section = cast(type, kind)
    types, known = get_type_hints(section), [field.name for field in fields(section)]
    for key, one in value.items():
        full = f"{path}.{key}".removeprefix(".")
        if key not in known:
            return f"{full}: unknown key{suggest(str(key), known) or '; expected one of ' + ', '.join(known)}"
        if (found := _locate(types[key], one, full)) is not None:
            return found
        try:
            OmegaConf.merge(OmegaConf.structured(section), {key: one})
        except OmegaConfBaseException as error:
            # OmegaConf leaves its template as it is for a member of a list.
            message = first_line(error).replace("$VALUE_TYPE", type(one).__name__)
            return f"{full}: {message.replace('$VALUE', str(one))}"
    return None
