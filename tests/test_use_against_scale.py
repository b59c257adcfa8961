"""Accuracy and use of facts by number of rows of fine-tuning: what is declared, refused, read and drawn."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from analysis.conftest import write_condition
from omegaconf import OmegaConf
from tiny import quick_load

from domain_tokens.analysis.compare import compare
from domain_tokens.analysis.measures.answers.facts_stated import facts_at
from domain_tokens.analysis.results_model import Endpoint
from domain_tokens.analysis.specification.curve import SpecificationCurve
from domain_tokens.analysis.specification.use_by_rows import draw_use, use_points, use_table
from domain_tokens.experiment import robustness as module
from domain_tokens.experiment.designs.rows import VariedRows
from domain_tokens.experiment.robustness import (
    HEADLINE,
    Robustness,
    check_page,
    load_robustness,
    plan,
    read_curve,
    write_curve,
)
from domain_tokens.experiment.steps import Step
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.recipe.loading import load_prereg
from domain_tokens.runs.results import load_condition

FULL, DEMO = Path("recipes/use_against_scale.yaml"), Path("recipes/use_against_scale_demo.yaml")
SEEDS, ITEMS = (0, 1), 12
PAGE = "# Notes\n\n<!-- experiment use_against_scale_demo -->\n\nold\n\n<!-- end of use_against_scale_demo -->\n"


def rows_of(recipe: Recipe) -> int | None:
    (stage,) = recipe.sft_stages
    (source,) = stage.portions
    return source.max_items


@pytest.mark.parametrize(
    ("file", "sizes", "steps"),
    [(FULL, [None, 10_000, 1_000, 100], 5617), (DEMO, [6_400, 1_000, 100], 320)],
)
def test_the_shipped_files_take_as_many_steps_at_every_size(
    file: Path, sizes: list[int | None], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "load_recipe", quick_load)
    robustness = load_robustness(file)
    plans = plan(robustness, [])
    assert [one.recipes[0].condition for one in plans] == ["baseline"] * len(sizes)
    for position in (0, 1):
        assert [rows_of(one.recipes[position]) for one in plans] == sizes
        assert {one.recipes[position].sft["max_steps"] for one in plans} == {steps}
    check_page(robustness)
    declared = load_prereg(Path(str(plans[0].recipes[0].prereg)))
    assert declared.seeds == robustness.seeds
    assert {name: one.why for name, one in declared.other_runs.items()} == {
        name: one.words for name, one in robustness.variations.items()
    }
    lines = [line for one in plans for line in one.describe(3)]
    assert lines[0] == "baseline: prepare_data, pretrain, sft, eval of 3 seeds"  # no stage of GRPO is announced
    assert lines[-1] == "mul_tokens: sft, eval of 3 seeds; shared: prepare_data, pretrain"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rows.equal", "time", r"rows\.equal: expected 'steps' or 'epochs', got 'time'"),
        ("rows.setting", "depth", r"rows\.setting: expected one of the headline's settings \(rows\), got 'depth'"),
        ("settings.rows", "x 1", r"headline has rows: 'x 1'; expected a number of rows, such as '1,000', or 'all'"),
        ("settings.rows", "10,00", "headline has rows: '10,00'"),
        ("variations", {}, "no variation changes 'rows'; expected two sizes or more"),
        ("rows.stage", "drills", r"no stage of fine-tuning 'drills'; expected rows\.stage to be one of problems"),
        ("settings.rows", "6,000", r"headline, baseline: .*max_items: expected 6,000, as 'rows' says, got 6,400"),
        ("overrides", ["sft.max_steps=-1"], "problems: max_steps: missing; with equal: steps"),
        ("overrides", ["sft.max_steps=319"], "319 steps read 6,380 examples, fewer than the 6,400 rows"),
        ("rows.equal", "epochs", "max_steps: expected none with equal: epochs, got 320"),
        (
            "variations.rows_1k.overrides",
            ["sft_stages.0.sources.0.max_items=1000", "sft.max_steps=800"],
            r"rows_1k, baseline: sft\.max_steps: differs from the headline's too",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(
    key: str, value: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "load_recipe", quick_load)
    changed = OmegaConf.load(DEMO)
    OmegaConf.update(changed, key, value, merge=False)
    file = tmp_path / "rows.yaml"
    OmegaConf.save(changed, file)
    with pytest.raises(RecipeError, match=message) as refused:
        plan(load_robustness(file), [])
    assert "\n" not in str(refused.value)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two conditions of made-up results, each with two stages of fine-tuning."""
    root = tmp_path_factory.mktemp("written")
    for side, name in enumerate(("baseline", "mul_tokens")):
        write_condition(root / f"exp_{name}", name, side, SEEDS, ITEMS)
    return root


def test_facts_are_counted_as_tokens_and_in_any_form(written: Path) -> None:
    endpoint = Endpoint(model="sft_final", task="gsm8k", metric="accuracy", group="all")
    baseline, tokens = (
        facts_at(load_condition(written / f"exp_{name}"), endpoint) for name in ("baseline", "mul_tokens")
    )
    assert baseline is not None
    assert tokens is not None
    # Every answer states one product, and a false sum that is not in the table; with tokens, two in three use one.
    assert (baseline.as_tokens, baseline.in_any_form) == ((0.0, 0.0), (1.0, 1.0))
    assert (tokens.as_tokens, tokens.in_any_form) == (pytest.approx((2 / 3, 2 / 3)), (1.0, 1.0))
    assert tokens.needed == (0.5, 0.5)
    assert (baseline.needed_stated, tokens.needed_stated) == (
        (0.5, 0.5),
        (0.5, 0.5),
    )  # the other products are not asked for
    arithmetic = facts_at(load_condition(written / "exp_baseline"), endpoint.model_copy(update={"task": "arithmetic"}))
    assert arithmetic is not None
    assert arithmetic.needed is arithmetic.needed_stated is None  # it has no worked solutions
    assert (
        facts_at(load_condition(written / "exp_baseline"), endpoint.model_copy(update={"task": "hellaswag"})) is None
    )


