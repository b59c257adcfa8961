"""The shipped overlays of GRPO: what they say is what the libraries get, in both conditions."""

from functools import cache
from pathlib import Path

import pytest
from tiny import CONDITIONS

from domain_tokens.recipe import Recipe, check_fit, flatten, load_recipe, parse_trainers, to_dict
from domain_tokens.recipe.sections.rewards import Rewards
from domain_tokens.recipe.sections.rollouts import Rollouts

OVERLAYS = sorted(path.stem for path in (Path(__file__).parents[2] / "recipes" / "stages").glob("grpo_*.yaml"))


@cache
def recipe_of(condition: str, *overlays: str) -> Recipe:
    """Return a recipe that nobody may change."""
    return load_recipe([f"recipes/{condition}.yaml", *(f"recipes/stages/{name}.yaml" for name in overlays)])


def test_the_overlays_are_those_that_are_tried() -> None:
    assert OVERLAYS == ["grpo_earlier", "grpo_exact", "grpo_shaped", "grpo_strong_kl"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_fits_and_changes_both_conditions_alike(overlay: str) -> None:
    changes = []
    for condition in CONDITIONS:
        recipe, usual = recipe_of(condition, overlay), flatten(to_dict(recipe_of(condition)))
        check_fit(recipe, parse_trainers(recipe))
        now = flatten(to_dict(recipe))
        changes.append({key: value for key, value in now.items() if usual.get(key) != value})
    assert changes[0]
    assert changes[0] == changes[1]


def test_the_earlier_run() -> None:
    recipe = recipe_of("mul_tokens", "grpo_earlier")
    grpo = parse_trainers(recipe).grpo
    assert (grpo.num_generations, grpo.temperature, grpo.max_completion_length) == (4, 0.7, 256)
    assert (grpo.learning_rate, grpo.beta) == (5e-7, 0.5)
    assert [source.max_items for source in recipe.grpo_prompts] == [1000]
    assert grpo.max_steps * recipe.budget.grpo_completions_per_step == 1000 * 4  # each prompt once


def test_the_kl_term_is_on() -> None:
    assert parse_trainers(recipe_of("baseline")).grpo.beta == 0.04
    assert parse_trainers(recipe_of("baseline", "grpo_strong_kl")).grpo.beta == 0.5


def test_rewards_of_the_overlays() -> None:
    assert recipe_of("baseline", "grpo_exact").rewards.weights == {"exact_match": 1.0}
    shaped = recipe_of("baseline", "grpo_shaped").rewards
    assert shaped.bonus == "parity"
    assert set(shaped.weights) == {*vars(Rewards())} - {"bonus", "partial_credit"}
    assert recipe_of("baseline").rewards.bonus == "off"


@pytest.mark.parametrize(
    ("override", "message"),
    [("rollouts.min_pass_at_k=1.5", "rollouts.min_pass_at_k: expected a number from 0 to 1, got 1.5"),
     ("rollouts.preflight_prompts=-1", "rollouts.preflight_prompts: expected a whole number of at least 0, got -1"),
     ("rollouts.preflight_samples=5000", "rollouts.preflight_samples: expected a whole number of at most 1,024"),
     ("rollouts.pass_rates=['']", "rollouts.pass_rates: empty; expected text"),
     ("rollouts.keep_prompts=0", "rollouts.keep_prompts: expected a whole number of at least 1, got 0"),
     ("rewards.bonus=mul", "rewards.bonus"), ("rewards.bonus=parity", "rewards.bonus: is parity while")],
)  # fmt: skip
def test_what_cannot_be_is_refused_when_the_recipe_is_read(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        load_recipe(["recipes/baseline.yaml", override])
    assert recipe_of("baseline").rollouts == Rollouts(preflight_prompts=64, keep_every=50, keep_prompts=4)
