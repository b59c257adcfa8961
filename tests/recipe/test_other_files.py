"""A file of another kind in place of a recipe, and a file that a recipe names and that is not there."""

import re
from pathlib import Path

import pytest
from tiny import ROOT

from domain_tokens.recipe import RecipeError, check_named_files, load_recipe


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


OTHERS = [
    *(("an intervention; a recipe names it as its tokenizer", path) for path in ROOT.glob("recipes/interventions/*")),
    *(("a preregistration; a recipe names it under prereg", path) for path in ROOT.glob("recipes/**/*prereg.yaml")),
    *(("a launcher's file", path) for path in ROOT.glob("accelerate_configs/*")),
    *(
        ("a list of variations; scripts/run_robustness.py takes it as --file", path)
        for path in ROOT.glob("recipes/*.yaml")
        if "\nvariations:" in path.read_text()
    ),
    ("a list of experiments; scripts/research_tables.py takes it as --file", ROOT / "recipes/research.yaml"),
]


def test_a_file_of_another_kind_is_named_with_its_use() -> None:
    assert len({about for about, _ in OTHERS}) == 5
    assert len(OTHERS) > 45
    for about, path in OTHERS:
        for given in ([str(path)], ["recipes/mul_tokens.yaml", str(path)]):
            with pytest.raises(RecipeError, match=rf"^{re.escape(str(path))}: no recipe, but {re.escape(about)}"):
                load_recipe(given)


def test_an_overlay_alone_is_named_as_one() -> None:
    with pytest.raises(RecipeError, match=r"try\.yaml: missing: condition, tokenizer; so this is an overlay"):
        load_recipe(["recipes/scales/try.yaml"])
    with pytest.raises(RecipeError, match=r"missing: condition; expected a value for each"):
        load_recipe(["recipes/scales/try.yaml", "tokenizer=recipes/interventions/none.yaml"])


def test_a_tokenizer_that_is_not_there_is_looked_for_beside_the_recipe_and_here(tmp_path: Path) -> None:
    (tmp_path / "interventions").mkdir()
    (tmp_path / "interventions" / "mul_tokens.yaml").touch()
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        f"extends: {ROOT}/recipes/base.yaml\ncondition: mine\ntokenizer: interventions/mul_tokenz.yaml\n"
    )
    given = [str(recipe), "recipes/scales/try.yaml"]
    with pytest.raises(RecipeError) as error:
        check_named_files(load_recipe(given), given)
    assert str(error.value).startswith(
        f"{recipe} + recipes/scales/try.yaml: tokenizer: interventions/mul_tokenz.yaml: no such file; looked for "
        f"{tmp_path}/interventions/mul_tokenz.yaml and recipes/scales/interventions/mul_tokenz.yaml, and for "
        f"interventions/mul_tokenz.yaml in the working folder {ROOT}"
    )
    assert str(error.value).endswith(f"; did you mean '{tmp_path}/interventions/mul_tokens.yaml'?")
    given.append("tokenizer=interventions/mul_tokens.yaml")  # an override is read from the working folder alone
    with pytest.raises(RecipeError, match="mul_tokens.yaml: no such file"):
        check_named_files(load_recipe(given), given)
    given[-1] = f"tokenizer={tmp_path}/interventions/mul_tokens.yaml"
    check_named_files(load_recipe(given), given)


def test_a_preregistration_that_is_not_there_is_named_with_one_that_is() -> None:
    with pytest.raises(RecipeError, match=r"baseline\.yaml: prereg: presereg\.yaml: .* mean 'recipes/prereg\.yaml'"):
        load_recipe(["recipes/baseline.yaml", "prereg=presereg.yaml"])
