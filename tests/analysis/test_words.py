"""What things are called: generated data never by a benchmark's name, and what the words of a report mean."""

import re
from pathlib import Path

import pytest
from markupsafe import escape
from rich.console import Console
from tiny import ROOT

from domain_tokens.analysis.compare import assemble
from domain_tokens.analysis.overview import assemble_overview
from domain_tokens.analysis.report import findings
from domain_tokens.analysis.report.captions import caption
from domain_tokens.analysis.report.markdown import overview_to_markdown, to_markdown
from domain_tokens.analysis.report.pages import overview_to_html, to_html
from domain_tokens.analysis.report.tables.assay import assay_table
from domain_tokens.analysis.report.tables.condition import group_table
from domain_tokens.analysis.report.words.glossary import WORDS
from domain_tokens.analysis.report.words.names import (
    curve_name,
    first_mention,
    metric_of,
    outcome_name,
    task_name,
    task_names,
)
from domain_tokens.analysis.results_model import AssayCheck, PositiveControl
from domain_tokens.cli import outcome
from domain_tokens.runs.results import Pair, load_condition

from .conftest import edit, write_condition
from .test_compare import ENDPOINTS, answer, declare

SEEDS = (0, 1)
FAILURE = "the deciding test would find the smallest effect of 5.00 points with a power of 30%"
LONG, SHORT = "generated word problems (in place of GSM8K)", "generated word problems"


@pytest.fixture(scope="module")
def made(tmp_path_factory, no_odds_ratio):
    """Two conditions whose word problems are recorded as generated: their results and their overview."""
    place = tmp_path_factory.mktemp("generated")
    folders = [place / f"exp_{name}" for name in ("baseline", "mul_tokens")]
    for side, folder in enumerate(folders):
        write_condition(folder, folder.name.removeprefix("exp_"), side, SEEDS, num_items=20)
        for seed in SEEDS:
            answer(folder, seed, [True] * (80 + 60 * side + seed) + [False] * (320 - 60 * side - seed))
        for path in folder.glob("seed_*/eval/*/gsm8k*_results.json"):
            edit(path, lambda value: value.update(source="generated problems"))
    declare(folders, seeds=SEEDS, endpoints=ENDPOINTS[2:])
    conditions = [load_condition(folder) for folder in folders]
    results = assemble(Pair(*conditions))
    return results, assemble_overview({"pair": results}, conditions)


def test_what_a_reader_sees_never_calls_generated_problems_gsm8k(made, monkeypatch, tmp_path):
    results, overview = made
    assert (results.primary.task, results.primary.source) == ("gsm8k", "generated problems"), "the keys stay"
    assert overview.rows[0].source == "generated problems"
    console = Console(width=125, record=True, file=(tmp_path / "terminal").open("w"))
    monkeypatch.setattr(outcome, "wide_console", lambda _: console)
    outcome.show_comparison(results, tmp_path)
    shown = {"terminal": console.export_text()}
    outcome.show_overview(overview, [results], tmp_path)
    shown["terminal, overview"] = console.export_text()
    shown["results.md"] = to_markdown(results).partition("## How are these numbers reproduced")[0]
    shown["overview.md"] = overview_to_markdown(overview, [results])
    shown["report.html"] = to_html(results, {}).partition("<h2>Records</h2>")[0]
    shown["report.html, overview"] = overview_to_html(overview, [results], {})
    assert "mul_<wbr>tokens" in shown["report.html, overview"], "a long name breaks between its words"
    shown["verdict"] = results.verdict.sentence
    shown["caption"] = caption("accuracy", results)
    shown["groups"] = group_table([results]).note
    for where, text in shown.items():
        # Left out: the ids of this made-up data, and a stage that was trained on the benchmark.
        plain = re.sub(r"gsm8k-\d+|sft/gsm8k|SFT on gsm8k", "", " ".join(text.replace("\\", "").split()))
        assert LONG in plain, where
        assert plain.index(LONG) == plain.index(SHORT), f"{where}: the first mention says in whose place"
        assert re.findall(".{0,40}gsm8k.{0,40}", plain) == [], where


@pytest.mark.parametrize(
    ("declared", "title"), [(True, "Declared endpoints"), (False, "Endpoints, not declared before the runs")]
)
def test_the_terminal_says_whether_endpoints_were_declared(made, declared, title, monkeypatch, tmp_path):
    results, overview = made
    assert results.preregistration.is_declared
    shown = results.model_copy(
        update={"preregistration": results.preregistration.model_copy(update={"is_declared": declared})}
    )
    console = Console(width=125, record=True, file=(tmp_path / "terminal").open("w"))
    monkeypatch.setattr(outcome, "wide_console", lambda _: console)
    outcome.show_comparison(shown, tmp_path)
    assert title in console.export_text()
    outcome.show_overview(overview, [results, shown], tmp_path)
    assert title in console.export_text()


