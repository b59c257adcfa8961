"""What two conditions fitted together show: the multiplier with its interval, by scale, and the verdict in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from domain_tokens.analysis.report.formats import listed, p_words
from domain_tokens.analysis.results_model import BETTER, UNDECIDED, WORSE
from domain_tokens.analysis.scaling.designs import comparable
from domain_tokens.analysis.scaling.fitting import Fitted, Quantity
from domain_tokens.analysis.scaling.forms import Axis
from domain_tokens.analysis.scaling.pairs import (
    DIFFERENCE,
    LARGEST_LOG,
    MEAN,
    OWN,
    OWN_EXPONENTS,
    SHARED,
    Joint,
    Matched,
    fit_pair,
    is_shared,
    match,
    measured_range,
)
from domain_tokens.analysis.scaling.points import PRIMARY_LOSS, Point, Points
from domain_tokens.analysis.scaling.records import (
    Estimate,
    Level,
    MeasuredMultiplier,
    Multiplier,
    MultiplierAt,
    MultiplierOutcome,
    PairFit,
    Prediction,
)
from domain_tokens.analysis.scaling.single import FIELD_DELTA, grid, predicted, prediction

_THINGS: Final[dict[str, str]] = {"N": "parameters", "D": "tokens", "C": "compute", "T": "context"}
_LEVELS: Final = {
    SHARED: "one floor and one set of exponents, amplitudes of each condition's own: one multiplier at every scale",
    OWN_EXPONENTS: "one floor, amplitudes and exponents of each condition's own",
    OWN: "nothing shared: the multiplier depends on the scale",
}
_SAME_TEXT: Final = 0.001  # share by which bytes of text per token may differ and count as equal


@dataclass(frozen=True)
class Compared:
    """A pair with its record, for figures.

    Attributes:
        joint: the fits.
        record: what `fits.json` has.
    """

    joint: Joint
    record: PairFit


def compare(
    points: Points, reference: str, other: str, axes: Sequence[Axis], delta: float | None
) -> tuple[Compared, list[Prediction]]:
    """Fit two conditions together, and predict the ratio of their losses at held-out sizes.

    Args:
        reference, other (`str`): conditions of the table.
        delta: as in `fitting.fit`.
    """
    loss = points.losses[0]
    sides = points.of(reference), points.of(other)
    held_out = _held_out(points, (reference, other), axes)
    whole = (*sides[0], *held_out[0]), (*sides[1], *held_out[1])
    matched = match(*sides)
    joint = fit_pair(matched, loss, axes, delta)
    by_scale = multiplier_by_scale(joint)
    main = multiplier(joint, "the main fit")
    variants = _variants(points, sides, whole, axes, delta, joint.form.with_floor)
    # Without a floor the exponents take up what the floor bends, so a trend over scales would be the form's own.
    outcome = decide(main.estimate, is_shared(joint) if joint.form.with_floor else None, by_scale)
    difference = joint.fits[SHARED]
    has_intervals = difference.has_intervals(joint.group)
    record = PairFit(
        reference=reference,
        other=other,
        loss=loss,
        axes=tuple(axes),
        scale=joint.scale,
        formula=joint.form.words,
        floor=joint.floor.reason,
        paired=matched.paired,
        num_pairs=difference.problem.num_runs[joint.group] if matched.paired else 0,
        unpaired=matched.unpaired,
        degrees_of_freedom=difference.problem.degrees[joint.group],
        residual_sd_mean=difference.noise.scales[MEAN] if has_intervals else None,
        residual_sd_difference=difference.noise.scales[DIFFERENCE] if has_intervals and matched.paired else None,
        levels=tuple(_level(joint, name) for name in joint.fits),
        multiplier=main,
        shared=is_shared(joint),
        by_scale=by_scale,
        measured=_measured(joint, match(*whole)),
        outcome=outcome,
        sentence=sentence(joint, (reference, other), main, by_scale, outcome) + limits(joint, outcome, variants),
        notes=tuple(_notes(points, joint, (reference, other), outcome, variants)),
        variants=variants,
    )
    return Compared(joint, record), _predictions(joint, (reference, other), held_out)


def _held_out(points: Points, names: Sequence[str], axes: Sequence[Axis]) -> tuple[tuple[Point, ...], ...]:
    """Return the held-out points of each condition that a form of some axes may predict."""
    return tuple(comparable(points.of(name), points.of(name, True), axes)[0] for name in names)


def _level(joint: Joint, name: str) -> Level:
    fitted, sides, names = joint.fits[name], joint.sides[name], joint.form.names
    values = {}
    for index, parameter in enumerate(names):
        first, second = int(sides.reference[index]), int(sides.other[index])
        if first == second:
            values[parameter] = float(fitted.parameters[first])
        else:
            values[f"{parameter}, reference"] = float(fitted.parameters[first])
            values[f"{parameter}, other"] = float(fitted.parameters[second])
    return Level(name=name, words=_LEVELS[name], parameters=values, p_value=joint.p_values[name])


def multiplier(joint: Joint, words: str) -> Multiplier:
    """Return the multiplier of the level that shares floor and exponents, with its interval and its test."""
    fitted, quantity = joint.fits[SHARED], joint.log_multiplier
    estimate = _estimate(fitted, quantity, joint.group)
    p = fitted.test(quantity, 0.0, joint.group)[0] if fitted.has_intervals(joint.group) else None
    return Multiplier(words=words, loss=joint.loss, estimate=estimate, p_value=p)


def _estimate(fitted: Fitted, quantity: Quantity, group: int) -> Estimate:
    value = min(max(quantity(fitted.parameters)[0], -LARGEST_LOG), LARGEST_LOG)
    low, high = fitted.interval(quantity, group, (-LARGEST_LOG, LARGEST_LOG))
    ends = [None if end is None or abs(end) >= LARGEST_LOG else math.exp(end) for end in (low, high)]
    return Estimate(value=math.exp(value), low=ends[0], high=ends[1])


def multiplier_by_scale(joint: Joint) -> tuple[MultiplierAt, ...]:
    """Return the multiplier at each scale where nothing is shared, over the measured range and a decade beyond."""
    low, high = measured_range(joint)
    fitted, found = joint.fits[OWN], []
    for scale in grid(low, high):
        quantity = joint.log_multiplier_at(OWN, scale)
        reached = abs(quantity(fitted.parameters)[0]) < LARGEST_LOG
        own = _estimate(fitted, quantity, joint.group) if reached else None
        found.append(MultiplierAt(scale=scale, extrapolated=not low <= scale <= high, own=own))
    return tuple(found)


def _measured(joint: Joint, matched: Matched) -> tuple[MeasuredMultiplier, ...]:
    """Return the multiplier of each pair of runs: how far along the reference's curve its difference reaches."""
    form = joint.form
    if len(form.axes) > 1 or not matched.paired:
        return ()
    parameters = joint.parameters(SHARED)[0]
    floor, exponent = float(parameters[0]) if form.with_floor else 0.0, float(parameters[form.amplitude(0) + 1])
    found = []
    for first, second in zip(matched.reference, matched.other, strict=True):
        scale = first.values[joint.scale]
        fitted = math.exp(form.evaluate(parameters, form.place({joint.scale: scale}))[0][0])
        reached = fitted * second.losses[joint.loss] / first.losses[joint.loss] - floor
        if reached > 0 and fitted > floor:
            value = math.exp(np.clip(-math.log(reached / (fitted - floor)) / exponent, -LARGEST_LOG, LARGEST_LOG))
            found.append(MeasuredMultiplier(scale=scale, value=value, held_out=first.held_out))
    return tuple(found)


