"""Whole evaluations of real, tiny, untrained models with both tokenizers."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2LMHeadModel

from domain_tokens.evaluation.evaluate import evaluate
from domain_tokens.provenance import sha256_weights
from domain_tokens.recipe import Recipe, RecipeError, Source, to_yaml

Outputs = tuple[dict[str, Any], list[dict[str, Any]]]
KEYS = {
    "task", "way", "task_version", "outcomes", "condition", "seed", "model", "weights_sha256",
    "tokenizer_sha256", "data_sha256",
    "num_items", "num_too_long", "max_samples", "generation", "metrics", "groups", "facts_per_response",
    "tokens_per_response", "unfinished", "environment", "wall_time_s",
}  # fmt: skip
WRITTEN_KEYS = [
    "id",
    "group",
    "question",
    "gold",
    "answer",
    "number",
    "correct",
    "num_tokens",
    "num_facts",
    "finished",
]
CHOSEN_KEYS = [
    "id", "question", "choices", "label", "logprobs", "prediction", "prediction_norm", "correct", "correct_norm",
    "has_product",
]  # fmt: skip
NUM_PLAIN, NUM_PLANTED = 60, 20


def _endings() -> list[dict[str, Any]]:
    """Items without a truth to find, and items among whose endings one states a product rightly."""
    rng = random.Random(0)
    words = ["the", "dog", "man", "water", "street", "runs", "sings", "bread", "slowly", "then"]
    rows = []
    for index in range(NUM_PLAIN + NUM_PLANTED):
        if index < NUM_PLAIN:
            endings = [" ".join(rng.choices(words, k=rng.randint(3, 12))) for _ in range(4)]
        else:
            a, b = rng.randint(2, 9), rng.randint(2, 9)
            endings = [f"{a}*{b}={a * b}", *(f"{a}*{b}={a * b + off}" for off in (1, 2, 3))]
        order = rng.sample(range(4), 4)
        rows.append({
            "activity_label": "A scene", "ctx": "A man writes", "endings": [endings[place] for place in order],
            "label": str(order.index(0)),
        })  # fmt: skip
    rng.shuffle(rows)
    return rows


@pytest.fixture(scope="module")
def evaluated(
    tmp_path_factory: pytest.TempPathFactory,
    make_run: Callable[..., Recipe],
    write_source: Callable[..., Source],
    read_outputs: Callable[[Recipe, str], Outputs],
) -> dict[str, dict[str, Outputs]]:
    """Every task in both conditions, with the same weights."""
    root = tmp_path_factory.mktemp("evaluated")
    outputs = {}
    for condition in ("baseline", "mul_tokens"):
        recipe = make_run(
            root, condition, ["gsm8k", "hellaswag", "arithmetic"], max_new_tokens=6, batch_size=64,
            data={
                "gsm8k": Source(name="problems", kind="synthetic", what="problems", max_items=8),
                "hellaswag": write_source(root, _endings()),
            },
        )  # fmt: skip
        evaluate(recipe)
        outputs[condition] = {task: read_outputs(recipe, task) for task in recipe.evaluation.tasks}
        lines = (
            (recipe.run_dir / "eval" / "sft_final" / "hellaswag_items_with_products.jsonl").read_text().splitlines()
        )
        outputs[condition]["set_apart"] = {}, [json.loads(line) for line in lines]
        assert sha256_weights(recipe.run_dir / "sft_final") == outputs[condition]["gsm8k"][0]["weights_sha256"]
    return outputs


def test_gradients_are_on_again(evaluated: dict[str, dict[str, Outputs]]) -> None:
    assert torch.is_grad_enabled()


def test_results_and_items_have_their_keys(condition: str, evaluated: dict[str, dict[str, Outputs]]) -> None:
    for task in ("gsm8k", "arithmetic"):
        results, items = evaluated[condition][task]
        assert results.keys() == KEYS
        assert results["generation"] == {"max_new_tokens": 6, "temperature": 0, "stop": ["\nUser:"]}
        assert [list(item) for item in items] == [WRITTEN_KEYS] * results["num_items"]
        assert results["unfinished"] == sum(not item["finished"] for item in items)
        assert results["tokens_per_response"] == pytest.approx(sum(item["num_tokens"] for item in items) / len(items))
    results, items = evaluated[condition]["hellaswag"]
    assert results.keys() == KEYS | {"num_items_with_products", "metrics_with_products"}
    assert results["generation"] is None
    assert [list(item) for item in items] == [CHOSEN_KEYS] * NUM_PLAIN
    assert results["num_items"] == NUM_PLAIN
    assert results["num_items_with_products"] == NUM_PLANTED
    assert results["metrics"] == {
        "acc": sum(item["correct"] for item in items) / NUM_PLAIN,
        "acc_norm": sum(item["correct_norm"] for item in items) / NUM_PLAIN,
    }


def test_an_untrained_model_scores_what_chance_gives(condition: str, evaluated: dict[str, dict[str, Outputs]]) -> None:
    assert evaluated[condition]["gsm8k"][0]["metrics"] == {"accuracy": 0.0}
    assert evaluated[condition]["arithmetic"][0]["metrics"] == {"accuracy": 0.0, "table_accuracy": 0.0}
    for value in evaluated[condition]["hellaswag"][0]["metrics"].values():
        assert 0.08 < value < 0.45  # 60 items of four choices: 0.25, and three standard errors


def test_products_give_the_truth_away_to_one_tokenizer_and_never_count(
    evaluated: dict[str, dict[str, Outputs]],
) -> None:
    baseline, mul_tokens = (evaluated[condition]["hellaswag"][0] for condition in ("baseline", "mul_tokens"))
    assert mul_tokens["metrics_with_products"]["acc"] > 0.9
    assert baseline["metrics_with_products"]["acc"] < 0.6
    assert mul_tokens["metrics"] == baseline["metrics"]
    scored, apart = (evaluated["mul_tokens"][part][1] for part in ("hellaswag", "set_apart"))
    assert [item["id"] for item in scored] == [item["id"] for item in evaluated["baseline"]["hellaswag"][1]]
    assert len(apart) == NUM_PLANTED
    assert not {item["id"] for item in scored} & {item["id"] for item in apart}


def _write_facts(recipe: Recipe) -> None:
    """Give a model's folder weights that write the fact 6*9=54 whatever they are asked."""
    folder = recipe.run_dir / "sft_final"
    model = GPT2LMHeadModel.from_pretrained(folder)
    with torch.no_grad():
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(100 * model.lm_head.weight[50342])
    model.save_pretrained(folder)


