"""What answers reach that belong to another question of the same problem: the floor of an accuracy.

Questions of one problem differ in their numbers alone. A model that remembers the problem and ignores the numbers
writes some of its right numbers, each below the wrong question, and by chance below the right one. So each question is
given the run's own answers to the other questions of its problem, one after the other, and the mean over all these
exchanges is the floor. It is computed exactly, without sampling.

A question is not given its own answer, nor the answer to a question with the same right number: such an answer is
right because it was right where it stood, so a model that computes would raise its own floor, to 50% with two
questions a problem. A model whose answers depend on the problem alone has the same expected accuracy and floor with
and without these exchanges. A model that computes everything has a floor of 0.

The floor is no upper bound of what can be reached without computing: it does not cover a number copied from the
question, or one remembered from the most similar question. Therefore the right answers are counted too whose every
equation is right and of the question.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean

from domain_tokens.analysis.measures.outcomes import MIN_TEMPLATES
from domain_tokens.analysis.results_model import Endpoint, ExchangedRow, ExchangedSide
from domain_tokens.runs.records import GenerativeItem
from domain_tokens.runs.results import ALL_ITEMS, Condition, EvaluatedTask, Pair


@dataclass(frozen=True)
class _Answered:
    """A question's right number, the number that it was given, and the rest."""

    gold: Fraction
    number: Fraction | None
    item: GenerativeItem

    @property
    def with_its_steps(self) -> bool | None:
        """Whether the answer is right and so is every equation in it, of the question's numbers.

        An answer without an equation is not; `None` if the file does not say where operands come from.
        """
        equations = self.item.equations
        if equations is None or any(equation.of_item is None for equation in equations):
            return None
        return self.item.correct and bool(equations) and all(one.right and one.of_item for one in equations)


@dataclass(frozen=True)
class Exchanged:
    """One run's answers to the questions that can be exchanged.

    Attributes:
        num_items, num_problems: how many questions there are, and of how many problems.
        num_right, num_with_steps: how many answers are right, and how many of those with every equation right and of
            the question; `None` if the file does not say it.
        floor: the accuracy with exchanged answers.
    """

    num_items: int
    num_problems: int
    num_right: int
    num_with_steps: int | None
    floor: float


def exchange(evaluation: EvaluatedTask, group: str = ALL_ITEMS) -> Exchanged | None:
    """Return what a run's answers reach when they are exchanged within their problems.

    A problem is a template of which there are at least two right numbers. `None` if there are fewer than
    `MIN_TEMPLATES` templates, which are then kinds of questions rather than problems; if there are no problems, or no
    written answers; or if comparing the recorded numbers does not give the recorded outcomes.

    Args:
        evaluation (`EvaluatedTask`): the answers.
        group (`str`, *optional*): a group of items.
    """
    answered = _read(evaluation, group)
    if answered is None or len(set(evaluation.templates(group))) < MIN_TEMPLATES:
        return None
    by_template: dict[str | None, list[_Answered]] = defaultdict(list)
    for one in answered:
        by_template[one.item.template].append(one)
    by_template.pop(None, None)  # each of these is its own
    problems = [found for found in by_template.values() if len({one.gold for one in found}) > 1]
    if not problems:
        return None
    kept = [one for found in problems for one in found]
    steps = [one.with_its_steps for one in kept]
    return Exchanged(
        num_items=len(kept),
        num_problems=len(problems),
        num_right=sum(one.item.correct for one in kept),
        num_with_steps=None if None in steps else sum(map(bool, steps)),
        floor=sum(map(_expected, problems)) / len(kept),
    )


def _read(evaluation: EvaluatedTask, group: str) -> list[_Answered] | None:
    """Return the numbers of each item; `None` if the outcomes are not those of comparing them."""
    if evaluation.outcome_keys[evaluation.main_metric] != "correct":
        return None
    found = []
    for item in evaluation.items.values():
        if group not in (ALL_ITEMS, item.group):
            continue
        if not isinstance(item, GenerativeItem) or (gold := _number(item.gold)) is None:
            return None
        number = _number(item.number)
        if (number == gold) != item.correct:
            return None
        found.append(_Answered(gold, number, item))
    return found


def _number(text: str | None) -> Fraction | None:
    """Return a recorded number, such as `1,234` or `2469/2`; `None` if there is none, or it is not digits alone."""
    try:
        return None if text is None else Fraction(text.replace(",", ""))
    except (ValueError, ZeroDivisionError):
        return None


def _expected(problem: Sequence[_Answered]) -> float:
    """Return how many questions of a problem are expected to be right with exchanged answers.

    Each question is given the answers to all questions of the problem with another right number, equally often.
    """
    total = 0.0
    for gold in {one.gold for one in problem}:
        others = [one.number for one in problem if one.gold != gold]
        total += (len(problem) - len(others)) * others.count(gold) / len(others)
    return total


def exchanged_rows(pair: Pair) -> tuple[ExchangedRow, ...]:
    """Return the floor of every model and task whose questions form problems, and what the answers are right by."""
    rows = []
    for key in pair.first_run.plain():
        sides = [[exchange(run.evaluations[key]) for run in side.seeds.values()] for side in pair.sides]
        known = [[one for one in runs if one is not None] for runs in sides]
        if known != sides:
            continue
        first = known[0][0]
        row = ExchangedRow(
            model=key[0],
            task=key[1],
            num_items=first.num_items,
            num_problems=first.num_problems,
            reference=_side(known[0]),
            other=_side(known[1]),
        )
        rows.append(row)
    return tuple(rows)


def _side(runs: Sequence[Exchanged]) -> ExchangedSide:
    steps = [run.num_with_steps for run in runs if run.num_with_steps is not None]
    return ExchangedSide(
        accuracy=fmean(run.num_right / run.num_items for run in runs),
        floor=fmean(run.floor for run in runs),
        num_right=sum(run.num_right for run in runs),
        num_with_steps=sum(steps) if len(steps) == len(runs) else None,
    )


def floors_at(condition: Condition, endpoint: Endpoint) -> tuple[float, ...] | None:
    """Return the floor of each seed's accuracy at an endpoint.

    Returns:
        By seed, as fractions of 1; `None` if the endpoint is not the task's main metric of the final model, or if some
        of its items belong to no problem, so that the floor is of other items than the accuracy.
    """
    floors = []
    for run in condition.seeds.values():
        evaluation = run.evaluations.get((endpoint.model, endpoint.task))
        if evaluation is None or endpoint.last_checkpoints > 1 or endpoint.metric != evaluation.main_metric:
            return None
        found = exchange(evaluation, endpoint.group)
        if found is None or found.num_items < len(evaluation.templates(endpoint.group)):
            return None
        floors.append(found.floor)
    return tuple(floors)
