"""The whole recipe of every condition is checked before the first stage, with what the launcher would overrule."""

import dataclasses
import json
import re
from functools import cache
from pathlib import Path

import pytest
from tiny import ROOT

from domain_tokens.planning.launcher import Launch, read_launch
from domain_tokens.planning.whole_recipe import check_recipes
from domain_tokens.recipe import Recipe, RecipeError, SFTStage, Source, load_recipe
from domain_tokens.recipe.checks import MAX_SEED
from domain_tokens.recipe.schema import BaseVocabulary
from domain_tokens.runs.launcher import Launcher

LAUNCH = Launch(1, Launcher(), {})


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@cache
def loaded(condition: str) -> Recipe:
    return load_recipe([str(ROOT / f"recipes/{condition}.yaml"), "recipes/scales/demo.yaml"])


def changed(key: str, value: object, condition: str = "baseline") -> Recipe:
    """A recipe with one key changed, in a section or at the top."""
    recipe = loaded(condition)
    section, _, name = key.partition(".")
    old = getattr(recipe, section)
    if not name:
        new = value
    elif isinstance(old, dict):
        new = old | {name: value}
    else:
        new = dataclasses.replace(old, **{name: value})
    return dataclasses.replace(recipe, **{section: new})


def divisible() -> Recipe:
    """A recipe whose steps divide among two processes."""
    recipe = changed("pretrain.per_device_train_batch_size", 1)
    half = {"per_device_train_batch_size": 8}
    return dataclasses.replace(recipe, sft=recipe.sft | half, grpo=recipe.grpo | half)


def refused(*recipes: Recipe, launch: Launch = LAUNCH) -> str:
    with pytest.raises(RecipeError) as caught:
        check_recipes(recipes, launch, trains_here=True)
    return str(caught.value)


def test_what_is_shipped_fits() -> None:
    check_recipes([loaded("baseline"), loaded("mul_tokens")], LAUNCH, trains_here=True)


