"""Several conditions in one command: every one against the first, and the contrasts that were declared."""

import re
import shutil

import pytest
from tiny import run_inside

from domain_tokens.analysis.compare import assemble, compare, compare_all
from domain_tokens.analysis.overview import assemble_overview
from domain_tokens.analysis.report.captions import NAMES
from domain_tokens.analysis.report.figures import drawn
from domain_tokens.analysis.report.markdown import overview_to_markdown, to_markdown
from domain_tokens.analysis.report.page.forest import overview_forest
from domain_tokens.analysis.report.pages import overview_to_html, to_html
from domain_tokens.analysis.report.tables.overview import overview_table
from domain_tokens.analysis.report.tables.record import text_table
from domain_tokens.analysis.results_model import Overview, Results
from domain_tokens.analysis.statistics.paired import holm
from domain_tokens.cli.compare import _beside_overview
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.results import Pair, load_condition

from .conftest import edit, write_condition
from .test_compare import answer, declare, row_of
from .test_report import ATTACKS, Structure

pytestmark = pytest.mark.usefixtures("no_odds_ratio")
SEEDS = (0, 1, 2)
ENDPOINTS = [{"model": "grpo_final", "task": "gsm8k", "metric": "accuracy", "group": None}]
CONTRASTS = {
    "atomic symbol": ["mul_tokens", "canon_text"],
    "canonical text": ["canon_text", "baseline"],
    "right facts": ["mul_tokens", "wrong_fact"],  # which was not run
}


def control_conditions(place, names=("baseline", "canon_text", "mul_tokens"), contrasts=CONTRASTS):
    """Write three conditions of three seeds: 20, about 28 and about 40 of 80 questions right."""
    folders = []
    for index, (name, right) in enumerate(zip(names, (20, 28, 40), strict=True)):
        folder = place / f"exp_{'abc'[index]}"
        write_condition(folder, name, min(index, 1), SEEDS, num_items=12)
        for seed in SEEDS:
            num_right = right + (seed - 1) * index
            answer(folder, seed, [True] * num_right + [False] * (80 - num_right))
        folders.append(folder)
    declare(folders, seeds=SEEDS, endpoints=ENDPOINTS, contrasts=contrasts)
    return folders


def test_the_verdict_of_the_positive_control_is_whether_it_moves(tmp_path):
    folders = control_conditions(tmp_path)
    effect = {"scale": "points", "value": 0.1}
    named = {"contrasts": CONTRASTS, "positive_control": "canonical text", "smallest_effect": effect}
    declare(folders, seeds=SEEDS, endpoints=ENDPOINTS, **named)
    conditions = list(map(load_condition, folders))
    found = {one.name: assemble(Pair(conditions[0], one), conditions=conditions) for one in conditions[1:]}
    overview = assemble_overview(found, conditions)
    assert [row.control_moved for row in overview.rows] == [True, None]
    assert [row.margin for row in overview.rows] == [0.1, 0.1]
    (axis,) = overview_forest(overview)
    assert len(axis.bars) == 2
    for bar, row in zip(axis.bars, overview.rows, strict=True):
        points_wide = (bar.at - axis.zero) / row.delta  # percent of the width for a difference of 1
        assert bar.margin == pytest.approx((axis.zero - 0.1 * points_wide, axis.zero + 0.1 * points_wide), abs=0.05)
    bare = tuple(row.model_copy(update={"margin": None}) for row in overview.rows)
    undeclared = overview.model_copy(update={"rows": bare})
    assert [bar.margin for axis in overview_forest(undeclared) for bar in axis.bars] == [None, None]
    assert [row[-1] for row in overview_table(overview).rows][0] == "control, moves"
    assert "control" not in overview_table(overview).rows[1][-1]


@pytest.fixture(scope="module")
def made(tmp_path_factory, no_odds_ratio):
    """The conditions' folders, the folder that the command wrote, and what it printed."""
    place = tmp_path_factory.mktemp("controls")
    folders, out = control_conditions(place), place / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawn, "draw", lambda pair, results: {})  # a pair's plots are drawn in `test_compare.py`
        done = run_inside("scripts/compare.py", *map(str, folders), "--output", str(out), "--prereg", "none.yaml")
    assert done.returncode == 0, done.stderr
    return folders, out, done.stdout


def read(path):
    """Return a pair's results, or an overview, from its file."""
    return (Results if path.name == "results.json" else Overview).model_validate_json(path.read_text())


