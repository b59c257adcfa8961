"""Settings outside the tokenizer: what follows from them, what they leave equal, and what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from domain_tokens.corpora.examples import Example
from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.runs.files import write_json
from domain_tokens.runs.settings import declared_settings, derived_arguments
from domain_tokens.tokenization.contract import intervention_of
from domain_tokens.training.model import new_model, start_at_digits, weights_sha256
from domain_tokens.training.post_training.chat_data import ExampleAccount
from domain_tokens.training.sft import FineTuning

ENTRY = {
    "padding_tokens": 0, "generated_tokens": 0, "examples": 1, "dataset_tokens": 1, "order_sha256": "o", "seeds": {},
    "initial_weights_sha256": "w", "precision": {}, "optimizer": {}, "schedule": {}, "wall_time_s": 1.0, "tokens": 1,
}  # fmt: skip
STAGES = {"pretrain_final": "pretrain", "sft_final": "sft/drills", "grpo_final": "grpo"}


def finish(recipe: Recipe, condition: str, amounts: dict[str, tuple[int, int, float]]) -> None:
    """Write the manifests of a finished run with `{stage: (steps, source bytes, FLOPs)}`."""
    for folder, stage in STAGES.items():
        steps, source_bytes, flops = amounts[stage]
        entry = ENTRY | {"stage": stage, "steps": steps, "source_bytes": source_bytes, "flops": flops}
        manifest = {"stage": stage, "condition": condition, "seed": 0, "inputs": {}, "environment": {}, "files": {}}
        path = recipe.run_dir_of(condition) / folder / "manifest.json"
        write_json(path, manifest | {"wall_time_s": 1.0, "ledger": [entry]})


def equal_to(tiny: Callable[..., list[str]], measure: str) -> Recipe:
    budget = f"budget.equal_to={{measure: {measure}, reference: baseline, measured_on: mul_tokens}}"
    recipe = load_recipe(tiny("mul_tokens", "condition=mul_tokens_equal", budget))
    finish(recipe, "baseline", {"pretrain": (400, 500, 9e9), "sft/drills": (200, 80, 6e9), "grpo": (10, 30, 7e9)})
    finish(recipe, "mul_tokens", {"pretrain": (400, 645, 9e9), "sft/drills": (200, 80, 5.6e9), "grpo": (10, 30, 6e9)})
    return recipe


@pytest.mark.parametrize(
    ("measure", "steps"), [("text", (310, 200, 10)), ("flops", (400, 214, 12))]
)  # 400 x 500 / 645; 200 x 6 / 5.6; 10 x 7 / 6
def test_steps_follow_from_what_two_finished_runs_consumed(
    measure: str, steps: tuple[int, int, int], tiny: Callable[..., list[str]]
) -> None:
    recipe = equal_to(tiny, measure)
    names = ("pretrain", "sft_drills", "grpo")
    assert tuple(derived_arguments(recipe, name)["max_steps"] for name in names) == steps
    assert declared_settings(recipe, "grpo") == {
        "equal_to": {"measure": measure, "reference": "baseline", "measured_on": "mul_tokens"}
    }
    assert FineTuning(recipe, 0).arguments.max_steps == steps[1]


def test_nothing_is_declared_or_derived_by_an_ordinary_recipe(tiny: Callable[..., list[str]]) -> None:
    recipe = load_recipe(tiny("mul_tokens"))
    for stage in ("pretrain", "sft_drills", "grpo"):
        assert declared_settings(recipe, stage) == derived_arguments(recipe, stage) == {}


def test_an_unfinished_run_or_a_name_that_fits_nothing_is_refused(tiny: Callable[..., list[str]]) -> None:
    recipe = equal_to(tiny, "text")
    (recipe.run_dir_of("baseline") / "sft_final" / "manifest.json").unlink()
    with pytest.raises(RecipeError, match=r"sft_final: missing or incomplete; run all stages of baseline with seed 0"):
        derived_arguments(recipe, "sft_drills")
    finish(recipe, "baseline", {"pretrain": (1, 1, 1.0), "sft/drills": (1, 1, 1.0), "grpo": (1, 1, 1.0)})
    with pytest.raises(RecipeError, match=r"has no stage sft/words in its ledger"):
        derived_arguments(recipe, "sft_words")
    for wrong, message in (
        ("{measure: text, reference: a, measured_on: a}", "reference and measured_on are both 'a'"),
        ("{measure: text, reference: a, measured_on: mul_tokens}", "the name 'mul_tokens' occurs twice"),
        ("{measure: words, reference: a, measured_on: b}", "budget.equal_to"),
        ("{measure: text, reference: a}", "budget.equal_to"),
    ):
        with pytest.raises(RecipeError, match=message):
            load_recipe(tiny("mul_tokens", f"budget.equal_to={wrong}"))


def search(recipe: Recipe, path: Path, stage: str = "sft", **rates: float) -> Recipe:
    """Name a record with these rates in the recipe."""
    chosen = {name: {"learning_rate": rate, "at_edge": False, "tries": []} for name, rate in rates.items()}
    found = {"values": [0.001, 0.002, 0.004], "seed": 0, "budget": {"steps": 4}, "conditions": chosen}
    write_json(path, {"searches": {stage: found}})
    recipe.learning_rates = str(path)
    return recipe


def test_a_tuned_learning_rate_is_taken_from_the_record(tiny: Callable[..., list[str]], tmp_path: Path) -> None:
    recipe = search(load_recipe(tiny("mul_tokens")), tmp_path / "rates.json", baseline=0.001, mul_tokens=0.004)
    assert recipe.sft["learning_rate"] == 0.002
    assert derived_arguments(recipe, "sft_drills") == {"learning_rate": 0.004}
    assert FineTuning(recipe, 0).arguments.learning_rate == 0.004
    assert derived_arguments(recipe, "pretrain") == derived_arguments(recipe, "grpo") == {}  # were not searched
    declared = declared_settings(recipe, "sft_drills")["learning_rate_search"]
    recipe.condition = "baseline"  # the other condition declares the same search and takes another value from it
    assert declared_settings(recipe, "sft_drills")["learning_rate_search"] == declared
    assert derived_arguments(recipe, "sft_drills") == {"learning_rate": 0.001}
    value = json.loads((tmp_path / "rates.json").read_text())
    value["searches"]["sft"]["conditions"]["baseline"]["learning_rate"] = 0.002  # a record that was changed is another
    write_json(tmp_path / "rates.json", value)
    assert declared_settings(recipe, "sft_drills")["learning_rate_search"]["sha256"] != declared["sha256"]


def test_a_search_that_does_not_cover_the_run_is_refused(tiny: Callable[..., list[str]], tmp_path: Path) -> None:
    recipe = search(load_recipe(tiny("mul_tokens")), tmp_path / "rates.json", baseline=0.001)
    with pytest.raises(RecipeError, match="was searched for baseline and not for mul_tokens; search for all"):
        derived_arguments(recipe, "sft_drills")
    recipe = search(recipe, tmp_path / "rates.json", mul_tokens=0.001)
    recipe.sft_stages[0].args = {"learning_rate": 1.0}
    with pytest.raises(RecipeError, match=r"sft_stages.drills.args.learning_rate: overruled by learning_rates"):
        derived_arguments(recipe, "sft_drills")
    (tmp_path / "rates.json").unlink()
    with pytest.raises(RecipeError, match=r"rates.json: no such file; make it with scripts/tune_learning_rate.py"):
        declared_settings(recipe, "sft_drills")


def test_rows_of_facts_start_at_their_digits_and_nothing_else_moves(
    tokenizers: dict[str, PreTrainedTokenizerFast], tiny: Callable[..., list[str]]
) -> None:
    recipe = load_recipe(tiny("mul_tokens"))
    models = {name: new_model(recipe, 50349) for name in ("as drawn", "mul_tokens", "baseline")}
    before = models["as drawn"].transformer.wte.weight.detach()
    for name in tokenizers:
        start_at_digits(models[name], tokenizers[name])
    after = models["mul_tokens"].transformer.wte.weight.detach()
    digits = tokenizers["mul_tokens"].convert_tokens_to_ids(["6", "9", "5", "4"])
    torch.testing.assert_close(after[50342], before[digits].mean(dim=0))  # <MUL_6_9_54>
    assert (after[50304:] != before[50304:]).any(dim=1).all()
    assert torch.equal(after[:50304], before[:50304])
    rows = slice(50304, 50349)
    hashes = {name: (weights_sha256(model), weights_sha256(model, rows)) for name, model in models.items()}
    assert hashes["baseline"] == hashes["as drawn"]  # it has no facts
    assert hashes["mul_tokens"][0] != hashes["as drawn"][0]
    assert hashes["mul_tokens"][1] == hashes["as drawn"][1]
    with torch.no_grad():
        models["mul_tokens"].transformer.h[0].mlp.c_fc.bias[0] += 1  # any other weight is noticed
    assert weights_sha256(models["mul_tokens"], rows) != hashes["as drawn"][1]


def test_rows_follow_the_order_of_the_ids(
    tokenizers: dict[str, PreTrainedTokenizerFast], tiny: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    permuted = replace(intervention_of(tokenizers["mul_tokens"]), permutation_seed=3)
    monkeypatch.setattr("domain_tokens.training.model.intervention_of", lambda tokenizer: permuted)
    model = new_model(load_recipe(tiny("mul_tokens")), 50349)
    before = model.transformer.wte.weight.detach().clone()
    start_at_digits(model, tokenizers["mul_tokens"])
    row = 50304 + permuted.token_names().index("<MUL_6_9_54>")
    assert row != 50342
    digits = tokenizers["mul_tokens"].convert_tokens_to_ids(["6", "9", "5", "4"])
    torch.testing.assert_close(model.transformer.wte.weight[row].detach(), before[digits].mean(dim=0))


def test_examples_for_validation_are_evenly_spaced_and_not_trained_on(
    tiny: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = [Example(f"q{number}", f"a{number}") for number in range(10)]
    account = ExampleAccount(10, 0, 0, "all of them")
    monkeypatch.setattr("domain_tokens.training.sft.training_examples", lambda *_: (examples, account))
    monkeypatch.setattr(FineTuning, "tokenizer", None)

    def split(number: int) -> tuple[list[str], list[str], ExampleAccount]:
        run = FineTuning(load_recipe(tiny("baseline", f"sft_stages.0.validation_items={number}")), 0)
        trained, found = run.read_examples()
        return [one.question for one in trained], [one.question for one in run.held_out], found

    assert split(0) == ([f"q{number}" for number in range(10)], [], account)
    trained, held_out, found = split(3)
    assert held_out == ["q0", "q3", "q6"]
    assert trained == ["q1", "q2", "q4", "q5", "q7", "q8", "q9"]
    assert (found.examples, found.examples_held_out) == (7, 3)
    assert found.example_order_sha256 != account.example_order_sha256
    with pytest.raises(RecipeError, match=r"validation_items: expected fewer than the 10 examples, got 10"):
        split(10)
