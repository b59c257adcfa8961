"""Whole evaluations of real, tiny, untrained models with both tokenizers."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import run_inside
from transformers import GPT2LMHeadModel

from domain_tokens.evaluation.evaluate import _exchanged, evaluate
from domain_tokens.recipe import Recipe, RecipeError, Source, to_yaml
from domain_tokens.recipe.schema import Sampling
from domain_tokens.runs.files import sha256_weights
from domain_tokens.runs.layout import Mode
from domain_tokens.runs.records import ChoiceItem, GenerativeItem, TaskResult

Outputs = tuple[dict[str, Any], list[dict[str, Any]]]
KEYS = {
    "task", "way", "task_version", "items_version", "outcomes", "condition", "seed", "model", "weights_sha256",
    "tokenizer_sha256", "data_sha256",
    "num_items", "num_rewritten", "num_identical", "source", "scorer_sha256",
    "num_too_long", "max_samples", "measured_as", "generation", "metrics", "groups", "facts_per_response",
    "tokens_per_response", "unfinished", "environment", "wall_time_s",
}  # fmt: skip
WRITTEN_KEYS = [
    "id", "group", "cluster", "question", "rewritten", "encoding", "gold", "answer",
    "number", "correct", "correct_original", "correct_strict",
    "correct_flexible", "num_tokens", "num_facts", "finished", "mistake", "equations", "needed",
]  # fmt: skip
CHOSEN_KEYS = [
    "id", "cluster", "question", "rewritten", "encoding",
    "choices", "label", "logprobs", "prediction", "prediction_norm", "correct", "correct_norm",
    "has_product",
]  # fmt: skip
NUM_PLAIN, NUM_PLANTED = 60, 20
WRITTEN = ["gsm8k", "gsm8k_direct", "arithmetic", "notations", "svamp", "asdiv", "multiarith", "hendrycks_math"]


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


def _problems(folder: Path, write_source: Callable[..., Source]) -> dict[str, Source]:
    """Eight made-up problems in the columns of each data set."""
    numbers = [(a, b) for a in (3, 6) for b in (4, 7, 9, 12)]
    stories = [(f"A bag holds {a} figs.", f"How many figs do {b} bags hold?", f"{a * b}") for a, b in numbers]
    rows = {
        "svamp": [
            {"Body": body, "Question": question, "Equation": "0", "Answer": float(gold), "Type": "Multiplication"}
            for body, question, gold in stories
        ],
        "asdiv": [
            {"body": body, "question": question, "answer": f"{gold} (figs)", "solution_type": "Product", "formula": ""}
            for body, question, gold in stories
        ],
        "multiarith": [{"question": f"{body} {question}", "final_ans": gold} for body, question, gold in stories],
        "hendrycks_math": [
            {
                "problem": f"{body} {question}",
                "solution": f"It is $\\boxed{{{gold}}}$.",
                "level": "1",
                "type": "Algebra",
            }
            for body, question, gold in stories
        ],
    }
    for name in rows:
        (folder / name).mkdir(exist_ok=True)
    return {name: write_source(folder / name, found) for name, found in rows.items()}


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
            root, condition, [*WRITTEN, "hellaswag"], max_new_tokens=6, batch_size=128, max_samples=80,
            data={
                "gsm8k": Source(name="problems", kind="synthetic", what="problems", max_items=8),
                "hellaswag": write_source(root, _endings()),
            } | _problems(root, write_source),
        )  # fmt: skip
        evaluate(recipe)
        outputs[condition] = {task: read_outputs(recipe, task) for task in recipe.evaluation.tasks}
        lines = (
            (recipe.run_dir / "eval" / "sft_final" / "hellaswag_items_with_products.jsonl").read_text().splitlines()
        )
        outputs[condition]["excluded"] = {}, [json.loads(line) for line in lines]
        assert sha256_weights(recipe.run_dir / "sft_final") == outputs[condition]["gsm8k"][0]["weights_sha256"]
    return outputs


def test_gradients_are_on_again(evaluated: dict[str, dict[str, Outputs]]) -> None:
    assert torch.is_grad_enabled()


def test_results_and_items_have_their_keys(condition: str, evaluated: dict[str, dict[str, Outputs]]) -> None:
    for task in WRITTEN:
        results, items = evaluated[condition][task]
        assert results.keys() == KEYS
        begun = {"beginning": "####"} if task == "gsm8k_direct" else {}
        assert results["generation"] == {"max_new_tokens": 6, "temperature": 0, "stop": ["\nUser:"]} | begun
        if task == "notations":
            items = [{key: item[key] for key in WRITTEN_KEYS if key in item} for item in items]
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


def test_the_records_know_every_key_that_is_written(condition: str, evaluated: dict[str, dict[str, Outputs]]) -> None:
    for task in (*WRITTEN, "hellaswag"):
        results, items = evaluated[condition][task]
        kind = ChoiceItem if task == "hellaswag" else GenerativeItem
        for record, written in (
            (TaskResult.parse(results, task), results),
            *((kind.parse(item, task), item) for item in items),
        ):
            assert not record.model_extra
            assert record.as_json() == written


def test_an_untrained_model_scores_what_chance_gives(condition: str, evaluated: dict[str, dict[str, Outputs]]) -> None:
    for task in WRITTEN:
        metrics = evaluated[condition][task][0]["metrics"]
        # A number out of the blue is right by accident; the last one of a text by more of it.
        assert {name: value for name, value in metrics.items() if name != "lm_eval_flexible"} == dict.fromkeys(
            metrics.keys() - {"lm_eval_flexible"}, 0.0
        ), task
        assert metrics.get("lm_eval_flexible", 0.0) <= 1 / 8
    for value in evaluated[condition]["hellaswag"][0]["metrics"].values():
        assert 0.08 < value < 0.45  # 60 items of four choices: 0.25, and three standard errors


def test_products_give_the_truth_away_to_one_tokenizer_and_never_count(
    evaluated: dict[str, dict[str, Outputs]],
) -> None:
    baseline, mul_tokens = (evaluated[condition]["hellaswag"][0] for condition in ("baseline", "mul_tokens"))
    assert mul_tokens["metrics_with_products"]["acc"] > 0.9
    assert baseline["metrics_with_products"]["acc"] < 0.6
    assert mul_tokens["metrics"] == baseline["metrics"]
    scored, apart = (evaluated["mul_tokens"][part][1] for part in ("hellaswag", "excluded"))
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


NUM_ABLATED = 24  # of the multiplication table: 1*1 to 3*6


@pytest.fixture(scope="module")
def ablated(
    tmp_path_factory: pytest.TempPathFactory,
    make_run: Callable[..., Recipe],
    save_model: Callable[..., GPT2LMHeadModel],
    read_outputs: Callable[[Recipe, str], Outputs],
) -> dict[str, dict[str, Outputs]]:
    """The table in every mode, with the same weights in both conditions: large ones, so that answers differ."""
    root = tmp_path_factory.mktemp("ablated")
    outputs = {}
    for condition in ("baseline", "mul_tokens"):
        recipe = make_run(
            root, condition, ["arithmetic"], max_new_tokens=3, max_samples=NUM_ABLATED, ablation_tasks=["arithmetic"],
            sampling=Sampling(tasks=["arithmetic"], num_samples=4, temperature=0.5),
        )  # fmt: skip
        save_model(recipe.run_dir / "sft_final", initializer_range=0.3)
        evaluate(recipe)
        outputs[condition] = {
            mode: read_outputs(recipe, "arithmetic" if mode is Mode.PLAIN else f"arithmetic.{mode}")
            for mode in (Mode.PLAIN, Mode.FORBIDDEN, Mode.EXCHANGED, Mode.SAMPLED)
        }
    return outputs


def _answers(outputs: Outputs) -> list[str]:
    return [item["answer"] for item in outputs[1]]


def test_ablations_change_nothing_where_there_are_no_facts(ablated: dict[str, dict[str, Outputs]]) -> None:
    baseline = ablated["baseline"]
    assert len(set(_answers(baseline["plain"]))) > NUM_ABLATED / 4
    for mode in ("facts_forbidden", "facts_exchanged"):
        assert baseline[mode][1] == baseline["plain"][1]
        assert baseline[mode][0]["metrics"] == baseline["plain"][0]["metrics"]
        assert baseline[mode][0]["way"] == mode


def test_exchanged_facts_mislead_a_model_that_reads_what_it_wrote_and_leave_its_question(
    tmp_path: Path,
    make_run: Callable[..., Recipe],
    save_model: Callable[..., GPT2LMHeadModel],
    read_outputs: Callable[[Recipe, str], Outputs],
) -> None:
    recipe = make_run(
        tmp_path, "mul_tokens", ["notations"], max_new_tokens=3, max_samples=NUM_ABLATED,
        ablation_tasks=["notations"],
    )  # fmt: skip
    folder = recipe.run_dir / "sft_final"
    save_model(folder, initializer_range=0.3)
    model = GPT2LMHeadModel.from_pretrained(folder)
    with torch.no_grad():  # rows of input and output: half of what the model writes are facts
        model.transformer.wte.weight[50304:50349] *= 2
    model.save_pretrained(folder)
    evaluate(recipe)
    items = [read_outputs(recipe, name)[1] for name in ("notations", "notations.facts_exchanged")]
    assert sum(item["rewritten"] for item in items[1]) > NUM_ABLATED / 3
    early = [index for index, item in enumerate(items[0]) if "<MUL_" in item["answer"][: -len("<MUL_1_1_1>")]]
    assert NUM_ABLATED / 4 < len(early) < NUM_ABLATED
    differ = [one["answer"] != other["answer"] for one, other in zip(*items, strict=True)]
    assert sum(differ[index] for index in early) > len(early) / 2
    assert not any(one["num_facts"] == 0 and differs for one, differs in zip(items[0], differ, strict=True))


NUM_CROSSED = 22  # of the task `notations`: 1*1 in four spellings, 1*2, 1*3 and 1*4 in six
NUM_REWRITTEN = 2 + 3 * 3


@pytest.fixture(scope="module")
def crossed(
    tmp_path_factory: pytest.TempPathFactory,
    make_run: Callable[..., Recipe],
    save_model: Callable[..., GPT2LMHeadModel],
    read_outputs: Callable[[Recipe, str], Outputs],
) -> dict[str, dict[Mode, Outputs]]:
    """The spellings in every encoding of the question, with the same weights in both conditions."""
    root = tmp_path_factory.mktemp("crossed")
    outputs = {}
    for condition in ("baseline", "mul_tokens"):
        recipe = make_run(
            root, condition, ["notations"], max_new_tokens=3, max_samples=NUM_CROSSED, encoding_tasks=["notations"]
        )
        save_model(recipe.run_dir / "sft_final", initializer_range=0.3)
        evaluate(recipe)
        names = {Mode.PLAIN: "notations"}
        names |= {mode: f"notations.{mode}" for mode in (Mode.PLAIN_QUESTION, Mode.REWRITTEN_QUESTION)}
        outputs[condition] = {mode: read_outputs(recipe, name) for mode, name in names.items()}
    return outputs


def test_questions_are_read_in_crossed_encodings(crossed: dict[str, dict[Mode, Outputs]]) -> None:
    """The same weights answer the same ids alike, whichever tokenizer they belong to."""
    baseline, mul_tokens = (
        {mode: [item["encoding"] for item in items] for mode, (_, items) in outputs.items()}
        for outputs in crossed.values()
    )
    rewritten = [item["rewritten"] for item in crossed["mul_tokens"][Mode.PLAIN][1]]
    differ = [one != other for one, other in zip(baseline[Mode.PLAIN], mul_tokens[Mode.PLAIN], strict=True)]
    assert sum(rewritten) == NUM_REWRITTEN
    assert differ == rewritten
    assert baseline[Mode.PLAIN_QUESTION] == baseline[Mode.PLAIN] == mul_tokens[Mode.PLAIN_QUESTION]
    assert baseline[Mode.REWRITTEN_QUESTION] == mul_tokens[Mode.REWRITTEN_QUESTION]
    spelled_out = [one != other for one, other in zip(*list(baseline.values())[1:], strict=True)]
    assert spelled_out == rewritten
    for mode in (Mode.PLAIN_QUESTION, Mode.REWRITTEN_QUESTION):
        first, second = (outputs[mode][1] for outputs in crossed.values())
        assert len({item["answer"] for item in first}) > NUM_CROSSED / 4
        assert _answers(crossed["baseline"][mode]) == _answers(crossed["mul_tokens"][mode])
        assert [item["question"] for item in first] == [item["question"] for item in crossed["baseline"]["plain"][1]]
        assert sum(item["rewritten"] for item in second) == (mode is Mode.REWRITTEN_QUESTION) * NUM_REWRITTEN
    assert _answers(crossed["mul_tokens"][Mode.PLAIN]) != _answers(crossed["mul_tokens"][Mode.PLAIN_QUESTION])


def test_rewritten_and_identical_prompts_are_counted(crossed: dict[str, dict[Mode, Outputs]]) -> None:
    counts = {
        condition: [(results["num_rewritten"], results["num_identical"]) for results, _ in outputs.values()]
        for condition, outputs in crossed.items()
    }
    assert counts["baseline"] == [(0, 0), (0, 0), (NUM_REWRITTEN, NUM_REWRITTEN)]
    assert counts["mul_tokens"] == [(NUM_REWRITTEN, NUM_REWRITTEN), (0, 0), (NUM_REWRITTEN, NUM_REWRITTEN)]
    groups = crossed["mul_tokens"][Mode.PLAIN][0]["groups"]
    found = {name: (group["num_rewritten"], group["num_identical"]) for name, group in groups.items()}
    asked = {"a*b": (4, 0), "b*a": (3, 0), "a × b": (4, 0)}
    assert found == asked | dict.fromkeys(("a times b", "b times a", "words"), (0, 0))
    assert crossed["mul_tokens"][Mode.PLAIN][0]["source"] == "generated"


def test_drawn_answers_are_several_a_question(condition: str, ablated: dict[str, dict[str, Outputs]]) -> None:
    results, items = ablated[condition]["sampled"]
    assert results["generation"] == {
        "max_new_tokens": 3, "temperature": 0.5, "stop": ["\nUser:"], "num_samples": 4, "seed": 0,
    }  # fmt: skip
    assert set(results["metrics"]) == {"accuracy", "table_accuracy", "pass@1", "pass@2", "pass@4", "maj@4"}
    assert results["metrics"]["pass@1"] <= results["metrics"]["pass@2"] <= results["metrics"]["pass@4"]
    assert [len(item["samples"]) for item in items] == [4] * NUM_ABLATED
    assert all(item["answer"] == item["samples"][0] for item in items)
    assert sum(len(set(item["samples"])) > 1 for item in items) > NUM_ABLATED / 2


def test_facts_are_read_as_the_next_ones_for_a_while(
    save_model: Callable[..., GPT2LMHeadModel], tmp_path: Path
) -> None:
    model = save_model(tmp_path)
    embed, rows = model.get_input_embeddings(), model.get_input_embeddings().weight.detach().clone()
    ids = torch.tensor([[50303], [50304], [50342], [50348], [7]])  # one step of five answers
    with _exchanged(model, range(50304, 50349)):
        read_as = [[50303], [50305], [50343], [50304], [7]]
        assert torch.equal(embed(ids), rows[torch.tensor(read_as)])
        assert torch.equal(embed(ids.T), rows[ids.T])  # a prompt
        assert torch.equal(model.get_output_embeddings().weight, rows)  # what is written is not touched
    assert torch.equal(embed(ids), rows[ids])
    with pytest.raises(KeyError), _exchanged(model, range(50304, 50349)):
        raise KeyError
    assert torch.equal(embed(ids), rows[ids])
    assert torch.equal(embed.weight, rows)
    with _exchanged(model, range(0)):
        assert torch.equal(embed(ids), rows[ids])


def test_a_model_that_writes_facts_alone_loses_them_where_they_are_forbidden(
    tmp_path: Path, make_run: Callable[..., Recipe], read_outputs: Callable[[Recipe, str], Outputs]
) -> None:
    recipe = make_run(
        tmp_path, "mul_tokens", ["arithmetic"], max_new_tokens=3, max_samples=3, ablation_tasks=["arithmetic"]
    )
    _write_facts(recipe)
    evaluate(recipe)
    facts = {
        name: read_outputs(recipe, name)[0]["facts_per_response"]
        for name in ("arithmetic", "arithmetic.facts_forbidden", "arithmetic.facts_exchanged")
    }
    assert facts == {"arithmetic": 3, "arithmetic.facts_forbidden": 0, "arithmetic.facts_exchanged": 3}
    names = {path.name for path in (recipe.run_dir / "eval" / "sft_final").glob("*_results.json")}
    assert names == {f"{name}_results.json" for name in facts}


def test_no_score_depends_on_the_name_of_a_condition(
    tmp_path: Path, make_run: Callable[..., Recipe], read_outputs: Callable[[Recipe, str], Outputs]
) -> None:
    recipe = make_run(tmp_path / "as_it_is", "mul_tokens", ["arithmetic"], max_new_tokens=3, max_samples=8)
    _write_facts(recipe)
    other = replace(recipe, condition="baseline", output_dir=str(tmp_path / "renamed"))
    shutil.copytree(recipe.run_dir, other.run_dir)
    outputs = []
    for run in (recipe, other):
        evaluate(run)
        results, items = read_outputs(run, "arithmetic")
        kept = {key: value for key, value in results.items() if key not in ("environment", "wall_time_s")}
        outputs.append((kept.pop("condition"), kept, items))
    assert [name for name, *_ in outputs] == ["mul_tokens", "baseline"]
    assert outputs[0][1:] == outputs[1][1:]


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
        (_no_folder, "grpo_final: missing or incomplete; run scripts/run_grpo.py"),
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
    tmp_path: Path,
    make_run: Callable[..., Recipe],
    read_outputs: Callable[[Recipe, str], Outputs],
    caplog: pytest.LogCaptureFixture,
) -> None:
    recipe = make_run(tmp_path, "mul_tokens", ["arithmetic"], max_samples=2, max_new_tokens=2)
    recipe.tokenizer = "recipes/interventions/mul_tokens.yaml"
    (tmp_path / "recipe.yaml").write_text(to_yaml(recipe))
    caplog.set_level("INFO")
    done = run_inside("scripts/run_eval.py", str(tmp_path / "recipe.yaml"))
    assert done.returncode == 0, done.stderr
    assert "sft_final, arithmetic: accuracy 0.000" in caplog.text
    assert read_outputs(recipe, "arithmetic")[0]["num_items"] == 2
