"""Which edits are kept: by their mean over inner seeds, among those that could be read."""

import pytest
from adapted_rows import one_row

from domain_tokens.seal.edits import Edit, EditLanguage
from domain_tokens.seal.records import AdaptRow, PolicyRow
from domain_tokens.seal.selection import best_edits, commonest_edit

LANGUAGE = EditLanguage((1, 2), (2, 8), (0.001, 0.01), (4, 8))


def tried(edit: int, *rewards: float, passage: str = "adapt/0", **changes: object) -> list[AdaptRow]:
    return [one_row(passage, edit, inner_seed, chosen=reward, **changes) for inner_seed, reward in enumerate(rewards)]


def unreadable(edit: int, passage: str = "adapt/0") -> AdaptRow:
    return AdaptRow(
        condition="a", seed=0, part="round", round=1, arm="untrained", passage=passage, edit=edit, inner_seed=0,
        text="?", valid=False, problem="no edit",
    )  # fmt: skip


def test_one_lucky_seed_does_not_make_the_best_edit() -> None:
    rows = tried(0, 0.9, 0.0, 0.0, 0.0, 0.0) + tried(1, 0.3, 0.2, 0.3, 0.2, 0.3)
    (best,) = best_edits(rows)
    assert (best.text, best.tried) == ("edit 1", 2)
    assert best.reward == pytest.approx(0.26)


def test_the_scoring_half_and_exact_answers_do_not_choose() -> None:
    rows = [one_row(edit=0, chosen=0.2, scored=0.0), one_row(edit=1, chosen=0.1, scored=9.0)]
    assert best_edits(rows)[0].text == "edit 0"


def test_an_edit_that_harmed_least_is_the_best() -> None:
    (best,) = best_edits(tried(0, -0.3, -0.3) + tried(1, -0.1, -0.2))
    assert (best.text, best.reward) == ("edit 1", pytest.approx(-0.15))


def test_edits_that_could_not_be_read_are_left_out() -> None:
    (best,) = best_edits([unreadable(0), *tried(1, -1.0), *tried(2, -0.5), unreadable(3)])
    assert (best.text, best.tried) == ("edit 2", 2)


def test_a_passage_without_a_readable_edit_is_left_out() -> None:
    rows = [unreadable(0, "adapt/0"), unreadable(1, "adapt/0"), *tried(0, 0.1, passage="adapt/1")]
    assert [row.passage for row in best_edits(rows)] == ["adapt/1"]
    assert best_edits(rows[:2]) == []


@pytest.mark.parametrize("is_reversed", [False, True])
def test_of_equals_the_first_is_taken(is_reversed: bool) -> None:
    rows = tried(0, 0.1, 0.1) + tried(1, 0.0, 0.2) + tried(2, 0.2, 0.0)
    means = {float(sum(row.reward for row in rows if row.edit == edit)) for edit in range(3)}
    assert len(means) == 1
    assert best_edits(rows[::-1] if is_reversed else rows)[0].text == "edit 0"


def test_every_passage_has_its_own_best() -> None:
    rows = tried(0, 0.1) + tried(1, 0.2) + tried(0, 0.4, passage="adapt/1") + tried(1, 0.3, passage="adapt/1")
    assert [(row.passage, row.text) for row in best_edits(rows)] == [("adapt/0", "edit 1"), ("adapt/1", "edit 0")]


def test_rows_of_several_rounds_are_a_mistake() -> None:
    with pytest.raises(AssertionError, match="expected rows of one round"):
        best_edits(tried(0, 0.1) + tried(1, 0.1, round=2))


def kept(*edits: Edit) -> list[PolicyRow]:
    return [
        PolicyRow(round=1, passage=f"adapt/{n}", text=str(edit), reward=0.0, tried=1) for n, edit in enumerate(edits)
    ]


def test_the_commonest_edit_is_the_commonest_in_every_part() -> None:
    edits = (
        Edit(("passage",), 1, 2, 0.01, 4), Edit(("passage",), 2, 8, 0.001, 8), Edit(("questions",), 2, 8, 0.01, 4),
    )  # fmt: skip
    expected = Edit(("passage",), 2, 8, 0.01, 4)
    assert expected not in edits
    assert commonest_edit(kept(*edits), LANGUAGE) == expected
    assert commonest_edit(kept(*edits[::-1]), LANGUAGE) == expected


def test_of_equally_common_parts_the_languages_first_is_taken() -> None:
    edits = (Edit(("questions",), 2, 8, 0.01, 8), Edit(("passage",), 1, None, 0.001, 4))
    assert commonest_edit(kept(*edits), LANGUAGE) == commonest_edit(kept(*edits[::-1]), LANGUAGE) == edits[1]


def test_an_edit_that_diverged_with_one_seed_is_not_kept() -> None:
    ruined = one_row(edit=0, inner_seed=2).model_copy(update={"valid": False, "problem": "nan", "reward": None})
    rows = [*tried(0, 0.9, 0.9), ruined, *tried(1, 0.1, 0.1, 0.1)]
    (best,) = best_edits(rows)
    assert (best.text, best.tried) == ("edit 1", 1)
