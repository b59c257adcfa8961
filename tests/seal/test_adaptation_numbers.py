"""The numbers of an analysis by hand: arms, contrasts, selection, rounds, choices, chains, budget and the front."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from adapted_rows import Maker, World, measured, one_row
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from domain_tokens.analysis.statistics.paired import holm
from domain_tokens.seal.analysis.arms import (
    BETTER,
    BITS,
    CONTROLS,
    NUM_COMPARISONS,
    UNDECIDED,
    WORSE,
    arm_results,
    contrasts,
    unequal_steps,
)
from domain_tokens.seal.analysis.averages import average, pooled
from domain_tokens.seal.analysis.budget import LEAST_PASSAGES, budget_points, front, settings
from domain_tokens.seal.analysis.chain import chain_results
from domain_tokens.seal.analysis.choices import choices, validities
from domain_tokens.seal.analysis.edits import Edit, Proposals, edits_of, proposals_of
from domain_tokens.seal.analysis.selection import gain_of_best, repeated_gain, round_changes, round_means, selections
from domain_tokens.seal.records import CHAIN, ROUND, TEST, TRAINED, AdaptRow, PolicyRow


def of_test(arm: str, passage: int, scored: float, **changes) -> AdaptRow:
    return one_row(f"test/{passage}", part=TEST, arm=arm, scored=scored, **changes)


def read(rows: Sequence[AdaptRow]) -> Proposals:
    return proposals_of(edits_of(rows, ROUND))


def edit(values: Sequence[tuple[float, float]], number: int = 0, **changes) -> list[AdaptRow]:
    """Return the rows of an edit: of each inner seed the drops in the choosing and the scoring half."""
    return [
        one_row(edit=number, inner_seed=seed, chosen=chosen, scored=scored, **changes)
        for seed, (chosen, scored) in enumerate(values)
    ]


def test_an_average_is_a_t_interval_over_the_passages_that_all_runs_have() -> None:
    found = average([{"a": 1.0, "b": 2.0, "c": 6.0}])
    assert found is not None
    half = stats.t.ppf(0.975, 2) * math.sqrt(7 / 3)
    assert (found.mean, found.low, found.high) == (3.0, pytest.approx(3 - half), pytest.approx(3 + half))
    assert found.p_value == pytest.approx(stats.ttest_1samp([1, 2, 6], 0).pvalue)
    both = average([{"a": 1.0, "b": 2.0, "c": 6.0}, {"b": 4.0, "a": 3.0}])
    assert both is not None
    assert (both.mean, both.passages) == (pytest.approx(2.5), 2)
    apart = pooled([{"a": 1.0, "b": 2.0}, {"b": 4.0, "c": 8.0}])
    assert apart is not None
    assert (apart.mean, apart.passages) == (pytest.approx(4.0), 3)


def test_one_passage_and_equal_values_have_no_interval() -> None:
    for values in ({"a": 1.0}, {"a": 1.0, "b": 1.0}):
        found = average([values])
        assert found is not None
        assert (found.mean, found.low, found.p_value) == (pytest.approx(1.0), None, None)
    assert average([{}]) is None
    assert average([{"a": 1.0}, {"b": 1.0}]) is None


def test_inner_seeds_are_averaged_before_passages() -> None:
    rows = [of_test(TRAINED, 0, 0.4), of_test(TRAINED, 0, 0.2, inner_seed=1), of_test(TRAINED, 1, 0.1)]
    (found,) = arm_results([rows])
    assert found.drop.mean == pytest.approx(0.2)  # of 0.3 and 0.1; the mean of the rows is another
    assert (found.passages, found.unreadable, found.steps, found.tokens) == (2, 0, 4, 1024)
    assert (found.bits_before, found.bits_after) == (2.0, pytest.approx(1.8))
    assert found.forgetting is None


def test_exact_answers_and_forgetting_by_hand() -> None:
    rows = [
        of_test(TRAINED, 0, 0.1, scored_by=measured(2.0, 0.1, 0.5, 0.25), validation=measured(3.0, -0.2, None)),
        of_test(TRAINED, 1, 0.3, scored_by=measured(1.0, 0.3, 0.1, 0.05), validation=measured(3.0, 0.1, None)),
    ]
    (found,) = arm_results([rows])
    assert (found.exact_before, found.exact_after) == (pytest.approx(0.3), pytest.approx(0.45))
    assert (found.bits_before, found.bits_after) == (1.5, pytest.approx(1.3))
    assert found.forgetting is not None
    assert found.forgetting.mean == pytest.approx(0.05)


def test_an_edit_that_cannot_be_read_gains_nothing() -> None:
    unreadable = of_test(TRAINED, 1, 0.0, valid=False, forms=(), scored_by=None, chosen_by=None, reward=None)
    rows = [of_test(TRAINED, 0, 0.4), unreadable, of_test("random", 0, 0.1), of_test("random", 1, 0.3)]
    trained, other = arm_results([rows])
    assert (trained.arm, trained.passages, trained.unreadable) == (TRAINED, 2, 1)
    assert trained.drop.mean == pytest.approx(0.2)
    assert trained.bits_before == 2.0
    assert other.unreadable == 0
    by_measure = {one.measure: one for one in contrasts([rows])}
    assert by_measure[BITS].difference.mean == pytest.approx(0.0)  # 0.3 and -0.3


def test_runs_are_pooled_over_the_passages_that_all_have() -> None:
    first = [
        of_test(TRAINED, 0, 0.2),
        of_test(TRAINED, 1, 0.4),
        of_test(TRAINED, 2, 9.0, scored_by=measured(50.0, 9.0)),
    ]
    second = [of_test(TRAINED, 0, 0.4, seed=1), of_test(TRAINED, 1, 0.6, seed=1)]
    (found,) = arm_results([first, second])
    assert found.passages == 2
    assert found.drop.mean == pytest.approx(0.4)
    assert (found.bits_before, found.bits_after) == (2.0, pytest.approx(1.6))


def test_contrasts_are_paired_and_corrected_for_all_comparisons() -> None:
    gains = {"trained": [0.3, 0.5, 0.45, 0.6], "random": [0.1, 0.35, 0.25, 0.4], "shuffled": [0.3, 0.4, 0.6, 0.5]}
    rows = [of_test(arm, index, value) for arm, values in gains.items() for index, value in enumerate(values)]
    found = [one for one in contrasts([rows]) if one.measure == BITS]
    assert [one.control for one in found] == ["random", "shuffled"]
    expected = [stats.ttest_rel(gains["trained"], gains[one.control]).pvalue for one in found]
    assert [one.difference.p_value for one in found] == pytest.approx(expected)
    assert NUM_COMPARISONS == 10
    # nothing varies in exact answers, and three controls have no row: all these count as p = 1
    assert [one.p_holm for one in found] == pytest.approx(holm([*expected, *[1.0] * 8])[:2])
    assert [one.verdict for one in found] == [BETTER, UNDECIDED]
    exact = [one for one in contrasts([rows]) if one.measure != BITS]
    assert [(one.p_holm, one.verdict) for one in exact] == [(None, UNDECIDED)] * 2
    assert "+0.00 points on every passage, so nothing tells its error" in exact[0].sentence


def test_a_null_is_undecided_and_an_effect_is_found() -> None:
    world = World(passages=32, gain={"trained": 0.0, "passage": 0.0, "shuffled": -0.15, "random": 0.15})
    by_control = {one.control: one for one in contrasts([Maker(world, "a", 5).test()]) if one.measure == BITS}
    assert set(by_control) == set(CONTROLS)
    assert by_control["shuffled"].verdict == BETTER
    assert by_control["random"].verdict == WORSE
    for null in ("passage", "untrained", "commonest"):
        assert by_control[null].verdict == UNDECIDED
        assert "undecided" in by_control[null].sentence
    assert "the gain is larger by +0.1" in by_control["shuffled"].sentence
    assert "the gain differs by -0.1" in by_control["random"].sentence


@pytest.mark.slow
def test_a_null_is_rarely_decided() -> None:
    decided = sum(
        any(one.verdict != UNDECIDED for one in contrasts([Maker(World(passages=16), "a", seed).test()]))
        for seed in range(60)
    )
    assert decided <= 7  # the chance of more is below 1% at a rate of 5% of the families


def test_an_interval_without_0_is_undecided_if_the_correction_says_so() -> None:
    values = [0.1, 0.2, 0.0, 0.15, 0.05]
    assert 0.005 < stats.ttest_1samp(values, 0).pvalue < 0.05
    rows = [row for i, x in enumerate(values) for row in (of_test(TRAINED, i, x), of_test("random", i, 0.0))]
    found = contrasts([rows])[0]
    assert found.verdict == UNDECIDED
    assert "excludes 0, but not after the correction" in found.sentence


def test_other_numbers_of_steps_are_noticed() -> None:
    rows = [of_test(arm, 0, 0.1, steps=4 if arm != "random" else 8) for arm in (TRAINED, "random", "passage")]
    assert unequal_steps([rows]) == ["random"]


def test_selection_by_hand() -> None:
    # mean rewards 0.2, 0.5, 0.2; the second is the best
    rows = [
        *edit([(0.1, 0.3), (0.3, 0.5)], 0),
        *edit([(0.9, 0.2), (0.1, 0.6)], 1),
        *edit([(0.2, 0.0), (0.2, 0.2)], 2),
    ]
    (edits,) = read(rows).values()
    assert gain_of_best(edits, lambda row: row.reward or 0.0) == pytest.approx(0.2)
    # without the first seed the first edit is the best (0.3): 0.3 with it, of 0.3, 0.2, 0.0
    # without the second the second is (0.9): 0.6 with it, of 0.5, 0.6, 0.2
    expected = ((0.3 - 0.5 / 3) + (0.6 - 1.3 / 3)) / 2
    assert repeated_gain(edits) == pytest.approx(expected)
    (found,) = selections([read(rows)])
    assert (found.round, found.passages, found.edits) == (1, 1, 3)
    assert found.chosen.mean == pytest.approx(0.2)
    assert found.scored.mean == pytest.approx(0.4 - (0.4 + 0.4 + 0.1) / 3)
    assert found.left.value == pytest.approx(0.1 / 0.2)
    assert found.repeated is not None
    assert found.left_repeated.value == pytest.approx(expected / 0.2)
    assert repeated_gain([Edit(one.rows[:1]) for one in edits]) is None


def test_luck_alone_leaves_nothing_on_other_questions_and_seeds() -> None:
    world = World(passages=80, edits=8, edit_sd=0.0, by_step=0.0, seed_sd=0.1, half_sd=0.05)
    found = selections([read(Maker(world, "a", 0).rounds()[0])])[0]
    assert found.round is None
    assert found.chosen.low > 0.04  # an edit is always found that looks good
    assert found.scored.low > 0.02  # and the inner seeds that it was lucky with are in the scoring half too
    assert found.repeated is not None
    assert found.repeated.low < 0 < found.repeated.high
    assert found.left_repeated.low < 0.2 < found.left.low


def test_rounds_are_compared_on_the_same_passages() -> None:
    def of(number: int, arm: str, gains: dict[str, float]) -> list[AdaptRow]:
        return [
            one_row(f"adapt/{name}", chosen=value, scored=value / 2, round=number, arm=arm)
            for name, value in gains.items()
        ]

    rows = of(1, "untrained", {"0": 0.1, "1": 0.3, "2": 0.9}) + of(2, "trained", {"0": 0.4, "1": 0.5})
    first, second = round_means([read(rows)])
    assert (first.round, first.arm, first.reward.passages) == (1, "untrained", 3)
    assert (second.arm, second.reward.mean) == ("trained", pytest.approx(0.45))
    (change,) = round_changes([read(rows)])
    assert (change.earlier, change.later, change.reward.passages) == (1, 2, 2)
    assert change.reward.mean == pytest.approx(0.25)  # of 0.3 and 0.2
    assert change.scored.mean == pytest.approx(0.125)
    longer = round_changes([read(rows + of(3, "trained", {"0": 0.0, "1": 0.0}))])
    assert [(one.earlier, one.later) for one in longer] == [(1, 2), (2, 3), (1, 3)]


def test_what_was_chosen_by_hand() -> None:
    rows = [
        one_row(edit=0, forms=("passage",), steps=4),
        one_row(edit=1, forms=("passage", "questions"), steps=8, target="lora", rank=2),
        one_row("adapt/1", edit=0, forms=("questions",), steps=4),
        one_row("adapt/1", edit=1, forms=("questions",), steps=8, valid=False, problem="too long"),
        one_row("adapt/2", edit=0, forms=("passage",), steps=16),  # nothing of it was kept
    ]
    kept = [
        PolicyRow(round=1, passage="adapt/0", text="edit 1\n", reward=0.1, tried=2),
        PolicyRow(round=1, passage="adapt/1", text="edit 0", reward=0.1, tried=1),
        PolicyRow(round=1, passage="adapt/1", text="of another file", reward=0.1, tried=1),
    ]
    found, unknown = choices([read(rows)], [kept])
    shares = {(one.part, one.value): (one.proposed, one.kept, one.difference.mean) for one in found}
    assert unknown == 1
    assert shares["form", "passage"] == pytest.approx((0.5, 0.5, 0.0))
    assert shares["form", "questions"] == pytest.approx((0.75, 1.0, 0.25))
    assert shares["steps", "4"] == pytest.approx((0.75, 0.5, -0.25))
    assert shares["steps", "16"] == pytest.approx((0.0, 0.0, 0.0))
    assert shares["weights", "LoRA, rank 2"] == pytest.approx((0.25, 0.5, 0.25))
    assert [value for part, value in shares if part == "steps"] == ["4", "8", "16"]


def test_edits_that_cannot_be_read_are_counted_once() -> None:
    bad = {"valid": False, "scored_by": None}
    rows = [
        *edit([(0, 0)] * 5, 0),
        one_row(edit=1, problem="no form", **bad),
        one_row(edit=2, problem="no steps", **bad),
        one_row(edit=3, problem="no steps", **bad),
        of_test(TRAINED, 0, 0.0),
    ]
    first, second = validities([rows])
    assert (first.part, first.round, first.arm, first.edits, first.readable) == (ROUND, 1, "untrained", 4, 1)
    assert list(first.problems.items()) == [("no steps", 2), ("no form", 1)]
    assert (second.part, second.readable) == (TEST, 1)


def test_chains_by_hand() -> None:
    def of(chain: int, rises: Sequence[float | None], gain: float) -> list[AdaptRow]:
        return [
            one_row(
                f"test/{place}", part=CHAIN, arm=TRAINED, chain=chain, place=place, scored=gain,
                earlier=None if rise is None else measured(1.0, -rise),
            )
            for place, rise in enumerate(rises)
        ]  # fmt: skip

    rows = of(0, [None, 0.1, 0.3], 0.2) + of(1, [None, 0.2, 0.4], 0.4)
    overall, first, second = chain_results([rows])
    assert (overall.place, overall.chains, overall.forgetting.mean) == (None, 2, pytest.approx(0.25))
    assert (first.place, first.forgetting.mean, first.forgetting.passages) == (1, pytest.approx(0.15), 2)
    assert second.forgetting.mean == pytest.approx(0.35)
    assert overall.gain is not None
    assert overall.gain.mean == pytest.approx(0.3)
    half = stats.t.ppf(0.975, 1) * 0.05  # chains are the unit: means 0.2 and 0.3
    assert overall.forgetting.high == pytest.approx(0.25 + half)
    assert chain_results([rows[:3]])[0].forgetting.low is None  # one chain
    assert [one.place for one in chain_results([rows[:2]])] == [None]  # one place is not said twice


def test_budget_and_settings_are_means_over_passages() -> None:
    rows = []
    for index in range(LEAST_PASSAGES):
        shared = {"validation": measured(3.0, -0.01 * index, None), "target": "lora", "rank": 2, "steps": 8}
        rows += edit([(0, 0.1 * index), (0, 0.3 * index)], 0, passage=f"adapt/{index}", tokens=2048, **shared)
    rows += edit([(0, 0.9)], 1, validation=measured(3.0, -0.5, None))
    edits = [list(edits_of(rows, ROUND))]
    last, adapters = budget_points(edits)
    assert (last.weights, last.steps, last.tokens, last.edits, last.gain.low) == ("last layer", 4, 1024, 1, None)
    assert (adapters.weights, adapters.steps, adapters.tokens) == ("LoRA, rank 2", 8, 2048)
    assert adapters.gain.mean == pytest.approx(0.2 * np.mean(range(LEAST_PASSAGES)))
    assert adapters.gain.passages == LEAST_PASSAGES
    few, many = settings(edits)
    assert (few.is_counted, few.on_front) == (False, False)
    assert (many.is_counted, many.on_front) == (True, True)
    assert many.forgetting.mean == pytest.approx(0.01 * np.mean(range(LEAST_PASSAGES)))
    assert settings([[Edit((one_row(),))]]) == []  # forgetting was not measured


def test_the_front_by_hand() -> None:
    points = [(1.0, 1.0), (2.0, 3.0), (2.0, 2.0), (3.0, 3.0), (4.0, 5.0), (0.5, 0.0), (5.0, 4.0), (1.0, 1.0)]
    assert front(points) == [(0.5, 0.0), (1.0, 1.0), (2.0, 3.0), (4.0, 5.0)]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1))
def test_a_point_is_on_the_front_if_no_other_dominates_it(points: list[tuple[int, int]]) -> None:
    def dominated(point: tuple[int, int]) -> bool:
        return any(x <= point[0] and y >= point[1] and (x, y) != point for x, y in points)

    assert front(points) == sorted({point for point in points if not dominated(point)})


def test_an_inner_loop_that_diverged_stands_for_nothing() -> None:
    rows = [of_test(arm, passage, 0.4) for arm in (TRAINED, CONTROLS[0]) for passage in range(3)]
    ruined = of_test(TRAINED, 0, 0.0, inner_seed=1).model_copy(update={"valid": False, "problem": "nan"})
    assert ruined.forms
    (whole, *_), (found, *_) = arm_results([rows]), arm_results([[*rows, ruined]])
    assert whole.drop.mean == pytest.approx(0.4)
    assert found.drop == whole.drop
    assert found.unreadable == 0
