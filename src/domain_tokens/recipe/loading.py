"""Recipe files and overrides, merged into one `Recipe`."""

import dataclasses
import os
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from domain_tokens.recipe.errors import RecipeError, first_line
from domain_tokens.recipe.prereg import Prereg, check_prereg
from domain_tokens.recipe.schema import Recipe, check_recipe

T = TypeVar("T")


def load_recipe(arguments: list[str]) -> Recipe:
    """Read a recipe from a command line: recipe files, then dotted overrides.

    Args:
        arguments (`list[str]`): `[RECIPE.yaml, OVERLAY.yaml, ..., key.path=value, ...]`.

    Raises:
        RecipeError: naming the file or override, the key's full path, and what was expected.
    """
    files = [
        Path(argument)
        for argument in arguments
        if argument.endswith((".yaml", ".yml", ".json")) and "=" not in argument
    ]
    overrides = [argument for argument in arguments if Path(argument) not in files]
    if not files:
        raise RecipeError("no recipe given: expected a YAML file first, for example recipes/mul_tokens.yaml")
    merged = OmegaConf.create({})
    for file in files:
        merged = _merge(merged, _read_with_parents(file, ()), str(file))
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise RecipeError(f"override {override!r}: expected key.path=value, for example pretrain.max_steps=50")
        try:
            value = OmegaConf.from_dotlist([f"value={text}"])["value"]
            OmegaConf.update(merged, key, value, force_add=True)
        except (OmegaConfBaseException, YAMLError, TypeError, ValueError, IndexError) as error:
            raise RecipeError(f"override {override!r}: {first_line(error)}") from error
    recipe = _to_dataclass(Recipe, merged, " + ".join(str(file) for file in files))
    check_recipe(recipe)
    if recipe.prereg is not None:
        load_prereg(Path(recipe.prereg))
    return recipe


def load_section(kind: type[T], path: Path) -> T:
    """Read one YAML file into a strict dataclass. Raises `RecipeError` naming the file and the key."""
    return _to_dataclass(kind, _read(path), str(path))


def load_prereg(path: Path) -> Prereg:
    """Read what an experiment declares. Raises `RecipeError` naming the file, the key and what was expected."""
    declared = load_section(Prereg, path)
    check_prereg(declared, path)
    return declared


def to_yaml(recipe: Recipe) -> str:
    """Return the resolved recipe as YAML: what `run_config.yaml` holds, and `load_recipe` reads back."""
    return OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(recipe)))


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """Return the resolved recipe as plain dictionaries and lists."""
    return dataclasses.asdict(recipe)


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return `{dotted.path: leaf}` of nested dictionaries and lists, for diffs and messages."""
    if isinstance(value, dict):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in items:
        flat.update(flatten(item, f"{prefix}.{key}" if prefix else key))
    return flat


def _read(path: Path) -> DictConfig:
    if not path.is_file():
        raise RecipeError(f"{path}: no such file; expected a YAML file")
    try:
        config = OmegaConf.load(path)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, DictConfig):
        raise RecipeError(f"{path}: expected keys and values at the top level")
    return config


def _read_with_parents(path: Path, children: tuple[Path, ...]) -> DictConfig:
    resolved = path.resolve()
    if resolved in children:
        raise RecipeError(f"{path}: extends itself, through {' -> '.join(str(child) for child in children)}")
    config = _read(path)
    if "measured_as" in config:  # its name before version 0.4
        config["canonical_table"] = config.pop("measured_as")
    parents = config.pop("extends", None) or []
    if isinstance(parents, str):
        parents = [parents]
    merged = OmegaConf.create({})
    for parent in parents:
        merged = _merge(merged, _read_with_parents(path.parent / str(parent), (*children, resolved)), str(path))
    # An intervention or a declaration stands beside the recipe that names it, whatever the working folder is; a
    # resolved recipe (run_config.yaml) names it from the working folder.
    for key in ("tokenizer", "canonical_table", "prereg"):
        beside = path.parent / str(config.get(key) or "")
        if beside.is_file():
            config[key] = os.path.normpath(beside)
    return _merge(merged, config, str(path))


def _merge(left: DictConfig, right: DictConfig, where: str) -> DictConfig:
    try:
        merged = OmegaConf.merge(left, right)
    except (OmegaConfBaseException, TypeError) as error:
        raise RecipeError(f"{where}: {first_line(error)}") from error
    assert isinstance(merged, DictConfig)
    return merged


def _to_dataclass(kind: type[T], config: DictConfig, where: str) -> T:
    try:
        typed = OmegaConf.merge(OmegaConf.structured(kind), config)
        value = OmegaConf.to_object(typed)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or getattr(error, "key", None) or _wrong_section(kind, config)
        raise RecipeError(f"{where}: {key}: {first_line(error)}") from error
    for name, leaf in flatten(dataclasses.asdict(value)).items():
        if leaf == "???":
            raise RecipeError(f"{where}: {name}: missing; every recipe says it")
    assert isinstance(value, kind)
    return value


def _wrong_section(kind: type, config: DictConfig) -> str:
    """Return the first key whose value has another shape than its section, which OmegaConf's error does not name."""
    for key, value in config.items():
        try:
            OmegaConf.merge(OmegaConf.structured(kind), {key: value})
        except OmegaConfBaseException:
            return str(key)
    return "the file"
