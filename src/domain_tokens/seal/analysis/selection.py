"""What choosing the best edit of a passage gains, where it was chosen and where it was not, and round by round."""

from collections.abc import Iterator, Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from domain_tokens.seal.analysis.averages import average, bounded, less
from domain_tokens.seal.analysis.edits import (
    ByPassage,
    Edit,
    Measure,
    Proposals,
    by_passage,
    chosen_drop,
    reward,
    scored_drop,
)
from domain_tokens.seal.analysis.results import Bounded, RoundChange, RoundMean, Selection


def selections(runs: Sequence[Proposals]) -> list[Selection]:
    """Return the gain of the best edit of each passage over the mean of the passage's: of all rounds, then of each.

    Args:
        runs (`Sequence[Proposals]`): the edits of each run of a condition; passages with one edit are left out.
    """
    rounds = _rounds(runs)
    wanted = (None, *rounds) if len(rounds) > 1 else rounds
    return [found for one in wanted if (found := _selection(runs, one)) is not None]


def _selection(runs: Sequence[Proposals], wanted: int | None) -> Selection | None:
    groups = [
        [
            (passage, edits)
            for (number, passage), edits in proposals.items()
            if len(edits) > 1 and wanted in (None, number)
        ]
        for proposals in runs
    ]
    gains = [
        [by_passage((passage, gain_of_best(edits, measure)) for passage, edits in own) for own in groups]
        for measure in (reward, chosen_drop, scored_drop)
    ]
    in_reward, in_chosen, in_scored = (average(one) for one in gains)
    if in_reward is None or in_chosen is None or in_scored is None:
        return None
    repeated = [
        by_passage((passage, gain) for passage, edits in own if (gain := repeated_gain(edits)) is not None)
        for own in groups
    ]
    return Selection(
        round=wanted,
        passages=in_reward.passages,
        edits=fmean(len(edits) for own in groups for _, edits in own),
        reward=in_reward,
        chosen=in_chosen,
        scored=in_scored,
        repeated=average(repeated),
        left=_share(gains[2], gains[1]),
        left_repeated=_share(repeated, gains[1]),
    )


def gain_of_best(edits: Sequence[Edit], measure: Measure) -> float:
    """Return a measure of the edit with the highest mean reward, the first of equals, less the mean of all edits."""
    best = max(edits, key=lambda edit: edit.mean(reward))
    return best.mean(measure) - fmean(edit.mean(measure) for edit in edits)


def repeated_gain(edits: Sequence[Edit]) -> float | None:
    """Return the gain of the best edit in the scoring half, with inner seeds by which it was not chosen.

    Each inner seed in turn is left out: the edit with the highest mean reward of the others is scored with it. Only
    seeds that all edits have count; `None` if there are fewer than two.
    """
    by_seed = [{row.inner_seed: row for row in edit.rows} for edit in edits]
    seeds = sorted(set.intersection(*(set(rows) for rows in by_seed)))
    if len(seeds) < 2:
        return None
    rewards, drops = (
        np.array([[measure(rows[seed]) for seed in seeds] for rows in by_seed]) for measure in (reward, scored_drop)
    )
    others: NDArray[np.float64] = rewards.sum(axis=1, keepdims=True) - rewards
    best = others.argmax(axis=0)
    return float((drops[best, np.arange(len(seeds))] - drops.mean(axis=0)).mean())


def _share(part: Sequence[ByPassage], whole: Sequence[ByPassage]) -> Bounded:
    pairs: dict[str, list[tuple[float, float]]] = {}
    for own, all_of in zip(part, whole, strict=True):
        for name in own.keys() & all_of.keys():
            pairs.setdefault(name, []).append((own[name], all_of[name]))
    if not pairs:
        return Bounded(value=None, low=None, high=None)
    columns = np.array([np.mean(pairs[name], axis=0) for name in sorted(pairs)])
    return bounded(lambda sums: sums[..., 0] / sums[..., 1], columns)


def round_means(runs: Sequence[Proposals]) -> list[RoundMean]:
    """Return the mean reward of the edits of each round, and their mean drop in the scoring half."""
    found = []
    for number in _rounds(runs):
        in_reward, in_scored = (average(_means(runs, number, measure)) for measure in (reward, scored_drop))
        if in_reward is not None and in_scored is not None:
            arms = {edit.first.arm for own in runs for key in own if key[0] == number for edit in own[key]}
            found.append(RoundMean(round=number, arm=" and ".join(sorted(arms)), reward=in_reward, scored=in_scored))
    return found


def round_changes(runs: Sequence[Proposals]) -> list[RoundChange]:
    """Return every round less the one before it, and the last less the first, on the same passages."""
    return [
        RoundChange(earlier=earlier, later=later, reward=in_reward, scored=in_scored)
        for earlier, later in _pairs(_rounds(runs))
        for in_reward, in_scored in [
            tuple(
                average(less(_means(runs, later, measure), _means(runs, earlier, measure)))
                for measure in (reward, scored_drop)
            )
        ]
        if in_reward is not None and in_scored is not None
    ]


def _pairs(rounds: Sequence[int]) -> Iterator[tuple[int, int]]:
    yield from zip(rounds[:-1], rounds[1:], strict=True)
    if len(rounds) > 2:
        yield rounds[0], rounds[-1]


def _rounds(runs: Sequence[Proposals]) -> list[int]:
    return sorted({number for proposals in runs for number, _ in proposals})


def _means(runs: Sequence[Proposals], number: int, measure: Measure) -> list[ByPassage]:
    return [
        by_passage(
            (passage, edit.mean(measure)) for (of, passage), edits in own.items() if of == number for edit in edits
        )
        for own in runs
    ]
