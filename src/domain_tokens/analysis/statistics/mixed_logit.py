"""The difference as an odds ratio: a mixed-effects logistic model of every single answer.

`logit P(right) = intercept + beta * other + item + seed + seed-in-condition`, the last three normal with variances of
their own; `exp(beta)` is the odds ratio for a given question and given runs. It describes the same comparison on
another scale and is shown beside the verdict's interval, not instead of it.

statsmodels' `BinomialBayesMixedGLM` fits it by variational Bayes. Its standard errors treat all parameters as
independent, so `beta` appears as certain as if the runs did not vary: in simulations with 3 and 5 seeds, 95% intervals
missed the truth in 11 to 62% of the cases. The standard error here is that of the Laplace approximation at the fitted
variances (the inverse of the joint information of fixed and random effects, as in lme4), with the t quantile of
`num_seeds - 1`: it missed in 0 to 2% of the cases, so the intervals are rather wide.
"""

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse, special, stats

from domain_tokens.analysis.statistics.crossed import are_truth_values, paired_values
from domain_tokens.analysis.statistics.paired import ALPHA, Interval

MAX_ANSWERS = 20_000  # 5 seeds of 1,319 items are 13,190 answers: 9 s on one core; 26,380 took 28 s
_FIXED_EFFECTS_SD = 3.0  # of their normal prior: wide on the logit scale, and keeps `beta` finite
_LARGEST_GRADIENT = 1.0  # of the evidence bound; good fits end below 0.1


@dataclass(frozen=True)
class MixedLogit:
    """The fitted odds ratio of the other condition against the reference, or the reason why there is none.

    Attributes:
        odds_ratio, interval: the odds ratio and its 95% interval; `None` if there is a `reason`.
        item_sd, seed_sd, seed_in_condition_sd: the random effects' standard deviations, on the logit scale. The prior
            (median 1, log-normal with sd 1) still shows in the last two when seeds are few.
        reason: why there is no fit.
    """

    odds_ratio: float | None = None
    interval: Interval | None = None
    item_sd: float | None = None
    seed_sd: float | None = None
    seed_in_condition_sd: float | None = None
    reason: str | None = None


def mixed_logit(reference: ArrayLike, other: ArrayLike) -> MixedLogit:
    """Fit the model to at least two seeds. The same data give the same result.

    Args:
        reference, other: right or wrong, shape (num_seeds, num_items).

    Raises:
        ValueError: if the outcomes are not paired.
    """
    num_seeds, num_items = paired_values(reference, other).shape
    if not are_truth_values(reference, other):
        return MixedLogit(reason="a model of right and wrong answers, not of values")
    right = np.stack([np.atleast_2d(reference), np.atleast_2d(other)]).astype(float)
    if num_seeds < 2:
        return MixedLogit(reason="requires at least two seeds")
    if right.size > MAX_ANSWERS:
        return MixedLogit(reason=f"not fitted: {right.size:,} answers take too long; the limit is {MAX_ANSWERS:,}")
    if {0.0, 1.0} & set(right.mean(axis=(1, 2))):
        return MixedLogit(reason="not fitted: one condition is always right or always wrong")
    from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM  # with pandas, half a second of imports

    side, seed, item = (index.ravel() for index in np.indices(right.shape))
    fixed = np.column_stack([np.ones(right.size), side])
    random = sparse.hstack([_indicators(item), _indicators(seed), _indicators(2 * seed + side)]).tocsr()
    kind = np.repeat([0, 1, 2], [num_items, num_seeds, 2 * num_seeds])
    model = BinomialBayesMixedGLM(right.ravel(), fixed, random, kind, fe_p=_FIXED_EFFECTS_SD)
    start = np.zeros(2 + 3 + len(kind))
    start[0] = special.logit(right.mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # judged below, by the gradient
        fit = model.fit_vb(start, np.full(len(start), 0.5), "L-BFGS-B", {"maxiter": 1000, "maxfun": 2000})
        gradient, _ = model.vb_elbo_grad(fit.params, np.sqrt(fit.cov_params()))
    sds = np.exp(fit.vcp_mean)
    if not fit.optim_retvals.success or not np.abs(gradient).max() < _LARGEST_GRADIENT:
        return MixedLogit(reason="the fit did not converge")
    design = sparse.hstack([sparse.csr_matrix(fixed), random]).tocsr()
    chance = special.expit(design @ np.concatenate([fit.fe_mean, fit.vc_mean]))
    information = (design.T @ design.multiply((chance * (1 - chance))[:, None])).toarray()
    prior_sd = np.concatenate([np.full(2, _FIXED_EFFECTS_SD), sds[kind]])
    information[np.diag_indices_from(information)] += 1 / prior_sd**2
    unit = np.eye(len(information))[1]
    se = math.sqrt(np.linalg.solve(information, unit)[1])
    beta, half = float(fit.fe_mean[1]), float(stats.t.ppf(1 - ALPHA / 2, num_seeds - 1)) * se
    item_sd, seed_sd, side_sd = (float(sd) for sd in sds)
    interval = math.exp(beta - half), math.exp(beta + half)
    return MixedLogit(math.exp(beta), interval, item_sd, seed_sd, side_sd)


def _indicators(index: np.ndarray) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(index)), (np.arange(len(index)), index)))
