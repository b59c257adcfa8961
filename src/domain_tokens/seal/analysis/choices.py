"""Which edits could be read, and which parts the edits have that were kept."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from domain_tokens.seal.analysis.averages import average, less
from domain_tokens.seal.analysis.edits import ByPassage, Edit, Identity, Proposals, by_passage, identity
from domain_tokens.seal.analysis.results import Choice, Validity
from domain_tokens.seal.records import ARMS, PARTS, AdaptRow, PolicyRow

_NO_REASON = "no reason given"


def _of_setting(key: str) -> Callable[[Edit], tuple[str, ...]]:
    def values(edit: Edit) -> tuple[str, ...]:
        value = getattr(edit.first, key)
        return () if value is None else (f"{value:g}" if isinstance(value, int | float) else str(value),)

    return values


_PARTS: Mapping[str, Callable[[Edit], tuple[str, ...]]] = {
    "form": lambda edit: tuple(sorted(set(edit.first.forms))),
    "weights": lambda edit: (edit.weights,),
    "learning rate": _of_setting("learning_rate"),
    "steps": _of_setting("steps"),
    "repeat": _of_setting("repeat"),
}


def validities(runs: Sequence[Sequence[AdaptRow]]) -> list[Validity]:
    """Return how many of the edits could be read, by part, round and arm, over the runs of a condition."""
    edits: dict[tuple[str, int, str], dict[tuple[int, Identity], AdaptRow]] = {}
    for index, rows in enumerate(runs):
        for row in rows:
            own = edits.setdefault((row.part, row.round, row.arm), {})
            own[index, identity(row)] = row
    return [
        Validity(
            part=part,
            round=number,
            arm=arm,
            edits=len(own),
            readable=sum(row.valid for row in own.values()),
            problems=dict(Counter(_kind(row) for row in own.values() if not row.valid).most_common()),
        )
        for (part, number, arm), own in sorted(
            edits.items(), key=lambda one: (PARTS.index(one[0][0]), one[0][1], ARMS.index(one[0][2]))
        )
    ]


def _kind(row: AdaptRow) -> str:
    """Return why an edit came to nothing, without what it said."""
    return (row.problem or _NO_REASON).partition(", got ")[0]


def choices(runs: Sequence[Proposals], policies: Sequence[Sequence[PolicyRow]]) -> tuple[list[Choice], int]:
    """Return how often each part is among the kept edits and among the proposals, and how many kept ones are unknown.

    Both shares are of the passages and rounds of which an edit was kept, so that their difference is paired.

    Args:
        runs: the edits of each run of a condition that could be read.
        policies: of each run, the edits that a policy learned from.
    """
    kept = [_kept(proposals, policy) for proposals, policy in zip(runs, policies, strict=True)]
    unknown = sum(len(policy) for policy in policies) - sum(len(own) for own in kept)
    found = []
    for part, values_of in _PARTS.items():
        values = {value for own in runs for edits in own.values() for edit in edits for value in values_of(edit)}
        for value in sorted(values, key=_in_order):
            shares = [_shares(own, best, value, values_of) for own, best in zip(runs, kept, strict=True)]
            proposed, chosen = ([pair[index] for pair in shares] for index in (0, 1))
            difference = average(less(chosen, proposed))
            first, second = average(proposed), average(chosen)
            if difference is not None and first is not None and second is not None:
                found.append(
                    Choice(part=part, value=value, proposed=first.mean, kept=second.mean, difference=difference)
                )
    return found, unknown


def _kept(proposals: Proposals, policy: Sequence[PolicyRow]) -> dict[tuple[int, str], list[Edit]]:
    found: dict[tuple[int, str], list[Edit]] = {}
    for row in policy:
        key = row.round, row.passage
        same = [edit for edit in proposals.get(key, ()) if edit.first.text.strip() == row.text.strip()]
        if same:
            found.setdefault(key, []).append(same[0])
    return found


def _shares(
    proposals: Proposals,
    kept: Mapping[tuple[int, str], Sequence[Edit]],
    value: str,
    values_of: Callable[[Edit], tuple[str, ...]],
) -> tuple[ByPassage, ByPassage]:
    def share(edits: Sequence[Edit]) -> float:
        return fmean(value in values_of(edit) for edit in edits)

    return (
        by_passage((key[1], share(proposals[key])) for key in kept),
        by_passage((key[1], share(own)) for key, own in kept.items()),
    )


def _in_order(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return 0.0, value
