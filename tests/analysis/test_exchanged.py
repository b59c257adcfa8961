"""The floor of an accuracy: what answers reach that belong to another question of the same problem."""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_tokens.analysis.compare import assemble
from domain_tokens.analysis.measures.answers.exchanged import Exchanged, exchange, exchanged_rows, floors_at
from domain_tokens.analysis.report.findings import warnings
from domain_tokens.analysis.report.pages import to_html
from domain_tokens.analysis.report.tables.answers import floor_table
from domain_tokens.analysis.results_model import Endpoint, Results
from domain_tokens.runs.records import GenerativeItem, TaskResult
from domain_tokens.runs.results import Condition, EvaluatedTask, Pair, load_condition

from .conftest import sha256, write_evaluation, write_stage

TASK = "renumbered_numbers"
ENDPOINT = Endpoint(model="grpo_final", task=TASK, metric="accuracy", group="all")
STEP = {
    "start": 0, "end": 5, "text": "2+2=4", "right": True, "rounded": False, "kind": "sum", "pair": None,
    "form": "digits", "origin": "computed", "in_table": False, "has_result": True, "of_item": True, "used": True,
}  # fmt: skip

Numbers = Sequence[int | str | None]
Problem = tuple[Numbers, Numbers]
"""The right numbers of a problem's questions, and those that were answered."""


def as_items(problems: Sequence[Problem], equations: Sequence[dict] | None = (STEP,)) -> list[dict]:
    """Return items as they lie on disk; every answer has the same equations."""
    items = []
    for index, (golds, numbers) in enumerate(problems):
        for gold, number in zip(golds, numbers, strict=True):
            items.append({"id": f"{len(items):04}", "cluster": f"problem {index}", "question": "How many?"})
            items[-1] |= {"gold": str(gold), "answer": f"#### {number}"}
            items[-1] |= {"number": None if number is None else str(number), "correct": str(number) == str(gold)}
            items[-1] |= {"equations": equations if equations is None else list(equations)}
    return items


def evaluated(items: Sequence[dict]) -> EvaluatedTask:
    result = TaskResult.model_construct(task=TASK, outcomes={"accuracy": "correct"}, units={})
    read = [GenerativeItem.model_validate(item) for item in items]
    return EvaluatedTask(Path("results.json"), result, {item.id: item for item in read})


def found(*problems: Problem, **options) -> Exchanged:
    """Return what is found with enough problems to be problems: the given ones, several times."""
    exchanged = exchange(evaluated(as_items(problems * 5, **options)))
    assert exchanged is not None
    return exchanged


def test_answers_of_a_neighbour_are_wrong_and_make_a_high_floor() -> None:
    exchanged = found(((10, 20, 30, 40), (20, 30, 40, 10)))
    assert (exchanged.num_right, exchanged.num_items, exchanged.num_problems) == (0, 20, 5)
    assert exchanged.floor == pytest.approx(1 / 3)
    # With two questions each has exactly what the other needs.
    assert found(((10, 20), (20, 10))).floor == 1.0


def test_a_model_that_computes_has_no_floor_of_its_own() -> None:
    # Not its own answer, and not that of a question with the same right number, by which it was right.
    right = (10, 20, 30, 30)
    exchanged = found((right, right), ((7, 8), (7, 8)))
    assert exchanged.num_right == exchanged.num_items == 30
    assert exchanged.floor == 0.0


def test_one_number_for_a_whole_problem_is_right_as_often_as_its_floor() -> None:
    for golds in ((10, 20, 30, 40), (10, 10, 30, 40), (10, 10, 10, 40)):
        exchanged = found((golds, (10,) * 4))
        assert exchanged.num_right / exchanged.num_items == exchanged.floor == golds.count(10) / 4


def test_answers_without_a_number_or_of_other_problems_reach_nothing() -> None:
    assert found(((10, 20), (None, 99)), ((30, 40), (10, 20))).floor == 0.0


