"""The pipeline's false positives, counted over runs of known truth that are read from files."""

from pathlib import Path

import numpy as np
import pytest

from domain_tokens.analysis.pipeline_errors import MAX_REGROUPINGS, pipeline_errors
from domain_tokens.analysis.statistics.simulation import simulate
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.results import Pair

from .simulated import write_experiment

NUM_SEEDS = 20


def pair_of(root: Path, effect: float) -> Pair:
    sides = simulate(NUM_SEEDS, 100, 0.3, effect, 0.1, 1.0, np.random.default_rng(0))
    return Pair(*write_experiment(root, dict(zip(("baseline", "mul_tokens"), sides, strict=True))))


def test_seeds_are_used_once_each_and_the_interval_is_exact(tmp_path: Path) -> None:
    found = pipeline_errors(pair_of(tmp_path, 0.0), 3)
    assert [group.seeds for group in found.groups] == [tuple(range(s, s + 3)) for s in range(0, 18, 3)]
    assert found.disjoint.rejected == sum(group.rejects(found.alpha) for group in found.groups)
    assert found.disjoint.total == 6  # two seeds are left over
    assert found.single_seeds.total == NUM_SEEDS
    assert found.disjoint.interval is not None
    # By chance one of the six. Clopper and Pearson: with the lower limit as the rate, 1 or more of 6 has probability
    # 0.025; with the upper one, 1 or fewer.
    assert found.disjoint.rejected == 1
    low, high = found.disjoint.interval
    assert 1 - (1 - low) ** 6 == pytest.approx(0.025)
    assert (1 - high) ** 6 + 6 * high * (1 - high) ** 5 == pytest.approx(0.025)
    assert found.regrouped is not None
    assert found.regrouped.total == MAX_REGROUPINGS  # of 1,140
    assert found.regrouped.interval is None


def test_a_true_difference_is_rejected_in_every_group(tmp_path: Path) -> None:
    found = pipeline_errors(pair_of(tmp_path, 0.5), 4)
    assert found.disjoint.rejected == found.disjoint.total == 5
    assert found.regrouped is not None
    assert found.regrouped.rejected == found.regrouped.total
    assert all(group.delta > 0.3 for group in found.groups)


def test_too_few_seeds_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="20 seeds; expected at least the 21 of one verdict"):
        pipeline_errors(pair_of(tmp_path, 0.0), 21)
