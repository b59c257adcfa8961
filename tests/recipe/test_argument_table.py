"""The table of the libraries' arguments, and the trainers' sections that it answers for."""

import dataclasses
from pathlib import Path

import pytest
from transformers import GPT2Config, TrainingArguments
from trl import GRPOConfig, SFTConfig

from domain_tokens.recipe import RecipeError, argument_table, check_fit, load_recipe, parse_trainers
from domain_tokens.recipe.argument_table import TABLE, Kind, defaults, known_arguments, read_libraries, to_json
from domain_tokens.recipe.values.overrides import layered

DEMO = ["recipes/mul_tokens.yaml", "recipes/scales/demo.yaml"]


@pytest.fixture(autouse=True)
def in_root(root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


@pytest.fixture
def no_memory() -> None:
    known_arguments.cache_clear()
    yield
    known_arguments.cache_clear()


def test_the_table_is_that_of_the_installed_versions() -> None:
    """If this fails after an update of transformers or trl: `make argument-table`."""
    assert TABLE.read_text() == to_json(read_libraries())


@pytest.mark.parametrize(
    ("kind", "dataclass"),
    [("TrainingArguments", TrainingArguments), ("SFTConfig", SFTConfig), ("GRPOConfig", GRPOConfig)],
)
def test_names_are_the_fields_of_the_dataclasses(kind: Kind, dataclass: type) -> None:
    assert known_arguments(kind) == {field.name for field in dataclasses.fields(dataclass) if field.init}
    assert {"learning_rate", "max_steps"} <= known_arguments(kind)


def test_names_of_the_model_are_its_configuration() -> None:
    assert known_arguments("GPT2Config") == set(GPT2Config().to_dict())


@pytest.mark.parametrize("kind", [TrainingArguments, SFTConfig, GRPOConfig])
def test_a_default_is_what_the_library_takes_without_the_argument(kind: type, tmp_path: Path) -> None:
    known = defaults(kind.__name__)
    assert {"learning_rate", "max_grad_norm", "warmup_steps"} <= known.keys()
    made = kind(output_dir=str(tmp_path), use_cpu=True)
    set_here = {"use_cpu", "dataloader_pin_memory"}  # the second follows from the first
    plain = {name: one for name, one in known.items() if isinstance(one, int | float) and name not in set_here}
    assert {name: getattr(made, name) for name in plain} == plain


def test_defaults_of_the_model_are_its_configuration() -> None:
    assert defaults("GPT2Config")["n_layer"] == GPT2Config().n_layer == 12
    assert "n_inner" not in defaults("GPT2Config")


def test_another_version_is_asked_itself(monkeypatch: pytest.MonkeyPatch, no_memory: None) -> None:
    asked = argument_table.ArgumentTable({"transformers": "99"}, {"SFTConfig": ["brand_new"]})
    monkeypatch.setattr(argument_table, "installed_versions", lambda: {"transformers": "99", "trl": "99"})
    monkeypatch.setattr(argument_table, "read_libraries", lambda: asked)
    assert known_arguments("SFTConfig") == {"brand_new"}


def test_the_same_version_is_not_asked(monkeypatch: pytest.MonkeyPatch, no_memory: None) -> None:
    monkeypatch.setattr(argument_table, "read_libraries", lambda: pytest.fail("the libraries were imported"))
    assert "beta" in known_arguments("GRPOConfig")


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("model.vocab_size=100", ["model.vocab_size", "tokenizer"]),
        ("model.pad_token_id=0", ["model.pad_token_id", "tokenizer"]),
        ("sft_stages.0.args.output_dir=x", ["sft_stages.drills.args.output_dir", "cannot be set in a recipe"]),
        ("sft_stages.0.args.learning_rate=0", ["sft_stages.drills.args.learning_rate", "above 0"]),
        ("sft_stages.0.name=a/b", ["sft_stages", "name", "a/b"]),
    ],
)
def test_what_a_section_may_not_say(override: str, parts: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe([*DEMO, override])
    assert all(part in str(caught.value) for part in parts), caught.value


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("pretrain.bf16=maybe", ["pretrain.bf16", "maybe"]),
        ("sft.save_steps=7.5x", ["sft.save_steps", "7.5x"]),
        ("sft_stages.0.args.optim=sgdd", ["sft_stages.drills.args.optim", "sgdd"]),
        ("grpo.num_generations=7", ["grpo", "num_generations", "7"]),
        ("grpo.max_completion_length=128", ["grpo.max_completion_length", "leave room for the prompt, got 128"]),
        ("pretrain.max_steps=0", ["pretrain.max_steps", "at least 1", "0"]),
        ("sft.max_length=1000", ["sft_stages.drills.args.max_length", "128", "1000"]),
        ("sft.packing=true", ["budget.sft_tokens_per_step: missing", "sft.packing"]),
        ("budget.sft_tokens_per_step=512", ["budget.sft_tokens_per_step: no stage", "sft.packing=true"]),
        ("rewards={exact_match: 0, partial_credit: 0, shows_steps: 0, brevity: 0, repetition: 0}", ["rewards", "0"]),
    ],
)
def test_a_wrong_value_of_any_stage_is_found_before_the_first(override: str, parts: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        read_whole(override)
    assert all(part in str(caught.value) for part in parts), caught.value


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("budget.sft_tokens_per_step=500", ["budget.sft_tokens_per_step: 500 does not divide", "128"]),
        ("sft.packing_strategy=wrapped", ["sft_stages.drills.args.packing_strategy: wrapped cuts", "expected bfd"]),
        ("sft.eval_packing=true", ["sft_stages.drills.args.eval_packing: not supported"]),
        ("sft.save_strategy=epoch", ["sft_stages.drills.args.save_strategy", "expected steps or no"]),
        ("sft.pad_to_multiple_of=8", ["sft_stages.drills.args.pad_to_multiple_of", "remove it"]),
    ],
)
def test_what_packing_cannot_do_is_refused(override: str, parts: list[str]) -> None:
    packed = ("sft.packing=true", "budget.sft_tokens_per_step=512", "sft.per_device_train_batch_size=1")
    read_whole(*packed)
    with pytest.raises(RecipeError) as caught:
        read_whole(*layered(packed, [override]))
    assert all(part in str(caught.value) for part in parts), caught.value


def test_packing_is_refused_with_number_tokens_weighed_by_example() -> None:
    packed = ("sft.packing=true", "budget.sft_tokens_per_step=512", "sft.per_device_train_batch_size=1")
    read_whole(*packed, "number_token_loss=0.3")
    with pytest.raises(RecipeError, match="not supported with number_token_loss and budget.sft_loss=example"):
        read_whole(*packed, "number_token_loss=0.3", "budget.sft_loss=example")


def read_whole(*overrides: str) -> None:
    recipe = load_recipe([*DEMO, *overrides])
    check_fit(recipe, parse_trainers(recipe))


@pytest.mark.parametrize("scale", [[], ["recipes/scales/demo.yaml"], ["recipes/scales/pilot.yaml"]])
def test_every_shipped_scale_fits(scale: list[str]) -> None:
    recipe = load_recipe(["recipes/mul_tokens.yaml", *scale])
    trainers = parse_trainers(recipe)
    check_fit(recipe, trainers)
    assert trainers.pretrain.max_steps == recipe.pretrain["max_steps"]
    assert set(trainers.sft) == {stage.name for stage in recipe.sft_stages}
