"""Recipes, overlays, interventions and preregistrations in JSON."""

import json
from pathlib import Path

import pytest
from tiny import ROOT

from domain_tokens.recipe import RecipeError, load_prereg, load_recipe, to_dict, to_yaml
from domain_tokens.tokenization.intervention import load_intervention

EXAMPLE = str(ROOT / "recipes/examples/sum_tokens_quick.json")


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_json_and_yaml_give_the_same_recipe(tmp_path: Path) -> None:
    recipe = load_recipe([str(ROOT / "recipes/mul_tokens.yaml"), str(ROOT / "recipes/scales/demo.yaml"), "seed=2"])
    as_json = write(tmp_path, "recipe.json", json.dumps(to_dict(recipe)))
    as_yaml = write(tmp_path, "recipe.yaml", to_yaml(recipe))
    assert load_recipe([as_json]) == load_recipe([as_yaml]) == recipe


def test_json_extends_yaml_and_yaml_extends_json(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", "experiment: e\ncondition: c\ntokenizer: t.json\nseed: 1\npretrain: {max_steps: 5}\n")
    write(tmp_path, "t.json", '{"name": "t"}')
    write(tmp_path, "middle.json", '{"extends": "base.yaml", "seed": 2, "pretrain": {"learning_rate": 1e-4}}')
    top = write(tmp_path, "top.yaml", "extends: [middle.json]\nexperiment: ${condition}_x\n")
    recipe = load_recipe([top, write(tmp_path, "overlay.json", '{"pretrain": {"save_steps": 3}}')])
    assert (recipe.experiment, recipe.seed, recipe.tokenizer) == ("c_x", 2, str(tmp_path / "t.json"))
    assert recipe.pretrain == {"max_steps": 5, "learning_rate": 1e-4, "save_steps": 3}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"seed": 1,\n "seed": 2}', ["line 2, column 2", "'seed'", "duplicate"]),
        (
            '{"corpus": {"seed": 1,\n  "sources": [], "seed": 2}, "seed": 1}',
            ["line 2, column 18", "'seed'", "duplicate"],
        ),
        ("[1, 2]", ["line 1", "object", "top level"]),
        ("3", ["line 1", "object", "top level"]),
        ('{"seed": 1,}', ["line 1, column 12", "comma before a closing bracket"]),
        ('{"model": {\n  "n_layer": 1,\n  "n_head": 2,\n}}', ["line 4, column 1", "comma before a closing bracket"]),
        ('{"seed": 1 // one\n}', ["line 1, column 12", "no comments"]),
        ('{"seed": }', ["line 1, column 10", "not readable as JSON"]),
        ('{"seed": NaN}', ["NaN"]),
        ("", ["line 1, column 1", "not readable as JSON"]),
        ('{"sead": 1, "experiment": "e"}', ["sead", "did you mean 'seed'"]),
    ],
)
def test_a_broken_json_file_is_one_message_with_its_position(text: str, parts: list[str], tmp_path: Path) -> None:
    path = write(tmp_path, "recipe.json", text)
    with pytest.raises(RecipeError) as caught:
        load_recipe([path])
    assert path in str(caught.value)
    assert all(part in str(caught.value) for part in parts), caught.value
    assert "\n" not in str(caught.value)


def test_keys_that_look_alike_are_no_duplicates(tmp_path: Path) -> None:
    text = '{"experiment": "{\\"seed\\": 1}", "condition": "c", "tokenizer": "t", "seed": 1, "corpus": {"seed": 1}}'
    path = write(tmp_path, "recipe.json", text)
    with pytest.raises(RecipeError, match="experiment: expected letters"):
        load_recipe([path])


def test_an_intervention_and_a_preregistration_in_json(tmp_path: Path) -> None:
    intervention = load_intervention(ROOT / "recipes/examples/sum_tokens.json")
    assert intervention.token_names()[:2] == ["<SUM_1_1_2>", "<SUM_1_2_3>"]
    assert intervention.num_ids == 45
    declared = load_prereg(
        Path(write(tmp_path, "p.json", '{"endpoints": [{"model": "sft_final", "task": "b"}], "seeds": [0]}'))
    )
    assert declared.endpoints[0].task == "b"
    with pytest.raises(RecipeError, match=r"broken\.json, line 1, column 14: the key 'name' is a duplicate"):
        load_intervention(Path(write(tmp_path, "broken.json", '{"name": "a","name": "b"}')))