@given(st.lists(st.integers(0, 6), min_size=4, max_size=4))
def test_it_is_the_mean_over_all_exchanges_in_which_no_question_keeps_its_answer(numbers: list[int]) -> None:
    golds = (1, 2, 3, 4)
    orders = [order for order in itertools.permutations(range(4)) if all(order[at] != at for at in range(4))]
    assert len(orders) == 9
    means = [fmean(numbers[taken] == gold for taken, gold in zip(order, golds, strict=True)) for order in orders]
    assert found((golds, numbers)).floor == pytest.approx(fmean(means))


@pytest.mark.parametrize("golds", [(1, 2, 3), (1, 1, 2), (1, 5, 5), (3, 9, 1)])
def test_where_answers_depend_on_the_problem_alone_accuracy_and_floor_are_expected_to_be_equal(golds: Numbers) -> None:
    chances = {1: Fraction(1, 2), 2: Fraction(1, 3), 9: Fraction(1, 6)}
    accuracy = floor = Fraction(0)
    for numbers in itertools.product(chances, repeat=3):
        chance = chances[numbers[0]] * chances[numbers[1]] * chances[numbers[2]]
        exchanged = found((golds, numbers))
        accuracy += chance * Fraction(exchanged.num_right, exchanged.num_items)
        floor += chance * Fraction(exchanged.floor).limit_denominator(1000)
    assert accuracy > 0
    assert floor == accuracy


def test_problems_are_several_questions_with_several_right_numbers() -> None:
    whole = found(((10, 20), (20, 10)))
    with_others = found(((10, 20), (20, 10)), ((7,), (7,)), ((8, 8), (8, 8)))
    assert with_others == whole, "one question, or one right number, makes no problem"
    assert exchange(evaluated(as_items([((10, 20), (20, 10))] * 4))) is None, "kinds of questions, not problems"
    assert exchange(evaluated(as_items([((7,), (7,))] * 9))) is None
    alone = as_items([((10, 20), (20, 10))] * 9)
    for item in alone:
        item["cluster"] = None
    assert exchange(evaluated(alone)) is None


def test_numbers_are_compared_as_numbers_and_only_where_that_gives_the_outcomes() -> None:
    items = as_items([(("1,000", "2000"), ("2000", "1000"))] * 5)
    for item in items:
        assert not item["correct"]
    assert exchange(evaluated(items)).floor == 1.0
    assert exchange(evaluated([*items[:-1], {**items[-1], "correct": True}])) is None
    assert exchange(evaluated([*items[:-1], {**items[-1], "gold": "2000 boxes"}])) is None


@pytest.mark.parametrize(
    ("equations", "counted"),
    [
        ([STEP], 10),
        ([STEP, {**STEP, "origin": "copied"}], 10),
        ([], 0),
        ([STEP, {**STEP, "right": False}], 0),
        ([STEP, {**STEP, "of_item": False}], 0),
        ([{**STEP, "of_item": None}], None),
        (None, None),
    ],
)
def test_right_with_its_steps_needs_every_equation(equations: list[dict] | None, counted: int | None) -> None:
    exchanged = found(((10, 20, 30), (10, 20, 99)), equations=equations)
    assert exchanged.num_right == 10
    assert exchanged.num_with_steps == counted


GOLDS = (10, 20, 30, 40)
COMPUTED, ROTATED, CONSTANT = GOLDS, (20, 30, 40, 10), (10,) * 4


