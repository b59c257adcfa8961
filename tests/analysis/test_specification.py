"""The specification curve: its order, what counts as agreement, and what it draws and writes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from domain_tokens.analysis.preregistration import read_preregistration
from domain_tokens.analysis.results_model import BETTER, WORSE
from domain_tokens.analysis.specification.budget_curves import budget_table
from domain_tokens.analysis.specification.curve import (
    Specification,
    SpecificationCurve,
    assemble_curve,
    judge,
    only_seeds,
)
from domain_tokens.analysis.specification.page import curve_table, curve_to_markdown, sentence
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.results import Condition, Pair

from .simulated import DECLARED, write_experiment

ITEMS = 40
EFFECTS = {"headline": 12, "longer": 16, "shorter": 8, "flipped": -12, "nothing": 0}
"""By variation, how many more of the items are right in the second condition, in every seed."""
ALONE = {key: value for key, value in DECLARED.items() if key not in ("contrasts", "main")}


def write_pair(root: Path, effect: int) -> Pair:
    """Write two conditions of three seeds that differ by some right answers, and by one more in the last seed."""
    right = np.zeros((3, ITEMS), dtype=bool)
    right[:, : ITEMS // 2] = True
    other = right.copy()
    for seed in range(3):
        changed = abs(effect) + (seed == 2 and effect != 0)
        start = ITEMS // 2 if effect > 0 else ITEMS // 2 - changed
        other[seed, start : start + changed] = effect > 0
    return Pair(*write_experiment(root, {"baseline": right, "mul_tokens": other}, ALONE))


def specification(name: str, pair: Pair, headline: Pair) -> Specification:
    row, outcome = judge(pair, read_preregistration(headline))
    settings = {"length": "x 1" if name == "headline" else name, "width": "128"}
    return Specification(
        name=name, words=f"it is {name}", settings=settings, reference=pair.reference.name, other=pair.other.name,
        outcome=outcome, row=row,
    )  # fmt: skip


def curve_of(pairs: dict[str, Pair], *, not_run: tuple[str, ...] = ()) -> SpecificationCurve:
    found = [specification(name, pair, pairs["headline"]) for name, pair in pairs.items()]
    return assemble_curve(found, "headline", "H0 is rejected.", not_run)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    root = tmp_path_factory.mktemp("specification")
    return {name: write_pair(root / name, effect) for name, effect in EFFECTS.items()}


def test_the_curve_is_sorted_and_judged_by_the_headlines_rule(pairs: dict[str, Pair]) -> None:
    curve = curve_of(pairs)
    assert [one.name for one in curve.specifications] == ["flipped", "nothing", "shorter", "headline", "longer"]
    outcomes = {one.name: one.outcome for one in curve.specifications}
    assert outcomes["headline"] == outcomes["longer"] == outcomes["shorter"] == BETTER
    assert outcomes["flipped"] == WORSE
    for one in curve.specifications:
        assert one.row.delta == pytest.approx((EFFECTS[one.name] + np.sign(EFFECTS[one.name]) / 3) / ITEMS)
        assert one.row.interval is None or one.row.interval[0] < one.row.delta < one.row.interval[1]


def test_a_variation_whose_sign_flips_changes_both_counts(pairs: dict[str, Pair]) -> None:
    agreeing = {name: pairs[name] for name in ("headline", "longer", "shorter")}
    before = curve_of(agreeing).agreement
    assert (before.num_variations, before.same_sign, before.same_outcome) == (2, 2, 2)
    after = curve_of({**agreeing, "shorter": pairs["flipped"]}).agreement
    assert (after.num_variations, after.same_sign, after.same_outcome) == (2, 1, 1)
    # A difference of exactly 0 has no sign, so it does not agree with one above 0.
    nothing = curve_of({**agreeing, "nothing": pairs["nothing"]}).agreement
    assert (nothing.num_variations, nothing.same_sign, nothing.same_outcome) == (3, 2, 2)


def test_the_sentence_counts_and_names_what_was_not_run(pairs: dict[str, Pair]) -> None:
    curve = curve_of(pairs, not_run=("wider",))
    assert sentence(curve) == (
        "Of 4 variations, 2 agree with the headline (+30.83 points, better) in sign and 2 in verdict. Not run: wider."
    )
    assert "Not run" not in sentence(curve_of(pairs))


def test_the_table_has_a_row_for_each_and_marks_the_headline(pairs: dict[str, Pair]) -> None:
    curve = curve_of(pairs)
    table = curve_table(curve)
    assert [row[0] for row in table.rows] == ["flipped", "nothing", "shorter", "headline (headline)", "longer"]
    assert table.rows[0][4:5] == ["-30.83"]
    assert "as if it were the only comparison" in table.note
    text = curve_to_markdown(curve, "robustness.png", "budgets.png", "use.png")
    assert "](robustness.png)" in text
    assert text.count("\n| ") == 2 + len(table.rows)


def test_the_matrix_has_a_dot_for_every_setting_that_varies(pairs: dict[str, Pair]) -> None:
    from domain_tokens.analysis.specification.figure import draw_curve, setting_rows

    curve = curve_of(pairs)
    rows = setting_rows(curve)
    # All have the same width. Of the lengths, those without a number come first.
    assert rows == [("length", value) for value in ("flipped", "nothing", "shorter", "longer", "x 1")]
    (figure,) = draw_curve(curve).values()
    above, below = figure.axes
    marked = [line for line in above.lines if line.get_marker() == "s"]
    assert [line.get_xdata()[0] for line in marked] == [3]
    assert marked[0].get_ydata()[0] == pytest.approx(100 * curve.main.row.delta)
    dots = {(line.get_xdata()[0], line.get_ydata()[0]) for line in below.lines}
    assert dots == {(column, rows.index(("length", one.settings["length"]))) for column, one in
                    enumerate(curve.specifications)}  # fmt: skip


def test_one_wide_interval_is_cut_and_marked_and_hides_no_other(pairs: dict[str, Pair]) -> None:
    from domain_tokens.analysis.specification.figure import draw_curve

    curve = curve_of(pairs)
    wide = curve.specifications[0]
    row = wide.row.model_copy(update={"interval": (-1.0, wide.row.interval[1])})
    changed = wide.model_copy(update={"row": row})
    drawn = draw_curve(curve.model_copy(update={"specifications": (changed, *curve.specifications[1:])}))
    above = drawn["robustness"].axes[0]
    (cut,) = [line for line in above.lines if line.get_marker() == "v"]
    assert cut.get_xdata()[0] == 0
    assert -100 < cut.get_ydata()[0] < 100 * wide.row.delta
    assert not [line for line in above.lines if line.get_marker() == "^"]
    unchanged = draw_curve(curve)["robustness"].axes[0]
    assert not [line for line in unchanged.lines if line.get_marker() in "v^" and len(line.get_xdata()) == 1]


def test_only_the_asked_seeds_are_read(pairs: dict[str, Pair]) -> None:
    condition: Condition = pairs["headline"].reference
    assert list(only_seeds(condition, [0, 2]).seeds) == [0, 2]
    with pytest.raises(RecipeError, match="has no results of seed 7"):
        only_seeds(condition, [0, 7])


def test_the_file_reads_back(pairs: dict[str, Pair]) -> None:
    curve = curve_of(pairs)
    assert SpecificationCurve.model_validate_json(curve.model_dump_json()) == curve


FLOORS = {"baseline": (0.1, 0.2, 0.3), "mul_tokens": (0.0, 0.1, 0.2)}


def with_multiples(pairs: dict[str, Pair], *, floors_at: Sequence[str] = ()) -> SpecificationCurve:
    """Return a curve whose length has three multiples, with floors at some of them."""
    curve = curve_of({name: pairs[name] for name in ("headline", "shorter", "longer")})
    values = {
        "x 0.25": {"baseline": (0.1, 0.2, 0.1), "mul_tokens": (0.5, 0.5, 0.5)},
        "x 1": {"baseline": (0.3, 0.3, 0.3), "mul_tokens": (0.4, 0.7, 0.7)},
        "x 4": {"baseline": (0.4, 0.5, 0.6), "mul_tokens": (0.5, 0.5, 0.5)},
    }
    multiples = {"headline": "x 1", "shorter": "x 0.25", "longer": "x 4"}
    changed = []
    for one in curve.specifications:
        update = {"settings": {**one.settings, "length": multiples[one.name]}, "values": values[multiples[one.name]]}
        update["floors"] = FLOORS if one.name in floors_at else {}
        changed.append(one.model_copy(update=update))
    return curve.model_copy(update={"specifications": tuple(changed)})


def test_the_budget_table_gives_the_change_of_each_condition_with_its_interval(pairs: dict[str, Pair]) -> None:
    table = budget_table(with_multiples(pairs))
    assert table is not None
    assert table.header[2:] == ["x 0.25", "x 1", "x 4", "change", "95% interval"]
    baseline, other = table.rows
    assert baseline[:6] == ["length", "baseline", "13.33%", "30.00%", "50.00%", "+36.67"]
    # Of 0.3, 0.3 and 0.5: t with 2 degrees of freedom is 4.3027, the standard deviation 0.11547.
    assert baseline[6] == "+7.98 to +65.35"
    assert other == ["length", "mul_tokens", "50.00%", "60.00%", "50.00%", "0.00", "0.00 to 0.00"]
    assert "Floor" not in table.note


def test_the_budget_table_has_the_floors_where_every_point_has_one(pairs: dict[str, Pair]) -> None:
    table = budget_table(with_multiples(pairs, floors_at=("headline", "shorter", "longer")))
    assert table is not None
    assert [row[1] for row in table.rows] == ["baseline", "mul_tokens", "baseline, floor", "mul_tokens, floor"]
    assert table.rows[2][2:6] == ["20.00%", "20.00%", "20.00%", "0.00"]
    assert "Floor" in table.note
    some = budget_table(with_multiples(pairs, floors_at=("headline", "shorter")))
    assert some is not None
    assert len(some.rows) == 2


def test_the_budget_figure_begins_at_0_and_names_its_band_and_floor(pairs: dict[str, Pair]) -> None:
    from domain_tokens.analysis.report.plots import BAND
    from domain_tokens.analysis.specification.budget_curves import draw_budgets

    names = ["baseline", "mul_tokens"]
    for floors_at, shown in (((), []), (("headline", "shorter", "longer"), ["floor: answers exchanged"])):
        figure = draw_budgets(with_multiples(pairs, floors_at=floors_at))
        assert figure is not None
        (axes,) = figure.axes
        assert len(axes.collections) == 2, "a band for each condition"
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == [*names, *shown, BAND]
        low, high = axes.get_ylim()
        assert low == 0
        assert high > 70, "the highest seed"
        dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
        assert [list(line.get_ydata()) for line in dotted] == [
            pytest.approx([100 * level] * 3) for level in ((0.2, 0.1) if shown else ())
        ]
        left, right = axes.get_xlim()
        assert left < 0.25
        assert right > 4


def test_the_outer_rows_and_columns_of_the_matrix_have_room(pairs: dict[str, Pair]) -> None:
    from domain_tokens.analysis.specification.figure import draw_curve

    (figure,) = draw_curve(curve_of(pairs)).values()
    below = figure.axes[1]
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in below.lines]
    assert {x for x, _ in places} == set(range(5))
    assert {y for _, y in places} == set(range(5))
    assert below.get_xlim() == (-0.5, 4.5)
    assert below.get_ylim() == (4.5, -0.5)


def test_a_headline_alone_is_drawn(pairs: dict[str, Pair], recwarn: pytest.WarningsRecorder) -> None:
    from domain_tokens.analysis.report.plots import render
    from domain_tokens.analysis.specification.figure import draw_curve, setting_rows

    curve = curve_of({"headline": pairs["headline"]})
    assert setting_rows(curve) == []
    assert render(draw_curve(curve), kinds=("png",))["robustness.png"]
    assert not [str(one.message) for one in recwarn]