def decide(main: Estimate, shared: bool | None, by_scale: Sequence[MultiplierAt]) -> MultiplierOutcome:
    """Return the verdict: the interval against 1.

    Where one multiplier does not describe all scales, both ends of the measured range must agree.
    """
    estimates: list[Estimate | None] = [main]
    if shared is False:
        inside = [one for one in by_scale if not one.extrapolated]
        estimates = [inside[0].own, inside[-1].own]
    if all(one is not None and one.low is not None and one.low > 1 for one in estimates):
        return BETTER
    if all(one is not None and one.high is not None and one.high < 1 for one in estimates):
        return WORSE
    return UNDECIDED


def words_of(estimate: Estimate | None) -> str:
    """Return a multiplier with its interval: `1.10 (95% interval 1.05 to 1.16)`."""
    if estimate is None:
        return "without an end: the loss is not reached"
    if estimate.low is None and estimate.high is None:
        return f"{estimate.value:.3g} (no interval)"
    ends = ["no end" if end is None else f"{end:.3f}" for end in (estimate.low, estimate.high)]
    return f"{estimate.value:.3f} (95% interval {ends[0]} to {ends[1]})"


def sentence(
    joint: Joint,
    names: tuple[str, str],
    main: Multiplier,
    by_scale: Sequence[MultiplierAt],
    outcome: MultiplierOutcome,
) -> str:
    """Return the verdict in words."""
    reference, other = names
    thing = _THINGS[joint.scale]
    fitted = joint.fits[SHARED]
    number = f"{fitted.problem.num_runs[joint.group]} pairs of runs" if joint.matched.paired else "unpaired runs"
    if joint.matched.unpaired:
        number += f"; points left out for want of a partner: {joint.matched.unpaired}"
    verdict = (
        f"Undecided whether {other} is better or worse than {reference}"
        if outcome == UNDECIDED
        else (f"{other} is {outcome} than {reference}")
    )
    text = (
        f"{verdict}: for the same {main.loss}, {reference} needs {words_of(main.estimate)} times the {thing} of "
        f"{other} ({p_words(main.p_value)}, {number})."
    )
    if not fitted.has_intervals(joint.group):
        return f"{text} There are not more runs than parameters, so there is no interval: add seeds or sizes."
    if not joint.form.with_floor:
        text += " The form has no floor, so whether it changes with scale is not told."
    elif is_shared(joint) is False:
        inside = [one for one in by_scale if not one.extrapolated]
        text += (
            f" One multiplier does not describe all scales ({p_words(joint.p_values[SHARED])}), so the verdict is by "
            f"both ends: {words_of(inside[0].own)} at {joint.scale} = {inside[0].scale:.3g}, and "
            f"{words_of(inside[-1].own)} at {inside[-1].scale:.3g}."
        )
    elif is_shared(joint):
        text += (
            f" That one multiplier describes all measured scales is not rejected ({p_words(joint.p_values[SHARED])})."
        )
    return text


