"""The smallest effect of interest: declared on a scale that follows the base rate, used in points.

Half a point is a quarter of all right answers at an accuracy of 2%, and hardly anything at 40%. An effect in points
that suits one endpoint therefore suits no other one; a relative effect or one on the logit scale does.
"""

from typing import Literal

from scipy.special import expit, logit

Scale = Literal["relative", "logit", "points"]


def effect_words(scale: Scale, value: float) -> str:
    """Return a declared smallest effect in words: `0.3 on the logit scale`, `10 points`."""
    return f"{100 * value:g} points" if scale == "points" else f"{value:g} on the {scale} scale"


def in_points(scale: Scale, value: float, base_rate: float) -> float:
    """Return a declared smallest effect as a difference of accuracies, a fraction of 1.

    Args:
        scale: `relative`: a share of the base rate. `logit`: a shift of the log odds; of the two differences that it
            makes, up and down, the smaller one is returned. `points`: the difference itself.
        value (`float`): the effect on that scale, above 0.
        base_rate (`float`): the reference's accuracy, a fraction of 1.

    Returns:
        The difference; 0 for a base rate of 0 (and on the logit scale of 1), at which no effect on the scale shows.
    """
    if scale == "points":
        return value
    if scale == "relative":
        return value * base_rate
    if not 0 < base_rate < 1:
        return 0.0
    odds = logit(base_rate)
    return min(abs(float(expit(odds + shift)) - base_rate) for shift in (value, -value))
