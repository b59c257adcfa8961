"""A compiled stage on two threads repeats its steps bit by bit, whether or not it was interrupted."""

from pathlib import Path

import pytest
from compilers import needs_compiler
from interrupted_stages import STAGES, after_save, kill, outcome, resume, start_over, work_of
from tiny import manifest, prepare_data

from domain_tokens.runs.checkpoints.verified import saved_steps

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


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what is compiled."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(autouse=True)
def environment(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile into that folder, and split sums among threads, whose order would be left to chance."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(compiled))


@pytest.mark.parametrize("stage", STAGES)
def test_a_compiled_stage_ends_the_same_again_and_after_a_kill(stage: str, compiled: Path, tmp_path: Path) -> None:
    folder = prepare_data(tmp_path, *SETTINGS)
    for before in list(STAGES)[: list(STAGES).index(stage) + 1]:
        resume(before, folder, *SETTINGS)
    expected = outcome(folder, stage)
    recorded = manifest(folder / "tiny", "mul_tokens", f"{stage}_final")["matched"]
    settings = recorded["stages"][-1]["trainer"] if stage == "sft" else recorded["trainer"]
    assert (settings["torch_compile"], recorded["threads"]) == (True, 2)
    assert any(compiled.rglob("*.so"))
    assert len({row[1] for row in expected["rows"]}) == len(expected["rows"])  # it trains
    start_over(folder, stage)
    resume(stage, folder, *SETTINGS)
    assert outcome(folder, stage) == expected
    for _ in range(5):
        start_over(folder, stage)
        if kill(stage, folder, after_save(3), *SETTINGS):
            break
    newest = max(saved_steps(work_of(folder, stage)))
    assert newest < expected["rows"][-1][0]
    assert f"resumes from step {newest}, " in resume(stage, folder, *SETTINGS)
    assert outcome(folder, stage) == expected
