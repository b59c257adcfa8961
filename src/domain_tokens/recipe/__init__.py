"""Recipes: YAML or JSON files and dotted overrides, merged, checked, and turned into each library's own arguments.

A recipe names one run. It `extends` other recipes, may be followed by overlays (a scale) and by overrides:

    recipes/mul_tokens.yaml recipes/scales/demo.yaml pretrain.max_steps=50

Sections of our own are strict dataclasses. The trainers' sections (`pretrain`, `sft`, `grpo`) hold the library's own
argument names and are read by the library's own parser. A misspelled key stops the run in its first second: names are
compared with a table of the libraries' arguments, and no library is imported for it.
"""

from domain_tokens.recipe.arguments import TrainerSection, accumulation_steps, flatten, parse_arguments
from domain_tokens.recipe.errors import RecipeError, Unfinished, first_line, user_errors
from domain_tokens.recipe.loading import (
    check_named_files,
    load_prereg,
    load_recipe,
    load_section,
    read_resolved,
    to_dict,
    to_yaml,
)
from domain_tokens.recipe.micro_batch import micro_batch
from domain_tokens.recipe.schema import GENERATOR_VERSION, RULES_VERSION, Recipe, SFTStage
from domain_tokens.recipe.sections.rewards import Rewards
from domain_tokens.recipe.sections.sources import LESSON_KINDS, Cluster, Corpus, Source
from domain_tokens.recipe.trainers import (
    Trainers,
    accumulations,
    check_fit,
    check_num_prompts,
    check_num_tokens,
    check_packing,
    check_save_steps,
    parse_trainers,
    steps_per_generation,
)

__all__ = [
    "GENERATOR_VERSION",
    "LESSON_KINDS",
    "RULES_VERSION",
    "Cluster",
    "Corpus",
    "Recipe",
    "RecipeError",
    "Rewards",
    "SFTStage",
    "Source",
    "TrainerSection",
    "Trainers",
    "Unfinished",
    "accumulation_steps",
    "accumulations",
    "check_fit",
    "check_named_files",
    "check_num_prompts",
    "check_num_tokens",
    "check_packing",
    "check_save_steps",
    "steps_per_generation",
    "first_line",
    "flatten",
    "load_prereg",
    "load_recipe",
    "load_section",
    "micro_batch",
    "parse_arguments",
    "parse_trainers",
    "read_resolved",
    "to_dict",
    "to_yaml",
    "user_errors",
]
