"""A compiled stage on two threads repeats its steps bit by bit, whether or not it was interrupted."""

import shutil
from pathlib import Path

import pytest
from interrupted_stages import STAGES, after_save, kill, outcome, resume, start_over, work_of
from tiny import manifest, prepare_data

from domain_tokens.runs.checkpoints.verified import saved_steps

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="compiling for a CPU needs a C++ compiler"
)
pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800), needs_compiler]

SETTINGS = [
    "model={n_layer: 1, n_head: 2, n_embd: 64, n_positions: 128}", "corpus.sources.0.max_items=200",
    "corpus.epochs=2", "budget.pretrain_tokens_per_step=1024", "pretrain.per_device_train_batch_size=8",
    "pretrain.max_steps=8", "pretrain.eval_steps=100", "sft.num_train_epochs=2", "sft.per_device_train_batch_size=8",
    "grpo_prompts=[{name: drills, kind: synthetic, what: drills, max_items: 8}]",
    "grpo.max_completion_length=100", "rewards.brevity=1", "budget.grpo_completions_per_step=4",
    "grpo.per_device_train_batch_size=4", "grpo.num_generations=2", "grpo.max_steps=8",
    "grpo.learning_rate=1e-2", "grpo.warmup_steps=0",
    *(f"{stage}.{own}" for stage in STAGES for own in ("torch_compile=true", "save_steps=3", "save_total_limit=5")),
]  # fmt: skip


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sums be split among threads, whose order would otherwise be left to chance."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")


@pytest.mark.parametrize("stage", STAGES)
def test_a_compiled_stage_ends_the_same_again_and_when_it_is_killed(stage: str, tmp_path: Path) -> None:
    folder = prepare_data(tmp_path, *SETTINGS)
    for before in list(STAGES)[: list(STAGES).index(stage) + 1]:
        resume(before, folder, *SETTINGS)
    expected = outcome(folder, stage)
    recorded = manifest(folder / "tiny", "mul_tokens", f"{stage}_final")["matched"]
    settings = recorded["stages"][-1]["trainer"] if stage == "sft" else recorded["trainer"]
    assert (settings["torch_compile"], recorded["threads"]) == (True, 2)
    assert len({row[1] for row in expected["rows"]}) == len(expected["rows"])  # it trains
    start_over(folder, stage)
    resume(stage, folder, *SETTINGS)
    assert outcome(folder, stage) == expected
    start_over(folder, stage)
    assert kill(stage, folder, after_save(3), *SETTINGS)
    assert max(saved_steps(work_of(folder, stage))) == 3
    assert "resumes from step 3, " in resume(stage, folder, *SETTINGS)
    assert outcome(folder, stage) == expected