def test_the_rows_that_were_read_come_from_the_manifest(written: Path) -> None:
    condition = load_condition(written / "exp_baseline")
    read = VariedRows("rows", "gsm8k", "steps").read(condition)
    assert (read.rows, read.steps, read.examples) == (480, 60, 480)
    with pytest.raises(RecipeError, match="no manifest says how many rows the stage 'other' read"):
        VariedRows("rows", "other", "steps").read(condition)


@pytest.fixture(scope="module")
def results(
    written: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Robustness, SpecificationCurve]]:
    """The shipped declaration with made-up results of the headline and of one variation, and its curve."""
    tmp_path = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_recipe", quick_load)
        patch.setattr(Step, "is_complete", lambda step: step.recipe.run_dir.is_dir())
        yield read_results(written, tmp_path)


def read_results(written: Path, tmp_path: Path) -> tuple[Robustness, SpecificationCurve]:
    robustness = load_robustness(DEMO, SEEDS)
    (tmp_path / "notes.md").write_text(PAGE, encoding="utf-8")
    robustness = replace(
        robustness,
        output_dir=str(tmp_path / "out"),
        page=str(tmp_path / "notes.md"),
        figure=str(tmp_path / "rows.png"),
    )
    plans = plan(robustness, [])
    for name in (HEADLINE, "rows_100"):
        shutil.copytree(written, tmp_path / "out" / name)
    headline = tmp_path / "out" / HEADLINE
    compare(headline / "exp_baseline", headline / "exp_mul_tokens", headline, plots=False)
    assert robustness.rows is not None
    robustness.rows.stage = "gsm8k"  # the last stage of the made-up runs
    return robustness, read_curve(robustness, plans)


def of_sizes(curve: SpecificationCurve, rows: dict[str, int]) -> SpecificationCurve:
    """Return the curve as if its variations had read as many rows; made-up manifests all say 480."""
    changed = [
        one.model_copy(update={"rows_read": one.rows_read.model_copy(update={"rows": rows[one.name]})})
        for one in curve.specifications
        if one.rows_read is not None
    ]
    return curve.model_copy(update={"specifications": tuple(changed)})


def test_table_and_figure_say_what_is_equal_and_go_into_the_page(
    results: tuple[Robustness, SpecificationCurve],
) -> None:
    robustness, read = results
    assert {one.name: one.rows_read.rows for one in read.specifications if one.rows_read is not None} == {
        HEADLINE: 480, "rows_100": 480,
    }  # fmt: skip
    curve = of_sizes(read, {HEADLINE: 480, "rows_100": 100})
    assert curve.not_run == ("rows_1k",)
    assert [one.name for _, one in use_points(curve)] == ["rows_100", HEADLINE]
    table = use_table(curve)
    assert table is not None
    assert [row[:4] for row in table.rows] == [
        ["100", "baseline", "60", "4.8"], ["100", "mul_tokens", "60", "4.8"],
        ["480", "baseline", "60", "1"], ["480", "mul_tokens", "60", "1"],
    ]  # fmt: skip
    assert [row[-4:] for row in table.rows[:2]] == [["0.00", "1.00", "0.50", "0.50"], ["0.67", "1.00", "0.50", "0.50"]]
    assert "Every size takes as many steps" in table.note
    assert curve.rows_axis is not None
    epochs = curve.model_copy(update={"rows_axis": curve.rows_axis.model_copy(update={"equal": "epochs"})})
    other = use_table(epochs)
    assert other is not None
    assert "Every row is read equally often" in other.note
    files = write_curve(robustness, curve, with_page=True)
    text = Path(robustness.page).read_text(encoding="utf-8")
    assert "](rows_use.png)" in text
    assert "Of 1 other size, " in text
    assert "no test of the headline's robustness" in text
    assert "| 100 | mul_tokens | 60 | 4.8 |" in text
    drawn = Path(robustness.figure).with_stem("rows_use")
    assert drawn in files
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_the_figure_has_an_interval_of_every_accuracy_and_facts_in_both_forms(
    results: tuple[Robustness, SpecificationCurve],
) -> None:
    curve = of_sizes(results[1], {HEADLINE: 480, "rows_100": 100})
    figure = draw_use(curve)
    assert figure is not None
    above, below = figure.axes
    assert above.get_xscale() == below.get_xscale() == "log"
    assert [len(one.get_children()[0].get_xdata()) for one in above.containers] == [2, 2]
    ends = [segment[:, 1] for one in above.containers for segment in one.lines[2][0].get_segments()]
    expected = [
        [100 * end for end in one.accuracies[name].interval]
        for name in ("baseline", "mul_tokens")
        for _, one in use_points(curve)
    ]
    assert [list(pair) for pair in ends] == [pytest.approx(pair, abs=0.01) for pair in expected]
    lines = [[round(float(y), 2) for y in line.get_ydata()] for line in below.lines]
    # Needed and stated, of both; as tokens, of the one that has them; needed.
    assert lines == [[0.5, 0.5], [0.5, 0.5], [0.67, 0.67], [0.5, 0.5]]


def test_without_a_number_of_rows_nothing_is_drawn(results: tuple[Robustness, SpecificationCurve]) -> None:
    assert results[1].rows_axis is not None
    without = results[1].model_copy(update={"rows_axis": None})
    assert use_points(without) == []
    assert use_table(without) is None
    assert draw_use(without) is None
