"""The run's log: what a row holds, what a resumed run keeps, and when a run stops."""

import json
from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from domain_tokens.recipe import RecipeError
from domain_tokens.training.callbacks.metrics import MetricsLog, read_metrics


def log(folder: Path, step: int, **logs: float) -> None:
    arguments = TrainingArguments(output_dir=str(folder), report_to="none", use_cpu=True)
    state = TrainerState(global_step=step, is_world_process_zero=True)
    MetricsLog(folder, 100, 1.0, "x", {"completions/mean_length": "completion_tokens"}).on_log(
        arguments, state, TrainerControl(), logs
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("key", ["loss", "grad_norm", "eval_loss"])
def test_a_loss_that_is_not_finite_stops_the_run(key: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=rf"{key} is -?(nan|inf) at step 7"):
        log(tmp_path, 7, **{key: value})


def test_rows_carry_constants_and_our_names(tmp_path: Path) -> None:
    log(tmp_path, 3, reward=0.5, **{"completions/mean_length": 9.0})
    (row,) = read_metrics(tmp_path / "metrics.jsonl")
    assert row.as_json() == {"step": 3, "stage": "x", "reward": 0.5, "completion_tokens": 9.0}


def test_a_resumed_run_drops_the_steps_that_it_takes_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": step}) + "\n" for step in (1, 2, 3, 4)) + '{"step": 5, "lo')
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to="none", use_cpu=True)
    for resumed_from, kept in ((2, [1, 2]), (0, [])):
        state = TrainerState(global_step=resumed_from, is_world_process_zero=True)
        MetricsLog(tmp_path, 1, 1.0).on_train_begin(arguments, state, TrainerControl())
        assert [row.step for row in read_metrics(path)] == kept
