"""Says what a file is, and how it is used, that was given as a recipe and is none."""

from collections.abc import Collection

from domain_tokens.recipe.errors import RecipeError
from domain_tokens.recipe.values.types import Values

_OTHER_FILES = {
    "an intervention; a recipe names it as its tokenizer, and scripts/build_tokenizer.py builds it": (
        {"facts", "about", "tokens", "num_ids", "numbers"}
    ),
    "a preregistration; a recipe names it under prereg": {"endpoints", "stopping_rule"},
    "a launcher's file; scripts/run_experiment.py takes it as --config-file, accelerate launch as --config_file": (
        {"compute_environment", "distributed_type"}
    ),
    "a list of variations; scripts/run_robustness.py takes it as --file": {"variations"},
    "a list of experiments; scripts/research_tables.py takes it as --file": {"experiments"},
}
"""What a file is that has one of some keys, which no recipe has."""

_RECIPE_FIRST = "expected a recipe first, for example recipes/mul_tokens.yaml"


def refuse_other_file(values: Values, where: str) -> None:
    """Check that a file is not one of another kind, which would be refused for its first key alone.

    Args:
        values (`Values`): what the file says.
        where (`str`): the file.

    Raises:
        RecipeError: saying what the file is, and how it is used.
    """
    # Both an intervention and a recipe have rules: its rules of rewriting, or their version.
    keys = {*values, *({"facts"} if isinstance(values.get("rules"), dict) else ())}
    for about, own in _OTHER_FILES.items():
        if keys & own:
            raise RecipeError(f"{where}: no recipe, but {about}; {_RECIPE_FIRST}")


def advice_on_missing(missing: Collection[str]) -> str:
    """Return what to do about keys that a recipe lacks, which may be an overlay alone."""
    if {"condition", "tokenizer"} <= set(missing):
        return (
            f"so this is an overlay, which changes a recipe; {_RECIPE_FIRST}, and overlays behind it (behind "
            "--overlay where several recipes can be given)"
        )
    return "expected a value for each"
