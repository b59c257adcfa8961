"""Each stage resumed from each place by name: in an epoch, at its end, at the start, behind the last step, thrice."""

import json
import shutil
from pathlib import Path

import pytest
from interrupted_stages import STAGES, after_save, after_step, kill, outcome, resume, start_over, work_of
from tiny import manifest, prepare_data

from domain_tokens.runs.checkpoints.verified import saved_steps

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS = 8  # two epochs of four
# Dropout, and two micro batches a step, in every stage.
SETTINGS = [
    "model={n_layer: 1, n_head: 2, n_embd: 16, n_positions: 128, resid_pdrop: 0.1, embd_pdrop: 0.1, attn_pdrop: 0.1}",
    "corpus.sources.0.max_items=200", "corpus.epochs=2", "budget.pretrain_tokens_per_step=1024",
    f"pretrain.max_steps={STEPS}", "pretrain.per_device_train_batch_size=4", "pretrain.eval_steps=100",
    "sft.num_train_epochs=2", "sft.per_device_train_batch_size=4",
    "grpo_prompts=[{name: drills, kind: synthetic, what: drills, max_items: 8}]",
    "grpo.max_completion_length=100", "rewards.brevity=1", "budget.grpo_completions_per_step=4",
    "grpo.per_device_train_batch_size=2", "grpo.num_generations=2", f"grpo.max_steps={STEPS}",
    "grpo.learning_rate=1e-2", "grpo.warmup_steps=0",
]  # fmt: skip


def saving(stage: str, every: int, *others: str) -> list[str]:
    """Return the overrides of a run that saves every so many steps; each of its other settings is of the stage."""
    own = [f"{stage}.{other}" for other in (f"save_steps={every}", "save_total_limit=5", *others)]
    return [*SETTINGS, *own]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three stages, undisturbed, each of which trained two epochs with dropout and accumulation."""
    folder = prepare_data(tmp_path_factory.mktemp("made"), *SETTINGS)
    for stage in STAGES:
        resume(stage, folder, *saving(stage, 2))
        assert set(saved_steps(work_of(folder, stage))) == {2, 4, 6, 8}
        epoch = json.loads((work_of(folder, stage) / "checkpoint-4" / "trainer_state.json").read_text())["epoch"]
        assert epoch == 1.0
        recorded = manifest(folder / "tiny", "mul_tokens", f"{stage}_final")["matched"]
        assert recorded["architecture"]["resid_pdrop"] == 0.1
        trainer = recorded["stages"][-1]["trainer"] if stage == "sft" else recorded["trainer"]
        assert trainer["gradient_accumulation_steps"] == 2
    return folder


# Of each place: steps between saves, settings of the stage, and the newest checkpoints when it is killed; 0 for none.
PLACES: dict[str, tuple[int, list[str], list[int]]] = {
    "before the first checkpoint": (4, [], [0]),
    "within the first epoch": (3, [], [3]),
    "within the second epoch": (3, [], [6]),
    "at the end of an epoch": (4, [], [4]),
    "after the last step": (4, [], [8]),
    "three times in a row": (2, [], [2, 4, 6]),
    "with workers that read data": (3, ["dataloader_num_workers=2"], [3]),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_resumes_from_there_and_ends_the_same(stage: str, place: str, made: Path, tmp_path: Path) -> None:
    expected = outcome(made, stage)
    assert [row[0] for row in expected["rows"]] == list(range(1, STEPS + 1))
    copied = Path(shutil.copytree(made, tmp_path / "made"))
    every, others, places = PLACES[place]
    overrides = saving(stage, every, *others)
    work = start_over(copied, stage)
    for newest in places:
        assert kill(stage, copied, after_save(newest) if newest else after_step(1), *overrides)
        assert max(saved_steps(work), default=0) == newest
    said = resume(stage, copied, *overrides)
    assert (f"resumes from step {newest}, " in said) == (newest > 0)
    assert ("resumes from step" in said) == (newest > 0)
    assert outcome(copied, stage) == expected
