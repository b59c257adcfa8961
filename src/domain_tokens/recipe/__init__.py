"""Recipes: YAML files and dotted overrides, merged, checked, and turned into each library's own argument class.

A recipe names one run. It `extends` other recipes, may be followed by overlays (a scale) and by overrides:

    recipes/mul_tokens.yaml recipes/scales/demo.yaml pretrain.max_steps=50

Sections of our own are strict dataclasses. The trainers' sections (`pretrain`, `sft`, `grpo`) hold the library's own
argument names and are read by the library's own parser, so a misspelled key stops the run in its first second.
"""

from domain_tokens.recipe.arguments import accumulation_steps, parse_arguments
from domain_tokens.recipe.errors import RecipeError, first_line, user_errors
from domain_tokens.recipe.loading import (
    flatten,
    load_prereg,
    load_recipe,
    load_section,
    to_dict,
    to_yaml,
)
from domain_tokens.recipe.schema import Corpus, Recipe, Rewards, SFTStage, Source

__all__ = [
    "Corpus",
    "Recipe",
    "RecipeError",
    "Rewards",
    "SFTStage",
    "Source",
    "accumulation_steps",
    "first_line",
    "flatten",
    "load_prereg",
    "load_recipe",
    "load_section",
    "parse_arguments",
    "to_dict",
    "to_yaml",
    "user_errors",
]
