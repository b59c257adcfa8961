"""The section `seal`: what it refuses, and that a run is the same run with any of it, and with none at all."""

from pathlib import Path
from typing import Any

import pytest
from tiny import ROOT

from domain_tokens.experiment.sharing import STAGES, changed_keys, first_own_stage
from domain_tokens.recipe import Recipe, RecipeError, flatten, load_recipe, to_dict, to_yaml
from domain_tokens.recipe.loading import read_resolved
from domain_tokens.recipe.sections.apart.seal import LEAST_SEEDS, Seal
from domain_tokens.recipe.values.effective import effective
from domain_tokens.runs.preregistration import comparable

OTHER = ("seal.enabled=true", "seal.steps=[1, 2]", "seal.policy=choice", "seal.train_passages=9")
SEAL_DEMO = "recipes/scales/seal_demo.yaml"


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def recipe_of(*overrides: str, condition: str = "baseline", scale: str = "recipes/scales/demo.yaml") -> Recipe:
    return load_recipe([f"recipes/{condition}.yaml", scale, *overrides])


def without_the_section(recipe: Recipe, folder: Path) -> dict[str, object]:
    """Return a recipe as a release without this section recorded it, read back."""
    before, _, rest = to_yaml(recipe).partition("\nseal:\n")
    kept = rest.splitlines(keepends=True)
    while kept[0][0] in " -":
        kept.pop(0)
    path = folder / "run_config.yaml"
    path.write_text(f"{before}\n{''.join(kept)}", encoding="utf-8")
    return read_resolved(path)


def test_a_recipe_that_does_not_name_it_has_its_defaults() -> None:
    recipe = recipe_of()
    assert recipe.seal == Seal()
    assert (recipe.seal.enabled, recipe.seal.inner_seeds) == (False, LEAST_SEEDS)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"inner_seeds": 4}, "seal.inner_seeds: expected a whole number of at least 5, got 4"),
        ({"edits_per_passage": 1}, "seal.edits_per_passage: expected a whole number of at least 2, got 1"),
        ({"train_passages": 1}, "seal.train_passages: expected a whole number of at least 2, got 1"),
        ({"test_passages": 1}, "seal.test_passages: expected a whole number of at least 2, got 1"),
        ({"rounds": 0}, "seal.rounds: expected a whole number of at least 1, got 0"),
        ({"tokens_per_step": 0}, "seal.tokens_per_step: expected a whole number of at least 2, got 0"),
        ({"policy_epochs": 0}, "seal.policy_epochs: expected a whole number of at least 1, got 0"),
        ({"validation_documents": 0}, "seal.validation_documents: expected a whole number of at least 1, got 0"),
        ({"workers": 0}, "seal.workers: expected a whole number of at least 1, got 0"),
        ({"warmup_edits": 0}, "seal.warmup_edits: expected a whole number of at least 1, got 0"),
        ({"seed": -1}, "seal.seed: expected a whole number from 0"),
        ({"temperature": 0.0}, "seal.temperature: expected "),
        ({"policy_learning_rate": 0.0}, "seal.policy_learning_rate: expected a number above 0, got 0.0"),
        ({"steps": []}, "seal.steps: "),
        ({"steps": [4, 4]}, "seal.steps: "),
        ({"steps": [4, 0]}, "seal.steps: expected a whole number of at least 1, got 0"),
        ({"ranks": []}, "seal.ranks: "),
        ({"ranks": [2, 2]}, "seal.ranks: "),
        ({"ranks": [0]}, "seal.ranks: expected a whole number of at least 1, got 0"),
        ({"learning_rates": []}, "seal.learning_rates: "),
        ({"learning_rates": [0.01, 0.01]}, "seal.learning_rates: "),
        ({"learning_rates": [-0.01]}, "seal.learning_rates: expected a number above 0, got -0.01"),
        ({"repeats": []}, "seal.repeats: "),
        ({"repeats": [1, 1]}, "seal.repeats: "),
        ({"repeats": [0]}, "seal.repeats: expected a whole number of at least 1, got 0"),
        ({"chain": 1}, "seal.chain: expected 0, or 2 to seal.test_passages (64), got 1"),
        ({"chain": 65}, "seal.chain: expected 0, or 2 to seal.test_passages (64), got 65"),
        ({"chain": -1}, "seal.chain: expected 0, or 2 to seal.test_passages (64), got -1"),
    ],
    ids=str,
)
def test_a_value_that_it_cannot_have_is_refused(values: dict[str, Any], said: str) -> None:
    Seal().check("seal")
    with pytest.raises(RecipeError) as caught:
        Seal(**values).check("seal")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "values", [{"chain": 0}, {"chain": 2}, {"chain": 64}, {"repeats": [1]}, {"temperature": 0.01}], ids=str
)
def test_a_value_that_it_may_just_have_is_taken(values: dict[str, Any]) -> None:
    Seal(**values).check("seal")
    with pytest.raises(RecipeError, match=r"seal\.rounds"):
        Seal(**values, rounds=0).check("seal")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model=sft_drills", "seal.model: Invalid value 'sft_drills', expected one of ['pretrain_final', "),
        ("policy=table", "seal.policy: Invalid value 'table', expected one of ['language_model', "),
        ("reward=accuracy", "seal.reward: Invalid value 'accuracy', expected one of ['answer_bits', "),
        ("enabled=7", "seal.enabled: expected "),
        ("round=3", "seal.round: "),
        ("rounds=0", "seal.rounds: expected a whole number of at least 1, got 0"),
    ],
)
def test_a_recipe_with_it_is_checked(override: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_of(f"seal.{override}")
    assert said in str(caught.value)


@pytest.mark.parametrize("overrides", [(), OTHER], ids=["defaults", "other values"])
def test_a_run_recorded_before_this_section_is_the_same_run(overrides: tuple[str, ...], tmp_path: Path) -> None:
    recipe = recipe_of(*overrides)
    now, recorded = flatten(to_dict(recipe)), without_the_section(recipe, tmp_path)
    assert {key for key in now if key not in recorded} == {key for key in now if key.startswith("seal.")} != set()
    assert effective(recorded) == effective(now)
    assert comparable(recorded) == comparable(now)
    assert effective(recorded) != effective(flatten(to_dict(recipe_of("seed=1"))))


def test_runs_that_differ_in_it_alone_share_every_stage() -> None:
    made, varied = recipe_of(), recipe_of(*OTHER)
    assert made != varied
    assert changed_keys(made, varied) == []
    assert first_own_stage(made, varied) == len(STAGES)
    assert first_own_stage(made, recipe_of(*OTHER, "verifier.num_samples=9")) == STAGES.index("eval")


def test_the_demo_of_it_pretrains_on_worlds_alone_in_both_conditions() -> None:
    baseline, mul_tokens = (recipe_of(condition=one, scale=SEAL_DEMO) for one in ("baseline", "mul_tokens"))
    assert baseline.seal == mul_tokens.seal
    assert baseline.seal.enabled
    assert [source.what for source in baseline.corpus.sources] == ["worlds"]
    assert changed_keys(baseline, mul_tokens) == ["condition", "tokenizer"]
    assert baseline.model_folders == {"pretrain": "pretrain_final"}
    assert (baseline.evaluated_models(), baseline.prereg) == (["pretrain_final"], None)
    assert baseline.base_vocabulary.num_ids == 3072
