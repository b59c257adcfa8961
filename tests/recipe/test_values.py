"""What a value of a recipe is: text stays text, a number is finite, a path has one meaning, a name is free."""

import argparse
import json
import os
import re
import tempfile
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints
from unittest import mock

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from properties import examples

from domain_tokens.cli.options import temperature
from domain_tokens.experiment.research import ResearchExperiment
from domain_tokens.experiment.robustness import Robustness
from domain_tokens.recipe import Recipe, RecipeError, flatten, load_recipe, to_dict, to_yaml
from domain_tokens.recipe.checks import LOWEST_TEMPERATURE, MAX_SEED
from domain_tokens.recipe.loading import load_section, overlaid, read_resolved
from domain_tokens.recipe.sections.rewards import Rewards
from domain_tokens.recipe.values.overrides import layered, overridden
from domain_tokens.recipe.values.scalars import Loader, read_override, read_scalar

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


@pytest.mark.parametrize("text", ["３", "' 3'", "'1_0'", "٣", "'010'"])
def test_digits_that_only_some_readers_take_are_no_number(text: str, tmp_path: Path) -> None:
    assert float(text.strip("'")) in (3, 10)
    for argument in (f"seed={text}", overlay(tmp_path, f"rewards: {{brevity: {text}}}\n")):
        assert "expected a number in plain digits" in refused(argument)


def test_text_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    file = overlay(tmp_path, '{"tokenizer": "\\ud800.yaml"}', "overlay.json")
    for argument in (file, os.fsdecode(b"tokenizer=caf\xe9.yaml"), os.fsdecode(b"pretrain.run_name=\xe9")):
        assert "expected text in UTF-8, got '" in refused(argument)


def test_what_is_neither_text_nor_a_number_is_named(tmp_path: Path) -> None:
    assert "experiment: expected text, got bytes" in refused(overlay(tmp_path, "experiment: !!binary aGVsbG8=\n"))


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


@settings(max_examples=examples(50))  # a whole recipe is written and read for each
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Co", "Cn"]), min_size=1))
def test_text_in_a_resolved_recipe_reads_back(text: str) -> None:
    recipe = load_small()
    source = replace(recipe.corpus.sources[0], name=text)
    recipe = replace(recipe, corpus=replace(recipe.corpus, sources=[source]))
    read = OmegaConf.create(yaml.load(to_yaml(recipe), Loader=Loader))
    assert OmegaConf.to_container(read, resolve=True) == to_dict(recipe)


@pytest.mark.parametrize(
    ("text", "value"), [("*.jsonl", "*.jsonl"), ("a: b", "a: b"), ("a #b", "a #b"), ("[1, no]", [1, "no"]), ("", None)]
)
def test_an_override_is_one_value(text: str, value: object) -> None:
    assert read_override(text) == value


# --- Interpolations --------------------------------------------------------------------------------------------------


@settings(max_examples=examples(12))  # a recipe is read for each
@given(st.text(r"\${}x:. '\"", max_size=10))
@example("${x}")
@example("${seed}")
@example(r"\${x}\\${")
def test_a_sign_of_an_interpolation_in_a_text_reads_back(text: str) -> None:
    recipe = load_small()
    source = replace(recipe.corpus.sources[0], document_separator=f"a{re.escape(text)}", text_key=f"a{text}")
    recipe = replace(recipe, corpus=replace(recipe.corpus, sources=[source]))
    with tempfile.TemporaryDirectory() as folder:
        read = load_recipe([overlay(Path(folder), to_yaml(recipe))])
        assert read == recipe
        assert to_yaml(read) == to_yaml(recipe)
        assert flatten(to_dict(read)) == read_resolved(Path(folder, "overlay.yaml"))


