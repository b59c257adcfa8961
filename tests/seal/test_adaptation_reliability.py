"""Reliability of the reward: published and hand-computed cases, known variances, and intervals that hold the truth."""

import math

import numpy as np
import pytest
from adapted_rows import Maker, World, one_row
from hypothesis import given
from hypothesis import strategies as st

from domain_tokens.seal.analysis.averages import bounded
from domain_tokens.seal.analysis.edits import Edit, Proposals, edits_of, proposals_of
from domain_tokens.seal.analysis.reliability import (
    halves,
    intraclass_correlation,
    reliabilities,
    seeds_needed,
    spearman_brown,
    sums_of_squares,
)
from domain_tokens.seal.records import ROUND

# Shrout and Fleiss (1979), table 2: six targets, each rated by four judges.
RATED = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def one_of(groups: list[tuple[str, list[list[float]]]], seeds_in_common: bool = False) -> float:
    return float(intraclass_correlation(sums_of_squares(groups, seeds_in_common).sum(axis=0)))


def proposals(world: World, seed: int = 0) -> Proposals:
    rows, _ = Maker(world, "a", seed).rounds()
    return proposals_of(edits_of(rows, ROUND))


def edit_with(number: int, chosen: list[float], scored: list[float]) -> Edit:
    pairs = enumerate(zip(chosen, scored, strict=True))
    return Edit(tuple(one_row(edit=number, inner_seed=seed, chosen=x, scored=y) for seed, (x, y) in pairs))


def test_the_published_example() -> None:
    one = one_of([("p", RATED)])
    assert one == pytest.approx(0.17, abs=0.005)
    assert spearman_brown(one, 4) == pytest.approx(0.44, abs=0.005)
    assert one_of([("p", RATED)], seeds_in_common=True) == pytest.approx(0.71, abs=0.005)


def test_a_seed_that_lifts_all_edits_alike_is_left_out_of_consistency() -> None:
    lifted = [[value + 10 * seed for seed, value in enumerate(values)] for values in RATED]
    assert one_of([("p", lifted)]) < one_of([("p", RATED)]) - 0.1
    same = [one_of([("p", values), ("q", RATED)], seeds_in_common=True) for values in (RATED, lifted)]
    assert same[1] == pytest.approx(same[0])
    unequal = [("p", [[1.0, 2.0], [3.0]])]
    assert len(sums_of_squares(unequal, seeds_in_common=True)) == 0
    assert bounded(intraclass_correlation, sums_of_squares(unequal, seeds_in_common=True)).value is None


def test_edits_with_different_numbers_of_seeds_by_hand() -> None:
    # means 2 and 3 of 2 and 3 values, of all 2.6: between 2 * 0.36 + 3 * 0.16 = 1.2, within 2 + 6 = 8,
    # and 5 - (4 + 9) / 5 = 2.4 seeds; mean squares 1.2 and 8 / 3
    groups = [("p", [[1.0, 3.0], [2.0, 2.0, 5.0]])]
    assert sums_of_squares(groups).tolist() == [pytest.approx([1.2, 1, 8, 3, 2.4])]
    assert one_of(groups) == pytest.approx((1.2 - 8 / 3) / (1.2 + 1.4 * 8 / 3))


def test_values_that_never_differ_have_no_reliability_and_certain_ones_have_all() -> None:
    same = bounded(intraclass_correlation, sums_of_squares([("p", [[1.0, 1.0], [1.0, 1.0]]), ("q", [[2.0, 2.0]] * 2)]))
    assert same.value is None
    assert one_of([("p", [[1.0, 1.0], [2.0, 2.0]])]) == 1.0


@given(shift=st.floats(-100, 100), scale=st.floats(0.01, 100))
def test_neither_a_passages_level_nor_the_unit_matters(shift: float, scale: float) -> None:
    rng = np.random.default_rng(0)
    groups = [(f"p{number}", rng.normal(0, 1, (4, 3))) for number in range(3)]
    moved = [(name, scale * (values + shift * number)) for number, (name, values) in enumerate(groups)]
    before, after = (one_of([(name, values.tolist()) for name, values in own]) for own in (groups, moved))
    assert abs(before) > 0.01
    assert after == pytest.approx(before, abs=1e-6)