def test_every_condition_against_the_reference(made):
    _, out, _ = made
    overview = read(out / "overview.json")
    assert [(pair.condition, pair.folder) for pair in overview.pairs] == [
        ("canon_text", "a_b"), ("mul_tokens", "a_c"),
    ]  # fmt: skip
    rows = [row_of(read(out / name / "results.json")) for name in ("a_b", "a_c")]
    assert [row.delta for row in overview.rows] == [row.delta for row in rows] == pytest.approx([0.1, 0.25])
    assert [row.interval for row in overview.rows] == [row.interval for row in rows]
    assert [row.p_holm for row in overview.rows] == holm([row.p_value for row in rows])


def test_a_factor_is_what_the_pair_of_its_conditions_gives(made):
    folders, out, _ = made
    overview = read(out / "overview.json")
    symbol, text = overview.factors
    assert (symbol.factor, text.factor) == ("atomic symbol", "canonical text")
    alone = row_of(assemble(Pair(*map(load_condition, folders[1:]))))
    assert (symbol.delta, symbol.p_value) == (alone.delta, alone.p_value)
    assert symbol.interval == alone.interval
    assert symbol.delta == pytest.approx(0.15)
    assert text.delta + symbol.delta == pytest.approx(overview.rows[1].delta)
    assert [symbol.p_holm, text.p_holm] == holm([symbol.p_value, text.p_value])


def test_a_declared_contrast_with_the_reference_is_drawn_once(made):
    _, out, _ = made
    overview = read(out / "overview.json")
    found = [read(out / name / "results.json") for name in ("a_b", "a_c")]
    (axes,) = drawn.draw_overview(overview, found)["conditions"].axes
    assert [text.get_text() for text in axes.texts] == [
        "mul_tokens minus baseline",
        "atomic symbol: mul_tokens minus canon_text",
        "canonical text: canon_text minus baseline",
    ]


def test_the_page_the_tables_and_the_terminal_say_the_same(made):
    _, out, stdout = made
    page, markdown = ((out / name).read_text() for name in ("report.html", "overview.md"))
    factor = read(out / "overview.json").factors[0]
    low, high = (f"{100 * bound:+.2f}" for bound in factor.interval)
    for text in (page, markdown):
        assert "mul_tokens minus canon_text" in text
        assert f"{low} to {high}" in text
        assert "+15.00" in text
        assert "mul_tokens is better than baseline: accuracy on gsm8k is" in text.replace("\\", "")
    low, high = (f"{100 * bound:+.2f}" for bound in read(out / "overview.json").rows[1].interval)
    for text in (page, markdown, stdout):
        says = r"Against baseline, canon_text \([^()]*\) and mul_tokens \([^()]*\) are better\."
        assert re.search(says, text.replace("\\", ""))
        assert "Where the difference lies" in text
        assert "+25.00" in text
        assert f"{low} to {high}" in text
    links = re.findall(r'href="([^"#]*)(#[^"]*)?"', page)
    assert {link for link, _ in links} == {"a_b/report.html", "a_c/report.html"}
    assert all((out / link).is_file() for link, _ in links)
    evidence = [(link, anchor) for link, anchor in links if anchor]
    assert len(evidence) >= 6
    assert all(f'id="{anchor[1:]}"' in (out / link).read_text() for link, anchor in evidence)
    names = ("conditions", "learning_curves", "facts_needed", "mistakes", "fact_use", "lengths")
    plots = {path.name for path in (out / "plots").iterdir()}
    assert plots == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    assert str(out / "report.html") in stdout


def test_a_condition_that_is_not_matched_stops_it_before_anything_is_written(tmp_path):
    folders = control_conditions(tmp_path / "controls")
    edit(folders[2] / "seed_0/pretrain_final/manifest.json", lambda value: value["matched"].update(steps=61))
    with pytest.raises(RecipeError, match="not compute-matched: seed 0, pretrain_final: steps"):
        compare_all(folders[0], folders[1:], tmp_path / "out", None)
    assert not (tmp_path / "out").exists()


