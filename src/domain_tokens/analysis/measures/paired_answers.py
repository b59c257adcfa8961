"""Ten answers of the two conditions to the same questions, chosen by rule."""

import hashlib
from typing import Any

from domain_tokens.runs.records import GenerativeItem
from domain_tokens.runs.results import Condition, EvaluatedTask

NUM_ANSWERS = 10


def paired_answers(reference: Condition, other: Condition, model: str, task: str) -> dict[str, Any] | None:
    """Return ten paired answers of the first seed, or `None` if the task has no written answers.

    Items that only one condition answered right come first, the two kinds in equal parts, so that neither side is
    shown at its best; then items whose answers differ, then the rest. Within a kind the order is that of a hash of the
    id.
    """
    seed = next(iter(reference.seeds))
    ours, theirs = (condition.seeds[seed].evaluations.get((model, task)) for condition in (reference, other))
    if ours is None or theirs is None:
        return None
    first, second = (_written(evaluation) for evaluation in (ours, theirs))
    if len(first) < len(ours.items) or len(second) < len(theirs.items):
        return None
    key = next(iter(ours.outcome_keys.values()))
    kinds: dict[str, list[str]] = {"reference_only": [], "other_only": [], "differ": [], "alike": []}
    for id in sorted(first, key=lambda id: hashlib.sha256(id.encode(errors="replace")).hexdigest()):
        left, right = first[id], second[id]
        if left.is_right(key) != right.is_right(key):
            kinds["reference_only" if left.is_right(key) else "other_only"].append(id)
        else:
            kinds["differ" if left.answer != right.answer else "alike"].append(id)
    half = NUM_ANSWERS // 2
    left_only, right_only = kinds["reference_only"], kinds["other_only"]
    balanced = left_only[:half] + right_only[:half]
    chosen = balanced + left_only[half:] + right_only[half:] + kinds["differ"] + kinds["alike"]
    return {
        "model": model,
        "task": task,
        "seed": seed,
        "num_reference_only": len(left_only),
        "num_other_only": len(right_only),
        "items": [
            {
                "id": id,
                "group": first[id].group,
                "question": first[id].question,
                "gold": first[id].gold,
                "reference": _side(first[id], key),
                "other": _side(second[id], key),
            }
            for id in sorted(chosen[:NUM_ANSWERS])
        ],
    }


def _written(evaluation: EvaluatedTask) -> dict[str, GenerativeItem]:
    return {id: item for id, item in evaluation.items.items() if isinstance(item, GenerativeItem)}


def _side(item: GenerativeItem, key: str) -> dict[str, Any]:
    return {"answer": item.answer, "correct": item.is_right(key), "num_facts": item.num_facts}
