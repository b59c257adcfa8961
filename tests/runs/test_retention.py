"""Which checkpoints are kept, over any sequence of saves and losses."""

import math
import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from domain_tokens.recipe import load_recipe
from domain_tokens.runs.checkpoints.retention import Retention, remove_old
from domain_tokens.runs.checkpoints.verified import saved_steps

losses = st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([1.0, 2.0])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), losses), min_size=1, max_size=12), st.integers(1, 4))
def test_the_newest_and_the_best_stay_and_little_else(saves: list[tuple[int, float | None]], newest: int) -> None:
    measured: dict[int, float] = {}
    saved: list[int] = []
    with tempfile.TemporaryDirectory() as name, mock.patch("os.fsync"):
        work = Path(name)
        for distance, loss in saves:
            saved.append(distance + (saved[-1] if saved else 0))
            (work / f"checkpoint-{saved[-1]}").mkdir()
            if loss is not None:
                measured[saved[-1]] = loss
            remove_old(work, measured, newest)
            left = set(saved_steps(work))
            assert set(saved[-newest:]) <= left
            finite = {step: value for step, value in measured.items() if math.isfinite(value)}
            best = min(finite, key=finite.__getitem__) if finite else None  # the first of equal ones
            assert best is None or best in left
            assert left <= {*saved[-newest:], best}
            assert {path.name for path in work.iterdir()} == {f"checkpoint-{step}" for step in left}


def test_all_stay_without_a_limit(tmp_path: Path) -> None:
    for step in range(5):
        (tmp_path / f"checkpoint-{step}").mkdir()
    remove_old(tmp_path, {}, None)
    assert len(list(saved_steps(tmp_path))) == 5


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(1, 500))
def test_weights_are_kept_once_for_each_multiple_of_the_tokens(every: int, per_step: int, steps: int) -> None:
    keeping = Retention(weights_every_tokens=every, tokens_per_step=per_step)
    kept = [step for step in range(1, steps + 1) if keeping.keeps_weights(step)]
    multiples = range(every, steps * per_step + 1, every) if every else range(0)
    assert kept == sorted({-(-multiple // per_step) for multiple in multiples})


def test_the_full_recipe_keeps_a_point_every_250m_tokens(root: Path) -> None:
    recipe = load_recipe([str(root / "recipes/baseline.yaml")])
    per_step, steps = recipe.budget.pretrain_tokens_per_step, int(recipe.pretrain["max_steps"])
    keeping = Retention(None, recipe.keep_weights_every_tokens, per_step)
    kept = [step * per_step for step in range(1, steps + 1) if keeping.keeps_weights(step)]
    assert len(kept) == 49
    assert max(later - earlier for earlier, later in zip([0, *kept], [*kept, steps * per_step], strict=True)) < 250e6
    assert min(tokens for tokens in kept if tokens >= 1e9) < 1e9 + per_step
