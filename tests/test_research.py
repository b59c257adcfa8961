"""The tables of the research notes: written from results, into their place and nowhere else."""

import re
from pathlib import Path

import pytest

from domain_tokens.analysis.compare import compare
from domain_tokens.analysis.overview import assemble_overview
from domain_tokens.analysis.report.markdown import excerpt
from domain_tokens.analysis.results_model import EXPLORATORY, Results
from domain_tokens.experiment.research import Research, ResearchExperiment, load_research, replace_table, update_tables
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.results import load_condition

OLD = Path(__file__).parent / "analysis" / "results_0_3_0"
PAGE = "# Notes\n\n<!-- experiment one -->\n\nold table\n\n<!-- end of one -->\n\nText.\n"


def test_a_table_is_written_into_its_place(tmp_path: Path) -> None:
    results = compare(OLD / "exp_baseline", OLD / "exp_mul_tokens", tmp_path / "outputs" / "one", plots=False)
    page = tmp_path / "notes.md"
    page.write_text(PAGE, encoding="utf-8")
    overrides = ["experiment=one", f"output_dir={tmp_path / 'outputs'}"]
    one = ResearchExperiment(recipes=["recipes/baseline.yaml"], overrides=overrides, seeds=[0])
    (folder,) = update_tables(Research(str(page), {"one": one}), None, None)
    assert folder == tmp_path / "outputs" / "one"
    assert Results.model_validate_json((folder / "results.json").read_text()).verdict == results.verdict
    written = page.read_text(encoding="utf-8")
    assert "old table" not in written
    assert results.verdict.sentence.split(":")[0].split(",")[0] in written
    assert written.startswith("# Notes\n\n<!-- experiment one -->\n\n")
    assert written.endswith("\n\n<!-- end of one -->\n\nText.\n")
    assert written.count("#### ") == 1
    update_tables(Research(str(page), {"one": one}), None, None)
    assert page.read_text(encoding="utf-8") == written


def test_an_excerpt_of_several_conditions_has_a_column_for_each_and_a_row_for_every_group(tmp_path: Path) -> None:
    """The kinds of items are invented: items had none in 0.3."""
    folders = [OLD / "exp_baseline", OLD / "exp_mul_tokens"]
    results = compare(*folders, tmp_path / "pair", plots=False)
    (tmp_path / "overview.json").write_text(
        assemble_overview({"pair": results}, [load_condition(folder) for folder in folders]).model_dump_json()
    )
    assert "on each kind of item" not in excerpt(tmp_path)
    fields = {"group": "one product", "role": EXPLORATORY, "p_holm": None, "p_family": None}
    grouped = results.model_copy(update={"rows": (*results.rows, results.primary.model_copy(update=fields))})
    (tmp_path / "pair" / "results.json").write_text(grouped.model_dump_json(by_alias=True))
    written = excerpt(tmp_path)
    assert "#### What do the declared endpoints of all conditions show?" in written
    assert "#### How does each condition do on each kind of item?" in written
    assert "| items | N | baseline | mul_tokens |" in written
    assert len(re.findall(r"^\| (?:all|one product) \| 8 \| [\d.]+% \| [\d.]+% \|$", written, re.MULTILINE)) == 2


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
