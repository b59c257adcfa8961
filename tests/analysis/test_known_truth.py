"""Where the truth is known by construction, the verdict is the right one: read from files, as from a real run."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from domain_tokens.analysis.measures.accuracy import result_rows
from domain_tokens.analysis.preregistration import read_preregistration
from domain_tokens.analysis.results_model import BETTER, EQUIVALENT, UNDECIDED, WORSE, primary_row
from domain_tokens.analysis.statistics.simulation import simulate
from domain_tokens.analysis.verdict import verdict
from domain_tokens.runs.results import Pair, load_condition

from .conftest import sha256, write_evaluation, write_stage

NUM_EXPERIMENTS = 40


def write_pair(root: Path, sides: tuple[np.ndarray, np.ndarray]) -> Pair:
    """Write outcomes as two conditions' result files, and read them back."""
    folders = []
    for side, (name, outcomes) in enumerate(zip(("baseline", "mul_tokens"), sides, strict=True)):
        folders.append(root / f"exp_{name}")
        for seed, rights in enumerate(outcomes):
            weights = sha256("weights", "sft", name, seed)
            write_stage(folders[-1] / f"seed_{seed}" / "sft_final", "sft", name, seed, side)
            texts = {"question": "6*9?", "gold": "54", "answer": ""}
            items = [texts | {"id": str(index), "correct": bool(right)} for index, right in enumerate(rights)]
            place = folders[-1] / f"seed_{seed}" / "eval" / "sft_final"
            write_evaluation(
                place, "gsm8k", items, condition=name, seed=seed, model="sft_final", weights_sha256=weights
            )
    return Pair(*map(load_condition, folders))


def judge(root: Path, sides: tuple[np.ndarray, np.ndarray]) -> str:
    """Return the verdict over outcomes that went through files."""
    pair = write_pair(root, sides)
    declared = read_preregistration(pair)
    primary = primary_row(result_rows(pair, declared))
    return verdict(primary, declared, pair.reference.name, pair.other.name).outcome


def verdicts(tmp_path: Path, num_items: int, **truth: float) -> Counter[str]:
    rng = np.random.default_rng(0)
    found: Counter[str] = Counter()
    for number in range(NUM_EXPERIMENTS):
        sides = simulate(3, num_items, 0.3, truth.get("effect", 0.0), truth["between_run_sd"], 1.0, rng)
        found[judge(tmp_path / str(number), sides)] += 1
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
