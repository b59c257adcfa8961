"""Does a model give one number to a question however it is spelled?

A tokenizer that rewrites `6*9`, `9*6` and `6 × 9` to one token makes them one prompt, to which greedy decoding gives
one answer: the comparison would be of a prompt with itself. So only spellings that are different prompts in both
conditions are compared; of those that are one prompt in either condition, the first stands for all.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domain_tokens.analysis.measures.outcomes import difference
from domain_tokens.analysis.results_model import SpellingRow
from domain_tokens.runs.records import GenerativeItem
from domain_tokens.runs.results import EvaluatedTask, Pair

COMMUTED = (("a*b", "b*a"), ("a times b", "b times a"))
"""Groups of the task `notations` that differ in the order of the operands alone."""

Spelled = dict[str, dict[str, GenerativeItem]]
"""The items of each problem by their spelling."""


@dataclass(frozen=True)
class _Asked:
    """What is compared: for each problem the spellings that are different prompts in both conditions."""

    spellings: dict[str, list[str]]

    def kept(self) -> tuple[str, ...]:
        """Return the spellings that are compared in some problem."""
        return tuple(dict.fromkeys(spelling for found in self.spellings.values() for spelling in found))


def spelling_rows(pair: Pair) -> tuple[SpellingRow, ...]:
    """Return the consistency and commutativity of every task that asks the same in several spellings.

    Nothing is returned of results that do not record prompts, as before 0.4.0.
    """
    rows = []
    for model, task in pair.first_run.plain():
        spelled = [_by_problem(side.first_run.evaluations[model, task]) for side in pair.sides]
        if not spelled[0] or any(item.encoding is None for found in spelled for item in _items(found)):
            continue
        groups = list(dict.fromkeys(spelling for found in spelled[0].values() for spelling in found))
        rows.append(_row(pair, model, task, "consistency", groups, spelled))
        commuted = [names for names in COMMUTED if set(names) <= set(groups)]
        rows += [_row(pair, model, task, "commutativity", names, spelled) for names in commuted]
    return tuple(rows)


def _row(
    pair: Pair, model: str, task: str, measure: str, groups: Sequence[str], spelled: list[Spelled]
) -> SpellingRow:
    asked = _different(groups, spelled)
    labels = {"model": model, "task": task, "measure": measure, "num_problems": len(asked.spellings)}
    if not asked.spellings:
        empty = dict.fromkeys(("reference", "other", "delta", "interval", "p_value"))
        return SpellingRow.model_validate(labels | empty | {"spellings": tuple(groups)})
    first, second = (
        np.array([_agree(run.evaluations[model, task], asked) for run in side.seeds.values()]) for side in pair.sides
    )
    found = {"reference": float(first.mean()), "other": float(second.mean()), **vars(difference(first, second))}
    return SpellingRow.model_validate(labels | found | {"spellings": asked.kept()})


def _different(groups: Sequence[str], spelled: list[Spelled]) -> _Asked:
    """Return the spellings of each problem that are different prompts in both conditions, where there are several."""
    kept: dict[str, list[str]] = {}
    for problem in spelled[0]:
        seen: list[set[str | None]] = [set() for _ in spelled]
        for spelling in groups:
            keys = [found[problem][spelling].encoding for found in spelled if spelling in found[problem]]
            if keys and not any(key in before for key, before in zip(keys, seen, strict=True)):
                kept.setdefault(problem, []).append(spelling)
                for key, before in zip(keys, seen, strict=True):
                    before.add(key)
    return _Asked({problem: found for problem, found in kept.items() if len(found) > 1})


def _agree(evaluation: EvaluatedTask, asked: _Asked) -> list[bool]:
    """Return for each problem whether all of its spellings were given one and the same number."""
    spelled = _by_problem(evaluation)
    numbers = [{spelled[problem][one].number for one in found} for problem, found in asked.spellings.items()]
    return [len(found) == 1 and None not in found for found in numbers]


def _by_problem(evaluation: EvaluatedTask) -> Spelled:
    found: Spelled = defaultdict(dict)
    for item in evaluation.items.values():
        if isinstance(item, GenerativeItem) and item.problem is not None and item.group is not None:
            found[item.problem][item.group] = item
    return dict(found)


def _items(spelled: Spelled) -> list[GenerativeItem]:
    return [item for found in spelled.values() for item in found.values()]
