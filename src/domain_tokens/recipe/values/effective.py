"""What the trainers' sections come to: an argument that says what its library would take anyway says nothing.

Two recipes are the same run if they come to the same, so recorded inputs and frozen recipes are compared this way.
"""

import re
from collections.abc import Mapping
from functools import cache

from domain_tokens.recipe.argument_table import Kind, defaults
from domain_tokens.recipe.arguments import MICRO_BATCH, flatten

# The sections in a recipe by dotted key, and in the inputs that a stage records.
_SECTION = re.compile(r"(pretrain|sft|sft_stages\.\d+\.args|grpo|verifier\.args|model)\.(.+)")
_KINDS: dict[str, Kind] = {
    "pretrain": "TrainingArguments",
    "sft": "SFTConfig",
    "grpo": "GRPOConfig",
    "verifier.args": "TrainingArguments",
    "model": "GPT2Config",
}
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
# Where a run reports and under which name, which changes no number of it.
_REPORTS = (
    "report_to", "run_name", "project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id",
)  # fmt: skip
# Where a run is published, how it is looked at, and how its finished model is adapted, likewise.
_WITHOUT_EFFECT = re.compile(r"push_to_hub|(?:hub|monitoring|seal)\..+")
_ONE_COLUMN = re.compile(r"(.*\b(?:text|question|answer)_key)\.0")


def effective(values: Mapping[str, object]) -> dict[str, object]:
    """Return a recipe, or a stage's inputs, without arguments that say their default, and what is without effect.

    Text that is a number counts as the number, as the libraries' parser reads it, and a list of one column as the
    column.

    Args:
        values (`Mapping[str, object]`): by dotted key (`recipe.flatten`).
    """
    kept: dict[str, object] = {}
    for key, value in values.items():
        if (column := _ONE_COLUMN.fullmatch(key)) is not None and f"{column[1]}.1" not in values:
            kept[column[1]] = value
            continue
        if is_without_effect(key):
            continue
        if (match := _SECTION.fullmatch(key)) is None:
            kept[key] = value
            continue
        section, argument = match[1], match[2]
        if argument.partition(".")[0] in _REPORTS:
            continue
        usual = _usual(section.partition("_")[0]).get(argument)
        if section.startswith("sft_stages") and (shared := _as_read(values.get(f"sft.{argument}"))) is not None:
            usual, value = shared, usual if value is None else value
        value = _as_read(value)
        if value != usual and (value is not None or section == "model"):
            kept[key] = value
    return kept


def is_without_effect(key: str) -> bool:
    """Return whether a recipe's key says nothing of a run's numbers: how it is published, shown or adapted."""
    return _WITHOUT_EFFECT.fullmatch(key) is not None


def effective_inputs(inputs: Mapping[str, object]) -> dict[str, object]:
    """Return a stage's inputs by dotted key, as `effective`; the arguments of a fine-tuning stage are one section."""
    own, shared = inputs.get("args"), inputs.get("sft")
    if isinstance(own, dict) and isinstance(shared, dict):
        inputs = {**inputs, "sft": {**shared, **own}, "args": {}}
    return effective(flatten(_with_found_micro_batch(inputs)))


def _with_found_micro_batch(inputs: Mapping[str, object]) -> dict[str, object]:
    """Return inputs in which the micro batch that was found is where a recipe would give it."""
    derived = inputs.get("derived")
    if not isinstance(derived, dict) or MICRO_BATCH not in derived:
        return dict(inputs)
    found = {MICRO_BATCH: derived[MICRO_BATCH]}
    rest = {key: value for key, value in derived.items() if key != MICRO_BATCH}
    sections = {key: {**own, **found} for key in _KINDS if key != "model" and isinstance(own := inputs.get(key), dict)}
    return {**inputs, **sections, "derived": rest}


def effective_section(values: Mapping[str, object], section: str) -> dict[str, object]:
    """Return the arguments of a trainer's section, or of the model, that are not the defaults; by dotted key."""
    return effective(flatten(dict(values), section))


@cache
def _usual(section: str) -> dict[str, object]:
    return flatten(dict(defaults(_KINDS[section])))


def _as_read(value: object) -> object:
    """Return a value as the libraries' parser reads it."""
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