def test_an_escaped_sign_is_text_and_another_stands_for_a_value(tmp_path: Path) -> None:
    for text, expected in ((r"\${seed}", "${seed}"), ("${condition}", "c"), (r"a\${x}$", "a${x}$")):
        file = overlay(tmp_path, f"corpus: {{sources: [{{name: s, kind: file, path: a.txt, text_key: '{text}'}}]}}\n")
        for arguments in ([file], [f"corpus.sources.0.text_key={text}"]):
            assert load_recipe([*SMALL, *arguments]).corpus.sources[0].text_key == expected


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("extends: ${nothing}", "extends"), ("tokenizer: ${nothing}", "tokenizer"), ("prereg: ${nothing}", "prereg"),
        ("measured_as: ${nothing}", "canonical_table"), ("evaluation: {tasks: ['${nothing}']}", "evaluation.tasks[0]"),
        ("evaluation: {tasks: '${nothing}'}", "evaluation.tasks"), ("evaluation: ${nothing}", "evaluation"),
        ("learning_rates: '${oc.env:NOT_SET_HERE}'", "learning_rates"),
    ],
)  # fmt: skip
def test_an_interpolation_of_nothing_is_one_message_wherever_it_stands(text: str, key: str, tmp_path: Path) -> None:
    message = refused(overlay(tmp_path, f"{text}\n"))
    assert f"overlay.yaml: {key}: " in message
    assert "stands for the value of another key" in message


def test_a_file_may_name_what_another_one_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME_OF_MINE", "mine")
    first = overlay(tmp_path, "tokenizer: ${condition}.yaml\nevaluation: {tasks: ['${oc.env:TASK_OF_MINE,gsm8k}']}\n")
    second = overlay(tmp_path, "condition: ${oc.env:NAME_OF_MINE}\n", "second.yaml")
    recipe = load_recipe([*SMALL, first, second])
    assert (recipe.condition, recipe.tokenizer, recipe.evaluation.tasks) == ("mine", "mine.yaml", ["gsm8k"])


def test_a_pattern_of_documents_may_look_like_a_list() -> None:
    for text, expected in (("[0-9]+", "[0-9]+"), ("'^# '", "^# "), ("^[A-Z]", "^[A-Z]"), ("", None)):
        read = load_recipe([*SMALL, f"corpus.sources.0.document_separator={text}"])
        assert read.corpus.sources[0].document_separator == expected


def test_a_long_override_is_no_name_of_a_file() -> None:
    paths = [f"folder/of/number/{number}.txt" for number in range(200)]
    assert load_recipe([*SMALL, f"corpus.sources.0.path={json.dumps(paths)}"]).corpus.sources[0].path == paths
    assert refused("a" * 5000).startswith("aaa")
    assert load_recipe([*SMALL, f"tokenizer={'a' * 5000}"]).tokenizer == "a" * 5000


@pytest.mark.parametrize("text", ["${nothing}", "${", "a${", "${a b}"])
def test_an_interpolation_that_means_nothing_is_refused_with_its_key(text: str, tmp_path: Path) -> None:
    for argument in (f"output_dir={text}", overlay(tmp_path, f"output_dir: '{text}'\n")):
        message = refused(argument)
        assert "output_dir" in message
        assert r"and \${ for the text ${" in message


# --- Shapes of values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("corpus", "[1]", "expected keys and values, got a list"),
        ("corpus", "null", "expected keys and values, got nothing (null)"),
        ("corpus", "7", "expected keys and values, got 7"),
        ("corpus.sources", "{a: 1}", "expected a list, got keys and values"),
        ("corpus.sources", "s", "expected a list, got 's'; write [s]"),
        ("evaluation.tasks", "gsm8k", "expected a list, got 'gsm8k'; write [gsm8k]"),
        ("evaluation.data", "[1]", "expected keys and values, got a list"),
        ("pretrain", "[1]", "expected keys and values, got a list"),
        ("pretrain", "null", "expected keys and values, got nothing (null)"),
        ("sft_stages.0.args", "[1]", "expected keys and values, got a list"),
        ("experiment", "[a]", "expected text, got a list; write a"),
        ("experiment", "[]", "expected text, got a list"),
        ("experiment", "{a: b}", "expected text, got keys and values"),
        ("experiment", "null", "expected text, got nothing (null)"),
        ("seed", "[1]", "expected a whole number, got a list; write 1"),
        ("seed", "null", "expected a whole number, got nothing (null)"),
        ("rewards.brevity", "{a: 1}", "expected a number, got keys and values"),
        ("corpus.per_seed", "[true]", "expected true or false, got a list"),
        ("corpus.encoder", "[auto]", "expected one of auto, reference, got a list; write auto"),
        ("corpus.sources.0.name", "[a, b]", "expected text, got a list"),
        ("corpus.sources.0.path", "[[a], b]", "expected text, got a list; write a"),
        ("corpus.sources.0.text_key", "{a: 1}", "expected text or a list, got "),
        ("evaluation.tasks", "[[gsm8k]]", "expected text, got a list; write gsm8k"),
        ("experiment", "'???'", "??? stands for no value"),
        ("output_dir", "???", "??? stands for no value"),
        ("pretrain.max_steps", "???", "??? stands for no value"),
        ("evaluation.tasks", "[gsm8k, '???']", "??? stands for no value"),
    ],
)
def test_a_value_of_another_shape_is_refused_with_its_key(key: str, text: str, expected: str, tmp_path: Path) -> None:
    nested: Any = yaml.load(text, Loader=Loader) if text[0] in "[{'" else read_scalar(text)
    for part in reversed(key.split(".")):
        nested = [nested] if part == "0" else {part: nested}
    file = overlay(tmp_path, json.dumps(nested), "overlay.json")
    messages = {file: refused(file)}
    quoted = f'override "{key}={text}"' if "'" in text else f"override '{key}={text}'"
    if not (text.startswith("{") and "text" in expected):  # of an override, `{a: 1}` is a text as any other
        messages[quoted] = refused(f"{key}={text}")
    for where, message in messages.items():
        assert message.startswith(f"{where}: {key}")
        assert expected in message