def test_other_weights_in_the_same_folder_give_other_answers(
    tmp_path: Path, make_run: Callable[..., Recipe], read_outputs: Callable[[Recipe, str], Outputs]
) -> None:
    recipe = make_run(tmp_path, "mul_tokens", ["arithmetic"], max_new_tokens=4, max_samples=8)
    evaluate(recipe)
    before, old_items = read_outputs(recipe, "arithmetic")
    assert (before["num_items"], before["max_samples"]) == (8, 8)
    assert before["facts_per_response"] == 0

    evaluate(recipe)
    assert read_outputs(recipe, "arithmetic")[0] == before  # kept, time stamps and all

    _write_facts(recipe)
    evaluate(recipe)
    after, new_items = read_outputs(recipe, "arithmetic")
    assert after["weights_sha256"] != before["weights_sha256"]
    assert [item["answer"] for item in new_items] == ["<MUL_6_9_54>" * 4] * 8
    assert (after["facts_per_response"], after["tokens_per_response"], after["unfinished"]) == (4, 4, 8)
    assert [item["answer"] for item in old_items] != [item["answer"] for item in new_items]

    recipe.evaluation.max_new_tokens = 2
    evaluate(recipe)
    assert read_outputs(recipe, "arithmetic")[0]["tokens_per_response"] == 2
    recipe.evaluation.max_samples = 3
    evaluate(recipe)
    assert read_outputs(recipe, "arithmetic")[0]["num_items"] == 3


