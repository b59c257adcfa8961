"""The experiment at a hundredth of the demo's size, and how a test runs a script."""

import contextlib
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from domain_tokens.recipe import Recipe, load_recipe
from domain_tokens.recipe.values.overrides import layered
from domain_tokens.warm_process import ForkedProcess, WarmProcess

ROOT = Path(__file__).parents[1]
CONDITIONS = ("baseline", "mul_tokens")
GPT2_BASE = "base_vocabulary={kind: gpt2, num_ids: 50257}"
"""The demo trains a base of its own, with which a stage takes half the time."""


def tiny_arguments(output_dir: Path, condition: str, *overrides: str) -> list[str]:
    files = [
        str(ROOT / f"recipes/{condition}.yaml"),
        "recipes/scales/demo.yaml",  # relative, as users name it: a recipe records the paths of its files
    ]
    usual = [
        f"output_dir={output_dir}",
        "experiment=tiny",
        "prereg=recipes/scales/assay_prereg.yaml",
        "model={n_layer: 1, n_head: 2, n_embd: 16, n_positions: 128}",
        "corpus.sources.0.max_items=400",
        "corpus.num_workers=1",
        "budget.pretrain_tokens_per_step=256",
        "budget.sft_examples_per_step=8",
        "budget.grpo_completions_per_step=8",
        "pretrain.max_steps=4",
        "pretrain.warmup_steps=1",
        "pretrain.per_device_train_batch_size=1",
        "pretrain.logging_steps=1",
        "pretrain.eval_steps=4",
        "pretrain.save_steps=2",
        "sft.num_train_epochs=1",
        "sft.per_device_train_batch_size=8",
        "sft.max_length=128",
        "sft.logging_steps=1",
        "sft_stages.0.sources.0.max_items=16",
        "sft_stages.0.sources.1.max_items=16",
        "grpo.max_steps=1",
        "grpo.per_device_train_batch_size=8",
        "grpo.num_generations=4",
        "grpo.max_completion_length=8",
        "grpo_prompts.0.max_items=8",
        "rollouts.preflight_prompts=0",  # a model of a few steps solves nothing
        "evaluation.data.gsm8k.max_items=8",
        "evaluation.data.hellaswag={name: scenes, kind: synthetic, what: cloze, max_items: 8}",
        "evaluation.tasks=[gsm8k, gsm8k_direct, gold_bits, hellaswag, arithmetic, notations]",
        "evaluation.ablation_tasks=[gsm8k, arithmetic]",
        "evaluation.checkpoint_tasks=[hellaswag, notations]",
        "evaluation.sampling={tasks: [gsm8k], num_samples: 4}",
        "evaluation.max_new_tokens=8",
        "evaluation.max_samples=8",
        "evaluation.ending_prompts=4",
    ]
    return [*files, *layered(usual, *([one] for one in overrides))]


@cache
def _loaded(arguments: tuple[str, ...]) -> Recipe:
    return load_recipe(list(arguments))


def quick_load(arguments: list[str]) -> Recipe:
    """Read a recipe as `load_recipe` does, once for all names, folders and seeds: it takes a tenth of a second."""
    names = ("experiment", "output_dir", "seed")
    own = {key: value for key, _, value in (one.partition("=") for one in arguments) if key in names}
    loaded = deepcopy(_loaded(tuple(one for one in arguments if one.partition("=")[0] not in names)))
    return replace(loaded, experiment=own["experiment"], output_dir=own["output_dir"], seed=int(own.get("seed", 0)))


@cache
def warm_process() -> WarmProcess:
    """Start the process that every script of this worker is forked from; it ends with the worker."""
    from domain_tokens.experiment import STAGE_MODULES

    return WarmProcess((*STAGE_MODULES, "warm_rules"))


def run_script(script: str, *arguments: str, timeout: float = 900, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script from the repository's root, in a process forked from a warm one; return exit code and output.

    Args:
        script (`str`): its path in the repository.
        timeout (`float`): seconds after which it is killed.
        env: variables beside those of the tests.
    """
    (done,) = run_scripts([env], script, *arguments, timeout=timeout)
    return done


def run_ranks(number: int, script: str, *arguments: str) -> list[subprocess.CompletedProcess[str]]:
    """Run a script as `accelerate launch` does on a machine without a GPU: several processes that find each other."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(number), "ACCELERATE_USE_CPU": "true"}
    shared |= {"LOCAL_WORLD_SIZE": str(number), "ACCELERATE_MIXED_PRECISION": "no"}
    ranks = [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(number)]
    return run_scripts(ranks, script, *arguments)


def run_scripts(
    environments: list[dict[str, str]], script: str, *arguments: str, timeout: float = 900
) -> list[subprocess.CompletedProcess[str]]:
    """Run a script in several processes side by side, one for each set of variables beside those of the tests."""
    command = [str(ROOT / script), *arguments]
    with contextlib.ExitStack() as stack:
        streams = [[stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(2)] for _ in environments]
        processes = [
            warm_process().start(command, env={**os.environ, **env}, cwd=ROOT, stdout=out, stderr=err)
            for env, (out, err) in zip(environments, streams, strict=True)
        ]
        try:
            codes = [process.wait(timeout) for process in processes]
        finally:
            for process in processes:
                process.signal_group(signal.SIGKILL)  # what is left of it, where another ran out of time
        texts = [[stream.seek(0) or stream.read() for stream in pair] for pair in streams]
    return [subprocess.CompletedProcess(command, code, *text) for code, text in zip(codes, texts, strict=True)]


def start_script(*command: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """Run a command of Python in a fresh process, as a user does: imports, launcher and all."""
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )


def run_stage(stage: str, output_dir: Path, condition: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Run a stage's script on the tiny experiment in `output_dir`."""
    return run_script(f"scripts/{stage}.py", *tiny_arguments(output_dir, condition, *overrides))


def prepare_data(output_dir: Path, *overrides: str) -> Path:
    """Make the tokenizer and the corpus of `mul_tokens` in an output folder, which is returned."""
    done = run_stage("prepare_data", output_dir, "mul_tokens", *overrides)
    assert done.returncode == 0, done.stderr[-3000:]
    return output_dir


def start_stage(stage: str, output_dir: Path, condition: str, *overrides: str) -> ForkedProcess:
    """Start a stage's script on the tiny experiment in `output_dir`, and do not wait for it."""
    command = [str(ROOT / f"scripts/{stage}.py"), *tiny_arguments(output_dir, condition, *overrides)]
    with (output_dir / f"{stage}.log").open("ab") as log:
        return warm_process().start(command, env=dict(os.environ), cwd=ROOT, stdout=log, stderr=log)


def manifest(experiment: Path, condition: str, folder: str) -> dict[str, Any]:
    """Return the manifest of a folder of the experiment's only seed."""
    return json.loads((experiment / f"exp_{condition}" / "seed_0" / folder / "manifest.json").read_text())


def weights(run: Path) -> dict[str, str]:
    """Return the hash of the weights that each stage left."""
    return {
        name: json.loads((run / name / "manifest.json").read_text())["reported"]["weights_sha256"]
        for name in ("pretrain_final", "sft_final", "grpo_final")
    }


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