@pytest.mark.parametrize("own", [{"steps_per_generation": 101}, {"generation_batch_size": 1616}], ids=str)
def test_prompts_must_be_enough_for_answers_that_serve_several_steps(own: dict[str, int]) -> None:
    grpo = loaded("baseline").grpo | {"save_strategy": "no"} | own
    assert "200 prompts, but 202 are answered at a time" in refused(changed("grpo", grpo))
    enough = [dataclasses.replace(loaded("baseline").grpo_prompts[0], max_items=202)]
    check_recipes([dataclasses.replace(changed("grpo", grpo), grpo_prompts=enough)], LAUNCH, trains_here=True)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("grpo.num_generations", 7, "grpo.num_generations: 7 does not divide"),
        ("sft.max_length", 4096, "sft_stages.drills.args.max_length: expected at most model.n_positions (128)"),
        ("pretrain.optim", "adamw_bad", "pretrain.optim: invalid choice"),
        ("pretrain.optim", "adamw_8bit", "pretrain.optim: You need to install"),
        ("pretrain.lr_scheduler_type", "cosin", "pretrain.lr_scheduler_type: invalid choice"),
        ("pretrain.lr_scheduler_kwargs", {"min_lr_rat": 0.1}, "cosine_with_min_lr has no argument 'min_lr_rat'"),
        ("budget.grpo_completions_per_step", 1616, "grpo_prompts: 200 prompts, but 202 are answered at a time"),
        ("corpus.sources", [], "corpus.sources: empty"),
        ("evaluation.max_new_tokens", 128, "evaluation.max_new_tokens: expected at most 127"),
        ("model.n_head", 3, "model.n_embd: expected a multiple of model.n_head (3)"),
        ("model.activation_function", "foo", "model: transformers cannot build it: 'foo'"),
        ("budget.pretrain_tokens_per_step", 1000, "budget.pretrain_tokens_per_step: 1000 does not divide"),
        ("budget.sft_examples_per_step", 7, "budget.sft_examples_per_step: 7 does not divide"),
        ("pretrain.report_to", "foo", "pretrain.report_to: foo is not supported"),
        ("sft.eval_strategy", "epoch", "eval_strategy: nothing is held out"),
        ("grpo.eval_strategy", "epoch", "grpo.eval_strategy: nothing is held out"),
        ("tokenizer", "nowhere.yaml", "nowhere.yaml: no such file"),
        ("canonical_table", "nowhere.yaml", "nowhere.yaml: no such file"),
        ("base_vocabulary.num_ids", 2**16, "would have"),
        ("grpo.num_iterations", 3, "grpo.save_steps: expected a multiple of 3"),
        ("grpo.generation_kwargs", {"foo": 1}, "grpo.generation_kwargs.foo: not supported"),
        ("grpo.generation_kwargs", {"num_return_sequences": 4}, "num_return_sequences: not supported"),
        ("grpo.temperature", 1e-40, "grpo.temperature: expected"),
        ("sft.pad_to_multiple_of", 0, "pad_to_multiple_of: expected"),
        ("sft.gradient_checkpointing_kwargs", {"foo": 1}, "gradient_checkpointing_kwargs.foo: not supported"),
        ("pretrain.debug", "tpu_metrics_debug", "pretrain.debug: stages do not run on a TPU"),
        ("pretrain.push_to_hub", True, "pretrain.push_to_hub: cannot be set"),
        ("grpo.scale_rewards", "foo", "grpo.scale_rewards: expected one of"),
        ("pretrain.tf32", True, "pretrain.tf32: this machine"),
        ("sft.fp16", True, "fp16: not supported: a loss scale would skip steps"),
        (
            "pretrain.bf16_full_eval",
            True,
            "pretrain.bf16_full_eval: not supported: the evaluation",
        ),
        ("pretrain.save_strategy", "best", "pretrain.save_strategy: a stage is judged by its last step"),
        ("sft.loss_type", "foo", "sft.loss_type: invalid choice"),
        ("pretrain.optim", ["adamw_torch", "sgd"], "pretrain.optim: expected one value, got a list"),
        ("pretrain.report_to", [], "pretrain.report_to: expected one argument"),
    ],
)
def test_a_mistake_of_any_stage_is_found_before_the_first(
    key: str, value: object, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert message in refused(changed(key, value))


def test_a_mistake_of_the_second_condition_is_found_before_the_first() -> None:
    assert refused(loaded("baseline"), changed("tokenizer", "nowhere.yaml", "mul_tokens")) == (
        "mul_tokens: nowhere.yaml: no such file; expected a YAML or JSON file"
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [("pretrain.learning_rate", 1.0), ("model.n_layer", 7), ("rewards.brevity", 0.7), ("corpus.sample", 0.5)],
)
def test_conditions_that_preflight_would_refuse_are_refused_at_once(key: str, value: object) -> None:
    message = refused(loaded("baseline"), changed(key, value, "mul_tokens"))
    assert message.startswith(f"{key}: ")
    assert f"{value!r} in mul_tokens" in message


def test_a_default_that_one_condition_spells_out_is_no_difference() -> None:
    spelled = changed(
        "model", loaded("mul_tokens").model | {"n_inner": None, "layer_norm_epsilon": 1e-5}, "mul_tokens"
    )
    assert "layer_norm_epsilon" not in loaded("baseline").model
    check_recipes([loaded("baseline"), spelled], LAUNCH, trains_here=True)


def test_what_a_condition_declares_may_differ() -> None:
    declares = changed("number_token_loss", 0.3, "mul_tokens")
    assert declares.number_token_loss
    check_recipes([loaded("baseline"), declares], LAUNCH, trains_here=True)


def test_a_held_out_part_is_smaller_than_its_data() -> None:
    first, *rest = loaded("baseline").sft_stages
    stage = dataclasses.replace(first, validation_items=10**6)
    assert isinstance(stage, SFTStage)
    assert "validation_items: expected fewer than" in refused(changed("sft_stages", [stage, *rest]))


def test_a_held_out_part_is_smaller_than_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"question": "What is {n} + 1?", "answer": "{n + 1}"}}\n' for n in range(40)))
    source = Source(name="rows", kind="file", path=str(path))
    stage = SFTStage("rows", [source], validation_items=40)
    assert "rows.validation_items: expected fewer than the 40 examples" in refused(changed("sft_stages", [stage]))


def test_processes_count(tmp_path: Path) -> None:
    assert "on 3 process(es)" in refused(loaded("baseline"), launch=Launch(3, Launcher(), None))
    assert "seed + seed_offset + the processes" in refused(
        changed("seed", MAX_SEED), launch=Launch(2, Launcher(), None)
    )


