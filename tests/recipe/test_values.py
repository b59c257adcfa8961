"""What a value of a recipe is: text stays text, a number is finite, a path has one meaning, a name is free."""

import tempfile
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from domain_tokens.experiment.research import ResearchExperiment
from domain_tokens.experiment.robustness import Robustness
from domain_tokens.recipe import Recipe, RecipeError, load_recipe, to_dict, to_yaml
from domain_tokens.recipe.checks import MAX_SEED
from domain_tokens.recipe.loading import load_section, read_resolved
from domain_tokens.recipe.scalars import Loader, read_override, read_scalar
from domain_tokens.recipe.schema import Rewards

SMALL = ["small.yaml"]
TEXT = """
experiment: e
condition: c
tokenizer: t.yaml
corpus: {sources: [{name: s, kind: file, path: a.txt}]}
sft_stages: [{name: one}]
grpo_prompts: [{name: s, kind: file, path: a.jsonl}]
"""


@pytest.fixture(autouse=True)
def in_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where `small.yaml` is the shortest recipe; it is read in a twentieth of a second."""
    folder = tmp_path_factory.getbasetemp() / "small"
    folder.mkdir(exist_ok=True)
    overlay(folder, TEXT, "small.yaml")
    monkeypatch.chdir(folder)


def refused(*arguments: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe([*SMALL, *arguments])
    return str(caught.value)


def overlay(folder: Path, text: str, name: str = "overlay.yaml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


# --- Text and numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["1.10", "no", "010", "1:30", "true", "0x1F", "1_000", "2024-01-01"])
def test_an_override_of_text_is_text(text: str) -> None:
    assert load_recipe([*SMALL, f"corpus.sources.0.path={text}"]).corpus.sources[0].path == text


@pytest.mark.parametrize("text", ["no", "off", "2024-01-01", "a#b"])
def test_an_unquoted_word_of_a_file_is_text(text: str, tmp_path: Path) -> None:
    assert (
        load_recipe([*SMALL, overlay(tmp_path, f"corpus: {{encoder: auto}}\ntokenizer: {text}\n")]).tokenizer == text
    )


@pytest.mark.parametrize("text", ["1.10", "7", "true", "010", "1:30", "0x1F", "1_000", "0o17"])
def test_an_unquoted_number_of_a_file_is_no_text(text: str, tmp_path: Path) -> None:
    assert "quote" in refused(overlay(tmp_path, f"experiment: {text}\n"))
    assert yaml.load(f"tokenizer: '{text}'", Loader=Loader) == {"tokenizer": text}


def test_json_is_as_strict(tmp_path: Path) -> None:
    assert "experiment: expected text" in refused(overlay(tmp_path, '{"experiment": 1.10}', "overlay.json"))
    assert "seed: expected a number" in refused(overlay(tmp_path, '{"seed": "010"}', "overlay.json"))
    assert "seed: expected a number" in refused(overlay(tmp_path, '{"seed": true}', "overlay.json"))


@pytest.mark.parametrize("text", ["010", "1:30", "1_000", "0x10", "0b1", "00", "-010", "010.5"])
def test_a_number_on_which_readers_differ_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(yaml.YAMLError, match=f"{text} is a number of another base or form"):
        yaml.load(f"a: [{text}]", Loader=Loader)
    with pytest.raises(ValueError, match=f"{text} is a number of another base or form"):
        read_override(text)


def test_it_is_refused_wherever_a_number_can_stand(tmp_path: Path) -> None:
    for argument in ("seed=010", "pretrain.max_steps=1:30", overlay(tmp_path, "corpus: {seed: 0x10}\n")):
        assert "is a number of another base or form" in refused(argument)
    assert "expected a number in plain digits" in refused('corpus.seed="010"')


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("1E3", 1e3), (".5", 0.5), ("1.", 1.0)])
def test_a_decimal_number_is_read_as_it_is_written(text: str, value: float) -> None:
    assert yaml.load(f"a: {text}", Loader=Loader) == {"a": value}
    assert read_override(text) == value
    assert load_recipe([*SMALL, f"rewards.brevity={text}"]).rewards.brevity == value


@pytest.mark.parametrize("key", ["pretrain.bf16", "corpus.per_seed", "sft_stages.0.args.packing"])
@pytest.mark.parametrize("text", ["no", "'false'", "0"])
def test_a_truth_value_is_true_or_false(key: str, text: str) -> None:
    assert "expected true or false" in refused(f"{key}={text}")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_text_survives_a_command_line(text: str) -> None:
    if text.strip().startswith(("[", "{", '"', "'")):
        return
    try:
        value = read_scalar(text.strip())
    except ValueError:
        return
    assert value == text.strip() or not isinstance(value, str)


@given(st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none())
def test_a_value_that_was_written_reads_back(value: float | None) -> None:
    text = yaml.safe_dump(value).removesuffix("\n...\n").strip()
    assert read_scalar(text) == value == yaml.load(text, Loader=Loader)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Co", "Cn"]), min_size=1))
def test_text_in_a_resolved_recipe_reads_back(text: str) -> None:
    recipe = load_recipe(SMALL)
    recipe.corpus.sources[0].name = text.replace("$", "")
    assert yaml.load(to_yaml(recipe), Loader=Loader) == to_dict(recipe)


@pytest.mark.parametrize(
    ("text", "value"), [("*.jsonl", "*.jsonl"), ("a: b", "a: b"), ("a #b", "a #b"), ("[1, no]", [1, "no"]), ("", None)]
)
def test_an_override_is_one_value(text: str, value: object) -> None:
    assert read_override(text) == value


# --- Finite numbers --------------------------------------------------------------------------------------------------


def float_keys(kind: Any, prefix: str = "") -> list[str]:
    found = []
    for name, hint in get_type_hints(kind).items():
        for one in (hint, *get_args(hint)):
            if one is float:
                found.append(f"{prefix}{name}")
            elif is_dataclass(one) and "list" not in str(hint) and "dict" not in str(hint):
                found += float_keys(one, f"{prefix}{name}.")
    return found


FLOATS = [
    *float_keys(Recipe), "corpus.sources.0.max_tokens", "pretrain.learning_rate", "pretrain.adam_epsilon",
    "sft.weight_decay", "sft_stages.0.args.max_grad_norm", "grpo.epsilon", "grpo.vespo_k_pos",
    "model.layer_norm_epsilon", "pretrain.lr_scheduler_kwargs.min_lr_rate", "pretrain.neftune_noise_alpha",
]  # fmt: skip


def test_every_float_is_tried() -> None:
    assert {"number_token_loss", "corpus.sample", "evaluation.sampling.temperature", "rewards.brevity"} <= set(FLOATS)
    assert {f"rewards.{field.name}" for field in fields(Rewards)} <= set(FLOATS)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        *((key, ".nan") for key in FLOATS),
        *(("rewards.brevity", text) for text in ("nan", "-.inf", "inf", "Infinity", "1e999")),
        ("pretrain.learning_rate", "inf"),
    ],
)
def test_a_number_is_finite(key: str, text: str) -> None:
    message = refused(f"{key}={text}")
    assert key.rpartition(".")[2] in message
    assert "finite" in message


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("output_dir=s3://b/x", "output_dir: expected a folder of this machine"),
        ("output_dir=file:///x", "output_dir: expected a folder of this machine"),
        ("rewards.brevity=1e300", "rewards.brevity: expected a weight from 0 to 1000"),
        ("rewards.exact_match=-1", "rewards.exact_match: expected a weight from 0 to 1000"),
        ("grpo.top_p=1.5", "above 0 and up to 1"), ("model.resid_pdrop=-0.1", "from 0 to 1"),
        ("sft.label_smoothing_factor=2", "from 0 to 1"), ("pretrain.adam_beta1=1", "from 0 to below 1"),
        ("pretrain.dataloader_num_workers=-1", "of at least 0"), ("pretrain.save_steps=0", "above 0"),
        ("pretrain.save_total_limit=0", "of at least 1"), ("model.n_layer=0", "of at least 1"),
        ("grpo.num_generations=1", "of at least 2"), ("pretrain.max_steps=2.5", "whole number"),
        ("pretrain.max_steps=99999999999999999999", "64 bits"),
    ],
)  # fmt: skip
def test_a_range_has_its_ends(override: str, expected: str) -> None:
    message = refused(override)
    assert override.partition("=")[0] in message
    assert expected in message


# --- Seeds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["seed", "seed_offset", "corpus.seed", "evaluation.sampling.seed"])
def test_a_seed_is_one_that_every_library_takes(key: str) -> None:
    load_recipe([*SMALL, f"{key}={MAX_SEED}"])
    for value in (-1, MAX_SEED + 1):
        assert f"{key}: expected a whole number from 0 to {MAX_SEED}" in refused(f"{key}={value}")


def test_a_sum_of_seeds_is_one_too(tmp_path: Path) -> None:
    load_recipe([*SMALL, f"seed={MAX_SEED - 5}", "seed_offset=5"])
    assert "seed + seed_offset: expected" in refused(f"seed={MAX_SEED - 5}", "seed_offset=6")
    declared = overlay(
        tmp_path, f"endpoints: [{{model: grpo_final, task: gsm8k}}]\nseeds: [{MAX_SEED + 1}]\n", "p.yaml"
    )
    assert "p.yaml: seeds: expected" in refused(f"prereg={declared}")


# --- Paths -----------------------------------------------------------------------------------------------------------


def test_a_home_folder_is_expanded_once_wherever_a_path_can_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    overlay(tmp_path, "", "t.yaml")
    overlay(tmp_path, "endpoints: [{model: grpo_final, task: gsm8k}]\nseeds: [0]\n", "p.yaml")
    overlay(tmp_path, "", "own_task.py")
    overlay(tmp_path, "seed: 3\n", "base.yaml")
    overlay(
        tmp_path,
        "extends: ~/base.yaml\ntokenizer: ~/t.yaml\ncanonical_table: ~/t.yaml\nprereg: ~/p.yaml\noutput_dir: ~/out\n"
        "learning_rates: ~/rates.json\nevaluation: {tasks: [~/own_task.py, gsm8k], checkpoint_tasks: []}\n"
        "sft: {liger_kernel_config: {file: ~/x}}\n"
        "corpus: {sources: [{name: a, kind: file, path: [~/a.txt, b.txt]}]}\n",
    )
    recipe = load_recipe([*SMALL, "~/overlay.yaml", "grpo_prompts.0.kind=file", "grpo_prompts.0.path=~/g/*.jsonl"])
    assert recipe.seed == 3
    assert (recipe.output_dir, recipe.tokenizer, recipe.prereg) == tuple(
        f"{tmp_path}/{name}" for name in ("out", "t.yaml", "p.yaml")
    )
    assert recipe.corpus.sources[0].path == [f"{tmp_path}/a.txt", "b.txt"]
    assert recipe.grpo_prompts[0].path == f"{tmp_path}/g/*.jsonl"
    assert "~" not in to_yaml(recipe)


def test_a_home_folder_of_nobody_is_refused() -> None:
    assert "output_dir: ~nobody_at_all/x: no home folder" in refused("output_dir=~nobody_at_all/x")


def test_lists_of_experiments_have_paths_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    research = load_section(
        ResearchExperiment, Path(overlay(tmp_path, "recipes: [~/a.yaml]\nconfig_file: ~/c.yaml\n"))
    )
    assert (research.recipes, research.config_file) == ([f"{tmp_path}/a.yaml"], f"{tmp_path}/c.yaml")
    paths = {field.name for field in fields(Robustness) if field.metadata.get("path")}
    assert paths == {"output_dir", "page", "figure", "recipes", "overlays", "config_file"}


# --- Recipes and overrides -------------------------------------------------------------------------------------------


def test_an_argument_that_is_a_file_is_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run=1"
    folder.mkdir()
    for name in ("a.yaml", "without_suffix", "seed=9"):
        overlay(folder, "seed: 5\n", name)
        assert load_recipe([*SMALL, str(folder / name)]).seed == 5
    overlay(tmp_path, f"extends: {Path(SMALL[0]).resolve()}\nseed: 6\n", "seed=7")
    monkeypatch.chdir(tmp_path)
    assert load_recipe(["seed=7"]).seed == 6
    assert load_recipe(["seed=7", "seed=8"]).seed == 8


@pytest.mark.parametrize("argument", ["run=1/nowhere.yaml", "nowhere.yaml", "nowhere", ".", "a/b=1", "=1"])
def test_a_file_that_is_missing_is_named(argument: str) -> None:
    message = refused(argument)
    assert message.startswith(f"{argument}: {'a folder' if argument == '.' else 'no such file'}")
    with pytest.raises(RecipeError, match="no recipe given"):
        load_recipe(["seed=1"])


# --- Names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("sft_stages=[{name: final}, {name: more}]", ["sft_stages.final.name", "only the last stage"]),
        ("sft_stages=[{name: FINAL}, {name: more}]", ["sft_stages.final.name"]),
        ("sft_stages=[{name: a}, {name: A}]", ["sft_stages", "'a' and 'A' are one folder"]),
        ("sft_stages=[{name: a}, {name: a}]", ["sft_stages", "twice"]),
        ("sft_stages=[{name: final.partial}]", ["name of unfinished work"]),
        ("sft_stages=[{name: a.weights}]", ["name of unfinished work"]),
        ("experiment=exp_a", ["experiment", "the project itself writes"]),
        ("experiment=logs", ["experiment", "the project itself writes"]),
        ("experiment=learning_rate", ["experiment", "the project itself writes"]),
        ("experiment=" + "a" * 81, ["experiment", "at most 80"]),
        ("condition=a.", ["condition", "no '.' at an end"]),
        ("condition=b.work", ["condition", "name of unfinished work"]),
    ],
)
def test_a_name_that_is_taken_is_refused_with_the_recipe(override: str, parts: list[str]) -> None:
    message = refused(override)
    assert all(part in message for part in parts), message


def test_one_stage_may_be_called_final() -> None:
    assert load_recipe([*SMALL, "sft_stages=[{name: more}, {name: final}]"]).sft_stages[1].name == "final"


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
    | st.from_regex(r"[-+.]?[0-9][0-9a-fox_:.eE]{0,6}", fullmatch=True)
)
@example("0o7")
@example("1e3")
@example("1:30")
@example("no")
@example("2026-11-26")
@example("")
def test_a_text_reads_back_as_it_was_written(text: str) -> None:
    assume("$" not in text)  # OmegaConf's own sign
    recipe = replace(load_small(), condition=text, tokenizer=text)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run_config.yaml")
        path.write_text(to_yaml(recipe), encoding="utf-8")
        read = read_resolved(path)
    assert read["condition"] == read["tokenizer"] == text


@cache
def load_small() -> Recipe:
    return load_recipe(SMALL)
