"""Tables of runs that could mislead: copies, checkpoints, two columns for one thing, tokens off the path, no fall."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.tables_of_runs import write
from domain_tokens.analysis.scaling import analyze as analyzing
from domain_tokens.analysis.scaling.analyze import Options, analyze, fit_table
from domain_tokens.analysis.scaling.designs import comparable, falls, forms_of
from domain_tokens.analysis.scaling.points import UNNAMED, Point, read_points
from domain_tokens.analysis.scaling.records import Analysis
from domain_tokens.analysis.scaling.single import fit_condition, lack_of_fit
from domain_tokens.recipe import RecipeError

SIZES = np.geomspace(5e4, 1e6, 5)


def loss_of(size: float, tokens: float) -> float:
    return float(0.9 + 0.45 * (size / 2e5) ** -0.35 + 0.3 * (tokens / 1e9) ** -0.3)


def rows_of(tokens: Sequence[float] = (1e9,), seeds: int = 2, noise: float = 0.003) -> list[list[object]]:
    """Return rows of N, D, seed and loss."""
    rng = np.random.default_rng(0)
    return [
        [size, d, seed, loss_of(size, d) * float(np.exp(rng.normal(0, noise)))]
        for size in SIZES
        for d in tokens
        for seed in range(seeds)
    ]


HEADER = ("N", "D", "seed", "loss")


def test_exact_copies_of_a_row_are_fitted_once(tmp_path: Path) -> None:
    rows = rows_of()
    once = read_points(write(tmp_path / "once.csv", HEADER, rows))
    copied = read_points(write(tmp_path / "copied.csv", HEADER, rows + rows[::-1] + rows))
    assert (len(once.points), once.repeated) == (10, 0)
    assert (copied.points, copied.repeated) == (once.points, 20)
    named = read_points(
        write(tmp_path / "named.csv", (*HEADER, "run"), [[1e6, 1e9, 0, 2.0, "a"], [1e6, 1e9, 0, 2.0, "b"]])
    )
    assert (len(named.points), named.repeated) == (2, 0)  # two runs that ended alike


def test_of_checkpoints_without_final_or_run_the_last_is_fitted(tmp_path: Path) -> None:
    rows = [[*row, step] for row, step in zip(rows_of((1e8, 1e9)), [50, 50, 100, 100] * 5, strict=True)]
    points = read_points(write(tmp_path / "runs.csv", (*HEADER, "step"), rows))
    assert [point.step for point in points.points] == [100.0] * 10
    assert points.notes[0].startswith("10 rows of earlier steps are left out")
    final = read_points(write(tmp_path / "runs.csv", (*HEADER, "step", "final"), [[*row, "true"] for row in rows]))
    assert (len(final.points), final.notes) == (20, ())
    later = [*rows[0][:3], 1.5, 150]
    header = (*HEADER, "step", "held_out")
    held_out = read_points(
        write(tmp_path / "runs.csv", header, [*([*row, "false"] for row in rows), [*later, "true"]])
    )
    assert (len(held_out.of(held_out.conditions[0])), len(held_out.points)) == (10, 11)
    with pytest.raises(RecipeError, match="line 2: step is 'last'"):
        read_points(write(tmp_path / "runs.csv", (*HEADER, "step"), [[*rows[0][:4], "last"]]))


def test_points_of_one_seed_at_several_tokens_count_as_one_run(tmp_path: Path) -> None:
    points = read_points(write(tmp_path / "runs.csv", HEADER, rows_of((1e8, 1e9))))
    assert (len(points.points), len({point.run for point in points.points})) == (20, 10)
    assert points.notes[0].startswith("20 rows count as 10 runs")
    unseeded = [[n, d, loss] for n, d, _, loss in rows_of((1e8, 1e9))]
    path = write(tmp_path / "runs.csv", ("N", "D", "loss"), unseeded)
    assert len({point.run for point in read_points(path).points}) == 20


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (("N", "D", "loss", "val_loss"), r"'loss' and 'val_loss' .* by --loss"),
        (("N", "D", "Loss", "loss"), r"'Loss' and 'loss' .* by --loss"),
        (("n", "params", "loss", "d"), r"'n' and 'params' .* by --parameters"),
        (("N", "is_final", "loss", "final"), r"'is_final' and 'final' .* by --final"),
    ],
)
def test_two_columns_for_one_thing_are_refused(tmp_path: Path, header: tuple[str, ...], said: str) -> None:
    path = write(tmp_path / "runs.csv", header, [(1e6, 1, 3.0, 1)])
    with pytest.raises(RecipeError, match=said):
        read_points(path)


def test_a_named_column_and_one_that_says_its_unit_are_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.csv", ("N", "loss", "val_loss"), [(1e6, 3.0, 3.1)])
    assert read_points(path, {"loss": "val_loss"}).losses == ("val_loss",)
    path = write(path, ("parameters", "non_embedding_parameters", "loss", "bits_per_byte"), [(2e6, 1e6, 3.0, 1.1)])
    assert (read_points(path).losses[0], read_points(path).points[0].values["N"]) == ("bits_per_byte", 1e6)


def test_names_of_conditions_that_cannot_be_meant(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.csv", ("N", "loss", "condition"), [(1, 3, "a"), (1, 2.9, "A"), (2, 2, "b")])
    assert read_points(path).notes[0].startswith("'a' and 'A' differ in case alone and are fitted as 2 conditions")
    with pytest.raises(RecipeError, match="line 3: condition is empty, others have one"):
        read_points(write(path, ("N", "loss", "condition"), [(1, 3, "a"), (1, 2.9, " ")]))


def test_the_hash_is_of_the_files_bytes_and_cells_may_hold_lines(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes('\ufeffN,loss,condition\r\n1,3,"a\nb"\r\n2,2,"a\u2028b"\r\n'.encode())
    points = read_points(path)
    assert points.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (points.conditions, [point.line for point in points.points]) == (("a b",), [3, 4])


def test_what_is_no_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is no CSV table .field larger than field limit"):
        read_points(write(tmp_path / "runs.csv", ("N", "loss"), [(1, "3" * 200_000)]))
    path = tmp_path / "runs.csv"
    path.write_bytes(b"N,loss\r1,3\r2,2\r")  # lines as old spreadsheets end them
    assert [point.line for point in read_points(path).points] == [2, 3]


def test_pairs_that_no_seed_tells_are_said_to_be_in_the_order_of_rows(tmp_path: Path) -> None:
    rows = [[*row, name] for name in "ab" for row in rows_of()]
    seeded = fit_table(read_points(write(tmp_path / "runs.csv", (*HEADER, "condition"), rows)), Options())
    header = ("N", "D", "loss", "condition")
    plain = fit_table(
        read_points(write(tmp_path / "runs.csv", header, [[n, d, loss, name] for n, d, _, loss, name in rows])),
        Options(),
    )
    said = [any("paired in their order" in note for note in found.pairs[0].notes) for found in (seeded, plain)]
    assert seeded.pairs[0].num_pairs == plain.pairs[0].num_pairs == 10
    assert said == [False, True]


def test_tokens_that_vary_off_a_path_allow_no_curve_in_one_axis(tmp_path: Path) -> None:
    def allowed(tokens: Callable[[float], Sequence[float]]) -> list[tuple[str, ...]]:
        pairs = [(size, d) for size in SIZES for d in tokens(size)]
        points = [Point(0, "", "", "", "", False, {"N": n, "D": d, "C": 6 * n * d}, {}) for n, d in pairs]
        return list(forms_of(points)[0])

    assert allowed(lambda size: [1e9, 2e9]) == []
    assert allowed(lambda size: [1e9, 1.2e9]) == [("N",), ("C",)]
    assert allowed(lambda size: [20 * size, 25 * size]) == [("N",), ("D",), ("C",)]
    assert allowed(lambda size: [1e9, 4e9]) == [("N", "D")]
    contexts = [(n, length) for n in SIZES for length in (16, 64)]
    assert forms_of([Point(0, "", "", "", "", False, {"N": n, "T": t}, {}) for n, t in contexts])[0] == []
    rows = [[*row, row[2]] for row in rows_of((1e9, 2e9))]
    with pytest.raises(RecipeError, match=r"L\(N\): training tokens vary beside non-embedding parameters .* L\(C\): "):
        fit_table(read_points(write(tmp_path / "runs.csv", (*HEADER, "x"), rows)), Options())


def test_a_size_held_out_at_other_tokens_is_not_predicted(tmp_path: Path) -> None:
    fitted = [[*row, condition, "false"] for row in rows_of() for condition in "ab"]
    for index, row in enumerate(fitted):
        row[3] = float(str(row[3])) * (1 + 0.001 * (index % 3))  # conditions differ a little
    held_out = [
        [2e6, d, seed, loss_of(2e6, d), condition, "true"] for seed, d in enumerate((1e9, 2e10)) for condition in "ab"
    ]
    header = (*HEADER, "condition", "held_out")
    found = fit_table(read_points(write(tmp_path / "runs.csv", header, fitted + held_out)), Options())
    assert [one.condition for one in found.predictions] == ["a", "b", "b / a"]
    assert all(one.inside for one in found.predictions[:2])
    assert sum(one.held_out for one in found.pairs[0].measured) == 1
    assert found.notes == tuple(
        f"{name}, L(N): 1 held-out runs are not predicted: training tokens are not as in the fitted runs, and the "
        "form does not have them"
        for name in "ab"
    )


def test_losses_that_do_not_fall_are_not_fitted(tmp_path: Path) -> None:
    def falling(losses: Sequence[float]) -> bool:
        pairs = zip(SIZES, losses, strict=True)
        return falls([Point(0, "", "", "", "", False, {"N": n}, {"l": loss}) for n, loss in pairs], ["N"], "l")

    assert falling([2.0, 1.9, 1.8, 1.72, 1.65])
    assert not falling([2.0, 2.1, 2.2, 2.3, 2.4])
    assert not falling([2.0, 2.1, 1.9, 2.1, 1.95])
    rounded = [1.7 * (1 - 1e-14 * index) for index in range(5)]
    assert rounded[-1] < rounded[0]
    assert not falling(rounded)


def test_rounding_is_no_lack_of_fit() -> None:
    points = [
        Point(0, "", "", "", f"{size}/{seed}", False, {"N": size}, {"l": loss_of(size, 1e9) * (1 + 1e-15 * seed)})
        for size in SIZES
        for seed in range(3)
    ]
    assert len({point.losses["l"] for point in points}) > len(SIZES)
    assert lack_of_fit(fit_condition(points, "l", ["N"])) is None


def test_what_cannot_be_computed_is_said_by_its_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(*_: object) -> None:
        raise OverflowError("math range error")

    rows = [[*row, condition] for row in rows_of() for condition in "ab"]
    for index, row in enumerate(rows):
        row[3] = float(str(row[3])) * (1 + 0.001 * (index % 3))
    table = write(tmp_path / "runs.csv", (*HEADER, "condition"), rows)
    monkeypatch.setattr(analyzing, "compare", overflow)
    monkeypatch.setattr(analyzing, "draw", overflow)
    files = analyze(table, tmp_path / "fits")
    found = Analysis.model_validate_json(files[0].read_text())
    assert (len(found.fits), found.pairs) == (2, ())
    assert "b against a, L(N): could not be computed (OverflowError: math range error)" in found.refused
    assert found.notes == ("no figures: could not be computed (OverflowError: math range error)",)
    assert found.notes[0] in files[2].read_text()
    monkeypatch.setattr(analyzing, "fit_condition", overflow)
    with pytest.raises(RecipeError, match=r"a, L\(N\): could not be computed \(OverflowError: math range error\)"):
        analyze(table, tmp_path / "fits")


def test_a_held_out_width_is_on_the_path_of_the_flops_of_others(tmp_path: Path) -> None:
    sizes = (25_472, 56_640, 155_840, 396_800, 890_112)
    flops = (6.18e11, 1.04e12, 2.11e12, 4.29e12, 8.24e12)  # the head's share falls as the width grows
    rows = [
        (size, 1e6, compute, 0.3 + 20 * size**-0.45 + seed / 1e4, "true" if size > 8e5 else "false")
        for size, compute in zip(sizes, flops, strict=True)
        for seed in range(2)
    ]
    points = read_points(write(tmp_path / "runs.csv", ("N", "D", "C", "loss", "held_out"), rows))
    fitted, held_out = points.of(UNNAMED), points.of(UNNAMED, True)
    assert len(held_out) == 2
    assert comparable(fitted, held_out, ("C",)) == (tuple(held_out), None)
    elsewhere = [replace(one, values={**one.values, "D": 2e6}) for one in held_out]
    assert comparable(fitted, elsewhere, ("C",))[0] == ()