@pytest.mark.parametrize(
    ("section", "row", "message"),
    [
        ("sft_stages", {"question": "1 + 1", "reply": "2"}, "column 'answer'"),
        ("sft_stages", {"question": "", "answer": "2"}, "column 'question' is empty"),
        ("grpo_prompts", {"question": "1 + 1", "answer": "2"}, "####"),
    ],
)
def test_a_bad_row_of_a_later_stage_is_found_before_the_first(
    section: str, row: dict[str, str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.jsonl"
    source = Source("mine", "file", str(path))
    value = [SFTStage("mine", [source])] if section == "sft_stages" else [source]
    good = json.dumps({"question": "1 + 1", "answer": "2 #### 2"})
    path.write_text(f"{good}\n{good}\n")
    check_recipes([changed(section, value)], LAUNCH, trains_here=True)
    path.write_text(f"{good}\n{json.dumps(row)}\n")
    assert message in refused(changed(section, value))


GPT2 = dataclasses.replace(loaded("baseline").base_vocabulary, kind="gpt2", num_ids=50257)
BASES = [GPT2, loaded("baseline").base_vocabulary]


@pytest.mark.parametrize("base", BASES, ids=["gpt2", "trained"])
@pytest.mark.parametrize("section", ["sft_stages", "grpo_prompts"])
def test_rows_none_of_which_fits_are_refused_before_the_first_stage(
    section: str, base: BaseVocabulary, tmp_path: Path
) -> None:
    path = tmp_path / "mine.jsonl"
    source = Source("mine", "file", str(path))
    value = [SFTStage("mine", [source], args={"max_length": 64})] if section == "sft_stages" else [source]
    recipe = dataclasses.replace(changed(section, value), base_vocabulary=base, output_dir=str(tmp_path))
    assert recipe.model["n_positions"] - recipe.grpo["max_completion_length"] == 80
    rows = [{"question": "What is " + "one and " * number + "?", "answer": "#### 2"} for number in (90, 44, 60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    number = {"sft_stages": "100", "grpo_prompts": "96"}[section] if base is GPT2 else r"at least \d+"
    limit = {"sft_stages": r"64 tokens \(max_length\)", "grpo_prompts": "80 tokens"}[section]
    message = refused(recipe)
    assert re.search(
        rf"{section}.*: source mine: none of the 3 examples fits in {limit}.*mine\.jsonl, line 2, takes {number};",
        message,
    ), message
    rows.append({"question": "One and one?", "answer": "#### 2"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    check_recipes([recipe], LAUNCH, trains_here=True)


def test_generated_examples_have_to_fit_too() -> None:
    message = refused(changed("sft.max_length", 8))
    assert message.startswith("sft_stages.drills: source drills: none of the 200 examples fits in 8 tokens")


# --- What the launcher's file says -----------------------------------------------------------------------------------


def launch_of(folder: Path, text: str) -> Launch:
    path = folder / "launcher.yaml"
    path.write_text(f"compute_environment: LOCAL_MACHINE\nnum_machines: 1\nmachine_rank: 0\n{text}")
    return read_launch(str(path))


PLAIN = 'distributed_type: "NO"\nuse_cpu: true\nnum_processes: 1\n'
DEEPSPEED = 'distributed_type: DEEPSPEED\nuse_cpu: true\nnum_processes: 2\nmixed_precision: "no"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{PLAIN}mixed_precision: bf16\n", "launcher: mixed_precision: bf16 would overrule the recipe"),
        (f"{PLAIN}mixed_precision: fp16\n", "launcher: mixed_precision: fp16 would overrule the recipe"),
        (
            f'{PLAIN}mixed_precision: "no"\ndynamo_config: {{dynamo_backend: INDUCTOR}}\n',
            "launcher: dynamo_backend: INDUCTOR would overrule the recipe",
        ),
        (
            f"{DEEPSPEED}deepspeed_config: {{zero_stage: 2, gradient_accumulation_steps: 7}}\n",
            "launcher: deepspeed_config.gradient_accumulation_steps: 7 would overrule the recipe",
        ),
        (
            f"{DEEPSPEED}deepspeed_config: {{zero_stage: 2, gradient_clipping: 0.5}}\n",
            "launcher: deepspeed_config.gradient_clipping: 0.5 would overrule the recipe (pretrain: 1)",
        ),
    ],
)
def test_a_launcher_that_overrules_the_recipe_is_refused(text: str, message: str, tmp_path: Path) -> None:
    assert message in refused(divisible(), launch=launch_of(tmp_path, text))


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "accelerate_configs").glob("*_cpu.yaml")))
def test_a_launcher_that_is_shipped_is_accepted(name: str) -> None:
    launch = read_launch(f"accelerate_configs/{name}")
    assert launch.num_processes == 2
    assert launch.environment is None
    check_recipes([divisible()], launch, trains_here=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gradient_clipping": 0.3}, "gradient_clipping: 0.3, but the recipe says 1.0"),
        ({"gradient_clipping": None}, "gradient_clipping: 0.0 because it is missing, but the recipe says 1.0"),
        ({"gradient_accumulation_steps": None}, "gradient_accumulation_steps: 1 because it is missing"),
        ({"bf16": {"enabled": True}}, "bf16.enabled: True, but the recipe says False"),
        ({"optimizer": {"type": "SGD"}}, "optimizer: would replace that of the recipe"),
        ({"train_batch_size": 3}, "train_batch_size: 3"),
    ],
)
def test_deepspeeds_own_file_may_not_overrule_the_recipe_either(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    auto = {"gradient_clipping": "auto", "gradient_accumulation_steps": "auto", "zero_optimization": {"stage": 1}}
    path = tmp_path / "ds.json"
    launch = Launch(1, Launcher(sharding="DeepSpeed", deepspeed_file=str(path)), None)
    path.write_text(json.dumps(auto))
    check_recipes([loaded("baseline")], launch, trains_here=True)
    assert launch.launcher.recorded() == {"sharding": "DeepSpeed ZeRO 1"}
    path.write_text(json.dumps({key: value for key, value in (auto | changes).items() if value is not None}))
    assert message in refused(loaded("baseline"), launch=launch)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f"{PLAIN}mixed_precision: no\n", "mixed_precision"),
        (f"{PLAIN}mixed_precision: Off\n", "mixed_precision"),
        (f"{PLAIN}mixed_precision: false\n", "mixed_precision"),
        (PLAIN.replace('"NO"', "NO"), "distributed_type"),
        (f'{PLAIN}mixed_precision: "no"\ndynamo_config: {{dynamo_backend: no}}\n', "dynamo_config.dynamo_backend"),
        (f'{PLAIN}mixed_precision: "no"\nrdzv_backend: yes\n', "rdzv_backend"),
    ],
)
def test_a_word_that_is_a_truth_value_to_yaml_is_to_be_quoted(text: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=rf"launcher\.yaml: {key}: expected text, but unquoted .* in YAML; quote it"):
        launch_of(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; expected settings"),
        ("# nothing\n", "empty; expected settings"),
        ("{}\n", "empty; expected settings"),
        ("- a\n", "expected keys with values, got list"),
        ("word\n", "expected keys with values, got str"),
        (
            PLAIN.replace("num_processes: 1", 'num_processes: "2"'),
            "num_processes: expected a whole number, got the text '2'",
        ),
        (f"{PLAIN}num_machines: '1'\n", "num_machines: expected a whole number, got the text '1'"),
    ],
)
def test_a_launchers_file_without_settings_or_with_a_number_in_quotes_is_one_message(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "launcher.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=rf"launcher\.yaml: {message}"):
        read_launch(str(path))


def test_truth_values_of_a_launcher_may_be_words(tmp_path: Path) -> None:
    launch = launch_of(tmp_path, PLAIN.replace("true", "yes") + 'mixed_precision: "no"\nsame_network: no\n')
    assert launch.environment is not None
    assert launch.environment["ACCELERATE_USE_CPU"] == "True"


def test_a_key_that_a_launchers_file_has_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"launcher\.yaml: .*duplicate key 'num_processes'"):
        launch_of(tmp_path, f"{PLAIN}num_processes: 2\n")
    path = tmp_path / "launcher.json"
    path.write_text('{"distributed_type": "NO", "num_processes": 1,\n "num_processes": 2}')
    with pytest.raises(RecipeError, match=r"launcher\.json, line 2, .*'num_processes' is a duplicate"):
        read_launch(str(path))
    path = tmp_path / "ds.json"
    path.write_text('{"zero_optimization": {"stage": 1, "stage": 2}}')
    launch = Launch(1, Launcher(sharding="DeepSpeed", deepspeed_file=str(path)), None)
    assert re.search(r"ds\.json, line 1, .*'stage' is a duplicate", refused(loaded("baseline"), launch=launch))


def test_a_file_that_accelerate_cannot_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"launcher.yaml: accelerate cannot read it: .*expected a file like"):
        launch_of(tmp_path, f"{PLAIN}mixed_presicion: bf16\n")
    with pytest.raises(RecipeError, match=r"launcher.yaml: accelerate cannot read it"):
        launch_of(tmp_path, "a: [b\n- c: }")


@pytest.mark.parametrize("number", ["0", "-2", "1.5"])
def test_a_number_of_processes_is_one_or_more(number: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="num_processes: expected a whole number of at least 1"):
        launch_of(tmp_path, PLAIN.replace("num_processes: 1", f"num_processes: {number}"))
