"""Signal and noise of an endpoint: by hand on small tables, and on simulated runs whose truth is known."""

import math

import numpy as np
import pytest

from domain_tokens.analysis.statistics.signal import signal


def test_by_hand() -> None:
    """Two seeds, four items: the differences are 1/4 and 3/4, so they vary by sqrt(1/8)."""
    reference = np.array([[0, 0, 1, 1], [0, 0, 0, 1]], dtype=float)
    other = np.array([[1, 0, 1, 1], [1, 1, 1, 1]], dtype=float)
    found = signal(reference, other, smallest_effect=0.1, checkpoints=[[0.2, 0.4], [0.5, 0.5, 0.8]])
    assert found.reference == 3 / 8
    assert found.difference == 0.5
    assert found.run_sd == pytest.approx(math.sqrt(1 / 8))
    assert found.observed_ratio == pytest.approx(0.5 / math.sqrt(1 / 8))
    assert found.effect_ratio == pytest.approx(0.1 / math.sqrt(1 / 8))
    # Within runs: variances 0.02 and 0.03, pooled.
    assert found.checkpoint_sd == pytest.approx(math.sqrt(0.025))
    assert found.num_checkpoints == 3


def test_one_seed_shows_no_noise() -> None:
    found = signal(np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]]), smallest_effect=0.1, checkpoints=[[0.5]])
    assert found.difference == 0.5
    assert (found.run_sd, found.item_sd, found.checkpoint_sd) == (None, None, None)
    assert (found.observed_ratio, found.effect_ratio) == (None, None)


def test_runs_that_agree() -> None:
    one, two = np.array([[0.0, 1.0]] * 2), np.array([[1.0, 1.0]] * 2)
    assert signal(one, two).observed_ratio == math.inf
    assert signal(one, one).observed_ratio is None
    assert signal(one, two).effect_ratio is None


def test_the_sign_of_a_difference_is_kept_and_its_size_counts() -> None:
    worse, better = np.array([[2.0, 2.0], [2.5, 2.5]]), np.array([[1.0, 1.0], [1.2, 1.2]])
    found = signal(worse, better)
    assert found.difference == pytest.approx(-1.15)
    assert found.observed_ratio == pytest.approx(1.15 / (0.3 / math.sqrt(2)))


@pytest.mark.parametrize(("seed_sd", "item_sd", "noise"), [(0.05, 0.0, 0.5), (0.0, 0.4, 0.5), (0.03, 0.3, 0.2)])
def test_known_truth(seed_sd: float, item_sd: float, noise: float) -> None:
    """Many seeds and items: the parts are found again, the choice of items apart from the runs."""
    rng = np.random.default_rng(0)
    seeds, items = 400, 500
    reference = rng.normal(1, 1, (1, items)) * np.ones((seeds, 1))
    shift = rng.normal(0, seed_sd, (seeds, 1)) + rng.normal(0, item_sd, (1, items))
    found = signal(reference, reference + 0.1 + shift + rng.normal(0, noise, (seeds, items)))
    assert found.run_sd == pytest.approx(math.hypot(seed_sd, noise / math.sqrt(items)), rel=0.1)
    assert found.item_sd == pytest.approx(item_sd / math.sqrt(items), rel=0.1, abs=3e-4)
    assert found.difference == pytest.approx(0.1, abs=0.06)
