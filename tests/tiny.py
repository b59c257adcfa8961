"""The experiment at a hundredth of the demo's size, and how a test runs a script."""

import contextlib
import io
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[1]
CONDITIONS = ("baseline", "mul_tokens")


def tiny_arguments(output_dir: Path, condition: str, *overrides: str) -> list[str]:
    return [
        str(ROOT / f"recipes/{condition}.yaml"),
        str(ROOT / "recipes/scales/demo.yaml"),
        f"output_dir={output_dir}",
        "experiment=tiny",
        "model={n_layer: 1, n_head: 2, n_embd: 16, n_positions: 64}",
        "corpus.sources.0.max_items=400",
        "corpus.num_workers=1",
        "budget.pretrain_tokens_per_step=256",
        "budget.sft_examples_per_step=8",
        "budget.grpo_completions_per_step=8",
        "pretrain.max_steps=4",
        "pretrain.warmup_steps=1",
        "pretrain.per_device_train_batch_size=2",
        "pretrain.logging_steps=1",
        "pretrain.eval_steps=4",
        "pretrain.save_steps=2",
        "sft.per_device_train_batch_size=8",
        "sft.max_length=64",
        "sft.logging_steps=1",
        "sft_stages.0.sources.0.max_items=16",
        "sft_stages.0.sources.1.max_items=16",
        "grpo.max_steps=1",
        "grpo.per_device_train_batch_size=8",
        "grpo.num_generations=4",
        "grpo.max_completion_length=8",
        "grpo_prompts.0.max_items=8",
        "evaluation.data.gsm8k.max_items=8",
        "evaluation.data.hellaswag.max_items=8",
        "evaluation.max_new_tokens=8",
        "evaluation.max_samples=8",
        *overrides,
    ]


def run_script(*command: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """Run a command from the repository's root and return its exit code and output."""
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )


def run_stage(stage: str, output_dir: Path, condition: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Run a stage's script on the tiny experiment in `output_dir`."""
    return run_script(f"scripts/{stage}.py", *tiny_arguments(output_dir, condition, *overrides))


def manifest(experiment: Path, condition: str, folder: str) -> dict[str, Any]:
    """Return the manifest of a folder of the experiment's only seed."""
    return json.loads((experiment / f"exp_{condition}" / "seed_0" / folder / "manifest.json").read_text())


def run_inside(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script that ends before its work begins in this process, where its libraries are imported already.

    Returns what `run_script` would, without log messages, which pytest catches.
    """
    from accelerate.state import AcceleratorState

    stdout, stderr = io.StringIO(), io.StringIO()
    code = 0
    with (
        contextlib.chdir(ROOT), mock.patch.dict(os.environ), mock.patch.object(sys, "argv", [script, *arguments]),
        contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr),
    ):  # fmt: skip
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            AcceleratorState._reset_state(reset_partial_state=True)
    return subprocess.CompletedProcess([script, *arguments], code, stdout.getvalue(), stderr.getvalue())