def test_a_file_that_another_one_contradicts_in_shape_is_named(tmp_path: Path) -> None:
    first = overlay(tmp_path, "pretrain: {lr_scheduler_kwargs: {min_lr_rate: 0.1}}\n", "first.yaml")
    second = overlay(tmp_path, "pretrain: {lr_scheduler_kwargs: [1]}\n", "second.yaml")
    for overrides in ([second], ["pretrain.lr_scheduler_kwargs=[1]"]):
        message = refused(first, *overrides)
        assert "pretrain.lr_scheduler_kwargs: expected keys and values, as it was before, got a list" in message
        assert message.startswith(overrides[0] if overrides[0] == second else "override")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("corpus.sources.0.path=[]", "corpus.sources.s.path: empty; expected at least one path"),
        ("corpus.sources.0.path=''", "corpus.sources.s.path: empty; expected text"),
        ("corpus.sources.0.path=[a, ' ']", "corpus.sources.s.path: empty; expected text"),
        ("corpus.sources.0={name: s, kind: hub, path: [x, y]}", "corpus.sources.s.path: expected the name of one"),
        ("corpus.sources.0.text_key=[]", "corpus.sources.s.text_key: empty"),
        ("corpus.sources.0.text_key=''", "corpus.sources.s.text_key: empty"),
        ("corpus.sources.0.text_key=[a, a]", "corpus.sources.s.text_key: the name 'a' occurs twice"),
        ("corpus.sources.0.name=''", "name: empty"),
        ("corpus.sources.0.split=''", "corpus.sources.s.split: empty"),
        ("corpus.sources.0.document_separator=''", "corpus.sources.s.document_separator: empty"),
        ("corpus.sources.0.config=main", "corpus.sources.s.config: only a source of kind hub has one"),
        ("corpus.sources.0.kind=synthetic", "corpus.sources.s.max_items: missing"),
        ("corpus.sources.0={name: s, kind: synthetic, max_items: 3, path: x}", "corpus.sources.s.path: only a source"),
        ("grpo_prompts.0.question_key=' '", "grpo_prompts.s.question_key: empty"),
        ("grpo_prompts.0.question_key=answer", "grpo_prompts.s.question_key and answer_key: expected two columns"),
        (
            "evaluation.data.gsm8k={name: g, kind: synthetic, what: problems, max_items: 3, path: my/test.jsonl}",
            "evaluation.data.gsm8k.path: my/test.jsonl would not be read",
        ),
        ("tokenizer=''", "tokenizer: empty"),
        ("canonical_table=' '", "canonical_table: empty"),
        ("prereg=''", "prereg: empty"),
        ("learning_rates=''", "learning_rates: empty"),
        ("output_dir=''", "output_dir: empty"),
        ("corpus.sources.4.path=x", "the list has no such entry"),
        ("sft_stages.one.validation_items=3", "entries of a list have numbers, and the first is 0"),
        ("corpus.sources.0.path=[data/train[0].jsonl]", "expected a list as [a, b], and quotes around text"),
        ("experiment='a'b'", "expected a list as [a, b], and quotes around text"),
        ("pretrain.max_grad_norm=null", "pretrain.max_grad_norm: null would be the library's default, 1.0"),
        ("model.n_positions=null", "model.n_positions: null would be the library's default, 1024"),
    ],
)
def test_an_empty_or_ambiguous_value_is_refused_with_its_key(override: str, expected: str) -> None:
    assert expected in refused(override)