def limits(joint: Joint, outcome: MultiplierOutcome, variants: Sequence[Multiplier]) -> str:
    """Return what belongs behind the verdict: that no loss was reached by both conditions, and another loss's verdict.

    The multiplier says how much more of something reaches a loss. Where the losses of both do not overlap, nothing
    reached it, and its size is that of the form.
    """
    text = ""
    first, second = (
        [point.losses[joint.loss] for point in side] for side in (joint.matched.reference, joint.matched.other)
    )
    if max(first) < min(second) or max(second) < min(first):
        text += " No loss was reached by both conditions, so that its size is extrapolated by the form alone."
    if joint.loss == PRIMARY_LOSS:
        for one in variants:
            if one.loss != joint.loss and (found := decide(one.estimate, None, ())) != outcome:
                text += f" By {one.loss} it is {found}: {words_of(one.estimate)}."
    return text


def _notes(
    points: Points, joint: Joint, names: tuple[str, str], outcome: str, variants: Sequence[Multiplier]
) -> list[str]:
    notes = [_text_note(joint.matched, names)]
    if joint.scale == "N":
        notes.append(
            "It is a multiplier of non-embedding parameters at the table's tokens, not of all parameters or of FLOPs."
        )
    if joint.scale == "D":
        notes.append("It is a multiplier of tokens at the table's parameters, and one of compute as far as C = 6 N D.")
    if joint.scale == "C" and ("C" in points.computed or len(joint.form.axes) > 1):
        notes.append("Compute is 6 N D: embeddings, attention over the context and the output layer are not in it.")
    if not joint.form.with_floor:
        notes.append(f"{joint.floor.reason}; the fit is of the measured range alone. To fit E, {joint.floor.advice}.")
    if not joint.matched.paired:
        notes.append("No run shares a point and a seed with one of the other condition: nothing is paired.")
    elif not all(point.seed for point in joint.matched.reference):
        notes.append("No column of seeds says which runs of a size belong together: they are paired in their order.")
    if joint.matched.paired and joint.matched.unpaired:
        notes.append(f"Points without a partner, which are not in the multiplier: {joint.matched.unpaired}.")
    differing = [one.loss for one in variants if one.loss != joint.loss and decide(one.estimate, None, ()) != outcome]
    if differing and joint.loss == PRIMARY_LOSS:
        notes.append(
            f"By {listed(differing)} the verdict is another one: what the main loss shows is not shown by it. "
            f"{PRIMARY_LOSS} is an upper bound of a rewriting condition's bits over all text, bits_per_byte_model a "
            "lower one, and bits_per_byte_without_sites of the documents in which nothing is rewritten."
        )
    return notes