def test_a_saved_generation_config_changes_no_answer(
    tmp_path: Path, make_run: Callable[..., Recipe], read_outputs: Callable[[Recipe, str], Outputs]
) -> None:
    recipe = make_run(tmp_path, "mul_tokens", ["arithmetic"], max_new_tokens=4, max_samples=2)
    _write_facts(recipe)
    saved = {"repetition_penalty": 1e9, "do_sample": True, "temperature": 2.0, "suppress_tokens": [50342]}
    (recipe.run_dir / "sft_final" / "generation_config.json").write_text(json.dumps(saved))
    evaluate(recipe)
    assert [item["answer"] for item in read_outputs(recipe, "arithmetic")[1]] == ["<MUL_6_9_54>" * 4] * 2


def _no_folder(recipe: Recipe, save_model: Callable[..., GPT2LMHeadModel]) -> None:
    recipe.evaluation.models = ["grpo_final"]


def _other_vocabulary(recipe: Recipe, save_model: Callable[..., GPT2LMHeadModel]) -> None:
    path = recipe.run_dir / "sft_final" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"vocab_size": 50304}))


def _exchanged_weights(recipe: Recipe, save_model: Callable[..., GPT2LMHeadModel]) -> None:
    folder = recipe.run_dir / "sft_final"
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(
        json.dumps(manifest | {"reported": {"weights_sha256": sha256_weights(folder)}})
    )
    save_model(folder, seed=1)


def _not_a_number(recipe: Recipe, save_model: Callable[..., GPT2LMHeadModel]) -> None:
    model = GPT2LMHeadModel.from_pretrained(recipe.run_dir / "sft_final")
    with torch.no_grad():
        model.transformer.h[1].mlp.c_fc.bias[3] = float("nan")
    model.save_pretrained(recipe.run_dir / "sft_final")


def _few_positions(recipe: Recipe, save_model: Callable[..., GPT2LMHeadModel]) -> None:
    save_model(recipe.run_dir / "sft_final", n_positions=64)
    recipe.evaluation.max_new_tokens = 64


def _no_tokenizer(recipe: Recipe, save_model: Callable[..., GPT2LMHeadModel]) -> None:
    (recipe.run_dir / "sft_final" / "tokenizer.json").unlink()


def _no_data(recipe: Recipe, save_model: Callable[..., GPT2LMHeadModel]) -> None:
    recipe.evaluation.tasks = ["gsm8k"]
    recipe.evaluation.data["gsm8k"] = Source(name="gsm8k-test", kind="file", path="nowhere/test.jsonl")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_folder, "grpo_final: not there or not complete; run scripts/run_grpo.py"),
        (_other_vocabulary, "vocab_size: expected 50349 as the tokenizer has, got 50304"),
        (_exchanged_weights, "are not those that the manifest records"),
        (_not_a_number, "transformer.h.1.mlp.c_fc.bias holds values that are not finite numbers"),
        (_few_positions, "an answer of up to 64 tokens does not fit into the model's 64 positions"),
        (_no_tokenizer, "sft_final: no tokenizer.json"),
        (_no_data, "source gsm8k-test: path: no file nowhere/test.jsonl"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    damage: Callable[[Recipe, Callable[..., GPT2LMHeadModel]], None],
    message: str,
    tmp_path: Path,
    make_run: Callable[..., Recipe],
    save_model: Callable[..., GPT2LMHeadModel],
) -> None:
    recipe = make_run(tmp_path, "mul_tokens", ["arithmetic"], max_samples=2, max_new_tokens=2)
    damage(recipe, save_model)
    with pytest.raises(RecipeError) as error:
        evaluate(recipe)
    assert message in str(error.value)
    assert not (recipe.run_dir / "eval").exists()


@pytest.mark.integration
def test_the_script_evaluates_offline(
    tmp_path: Path, make_run: Callable[..., Recipe], read_outputs: Callable[[Recipe, str], Outputs]
) -> None:
    recipe = make_run(tmp_path, "mul_tokens", ["arithmetic"], max_samples=2, max_new_tokens=2)
    recipe.tokenizer = "recipes/interventions/mul_tokens.yaml"
    (tmp_path / "recipe.yaml").write_text(to_yaml(recipe))
    script = Path(__file__).parents[2] / "scripts" / "run_eval.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path / "recipe.yaml"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "sft_final, arithmetic: accuracy 0.000" in done.stderr
    assert read_outputs(recipe, "arithmetic")[0]["num_items"] == 2