def write_side(root: Path, name: str, side: int, seeds: Sequence[Sequence[Problem]]) -> Condition:
    """Write a condition whose last model answered problems, one list for each seed."""
    folder = root / "experiment" / f"exp_{name}"
    for seed, problems in enumerate(seeds):
        write_stage(folder / f"seed_{seed}" / "grpo_final", "grpo", name, seed, side)
        fields = {"condition": name, "seed": seed, "model": "grpo_final"}
        fields |= {"weights_sha256": sha256("weights", "grpo", name, seed)}
        write_evaluation(folder / f"seed_{seed}" / "eval" / "grpo_final", TASK, as_items(problems), **fields)
    return load_condition(folder)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Two seeds: one condition writes the numbers of other questions, the other computes half of the problems."""
    root = tmp_path_factory.mktemp("exchanged")
    first = [[(GOLDS, ROTATED)] * 6, [(GOLDS, CONSTANT)] * 6]
    second = [[(GOLDS, COMPUTED)] * 6, [(GOLDS, (99,) * 4)] * 6]
    return Pair(write_side(root, "baseline", 0, first), write_side(root, "mul_tokens", 1, second))


@pytest.fixture(scope="module")
def results(pair: Pair) -> Results:
    return assemble(pair)


def test_a_comparison_has_both_conditions_with_means_over_seeds_and_counts(pair: Pair, results: Results) -> None:
    (row,) = results.exchanged_answers
    assert (row,) == exchanged_rows(pair)
    assert (row.model, row.task, row.num_items, row.num_problems) == ("grpo_final", TASK, 24, 6)
    assert row.reference.model_dump() == pytest.approx(
        {"accuracy": 0.125, "floor": (1 / 3 + 1 / 4) / 2, "num_right": 6, "num_with_steps": 6}
    )
    assert row.other.model_dump() == {"accuracy": 0.5, "floor": 0.0, "num_right": 24, "num_with_steps": 24}
    assert row.reference.accuracy == results.primary.reference.accuracy


def test_the_report_shows_the_floor_beside_the_accuracy_and_warns(results: Results) -> None:
    table = floor_table(results)
    assert table.rows == [
        ["grpo_final", TASK, "baseline", "24 in 6", "12.50%", "29.17%", "6", "6"],
        ["grpo_final", TASK, "mul_tokens", "24 in 6", "50.00%", "0.00%", "24", "24"],
    ]
    assert len(table.header) == len(table.rows[0])
    (warning,) = (one for one in warnings(results) if one.about == "Near the floor")
    assert warning.text == (
        "Answers exchanged among the questions of a problem reach 29.17% in baseline (accuracy 12.50%) and 0.00% in "
        "mul_tokens (accuracy 50.00%); 6 of 6 and 24 of 24 right answers have equations, all of them right and of the "
        "question."
    )
    page = to_html(results, {})
    assert f'id="{warning.evidence}"' in page
    assert table.title in page
    assert "29.17%" in page


def test_there_is_no_warning_where_the_floor_is_a_small_part(results: Results) -> None:
    (row,) = results.exchanged_answers
    high = row.model_copy(update={"reference": row.other})
    assert not any(
        one.about == "Near the floor" for one in warnings(results.model_copy(update={"exchanged_answers": (high,)}))
    )


def test_a_file_without_floors_is_read(results: Results) -> None:
    values = results.model_dump(mode="json", by_alias=True)
    assert values.pop("exchanged_answers")
    assert Results.model_validate(values).exchanged_answers == ()


def test_an_endpoints_floor_is_of_its_own_items(pair: Pair, tmp_path: Path) -> None:
    assert floors_at(pair.reference, ENDPOINT) == pytest.approx((1 / 3, 1 / 4))
    assert floors_at(pair.other, ENDPOINT) == (0.0, 0.0)
    for change in ({"task": "gsm8k"}, {"metric": "original"}, {"last_checkpoints": 2}):
        assert floors_at(pair.reference, ENDPOINT.model_copy(update=change)) is None
    more = write_side(tmp_path, "baseline", 0, [[*[(GOLDS, ROTATED)] * 6, ((7,), (7,))]])
    assert exchange(more.first_run.evaluations["grpo_final", TASK]) is not None
    assert floors_at(more, ENDPOINT) is None, "one question belongs to no problem"
