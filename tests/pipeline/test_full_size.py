"""Two real steps of every stage of GPT-2 124M: the shipped recipes, with their sequences and schedules, on a CPU.

Reduced are the data (the project's own samples in place of the Hub's), the number of steps, what a step consumes, the
precision, and the length of answers: those of an untrained model that are 256 tokens long all earn the same.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from tiny import ROOT, run_script

from domain_tokens.recipe import load_recipe
from domain_tokens.training.model import new_model

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.timeout(5400)]

VOCABULARY = 50349
PAGES = "{name: pages, kind: file, path: tests/samples/wikitext2/valid.txt}"
EXAMPLES = "kind: file, path: tests/samples/gsm8k/train.jsonl"
REDUCED = (
    f"corpus.sources=[{PAGES}, {{name: synthetic-math, kind: synthetic, what: text, max_items: 600}}]",
    "corpus.validation_fraction=0.2", "corpus.num_shards=1", "corpus.num_workers=1",
    "budget={pretrain_tokens_per_step: 1024, sft_examples_per_step: 2, grpo_completions_per_step: 16}",
    "pretrain.max_steps=2", "pretrain.per_device_train_batch_size=1", "pretrain.per_device_eval_batch_size=1",
    "pretrain.bf16=false", "pretrain.tf32=null", "pretrain.logging_steps=1",
    f"sft_stages.0.sources=[{{name: gsm8k-train, {EXAMPLES}, max_items: 4}}]",
    "sft.num_train_epochs=1", "sft.per_device_train_batch_size=2", "sft.bf16=false", "sft.logging_steps=1",
    f"grpo_prompts=[{{name: gsm8k-train, {EXAMPLES}, max_items: 4}}]",
    "grpo.max_steps=2", "grpo.per_device_train_batch_size=4", "grpo.max_completion_length=64", "grpo.bf16=false",
    "grpo.logging_steps=1", "rollouts.preflight_prompts=2", "rollouts.min_pass_at_k=0",
    "evaluation.data.gsm8k={name: gsm8k-test, kind: file, path: tests/samples/gsm8k/test.jsonl}",
    "evaluation.data.svamp={name: svamp-test, kind: file, path: tests/samples/svamp/SVAMP.json}",
    "evaluation.data.hellaswag={name: scenes, kind: synthetic, what: cloze, max_items: 8}",
    "evaluation.max_new_tokens=8", "evaluation.max_samples=2",
)  # fmt: skip
# The columns of two more data sets on the Hub, of which the project has no samples.
ASDIV = {
    "body": "Ira has 3 nets and buys 4.", "question": "How many nets has he now?", "solution_type": "Addition",
    "answer": "7 (nets)", "formula": "3+4=7",
}  # fmt: skip
MULTIARITH = {"question": "Mo fills 6 jars with 8 figs each. He eats 5. How many figs are left?", "final_ans": "43"}


@pytest.fixture(params=["baseline", "mul_tokens"])
def condition(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def arguments(condition: str, tmp_path: Path) -> Iterator[list[str]]:
    """A recipe and its reductions. What it leaves on disk, 6 GB, is removed."""
    local = []
    for name, row in (("asdiv", ASDIV), ("multiarith", MULTIARITH)):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
        local.append(f"evaluation.data.{name}={{name: {name}, kind: file, path: {tmp_path / name}.jsonl}}")
    yield [str(ROOT / f"recipes/{condition}.yaml"), f"output_dir={tmp_path}", *REDUCED, *local]
    shutil.rmtree(tmp_path / "gpt2_124m", ignore_errors=True)


def run(script: str, arguments: list[str]) -> None:
    begun = time.monotonic()
    done = run_script(f"scripts/{script}.py", *arguments, timeout=2700, OMP_NUM_THREADS=str(os.cpu_count() or 1))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    print(f"{script}: {time.monotonic() - begun:.0f} s", flush=True)  # noqa: T201


def share_moved(before: dict[str, Any], folder: Path) -> float:
    """Return the share of the weights in a folder that differ from those before."""
    after = load_file(folder / "model.safetensors")
    assert {*after} <= {*before}  # the head is the embedding, and saved once
    moved = sum(int((before[name] != weights).sum()) for name, weights in after.items())
    return moved / sum(weights.numel() for weights in after.values())


def test_two_steps_of_every_stage(arguments: list[str], condition: str, tmp_path: Path) -> None:
    recipe = load_recipe(arguments)
    folder = tmp_path / "gpt2_124m" / f"exp_{condition}" / "seed_0"
    before = new_model(recipe, VOCABULARY).state_dict()
    assert before["transformer.wpe.weight"].shape == (1024, 768)
    run("prepare_data", arguments)
    stages = (
        ("pretrain", recipe.pretrain["learning_rate"] / recipe.pretrain["warmup_steps"]),
        ("sft", recipe.sft["learning_rate"] / recipe.sft["warmup_steps"]),
        ("grpo", recipe.grpo["learning_rate"] / recipe.grpo["warmup_steps"]),
    )
    for stage, second_rate in stages:
        run(f"run_{stage}", arguments)
        final = folder / f"{stage}_final"
        rows = [json.loads(line) for line in (final / "metrics.jsonl").read_text().splitlines()]
        rows = [row for row in rows if row.get("stage", "gsm8k") == "gsm8k" and "loss" in row]
        assert [row["step"] for row in rows] == [1, 2]
        assert [row["learning_rate"] for row in rows] == pytest.approx([0, second_rate])  # of the recipe's warm-up
        assert all(row["grad_norm"] > 0 for row in rows)
        moved = share_moved(before, final)
        print(f"{stage}: {moved:.1%} moved, {rows[-1]['memory_bytes'] / 2**30:.1f} GiB")  # noqa: T201
        assert moved > 0.5
        before = load_file(final / "model.safetensors")
        assert before["transformer.wte.weight"].shape == (VOCABULARY, 768)
    assert min(row["reward_std"] for row in rows) > 0
    run("run_eval", arguments)
    for model in ("sft_final", "grpo_final"):
        for task in recipe.evaluation.tasks:
            found = json.loads((folder / "eval" / model / f"{task}_results.json").read_text())
            assert 0 < found["num_items"] <= 2
            assert found["metrics"]
