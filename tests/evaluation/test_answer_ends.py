"""How many greedy answers to training prompts end: counted with models that always or never end."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.evaluation.evaluate import load_model
from domain_tokens.evaluation.models.answer_ends import _load, answer_ends, ending_prompts
from domain_tokens.recipe import Recipe, load_recipe
from domain_tokens.runs.records import AnswerEnds

QUESTIONS = [f"What is {number} * 9?" for number in range(100)]
SETTINGS = ["evaluation.max_new_tokens=8", "evaluation.ending_prompts=10", "model.n_positions=64"]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(["recipes/baseline.yaml", *SETTINGS])


@pytest.fixture(scope="module")
def models(tokenizer_dirs: dict[str, Path], save_model: Callable[..., GPT2LMHeadModel], tmp_path_factory) -> Path:
    """Two models: one writes the end-of-text token after everything, the other a word."""
    root = tmp_path_factory.mktemp("ending")
    for name, token in (("ends", 50256), ("runs_on", 262)):
        shutil.copytree(tokenizer_dirs["mul_tokens"], root / name)
        model = save_model(root / name, n_positions=64)
        with torch.no_grad():
            model.transformer.ln_f.weight.zero_()
            model.transformer.ln_f.bias.copy_(50 * model.transformer.wte.weight[token])
        model.save_pretrained(root / name)
    return root


def test_prompts_are_the_same_in_every_condition_and_spread_over_the_examples(
    recipe: Recipe, tokenizers: dict[str, PreTrainedTokenizerFast]
) -> None:
    found = [ending_prompts(recipe, QUESTIONS, tokenizer) for tokenizer in tokenizers.values()]
    assert len(found) > 1
    assert all(prompts == found[0] for prompts in found)
    assert found[0] == [f"User: What is {number} * 9?\nAssistant:" for number in range(0, 100, 10)]
    # A prompt that leaves no room is left out by its length under the base, in which a fact is not one token.
    facts = " ".join(["6*9=54"] * 15)
    lengths = {name: len(tokenizer.encode(f"User: {facts}\nAssistant:")) for name, tokenizer in tokenizers.items()}
    assert lengths["mul_tokens"] < 56 < lengths["baseline"]
    assert all(ending_prompts(recipe, [facts, "Hi?"], one) == ["User: Hi?\nAssistant:"] for one in tokenizers.values())


@pytest.mark.parametrize(
    ("before", "after", "counts", "falls"),
    [("runs_on", "ends", (0, 10), False), ("ends", "runs_on", (10, 0), True), ("ends", "ends", (10, 10), False)],
)
def test_answers_that_end_are_counted_before_and_after(
    before: str, after: str, counts: tuple[int, int], falls: bool, recipe: Recipe, models: Path,
    tokenizers: dict[str, PreTrainedTokenizerFast],
) -> None:  # fmt: skip
    tokenizer = tokenizers["mul_tokens"]
    prompts = ending_prompts(recipe, QUESTIONS, tokenizer)
    random = torch.get_rng_state()
    ends = answer_ends(recipe, prompts, models / before, models / after, tokenizer)
    assert ends is not None
    assert ((ends.before, ends.after), ends.num_prompts, ends.max_new_tokens) == (counts, 10, 8)
    assert ends.falls is falls
    assert ("fewer than before" in ends.describe()) is falls
    assert AnswerEnds.parse(ends.as_json(), "here") == ends
    assert torch.equal(random, torch.get_rng_state())


def test_the_model_is_the_one_that_evaluation_loads(
    models: Path, save_model: Callable[..., GPT2LMHeadModel], tmp_path: Path
) -> None:
    shutil.copytree(models / "ends", tmp_path / "parts")
    (tmp_path / "parts" / "model.safetensors").unlink()
    save_model(tmp_path / "whole", seed=3, n_positions=64).save_pretrained(tmp_path / "parts", max_shard_size="2MB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    for folder in (tmp_path / "parts", tmp_path / "whole"):
        ours, theirs = _load(folder).state_dict(), load_model(folder).state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name].cpu()) for name in ours)
    assert not _load(folder).training


def test_nothing_is_asked_if_none_is_wanted(
    recipe: Recipe, models: Path, tokenizers: dict[str, PreTrainedTokenizerFast]
) -> None:
    none = replace(recipe, evaluation=replace(recipe.evaluation, ending_prompts=0))
    tokenizer = tokenizers["baseline"]
    assert ending_prompts(none, QUESTIONS, tokenizer) == []
    assert answer_ends(none, [], models / "ends", models / "ends", tokenizer) is None
