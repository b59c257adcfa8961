"""Ten answers of the two conditions to the same questions, chosen by rule."""

import hashlib
from typing import Any

from domain_tokens.runs.results import Condition

NUM_ANSWERS = 10


def paired_answers(reference: Condition, other: Condition, model: str, task: str) -> dict[str, Any] | None:
    """Return ten paired answers of the first seed, or `None` if the task has no written answers.

    Items that only one condition answered right come first, the two kinds in equal parts, so that neither side is
    shown at its best; then items whose answers differ, then the rest. Within a kind the order is that of a hash of the
    id.
    """
    seed = next(iter(reference.seeds))
    ours, theirs = (condition.seeds[seed].evaluations.get((model, task)) for condition in (reference, other))
    if ours is None or theirs is None or any("answer" not in item for item in ours.items.values()):
        return None
    key = next(iter(ours.metrics.values()))
    kinds: dict[str, list[str]] = {"reference_only": [], "other_only": [], "differ": [], "alike": []}
    for id in sorted(ours.items, key=lambda id: hashlib.sha256(id.encode(errors="replace")).hexdigest()):
        left, right = ours.items[id], theirs.items[id]
        if left[key] != right[key]:
            kinds["reference_only" if left[key] else "other_only"].append(id)
        else:
            kinds["differ" if left["answer"] != right.get("answer") else "alike"].append(id)
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
                "group": ours.items[id].get("group"),
                "question": ours.items[id].get("question"),
                "gold": ours.items[id].get("gold"),
                "reference": _side(ours.items[id], key),
                "other": _side(theirs.items[id], key),
            }
            for id in sorted(chosen[:NUM_ANSWERS])
        ],
    }


def _side(item: dict[str, Any], key: str) -> dict[str, Any]:
    return {"answer": item.get("answer"), "correct": bool(item[key]), "num_facts": item.get("num_facts")}