@pytest.mark.parametrize(
    ("task", "source", "short", "first"),
    [
        ("gsm8k", None, "gsm8k", "gsm8k"),  # written before 0.4.0
        ("gsm8k", "gsm8k-test", "gsm8k", "gsm8k"),
        ("gsm8k", "generated problems", SHORT, LONG),
        ("hellaswag", "generated scenes", "generated scenes", "generated scenes (in place of HellaSwag)"),
        ("notations", "generated", "notations", "notations"),  # makes its own items and stands for nothing
        ("my_task", "generated drills", "my_task (generated drills)", "my_task (generated drills)"),
    ],
)
def test_a_task_is_called_by_what_its_data_is(task, source, short, first):
    assert (task_name(task, source), first_mention(task, source)) == (short, first)


def test_a_metric_and_a_curve_are_called_likewise():
    assert metric_of("gsm8k", "accuracy", "gsm8k-test") == "gsm8k accuracy"
    assert metric_of("gsm8k", "accuracy", "generated problems") == f"accuracy on {SHORT}"
    names = task_names({"gsm8k": "generated problems"})
    assert curve_name("gsm8k/accuracy", names) == f"accuracy on {SHORT}"
    assert curve_name("other_task/accuracy", names) == "other task/accuracy"
    assert curve_name("gsm8k", names) == "gsm8k", "not a task but a metric of this name"


def test_the_headline_names_the_data(made):
    results, _ = made
    assert f": accuracy on {LONG} is " in findings.headline(results)


def test_the_page_and_the_docs_explain_the_same_words(made) -> None:
    results, overview = made
    text = " ".join((ROOT / "docs/STATISTICS.md").read_text(encoding="utf-8").split())
    listed = text.partition("## Words ")[2]
    assert listed.count("- **") == len(WORDS) >= 12
    assert all(f"- **{word}**: {meaning}." in listed for word, meaning in WORDS.items())
    for page in (to_html(results, {}), overview_to_html(overview, [results], {})):
        folded = page.partition("Words used in this report")[2]
        assert folded.count("<dt>") == len(WORDS)
        for word, meaning in WORDS.items():
            shown = str(escape(f"{meaning[:1].upper()}{meaning[1:]}.".replace("`", "")))
            assert f"<dt>{word}</dt><dd>{shown}</dd>" in folded


@pytest.mark.parametrize("moved", [True, False])
def test_a_control_that_moves_is_no_proof_that_smaller_effects_show(made, moved: bool, tmp_path: Path) -> None:
    results, overview = made
    control = PositiveControl(
        name="unwritable answers", contrast="conflated_digits minus baseline", delta=-0.37, interval=(-0.46, -0.27),
        p_value=0.001, moved=moved,
    )  # fmt: skip
    assay = AssayCheck(
        scale="logit", value=0.3, base_rate=0.2, smallest_effect=0.05, alpha=0.05, power=0.3, power_range=(0.1, 0.6),
        wanted_power=0.8, positive_control=control, failures=(FAILURE,), advice="More seeds.",
    )  # fmt: skip
    verdict = results.verdict.model_copy(update={"outcome": "insensitive"})
    found = results.model_copy(update={"assay": assay, "verdict": verdict})
    (limit,) = (one for one in findings.warnings(found) if one.about == "Not sensitive")
    assert limit.text.startswith("The deciding test would find")
    low, high = (f"{100 * end:+.2f}" for end in results.primary.interval)
    said = (
        "The positive control (conflated_digits minus baseline) does move the endpoint, by -37.00 points",
        f"a true difference anywhere from {low} to {high} points may have been missed",
    )
    assert [text in limit.text for text in said] == [moved, moved]
    assert "A control that moves shows" in assay_table(found).note
    rows = tuple(row.model_copy(update={"outcome": "insensitive"}) for row in overview.rows)
    text = overview_to_markdown(overview.model_copy(update={"rows": rows}), [found])
    assert "| not sensitive |" in text
    assert "the width of an interval says which effects may have been missed" in text
    assert "insensitive" not in text + to_html(found, {})


def test_other_outcomes_are_called_as_they_are() -> None:
    assert [outcome_name(one) for one in ("insensitive", "better", "pilot")] == ["not sensitive", "better", "pilot"]