def test_a_contrast_of_more_than_the_tokenizer_is_labelled(tmp_path):
    folders = control_conditions(tmp_path / "controls")
    settings = {"fact_rows": "digit_mean"}
    for seed in folders[2].glob("seed_*"):
        edit(seed / "pretrain_final/manifest.json", lambda value: value["matched"].update(settings=settings))
    reference, *others = map(load_condition, folders)
    found = {f"a_{name}": assemble(Pair(reference, other)) for name, other in zip("bc", others, strict=True)}
    assert found["a_b"].not_tokenizer_only == ()
    (row,) = found["a_c"].not_tokenizer_only
    assert (row.stage, row.setting) == ("pretrain_final", "fact_rows")
    assert "start at the mean of their digits' rows" in row.reason
    assert [one.equal for one in found["a_c"].estimands] == [
        "equal tokens", "equal examples", "equal examples", "equal completions"
    ]  # fmt: skip
    overview = assemble_overview(found, [reference, *others])
    assert [pair.not_tokenizer_only for pair in overview.pairs] == [(), (row.reason,)]
    pairs = list(found.values())
    labelled = {factor.factor: factor.with_factor for factor in overview.factors}
    assert labelled == {"atomic symbol (not tokenizer only)": "mul_tokens", "canonical text": "canon_text"}
    for text in (
        overview_to_html(overview, pairs, {}),
        overview_to_markdown(overview, pairs),
        to_html(found["a_c"], {}),
    ):
        assert "start at the mean of their digits" in text
    assert overview_to_html(overview, pairs, {}).count("Chosen by rule from the first seed") == 1
    for text in (to_markdown(found["a_b"]), to_html(found["a_b"], {})):
        assert "tokenizer only" not in text.lower()
    assert "Not tokenizer only: the rows of the facts start" in to_markdown(found["a_c"])
    rules = "pretrain: equal tokens; sft/drills: equal examples; sft/gsm8k: equal examples; grpo: equal completions"
    assert rules in text_table(found["a_c"]).note


def test_no_condition_takes_the_place_of_another(tmp_path):
    folders = control_conditions(tmp_path / "controls")
    again = tmp_path / "controls" / "exp_d"
    shutil.copytree(folders[1], again)
    with pytest.raises(RecipeError, match="exp_b and .*exp_d: both hold the condition 'canon_text'"):
        compare_all(folders[0], [folders[1], folders[2], again], tmp_path / "out", None)
    elsewhere = tmp_path / "elsewhere" / "exp_b"
    shutil.copytree(folders[2], elsewhere)
    with pytest.raises(RecipeError, match="reports would be written to one folder"):
        compare_all(folders[0], [folders[1], elsewhere], tmp_path / "out", None)
    assert not (tmp_path / "out").exists()


def files(folder):
    """Return the names of a comparison's files, without those of the pairs beside it."""
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith(("a_b/", "a_c/"))}


def test_a_comparison_leaves_nothing_of_the_one_before(made, tmp_path):
    folders, out, _ = made
    shutil.copytree(out, tmp_path / "out")
    kept = {"mine.txt", "plots/mine.png"}
    for name in kept:
        (tmp_path / "out" / name).write_text("mine")
    assert "plots/conditions.svg" in files(tmp_path / "out")
    compare(folders[0], folders[2], tmp_path / "out", plots=False)
    assert files(tmp_path / "out") == kept | {"results.json", "results.md", "report.html"}
    for name in NAMES:
        (tmp_path / "out/plots" / f"{name}.png").write_text("of the comparison before")
    compare_all(folders[0], folders[1:], tmp_path / "out", plots=False)
    assert files(tmp_path / "out") == kept | {"overview.json", "overview.md", "report.html"}


def test_no_name_changes_the_page(tmp_path):
    attack = "".join(ATTACKS).encode("utf-8", "ignore").decode()
    structures = []
    for number, name in enumerate(("name", attack)):
        names = (f"a {name}", f"b {name}", f"c {name}")
        contrasts = {f"atomic {name}": [names[2], names[1]], name: [names[1], names[0]]}
        reference, *others = map(load_condition, control_conditions(tmp_path / str(number), names, contrasts))
        pairs = {
            f"{name.replace('/', '')}{index}": assemble(Pair(reference, other)) for index, other in enumerate(others)
        }
        page = overview_to_html(assemble_overview(pairs, [reference, *others]), list(pairs.values()), {})
        elements = Structure(page).elements
        structures.append([element for element in elements if element[0] != "wbr"])  # a name may break after each "_"
    assert structures[0] == structures[1]


def test_some_of_the_conditions_are_compared_beside_the_comparison_of_all(made, tmp_path):
    folders, out, _ = made
    assert _beside_overview(tmp_path, folders[:2]) == tmp_path  # nothing is there
    assert (out / "overview.json").is_file()
    assert _beside_overview(out, list(folders)) == out
    assert _beside_overview(out, folders[:2]) == out / "only_a_b"
    assert _beside_overview(out, [folders[0], folders[2]]) == out / "only_a_c"
    assert _beside_overview(out, [folders[1], folders[0], folders[2]]) == out / "only_b_a_c"
