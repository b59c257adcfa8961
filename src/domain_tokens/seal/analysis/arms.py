"""What each arm did for the test passages, and the trained policy's edits against every control."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import fmean

from domain_tokens.analysis.report.formats import p_words
from domain_tokens.analysis.statistics.paired import ALPHA, gatekeeping
from domain_tokens.seal.analysis.averages import average, less
from domain_tokens.seal.analysis.edits import (
    ByPassage,
    Edit,
    Measure,
    by_passage,
    edits_of,
    scored_drop,
    scored_exact,
    validation_rise,
)
from domain_tokens.seal.analysis.results import ArmResult, Average, Contrast
from domain_tokens.seal.records import ARMS, TEST, TRAINED, AdaptRow

CONTROLS = tuple(arm for arm in ARMS if arm != TRAINED)
BITS, EXACT = MEASURES = ("bits per byte", "exact answers")
_OF: Mapping[str, Measure] = {BITS: scored_drop, EXACT: scored_exact}
NUM_COMPARISONS = len(CONTROLS) * len(MEASURES)
BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"

Runs = Sequence[Sequence[AdaptRow]]
"""The rows of each run of a condition."""


def arm_results(runs: Runs) -> list[ArmResult]:
    """Return the arms of the test, in the order of `ARMS`; an arm without a row is left out."""
    return [found for arm in ARMS if (found := _arm(runs, arm)) is not None]


def _arm(runs: Runs, arm: str) -> ArmResult | None:
    drops, exact = (_gains(runs, arm, measure) for measure in (scored_drop, scored_exact))
    drop, exact_gain = average(drops), average(exact)
    if drop is None or exact_gain is None:
        return None
    edits = [edit for rows in runs for edit in _edits(rows, arm)]
    common = set.intersection(*(set(own) for own in drops))
    starts = [start for rows in runs for start in _before(rows, common)]
    if not starts:
        return None
    bits, share = (fmean(start[index] for start in starts) for index in (0, 1))
    measured = edits and all(row.validation is not None for edit in edits for row in edit.rows)
    readable = [{edit.first.passage for edit in _edits(rows, arm)} for rows in runs]
    return ArmResult(
        arm=arm,
        passages=drop.passages,
        unreadable=sum(len(own.keys() - seen) for own, seen in zip(drops, readable, strict=True)),
        steps=fmean(edit.first.steps or 0 for edit in edits) if edits else None,
        tokens=fmean(edit.first.tokens or 0 for edit in edits) if edits else None,
        bits_before=bits,
        bits_after=bits - drop.mean,
        drop=drop,
        exact_before=share,
        exact_after=share + exact_gain.mean,
        exact_gain=exact_gain,
        forgetting=average(_gains(runs, arm, validation_rise)) if measured else None,
    )


def contrasts(runs: Runs) -> list[Contrast]:
    """Return the trained policy's edits less each control's, in both measures; one that lacks a row is left out.

    P-values are corrected by Holm's method for all `NUM_COMPARISONS`, also those that could not be made.
    """
    found = [
        (control, measure, difference)
        for control in CONTROLS
        for measure in MEASURES
        if (difference := _difference(runs, control, _OF[measure])) is not None
    ]
    corrected, _ = gatekeeping([one.p_value for _, _, one in found], [], NUM_COMPARISONS, 0)
    return [
        _contrast(*one, p_holm=None if one[2].p_value is None else p) for one, p in zip(found, corrected, strict=True)
    ]


def _difference(runs: Runs, control: str, measure: Measure) -> Average | None:
    return average(less(_gains(runs, TRAINED, measure), _gains(runs, control, measure)))


def _contrast(control: str, measure: str, difference: Average, p_holm: float | None) -> Contrast:
    verdict = UNDECIDED
    if p_holm is not None and p_holm < ALPHA:
        verdict = BETTER if difference.mean > 0 else WORSE
    return Contrast(
        control=control,
        measure=measure,
        difference=difference,
        p_holm=p_holm,
        verdict=verdict,
        sentence=_sentence(control, measure, difference, p_holm, verdict),
    )


def _sentence(control: str, measure: str, difference: Average, p_holm: float | None, verdict: str) -> str:
    begin = f"Edits of the trained policy against {control}, {measure}: {verdict}"
    low, high = difference.low, difference.high
    if low is None or high is None:
        where = "on every passage" if difference.passages > 1 else "on one passage alone"
        return f"{begin}; the difference is {shown(measure, difference.mean)} {where}, so nothing tells its error."
    text = f"{shown(measure, difference.mean)} (95% interval {shown(measure, low)} to {shown(measure, high)}"
    text = f"{text}; {p_words(p_holm)} after correction for {NUM_COMPARISONS} comparisons)"
    if verdict != UNDECIDED:
        return f"{begin}; the gain {'differs by' if difference.mean < 0 else 'is larger by'} {text}."
    if low > 0 or high < 0:
        return f"{begin}; the interval of the difference of {text} excludes 0, but not after the correction."
    return f"{begin}; the difference of {text} may be 0."


def shown(measure: str, value: float) -> str:
    """Format a difference: bits per byte with four decimals, exact answers in points."""
    return f"{value:+.4f}" if measure == BITS else f"{100 * value:+.2f} points"


def unequal_steps(runs: Runs) -> list[str]:
    """Return the arms that had other numbers of inner steps than `trained` for a test passage."""
    trained = _steps(runs, TRAINED)
    return [
        arm
        for arm in CONTROLS
        if any(value != 0 for own in less(_steps(runs, arm), trained) for value in own.values())
    ]


def _steps(runs: Runs, arm: str) -> list[ByPassage]:
    return [by_passage((edit.first.passage, edit.first.steps or 0) for edit in _edits(rows, arm)) for rows in runs]


def _edits(rows: Sequence[AdaptRow], arm: str) -> Iterator[Edit]:
    return (edit for edit in edits_of(rows, TEST) if edit.first.arm == arm)


def _gains(runs: Runs, arm: str, measure: Measure) -> list[ByPassage]:
    """Return of each run what an arm's edits gained, by passage; one that cannot be read leaves the model as it is."""
    found = []
    for rows in runs:
        values = [(edit.first.passage, edit.mean(measure)) for edit in _edits(rows, arm)]
        unread = [row for row in rows if row.part == TEST and row.arm == arm and not row.valid and not row.forms]
        values += [(row.passage, 0.0) for row in unread]
        found.append(by_passage(values))
    return found


def _before(rows: Sequence[AdaptRow], passages: Collection[str]) -> list[tuple[float, float]]:
    """Return what the model gives to passages before any edit: bits per byte and exact answers of each."""
    starts: dict[str, tuple[float, float]] = {}
    for row in rows:
        if row.part == TEST and row.passage in passages and row.scored_by is not None:
            before = row.scored_by.before
            starts[row.passage] = (before.bits_per_byte, before.exact or 0)
    return list(starts.values())
