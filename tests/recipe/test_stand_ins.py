"""Values that another key's stand for (`${x}`), overrides of one thing, and what a file extends."""

from pathlib import Path

import pytest

from domain_tokens.recipe import RecipeError, load_recipe, to_dict, to_yaml
from domain_tokens.recipe.values.overrides import layered

BASE = "recipes/baseline.yaml"
SAME_DATA = "evaluation: {data: {other: '${evaluation.data.gsm8k}'}}\n"
SAME_ARGUMENTS = "verifier: {args: '${pretrain}'}\n"


@pytest.fixture(autouse=True)
def in_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def overlay(folder: Path, text: str, name: str = "overlay.yaml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


@pytest.mark.parametrize(
    ("text", "override", "said"),
    [
        (SAME_DATA, "evaluation.data.other.path=mine.jsonl", "evaluation: {data: {other: {path: mine.jsonl}}}"),
        (SAME_ARGUMENTS, "verifier.args.learning_rate=9.0e-5", "verifier: {args: {learning_rate: 9.0e-5}}"),
    ],
)
def test_an_override_changes_what_it_names_and_not_what_stands_for_it(
    text: str, override: str, said: str, tmp_path: Path
) -> None:
    given = [BASE, overlay(tmp_path, text)]
    before = to_dict(load_recipe(given))
    after = to_dict(load_recipe([*given, override]))
    assert after != before
    assert after == to_dict(load_recipe([*given, overlay(tmp_path, said, "more.yaml")]))
    assert after["pretrain"] == before["pretrain"]
    assert after["evaluation"]["data"]["gsm8k"] == before["evaluation"]["data"]["gsm8k"]


def test_an_override_of_all_stages_moves_one_whose_arguments_stand_elsewhere(tmp_path: Path) -> None:
    stages = "sft_stages: [{name: one, sources: '${grpo_prompts}', args: '${verifier.args}'}]\n"
    given = [BASE, overlay(tmp_path, f"verifier: {{args: {{num_train_epochs: 1}}}}\n{stages}")]
    assert load_recipe(given).sft_stages[0].args["num_train_epochs"] == 1
    moved = load_recipe([*given, "sft.num_train_epochs=7"])
    assert "num_train_epochs" not in moved.sft_stages[0].args
    assert (moved.sft["num_train_epochs"], moved.verifier.args["num_train_epochs"]) == (7, 1)


def test_a_schedule_that_stands_elsewhere_is_compared_by_what_it_is(tmp_path: Path) -> None:
    base = "pretrain: {lr_scheduler_type: cosine_with_min_lr, lr_scheduler_kwargs: {min_lr_rate: 0.3}}\n"
    same = "sft: {lr_scheduler_type: cosine_with_min_lr}\npretrain: {lr_scheduler_type: '${sft.lr_scheduler_type}'}\n"
    given = [BASE, overlay(tmp_path, base), overlay(tmp_path, same, "same.yaml")]
    assert load_recipe(given).pretrain["lr_scheduler_kwargs"] == {"min_lr_rate": 0.3}
    other = [*given, "sft.lr_scheduler_type=linear", "pretrain.lr_scheduler_type=linear"]
    assert "lr_scheduler_kwargs" not in load_recipe(other).pretrain


@pytest.mark.parametrize(
    "text",
    ["output_dir: '${oc.env:NOT_SET_HERE}/runs'\n", "pretrain: {lr_scheduler_type: '${oc.env:NOT_SET_HERE}'}\n"],
)
def test_what_stands_for_nothing_is_said_or_overridden(text: str, tmp_path: Path) -> None:
    given = [BASE, overlay(tmp_path, text)]
    with pytest.raises(RecipeError, match="NOT_SET_HERE"):
        load_recipe([*given, "pretrain.lr_scheduler_type=linear"] if "output" in text else given)
    key = "output_dir" if "output" in text else "pretrain.lr_scheduler_type"
    load_recipe([*given, f"{key}=linear"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["lora={rank: 4}", "lora=null"], "gives all of lora"),
        (["lora=null", "lora.rank=4"], "gives all of lora"),
        (["evaluation.tasks[0]=svamp", "evaluation.tasks=[gsm8k]"], "gives all of evaluation.tasks"),
        (["grpo_prompts[-1].max_items=5"], "the first is 0"),
        (["sft_stages.-1.name=x"], "the first is 0"),
    ],
)
def test_one_thing_said_twice_or_counted_from_the_end_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe([BASE, *overrides])


def test_a_later_list_of_overrides_replaces_the_whole_and_the_part() -> None:
    assert layered(["a.b=1", "c=2"], ["a=null"]) == ["c=2", "a=null"]
    assert layered(["a=null", "c=2"], ["a.b=1"]) == ["c=2", "a.b=1"]
    assert layered(["a={b: 1, d: 😀}"], ["a.b=2"]) == ['a.d="😀"', "a.b=2"]
    assert layered(["a=[{b: 1}]"], ["a.0.b=2"]) == ["a=[{b: 1}]", "a.0.b=2"]


def test_a_part_behind_a_whole_changes_it() -> None:
    recipe = load_recipe([BASE, "lora.targets=[c_attn, c_proj]", "lora.targets[1]=c_fc"])
    assert recipe.lora.targets == ["c_attn", "c_fc"]


@pytest.mark.parametrize("extends", ["''", "0", "false", "[null]", "{a: 1}"])
def test_what_a_recipe_extends_is_a_file_or_files(extends: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="extends: expected a file or a list of files"):
        load_recipe([overlay(tmp_path, f"extends: {extends}\n")])


@pytest.mark.parametrize("sign", ["\x85", "\u2028", "\u2029"])
def test_a_sign_that_yaml_takes_for_the_end_of_a_line_comes_back(sign: str, tmp_path: Path) -> None:
    written = f"one{sign}two".encode("unicode_escape").decode()
    recipe = load_recipe([BASE, overlay(tmp_path, f'pretrain: {{run_name: "{written}"}}\n')])
    assert recipe.pretrain["run_name"] == f"one{sign}two"
    assert to_dict(load_recipe([overlay(tmp_path, to_yaml(recipe), "again.yaml")])) == to_dict(recipe)
