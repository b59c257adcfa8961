"""The sentences of a comparison of logs.

One run a side says something about two checkpoints and other questions, and nothing about what made them; the sentence
says so.
"""

from collections.abc import Sequence
from typing import Final

from domain_tokens.analysis.report.formats import Scale, p_words, printable
from domain_tokens.analysis.statistics.paired import ALPHA, POWER
from domain_tokens.logs.records import DIFFER, EQUIVALENT, UNDECIDED, TaskDifference

CHECKPOINTS: Final = "these two checkpoints"
_SEEDS: Final = (
    "The test is over runs and questions together; logs hold no training seed, so which runs form a pair is what the "
    "names of the seeds say."
)

_TWO_METHODS: Final = (
    "The interval and the test are two methods, and disagree here on whether no difference is possible; the outcome "
    "follows the test."
)


def _covers(num_runs: int, checkpoints: str = CHECKPOINTS) -> str:
    """Return what a test speaks of."""
    if num_runs > 1:
        return _SEEDS
    return (
        f"With one run a side the test is over questions alone: it speaks of {checkpoints} and of other questions of "
        "this kind, not of what another training run would give."
    )


def sentence(found: TaskDifference, reference: str, num_tests: int) -> str:
    """Return what was found in one task, with what it does not cover.

    Args:
        found (`TaskDifference`): all of it but the sentence.
        reference (`str`): the condition that is subtracted.
        num_tests (`int`): for how many tests `p_holm` is corrected.
    """
    one_run = len(found.by_seed) == 1
    between = f"{CHECKPOINTS}, {reference} and {found.condition}," if one_run else f"{reference} and {found.condition}"
    pairs = "" if one_run else f" over {len(found.by_seed)} pairs of runs"
    opening = {
        DIFFER: f"{between} differ{pairs}: ",
        EQUIVALENT: f"{between} differ by less than the margin{pairs}: ",
    }.get(found.outcome, f"Undecided between {between.rstrip(',')}{pairs}: ")
    opening = opening[0].upper() + opening[1:]
    parts = [opening + _numbers(found, reference, num_tests)]
    if found.outcome == EQUIVALENT and found.equivalence is not None:
        scale = Scale(found.unit)
        parts.append(
            f"It lies within {scale.size(found.equivalence.margin)} {scale.word} of 0 "
            f"({p_words(found.equivalence.p_value)} by two one-sided tests), the margin that was given."
        )
    if _disagree(found):
        parts.append(_TWO_METHODS)
    if found.outcome != DIFFER:
        parts.append(_detectable(found))
    return printable(" ".join([*parts, _covers(len(found.by_seed))]))


def _disagree(found: TaskDifference) -> bool:
    """Return whether the interval and the test say something else of a difference of 0."""
    if found.interval is None or found.p_value is None:
        return False
    low, high = found.interval
    return (found.p_value < ALPHA) != (low > 0 or high < 0)


def _numbers(found: TaskDifference, reference: str, num_tests: int) -> str:
    scale = Scale(found.unit)
    count = f"{found.num_items:,} questions"
    if found.num_clusters < found.num_items:
        count += f", {found.num_clusters:,} of them different"
    better = "lower is better; " if found.lower_is_better else ""
    holm = f"; {p_words(found.p_holm)} after Holm's correction for {num_tests} tests" if num_tests > 1 else ""
    return (
        f"{found.metric} of {found.task} ({count}) is {scale.value(found.reference.accuracy)} for {reference} and "
        f"{scale.value(found.other.accuracy)} for {found.condition}, a difference of {scale.difference(found.delta)} "
        f"{scale.word} ({better}95% interval {scale.interval(found.interval)}, {found.test}, "
        f"{p_words(found.p_value)}{holm})."
    )


def _detectable(found: TaskDifference) -> str:
    scale = Scale(found.unit)
    sought = f"The smallest true difference that would be found with {POWER:.0%} power"
    if found.smallest_detectable is None:
        return f"{sought} cannot be estimated: the scores hardly differ, or not at all, or of too few questions."
    if found.unit is None and found.smallest_detectable > 1:
        return f"Not even a true difference of 100 points would be found with {POWER:.0%} power."
    ends = ""
    if found.detectable_range is not None:
        ends = f" ({scale.range(found.detectable_range)}, as the variance between runs allows)"
    return f"{sought} is {scale.size(found.smallest_detectable)} {scale.word}{ends}."


def headline(differences: Sequence[TaskDifference], reference: str) -> str:
    """Return the sentence of the only comparison, or of several how many of them decide something."""
    if len(differences) == 1:
        return differences[0].sentence
    outcomes = [one.outcome for one in differences]
    conditions = list(dict.fromkeys(one.condition for one in differences))
    tasks = list(dict.fromkeys(one.task for one in differences))
    against = conditions[0] if len(conditions) == 1 else f"each of {len(conditions)} conditions"
    text = (
        f"{len(differences)} comparisons with {reference} ({against}, {len(tasks)} "
        f"{'task' if len(tasks) == 1 else 'tasks'}), after Holm's correction: {outcomes.count(DIFFER)} with a "
        f"difference, {outcomes.count(EQUIVALENT)} within the margin, {outcomes.count(UNDECIDED)} undecided."
    )
    checkpoints = CHECKPOINTS if len(conditions) == 1 else "these checkpoints"
    return printable(f"{text} {_covers(len(differences[0].by_seed), checkpoints)}")
