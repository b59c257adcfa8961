"""Signal and noise of an endpoint: by hand on small tables, and on simulated runs whose truth is known."""

import math

import numpy as np
import pytest
from tiny import run_inside

from domain_tokens.analysis.measures.outcomes import outcomes_at
from domain_tokens.analysis.report.formats import DASH
from domain_tokens.analysis.report.planning import signals
from domain_tokens.analysis.report.signals import EndpointSignal, endpoint_signals
from domain_tokens.analysis.results_model import Endpoint
from domain_tokens.analysis.statistics.signal import Signal, signal
from domain_tokens.runs.results import Pair, load_condition

from .conftest import GROUPS


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


def test_clusters_widen_the_items_part() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(20), 5)
    shift = rng.normal(0, 1, 20)[clusters]
    other = shift + rng.normal(0, 0.1, (3, 100))
    alone = signal(np.zeros((3, 100)), other)
    together = signal(np.zeros((3, 100)), other, clusters=clusters)
    assert together.item_sd == pytest.approx(shift[::5].std(ddof=1) / np.sqrt(20), rel=0.1)
    assert alone.item_sd == pytest.approx(together.item_sd / np.sqrt(5), rel=0.1)


def test_every_endpoint_of_a_pilot_is_measured(tree) -> None:
    pair = Pair(*map(load_condition, tree(num_items=30, seeds=(0, 1))))
    table = Endpoint(model="grpo_final", task="arithmetic", metric="accuracy", group=GROUPS[0])
    unknown = Endpoint(model="grpo_final", task="svamp", metric="accuracy", group="all")
    averaged = table.model_copy(update={"last_checkpoints": 2})
    found = endpoint_signals(pair, [table, unknown, averaged], lambda endpoint, value, unit: value / 2)
    endpoints = [one.endpoint for one in found]
    assert endpoints[0] == table
    assert len(endpoints) == 1 + len(pair.first_run.plain()) == len(set(endpoints))
    rows = {(one.endpoint.model, one.endpoint.task, one.endpoint.group): one.found for one in found}
    row = rows["grpo_final", "gsm8k", "all"]
    sides = outcomes_at(pair, Endpoint(model="grpo_final", task="gsm8k", metric="accuracy", group="all"))
    deltas = sides.other.mean(axis=1) - sides.reference.mean(axis=1)
    assert row.run_sd == pytest.approx(deltas.std(ddof=1))
    assert row.effect_ratio == pytest.approx(sides.reference.mean() / 2 / deltas.std(ddof=1))
    assert row.checkpoint_sd is None


def test_the_table_of_signals() -> None:
    endpoint = Endpoint(model="sft_final", task="gold_bits", metric="bits_per_byte", group="with sites")
    found = Signal(1.5, -0.25, 0.1, 0.125, 0.05, 0.02, 3)
    accuracy = Endpoint(model="sft_final", task="gsm8k", metric="accuracy", group="all", last_checkpoints=3)
    one_seed = Signal(0.02, 0.01, None, None, None, None, 0)
    table = signals([EndpointSignal(endpoint, "bits per byte", found), EndpointSignal(accuracy, None, one_seed)])
    assert table.rows == [
        ["gold_bits bits_per_byte (with sites) of sft_final", "1.5000", "-0.2500", "0.1250", "0.0500", "0.0200 (3)",
         "2.00", "0.80"],
        ["gsm8k accuracy of sft_final, last 3 checkpoints", "2.00%", "+1.00", DASH, DASH, DASH, DASH, DASH],
    ]  # fmt: skip


def test_the_plan_prints_them(tree) -> None:
    done = run_inside("scripts/plan.py", *map(str, tree(num_items=30, seeds=(0, 1))))
    assert done.returncode == 0, done.stderr
    assert "Signal and noise of each endpoint" in done.stdout
    assert "acc_norm" in done.stdout.split("Signal and noise")[1]
