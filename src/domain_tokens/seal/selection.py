"""Which edit of a passage is the best of those tried, and what most of the best have in common."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from domain_tokens.seal.edits import Edit, EditLanguage
from domain_tokens.seal.records import AdaptRow, PolicyRow


def best_edits(rows: Iterable[AdaptRow]) -> list[PolicyRow]:
    """Return for each passage of one round the edit with the largest mean reward over inner seeds.

    Edits that could not be read, or diverged with some seed, are left out, and so is a passage without another one.
    Of equals, the first is taken.

    Args:
        rows (`Iterable[AdaptRow]`): of part `round`, of one round.
    """
    rewards: dict[str, dict[int, list[float]]] = {}
    texts: dict[tuple[str, int], str] = {}
    rounds = set()
    for row in rows:
        rounds.add(row.round)
        texts[row.passage, row.edit] = row.text
        tried = rewards.setdefault(row.passage, {})
        if row.forms:
            tried.setdefault(row.edit, []).append(-math.inf if row.reward is None else float(row.reward))
    assert len(rounds) == 1, f"expected rows of one round, got {sorted(rounds)}"
    (number,) = rounds
    found = []
    for passage, tried in rewards.items():
        means = {edit: float(np.mean(values)) for edit, values in sorted(tried.items()) if min(values) > -math.inf}
        if means:
            best = max(means, key=lambda edit: means[edit])
            found.append(
                PolicyRow(
                    round=number, passage=passage, text=texts[passage, best], reward=round(means[best], 9),
                    tried=len(means),
                )
            )  # fmt: skip
    return found


def commonest_edit(kept: Sequence[PolicyRow], language: EditLanguage) -> Edit:
    """Return the edit whose every part is the commonest among those kept; of equals, the language's first."""
    edits = [language.parse(row.text) for row in kept]
    parts = {}
    for name, values in language.parts.items():
        counts = Counter(getattr(edit, name) for edit in edits)
        parts[name] = max(values, key=lambda value: counts[value])
    return Edit(**parts)  # type: ignore[arg-type]
