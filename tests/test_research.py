"""The tables of the research notes: written from results, into their place and nowhere else."""

from pathlib import Path

import pytest

from domain_tokens.analysis.compare import compare
from domain_tokens.experiment.research import Research, ResearchExperiment, load_research, replace_table, update_tables
from domain_tokens.recipe import RecipeError

OLD = Path(__file__).parent / "analysis" / "results_0_3_0"
PAGE = "# Notes\n\n<!-- experiment one -->\n\nold table\n\n<!-- end of one -->\n\nText.\n"


def test_a_table_is_written_into_its_place(tmp_path: Path) -> None:
    results = compare(OLD / "exp_baseline", OLD / "exp_mul_tokens", tmp_path / "outputs" / "one", plots=False)
    page = tmp_path / "notes.md"
    page.write_text(PAGE, encoding="utf-8")
    overrides = ["experiment=one", f"output_dir={tmp_path / 'outputs'}"]
    one = ResearchExperiment(recipes=["recipes/baseline.yaml"], overrides=overrides, seeds=[0])
    (folder,) = update_tables(Research(str(page), {"one": one}), None, None)
    assert (folder / "results.json").is_file()
    written = page.read_text(encoding="utf-8")
    assert "old table" not in written
    assert results.verdict.sentence.split(":")[0].split(",")[0] in written
    assert written.startswith("# Notes\n\n<!-- experiment one -->\n\n")
    assert written.endswith("\n\n<!-- end of one -->\n\nText.\n")
    assert written.count("#### ") == 1
    update_tables(Research(str(page), {"one": one}), None, None)
    assert page.read_text(encoding="utf-8") == written


@pytest.mark.parametrize("text", ["", PAGE + PAGE, PAGE.replace("end of", "end")])
def test_a_page_without_one_place_for_it_is_an_error(text: str) -> None:
    assert "new" in replace_table(PAGE, "one", "new", "notes.md")
    with pytest.raises(RecipeError, match="notes.md: expected the lines '<!-- experiment one -->'"):
        replace_table(text, "one", "new", "notes.md")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "research.yaml"
    file.write_text(f"page: {tmp_path}/notes.md\nexperiments: {{one: {{recipes: [a.yaml]}}}}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="no experiment 'two'; expected one of one"):
        load_research(file, ["two"])
    with pytest.raises(RecipeError, match=r"page: .*notes\.md: no such file"):
        load_research(file, [])
    (tmp_path / "notes.md").write_text(PAGE, encoding="utf-8")
    assert list(load_research(file, []).experiments) == ["one"]


def test_the_shipped_page_has_a_place_for_every_experiment() -> None:
    assert load_research(Path("recipes/research.yaml"), []).experiments