@given(seeds=st.integers(2, 8), edits=st.integers(2, 6))
def test_spearman_brown_is_the_correlation_of_the_mean(seeds: int, edits: int) -> None:
    values = np.random.default_rng(seeds * 10 + edits).normal(0, 1, (edits, seeds))
    between, within = seeds * values.mean(axis=1).var(ddof=1), values.var(axis=1, ddof=1).mean()
    one = one_of([("p", values.tolist())])
    assert spearman_brown(one, seeds) == pytest.approx((between - within) / between)


@pytest.mark.parametrize(("one", "needed"), [(0.5, 4), (0.32, 9), (0.8, 1), (1.0, 1), (0.0, None), (None, None)])
def test_how_many_seeds_are_needed(one: float | None, needed: int | None) -> None:
    assert seeds_needed(one) == needed
    if needed is not None and one is not None and one < 1:
        assert spearman_brown(one, needed) >= 0.8 - 1e-9
        assert needed == 1 or spearman_brown(one, needed - 1) < 0.8


def test_known_variances_are_found() -> None:
    world = World(passages=150, edits=8, edit_sd=0.04, seed_sd=0.05, half_sd=0.03, rounds=1, unreadable=0.1)
    by_name = {one.measure: one for one in reliabilities([proposals(world)])}
    # 0.004 for each step more or less than 8, of 4, 8 and 16 steps, is worth something too
    worth = 0.04**2 + 0.004**2 * np.var([4, 8, 16])
    expected = worth / (worth + 0.05**2 + 0.03**2)
    found = by_name["reward"]
    assert found.passages == 150
    assert found.edits > 900
    assert found.one.value == pytest.approx(expected, abs=0.04)
    assert found.mean.value == pytest.approx(5 * expected / (1 + 4 * expected), abs=0.04)
    assert found.one.low is not None
    assert found.one.high is not None
    assert 0.02 < found.one.high - found.one.low < 0.12
    assert by_name["rise on held-out text"].one.value > 0.9  # nearly without noise


def test_edits_of_equal_worth_have_no_reliability() -> None:
    rng = np.random.default_rng(0)
    groups = [(f"p{number}", rng.normal(number, 1, (6, 5)).tolist()) for number in range(60)]
    found = bounded(intraclass_correlation, sums_of_squares(groups))
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high < 0.1


def test_halves_are_correlated_within_passages() -> None:
    edits = [edit_with(0, [1.0, 3.0], [2.0, 4.0]), edit_with(1, [0.0, 2.0], [7.0, 9.0]), edit_with(2, [4, 4], [6, 6])]
    # means 2, 1, 4 and 3, 8, 6: deviations -1/3, -4/3, 5/3 and -8/3, 7/3, 1/3
    expected = (8 / 9 - 28 / 9 + 5 / 9) / math.sqrt((1 + 16 + 25) / 9 * (64 + 49 + 1) / 9)
    found = halves([{(1, "adapt/0"): edits}])
    assert found is not None
    assert found.correlation.value == pytest.approx(expected)
    assert found.correlation.low is None  # one passage
    world = World(passages=100, edits=8, edit_sd=0.05, seed_sd=0.0, half_sd=0.05, rounds=1)
    many = halves([proposals(world)])
    assert many is not None
    worth = 0.05**2 + 0.004**2 * np.var([4, 8, 16])
    assert many.correlation.value == pytest.approx(worth / (worth + 0.05**2 / 5), abs=0.03)


def test_the_same_data_give_the_same_interval() -> None:
    columns = sums_of_squares([(f"p{index}", RATED) for index in range(5)] + [("q", [[1.0, 2.0], [5.0, 4.0]])])
    assert bounded(intraclass_correlation, columns) == bounded(intraclass_correlation, columns)


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        worth = rng.normal(0, 1, (40, 8, 1))
        values = worth + rng.normal(0, 1.5, (40, 8, 5))
        found = bounded(
            intraclass_correlation, sums_of_squares((f"p{index}", own.tolist()) for index, own in enumerate(values))
        )
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 1 / (1 + 1.5**2) <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_measure_that_is_missing_is_left_out() -> None:
    edits = [edit_with(0, [1.0, 3.0], [2.0, 4.0]), edit_with(1, [0.0, 2.0], [7.0, 9.0])]
    names = [one.measure for one in reliabilities([{(1, "adapt/0"): edits}])]
    assert names == ["reward", "drop in the choosing half", "drop in the scoring half"]
    assert reliabilities([{(1, "adapt/0"): edits[:1]}]) == []
    assert halves([{(1, "adapt/0"): edits[:1]}]) is None
