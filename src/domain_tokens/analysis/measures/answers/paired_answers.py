"""Ten answers of the two conditions to the same questions, selected by rule."""

import hashlib
import re

from domain_tokens.analysis.results_model import AnswerSide, PairedAnswer, PairedAnswers
from domain_tokens.runs.records import GenerativeItem
from domain_tokens.runs.results import ALL_ITEMS, EvaluatedTask, Pair

NUM_ANSWERS = 10


def paired_answers(pair: Pair, model: str, task: str, group: str = ALL_ITEMS) -> PairedAnswers | None:
    """Return ten paired answers of the first seed to items of a group, or `None` if the task has no written answers.

    Items that only one condition answered correctly come first, in equal numbers for both conditions, so that neither
    is shown at its best; then items whose answers differ; then the rest. Within each kind, a hash of the id decides.
    """
    seed = pair.seeds[0]
    ours, theirs = (side.seeds[seed].evaluations.get((model, task)) for side in pair.sides)
    if ours is None or theirs is None:
        return None
    first, second = _written(ours), _written(theirs)
    if len(first) < len(ours.items) or len(second) < len(theirs.items):
        return None
    asked = {id for id, item in first.items() if group in (ALL_ITEMS, item.group)}
    key = ours.outcome_keys[ours.main_metric]
    kinds: dict[str, list[str]] = {"reference_only": [], "other_only": [], "differ": [], "alike": []}
    for id in sorted(asked, key=lambda id: hashlib.sha256(id.encode(errors="replace")).hexdigest()):
        left, right = first[id], second[id]
        if left.is_right(key) != right.is_right(key):
            kinds["reference_only" if left.is_right(key) else "other_only"].append(id)
        else:
            kinds["differ" if left.answer != right.answer else "alike"].append(id)
    half = NUM_ANSWERS // 2
    left_only, right_only = kinds["reference_only"], kinds["other_only"]
    balanced = left_only[:half] + right_only[:half]
    chosen = balanced + left_only[half:] + right_only[half:] + kinds["differ"] + kinds["alike"]
    return PairedAnswers(
        model=model,
        task=task,
        seed=seed,
        num_reference_only=len(left_only),
        num_other_only=len(right_only),
        items=tuple(_pair(first[id], second[id], key) for id in sorted(chosen[:NUM_ANSWERS])),
    )


def _written(evaluation: EvaluatedTask) -> dict[str, GenerativeItem]:
    return {id: item for id, item in evaluation.items.items() if isinstance(item, GenerativeItem)}


def _pair(ours: GenerativeItem, theirs: GenerativeItem, key: str) -> PairedAnswer:
    return PairedAnswer(
        id=ours.id,
        group=ours.group,
        question=ours.question,
        gold=ours.gold,
        reference=_side(ours, key),
        other=_side(theirs, key),
    )


def _side(item: GenerativeItem, key: str) -> AnswerSide:
    right = item.is_right(key)
    return AnswerSide(
        answer=item.answer,
        correct=right,
        num_facts=item.num_facts,
        mistake=None if right else item.error_type,
        fault=None if right else _fault(item),
    )


def _fault(item: GenerativeItem) -> tuple[int, int] | None:
    """Return where a wrong answer has its mistake, by the classification of errors; `None` if it gives no number."""
    for equation in item.equations or ():
        if equation.origin == "computed" and (equation.of_item is False or not equation.right):
            return equation.start, equation.end
    number = re.search(r"####[^\d]*([\d.,]*\d)", item.answer)
    return None if number is None else number.span(1)
