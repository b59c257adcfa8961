"""Where the truth is known by construction, the verdict is the right one: read from files, as from a real run."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from domain_tokens.analysis.results_model import BETTER, EQUIVALENT, UNDECIDED, WORSE
from domain_tokens.analysis.statistics.simulation import simulate

from .simulated import judge, write_experiment

NUM_EXPERIMENTS = 40


def verdicts(tmp_path: Path, num_items: int, **truth: float) -> Counter[str]:
    rng = np.random.default_rng(0)
    found: Counter[str] = Counter()
    for number in range(NUM_EXPERIMENTS):
        sides = simulate(3, num_items, 0.3, truth.get("effect", 0.0), truth["between_run_sd"], 1.0, rng)
        outcomes = dict(zip(("baseline", "mul_tokens"), sides, strict=True))
        found[judge(write_experiment(tmp_path / str(number), outcomes)).outcome] += 1
    return found


@pytest.mark.parametrize("between_run_sd", [0.0, 0.15])
def test_without_an_effect_none_is_found(tmp_path: Path, between_run_sd: float) -> None:
    found = verdicts(tmp_path, 300, between_run_sd=between_run_sd)
    # With 40 experiments at 5%: more than 6 false alarms would happen once in 150 times.
    assert found[BETTER] + found[WORSE] <= 6
    assert found[UNDECIDED] + found[EQUIVALENT] >= 34


@pytest.mark.parametrize(("effect", "outcome"), [(0.12, BETTER), (-0.12, WORSE)])
def test_an_effect_is_found_and_its_direction_too(tmp_path: Path, effect: float, outcome: str) -> None:
    found = verdicts(tmp_path, 600, effect=effect, between_run_sd=0.05)
    assert found[outcome] >= 36
    assert found[{BETTER: WORSE, WORSE: BETTER}[outcome]] == found[EQUIVALENT] == 0


def test_a_small_effect_is_neither_found_nor_taken_for_none(tmp_path: Path) -> None:
    found = verdicts(tmp_path, 300, effect=0.02, between_run_sd=0.15)
    assert found[EQUIVALENT] == 0
    assert found[UNDECIDED] >= 30