# --- Contradictions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        ("seed=1", "seed=2", "seed"),
        ("corpus.sources.0.path=a", "corpus.sources[0].path=b", "corpus.sources.0.path"),
        ("corpus={seed: 1, epochs: 2}", "corpus.seed=2", "corpus.seed"),
        ("evaluation.tasks=[gsm8k]", "evaluation.tasks=[gsm8k, arithmetic]", "evaluation.tasks"),
        ("pretrain.max_steps=10", "pretrain.max_steps='10'", "pretrain.max_steps"),
        ("rewards.brevity=0", "rewards.brevity=.nan", "rewards.brevity"),
    ],
)
def test_overrides_that_contradict_each_other_are_refused(first: str, second: str, key: str) -> None:
    load_recipe([*SMALL, first, first])
    message = refused(first, second)
    assert f"{second!r}: {first!r} gives {key} another value; keep one of them" in message


OVERRIDES = st.lists(
    st.sampled_from(
        [
            "seed=3", "output_dir=elsewhere", "prereg=null", "pretrain={max_steps: 5, optim: adafactor}",
            "pretrain.max_steps=7", "pretrain.lr_scheduler_kwargs={num_decay_steps: 3}",
            "sft.max_length=${sft.max_steps}", "sft_stages.0.name=two", "sft_stages[0].args={learning_rate: 1e-4}",
            "sft_stages.0.args.learning_rate=2e-4",
            "grpo_prompts=[{name: b, kind: file, path: b.jsonl}]", "grpo_prompts.0.max_items=4", "evaluation.tasks=[]",
            "corpus.sources.0={max_items: 3}", "corpus.sources.0.path='${seed}.txt'", "corpus.epochs=2",
            "sft_stages.0.args=${pretrain}",
            "evaluation.data.gsm8k.max_items=8", "evaluation.data.gsm8k={name: g, kind: file, path: g.jsonl}",
        ]
    ),
    max_size=6,
)  # fmt: skip


@given(OVERRIDES)
def test_plain_overrides_say_what_they_say_to_omegaconf(given_overrides: list[str]) -> None:
    files = yaml.safe_load(TEXT) | {"pretrain": {"max_steps": 2, "lr_scheduler_kwargs": {"min_lr_rate": 0.1}}}
    plain = overridden(files, given_overrides)
    with mock.patch("domain_tokens.recipe.values.overrides._set_where_plain", return_value=False):
        assert plain == overridden(files, given_overrides)
    assert files == {**yaml.safe_load(TEXT), "pretrain": files["pretrain"]}  # nobody's values were changed


def test_a_later_list_of_overrides_replaces_what_it_names() -> None:
    earlier = ["seed=1", "corpus={seed: 1, epochs: 2, sources: [{name: n}]}", "experiment='a b'", "condition=x"]
    assert layered(earlier, ["seed=2"], ["corpus.seed=3", "condition=y"]) == [
        "corpus.epochs=2", 'corpus.sources=[{"name": "n"}]', "experiment='a b'",
        "seed=2", "corpus.seed=3", "condition=y",
    ]  # fmt: skip
    with pytest.raises(RecipeError, match="gives seed another value"):
        layered(["seed=1", "seed=2"], [])
    arguments = overlaid([*SMALL, "seed=1", "experiment=a"], ["experiment=b"])
    assert arguments == [*SMALL, "seed=1", "experiment=b"]
    assert load_recipe(arguments).experiment == "b"


# --- Folders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/proc/x", "belongs to the system"), ("/sys", "belongs to the system"), ("/dev/x/y", "belongs to the system"),
        ("linked/x", "belongs to the system"), ("small.yaml/x", "is a file"), ("gone/x", "a link to nothing"),
        ("a" * 300, "longer than 255 bytes"), ("out/$NAME", "$NAME would be the name of a folder"),
        ("%HOME%/x", "%HOME% would be the name"), ('"\\0"', "is no path here"),
        ("C:\\Users\\me\\out", "is a path of Windows; expected a folder of this machine"),
        ("d:/out", "is a path of Windows"), ("\\\\server\\share", "is a path of Windows"),
    ],
)  # fmt: skip
def test_an_output_folder_that_takes_no_files_is_refused_with_the_recipe(folder: str, expected: str) -> None:
    for name, target in (("linked", "/proc"), ("gone", "nowhere")):
        Path(name).unlink(missing_ok=True)
        Path(name).symlink_to(target)
    message = refused(f"output_dir={folder}")
    assert message.startswith("output_dir: ")
    assert expected in message