def _text_note(matched: Matched, names: tuple[str, str]) -> str:
    """Return what equal tokens mean in text."""
    sides = [[point.bytes_per_token for point in side] for side in (matched.reference, matched.other)]
    known = [[one for one in side if one is not None] for side in sides]
    if not all(known):
        return (
            "Compute and tokens are equal within a pair, the text read need not be: the table does not say how much "
            "text a token holds, so the multiplier cannot be divided into shorter encoding and better learning."
        )
    first, second = (float(np.mean(side)) for side in known)
    if abs(second / first - 1) < _SAME_TEXT:
        return f"A token holds {first:.3f} bytes of validation text in both conditions."
    return (
        f"Equal tokens are not equal text: a token of {names[0]} holds {first:.3f} bytes of validation text, one of "
        f"{names[1]} {second:.3f} ({second / first - 1:+.1%}). The multiplier is of both, the shorter encoding and "
        "what is learned."
    )


def _variants(
    points: Points,
    sides: tuple[tuple[Point, ...], tuple[Point, ...]],
    whole: tuple[tuple[Point, ...], tuple[Point, ...]],
    axes: Sequence[Axis],
    delta: float | None,
    with_floor: bool,
) -> tuple[Multiplier, ...]:
    """Return the multiplier by other losses, other loss functions, and with the held-out sizes."""
    first = points.losses[0]
    wanted = [(f"by {loss}", sides, loss, delta, False) for loss in points.losses[1:]]
    wanted.append(("least squares", sides, first, None, True))
    if delta != FIELD_DELTA:
        wanted.append((f"Huber, delta {FIELD_DELTA:g}", sides, first, FIELD_DELTA, False))
    if delta is not None:
        wanted.append(("Huber, delta from the residuals", sides, first, None, False))
    if len(whole[0]) + len(whole[1]) > len(sides[0]) + len(sides[1]):
        wanted.append(("with the held-out sizes", whole, first, delta, False))
    found = []
    for words, both, loss, chosen, squares in wanted:
        joint = fit_pair(match(*both), loss, axes, chosen, squares, levels=[SHARED])
        if joint.form.with_floor != with_floor:
            words += ", with E" if joint.form.with_floor else ", without E"
        found.append(multiplier(joint, words))
    return tuple(found)


def _predictions(joint: Joint, names: tuple[str, str], held: tuple[tuple[Point, ...], ...]) -> list[Prediction]:
    """Return the predicted ratio of the losses at each held-out size of which there are pairs."""
    if not all(held):
        return []
    matched = match(*held)
    if not matched.paired or not joint.matched.paired:
        return []
    level = OWN if is_shared(joint) is False else SHARED
    form, found = joint.form, []
    pairs = list(zip(matched.reference, matched.other, strict=True))
    by_size: dict[tuple[float, ...], list[tuple[Point, Point]]] = {}
    for first, second in pairs:
        by_size.setdefault(tuple(first.values[axis] for axis in form.axes), []).append((first, second))
    for size, members in by_size.items():
        quantity = joint.log_ratio(level, dict(zip(form.axes, size, strict=True)))
        measured = {
            first.run: math.log(second.losses[joint.loss] / first.losses[joint.loss]) for first, second in members
        }
        logs = predicted(joint.fits[level], quantity, len(measured), DIFFERENCE)
        found.append(prediction(f"{names[1]} / {names[0]}", members[0][0], form, logs, measured))
    return found
