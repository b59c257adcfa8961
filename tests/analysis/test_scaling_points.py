"""Tables of runs, made here or by others: their columns, their refusals, and what is kept out of the fits."""

from pathlib import Path

import pytest

from analysis.tables_of_runs import published, width_study, write
from domain_tokens.analysis.scaling.designs import IDENTIFIED, floor_of, forms_of
from domain_tokens.analysis.scaling.points import UNNAMED, Point, read_points
from domain_tokens.recipe import RecipeError


def test_a_study_is_read(tmp_path: Path) -> None:
    points = read_points(width_study(tmp_path / "runs.csv"))
    assert points.columns["parameters"] == "non_embedding_parameters"
    assert points.losses == ("bits_per_byte", "bits_per_byte_model", "bits_per_byte_without_sites")
    assert points.conditions == ("baseline", "mul_tokens")
    assert (len(points.of("baseline")), len(points.of("baseline", True))) == (15, 3)
    assert (points.unfinished, points.repeated, points.computed) == (36, 0, ())
    first = points.points[0]
    assert (first.point, first.seed, first.run, first.values["N"]) == ("w32", "0", "w32/baseline/seed_0", 48 * 32**2)
    assert first.bytes_per_token == pytest.approx(3.6)


def test_a_table_of_others_is_read(tmp_path: Path) -> None:
    points = read_points(published(tmp_path / "runs.csv"))
    assert points.conditions == (UNNAMED,)
    assert [points.columns[role] for role in ("parameters", "tokens", "flops")] == [
        "Model Size", "Training Tokens", "Training FLOP",
    ]  # fmt: skip
    assert len({point.run for point in points.points}) == 245  # a row without a run is a run of its own


def test_suffixes_semicolons_named_columns_and_compute(tmp_path: Path) -> None:
    rows = [("70M;1.4B;3.1"), ("140M;2e9;2.9"), (""), ("280M;4B;2.7"), ("280M;4B;2.7")]
    path = tmp_path / "runs.csv"
    path.write_text("\ufeffhow big;D;L(final)\n" + "\n".join(rows) + "\n", encoding="utf-8")
    points = read_points(path, {"parameters": "how big", "loss": "L(final)"})
    assert [point.values["N"] for point in points.points] == [7e7, 1.4e8, 2.8e8]
    assert points.points[0].values["C"] == pytest.approx(6 * 7e7 * 1.4e9)
    assert (points.computed, points.repeated) == (("C",), 1)
    assert [point.line for point in points.points] == [2, 3, 5]


@pytest.mark.parametrize("given", ["ND", "NC", "DC"])
def test_the_third_axis_follows_from_the_two_others(tmp_path: Path, given: str) -> None:
    values = {"N": 1e6, "D": 2e7, "C": 6 * 1e6 * 2e7}
    points = read_points(write(tmp_path / "runs.csv", (*given, "loss"), [[*(values[axis] for axis in given), 3.0]]))
    assert points.computed == tuple(set("NDC") - set(given))
    assert points.points[0].values == pytest.approx(values)


def test_a_loss_over_contexts_has_its_form_and_takes_nothing_from_compute(tmp_path: Path) -> None:
    rows = [(1e6, 1e7, length, 3 - length / 100) for length in (16, 32, 64)]
    points = read_points(write(tmp_path / "runs.csv", ("N", "D", "model.n_positions", "loss"), rows))
    assert [point.values["T"] for point in points.points] == [16, 32, 64]
    assert points.points[0].values["C"] == pytest.approx(6e13)
    assert forms_of(points.points)[0] == [("T",)]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("nan", "line 3: loss is 'nan'; expected a number such as 1.234"),
        ("-2", "line 3: loss is '-2'; expected a finite number above 0"),
        ("", "line 3: loss is ''"),
        ("3K", "line 3: loss is '3K'"),
        ("1,5", "line 3: loss is '1,5'"),
    ],
)
def test_a_cell_that_is_no_loss_is_refused_by_its_line(tmp_path: Path, cell: str, said: str) -> None:
    path = write(tmp_path / "runs.csv", ("N", "D", "loss"), [(1e6, 1e7, 3), (2e6, 1e7, cell)])
    with pytest.raises(RecipeError) as error:
        read_points(path)
    assert said in str(error.value)


def test_columns_that_are_missing_or_twice_there_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.csv", ("N", "D", "final loss"), [(1, 1, 1)])
    assert read_points(path).columns["loss"] == "final loss"
    with pytest.raises(RecipeError, match="--loss: .* has no column 'final los'; did you mean 'final loss'"):
        read_points(path, {"loss": "final los"})
    with pytest.raises(RecipeError, match="has no column of losses .* --loss; the table has N, D"):
        read_points(write(path, ("N", "D"), [(1, 1)]))
    with pytest.raises(RecipeError, match="no column of parameters, tokens or FLOPs"):
        read_points(write(path, ("size", "loss"), [(1, 1)]))
    with pytest.raises(RecipeError, match="two columns are called 'N'"):
        read_points(write(path, ("N", "N", "loss"), [(1, 1, 1)]))
    with pytest.raises(RecipeError, match="line 2: has 2 cells, the header has 3"):
        read_points(write(path, ("N", "D", "loss"), [(1, 1)]))
    with pytest.raises(RecipeError, match="final is 'perhaps'; expected true or false"):
        read_points(write(path, ("N", "loss", "final"), [(1, 1, "perhaps")]))
    with pytest.raises(RecipeError, match="no row of a finished model"):
        read_points(write(path, ("N", "loss", "final"), [(1, 1, "false")]))
    with pytest.raises(RecipeError, match="no such file"):
        read_points(tmp_path / "nowhere.csv")


def grid(sizes: list[float], tokens: list[float]) -> list[Point]:
    pairs = [(n, d) for n in sizes for d in tokens] if len(tokens) > 1 else [(n, tokens[0]) for n in sizes]
    return [
        Point(i, "", "", "", str(i), False, {"N": n, "D": d, "C": 6 * n * d}, {}) for i, (n, d) in enumerate(pairs)
    ]


def test_the_forms_follow_from_what_varies() -> None:
    assert forms_of(grid([1, 2, 4, 8], [10]))[0] == [("N",), ("C",)]
    assert forms_of(grid([1], [10, 20, 40]))[0] == [("D",), ("C",)]
    assert forms_of(grid([1, 3, 10], [10, 30, 100]))[0] == [("N", "D")]
    on_a_line = [point for point in grid([1, 10, 100], [20, 200, 2000]) if point.values["D"] == 20 * point.values["N"]]
    allowed, refused = forms_of(on_a_line)
    assert len(on_a_line) == 3
    assert allowed == [("N",), ("D",), ("C",)]
    assert "tokens follow parameters on a line" in refused[0]


def test_the_floor_needs_four_sizes_over_a_decade() -> None:
    assert floor_of(grid([1, 2, 5, 10], [10]), ["N"]).reason == IDENTIFIED
    few = floor_of(grid([1, 3, 10], [10]), ["N"])
    assert (few.is_identified, few.advice) == (False, "add 1 more values of N")
    narrow = floor_of(grid([2, 3, 4, 10], [10]), ["N"])
    assert "reach over a factor of 5, expected at least 10" in narrow.reason
    assert narrow.advice == "add a value of N of at most 1 or at least 20"