def test_a_folder_without_permission_is_refused_with_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    load_recipe([*SMALL, f"output_dir={tmp_path}/closed/out"])
    load_recipe([*SMALL, "output_dir=/dev/shm/out"])
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path / "closed")  # root may write anywhere
    assert f"output_dir: {tmp_path}/closed cannot be written to" in refused(f"output_dir={tmp_path}/closed/out")
    load_recipe([*SMALL, f"output_dir={tmp_path}/out"])


# --- Finite numbers --------------------------------------------------------------------------------------------------


def float_keys(kind: Any, prefix: str = "") -> list[str]:
    found = []
    for name, hint in get_type_hints(kind).items():
        for one in (hint, *get_args(hint)):
            if one is float and "list" not in str(hint):
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
    assert {f"rewards.{field.name}" for field in fields(Rewards) if field.name != "bonus"} <= set(FLOATS)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        *((key, ".nan") for key in FLOATS),
        *(("rewards.brevity", text) for text in ("nan", "-.inf", "inf", "Infinity", "1e999")),
        ("pretrain.learning_rate", "inf"),
        ("seal.learning_rates", "[.nan]"),
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
        ("grpo.temperature=0.001", "of at least 0.01"), ("evaluation.sampling.temperature=1e-40", "of at least 0.01"),
        ("evaluation.sampling.temperature=0.0099", "of at least 0.01"), ("grpo.sapo_temperature_pos=1e-9", "0.01"),
        ("grpo.generation_kwargs={repetition_penalty: 1e-40}", "of at least 0.01"),
        ("grpo.generation_kwargs={no_repeat_ngram_size: 3}", "no_repeat_ngram_size: not supported"),
        ("grpo.generation_kwargs={min_new_tokens: 3}", "min_new_tokens: not supported"),
        ("pretrain.adam_epsilon=1e-40", "of at least 1e-30"), ("model.layer_norm_epsilon=1e-300", "of at least 1e-30"),
    ],
)  # fmt: skip
def test_a_range_has_its_ends(override: str, expected: str) -> None:
    message = refused(override)
    assert override.partition("=")[0] in message
    assert expected in message


def test_one_temperature_is_the_lowest_wherever_answers_are_drawn() -> None:
    arguments = [f"grpo.temperature={LOWEST_TEMPERATURE}", f"evaluation.sampling.temperature={LOWEST_TEMPERATURE}"]
    recipe = load_recipe([*SMALL, *arguments])
    assert recipe.grpo["temperature"] == recipe.evaluation.sampling.temperature == LOWEST_TEMPERATURE
    assert [temperature(text) for text in ("0", "0.01", "1")] == [0, 0.01, 1]
    with pytest.raises(argparse.ArgumentTypeError, match=r"expected 0, or a number of at least 0\.01, got '1e-40'"):
        temperature("1e-40")


# --- Seeds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["seed", "seed_offset", "seeds.order", "corpus.seed", "evaluation.sampling.seed"])
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


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("recipes/mul_token.yaml", "; did you mean 'recipes/mul_tokens.yaml'?"),
        ("recipes/scales/dmo.yaml", "; did you mean 'recipes/scales/demo.yaml'?"),
        ("recipes/qqqq.yaml", ""),
        ("recipe/mul_tokens.yaml", ""),  # no such folder
    ],
)
def test_a_file_beside_the_missing_one_is_suggested(argument: str, meant: str, root: Path, monkeypatch) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(RecipeError) as error:
        load_recipe([argument])
    assert str(error.value).startswith(f"{argument}: no such file; ")
    assert str(error.value).endswith(f"for example pretrain.max_steps=50{meant}")


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


@settings(max_examples=examples(50))
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
@example("${seed}")
@example(r"\\\${x} ${")
def test_a_text_reads_back_as_it_was_written(text: str) -> None:
    recipe = replace(load_small(), condition=text, tokenizer=text)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run_config.yaml")
        path.write_text(to_yaml(recipe), encoding="utf-8")
        read = read_resolved(path)
    assert read["condition"] == read["tokenizer"] == text


@cache
def load_small() -> Recipe:
    return load_recipe(SMALL)
