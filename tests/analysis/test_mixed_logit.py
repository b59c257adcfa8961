"""The mixed-effects logistic model: what it finds where the truth is known, and when it says that it finds nothing."""

import math

import numpy as np
import pytest

from domain_tokens.analysis.statistics import mixed_logit as module
from domain_tokens.analysis.statistics.mixed_logit import mixed_logit
from domain_tokens.analysis.statistics.simulation import simulate


def outcomes(num_seeds: int = 3, num_items: int = 120, effect: float = 0.2):
    return simulate(num_seeds, num_items, 0.3, effect, 0.1, 1.0, np.random.default_rng(0))


def test_a_clear_effect_is_an_odds_ratio_above_one_and_below_when_swapped():
    reference, other = outcomes()
    found, swapped = mixed_logit(reference, other), mixed_logit(other, reference)
    assert found.reason is None
    # from 30% to 50% with items of sd 1: log odds of about 1.0
    assert found.odds_ratio == pytest.approx(math.e, rel=0.5)
    assert found.interval[0] < found.odds_ratio < found.interval[1]
    assert swapped.odds_ratio == pytest.approx(1 / found.odds_ratio, rel=0.02)
    assert 0.5 < found.item_sd < 1.5


def test_the_interval_is_wider_than_the_noise_of_answers_alone():
    # The standard error of a log odds ratio of independent answers, 1 / sqrt(sum of n p (1 - p)), twice; runs add.
    reference, other = outcomes()
    found = mixed_logit(reference, other)
    noise = math.sqrt(sum(1 / (side.size * side.mean() * (1 - side.mean())) for side in (reference, other)))
    assert math.log(found.interval[1] / found.interval[0]) > 2 * 4.3 * noise


def test_the_same_data_give_the_same_result():
    assert mixed_logit(*outcomes(num_items=40)) == mixed_logit(*outcomes(num_items=40))


def test_there_is_a_reason_where_there_is_no_fit(monkeypatch):
    reference, other = outcomes(num_items=40)
    assert "two seeds" in mixed_logit(reference[:1], other[:1]).reason
    assert "always wrong" in mixed_logit(np.zeros_like(reference), other).reason
    assert "always right" in mixed_logit(reference, np.ones_like(other)).reason
    monkeypatch.setattr(module, "_LARGEST_GRADIENT", 0.0)
    assert mixed_logit(reference, other) == module.MixedLogit(reason="the fit did not converge")
    monkeypatch.setattr(module, "MAX_ANSWERS", 239)
    assert "240 answers" in mixed_logit(reference, other).reason


def test_unpaired_outcomes_are_refused():
    with pytest.raises(ValueError, match="not paired"):
        mixed_logit(np.zeros((2, 9), dtype=bool), np.zeros((3, 9), dtype=bool))
