"""Measure pretraining of GPT-2 124M on one GPU: speed, memory and MFU by micro-batch, precision and compiler.

make bench-gpu
.venv/bin/python benchmarks/bench_gpu.py --only micro_16 compiled_32 --steps 40

Each variant is `scripts/run_pretrain.py` on generated text with steps of 65,536 tokens, forked from a warm process and
alone on the GPU. The table shows medians over the logged rows behind the first 14 steps, in which kernels are chosen
and compiled and ten steps are profiled; below each variant are the shares of data, forward, backward and optimizer in
those ten, with Python waiting for the GPU between them. `estimate` is what scripts/plan.py and estimate_cost.py would
assume. `aligned_16` has a vocabulary of 50,368 in place of 50,349, a multiple of 64. Runs are kept in `--output-dir`.
"""

import argparse
import json
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from domain_tokens.cli.options import above_zero, local_path, whole_number
from domain_tokens.experiment import STAGE_MODULES
from domain_tokens.recipe import load_recipe, user_errors
from domain_tokens.training.callbacks.profile import STEPS, WARM_UP
from domain_tokens.training.devices import TRAINING_MFU
from domain_tokens.warm_process import WarmProcess

ROOT = Path(__file__).parents[1]
PROFILED = WARM_UP + STEPS + 1  # the row that holds the step behind them holds the last of them too
FULL = ("bf16=false", "tf32=null")
VARIANTS = {
    "micro_8": ("per_device_train_batch_size=8",),
    "micro_16": ("per_device_train_batch_size=16",),
    "aligned_16": ("per_device_train_batch_size=16",),
    "micro_32": ("per_device_train_batch_size=32",),
    "micro_64": ("per_device_train_batch_size=64",),
    "compiled_32": ("per_device_train_batch_size=32", "torch_compile=true"),
    "compiled_64": ("per_device_train_batch_size=64", "torch_compile=true"),
    "tf32_16": ("per_device_train_batch_size=16", "bf16=false"),
    "fp32_16": ("per_device_train_batch_size=16", *FULL),
}
RECIPE = (
    "recipes/baseline.yaml", "prereg=null", "budget.pretrain_tokens_per_step=65536",
    "corpus.sources=[{name: synthetic-math, kind: synthetic, what: text, max_items: 120000}]", "corpus.num_shards=4",
    "corpus.num_workers=8", "corpus.validation_fraction=0.005", "corpus.epochs=100", "pretrain.logging_steps=2",
    "pretrain.warmup_steps=2", "pretrain.eval_strategy=no", "pretrain.save_strategy=no",
    "pretrain.dataloader_num_workers=0",
)  # fmt: skip


def main() -> None:
    """Parse the command line, run the variants and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="variants (default: all)")
    parser.add_argument("--steps", type=whole_number, default=32, help="steps of 65,536 tokens (default: 32)")
    parser.add_argument("--timeout", type=above_zero, default=120, help="seconds for a variant (default: 120)")
    parser.add_argument("--output-dir", type=local_path, default=Path("outputs"), help="folder of the runs")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="overrides for every variant")
    arguments = parser.parse_args()
    if arguments.steps < 2 * PROFILED:
        parser.error(f"--steps: expected at least {2 * PROFILED}, got {arguments.steps}")
    recipe = [*RECIPE, f"output_dir={arguments.output_dir}", f"pretrain.max_steps={arguments.steps}", *arguments.set]
    with user_errors():
        load_recipe(recipe)
    print(f"estimate: {TRAINING_MFU:.0%} MFU")  # noqa: T201
    print(f"{'variant':<14}{'tokens/s':>10}{'MFU':>8}{'GB':>7}{'s in all':>10}")  # noqa: T201
    with WarmProcess(STAGE_MODULES) as warm:
        for seed, name in enumerate(VARIANTS):  # a seed of its own, so that each has a folder of its own
            if name in arguments.only:
                own = [f"pretrain.{override}" for override in VARIANTS[name]]
                own += aligned(arguments.output_dir) if name.startswith("aligned") else ["experiment=bench"]
                try:
                    run(warm, "prepare_data", [*recipe, *own], seed, arguments.timeout)
                    started = time.monotonic()
                    log = run(warm, "run_pretrain", [*recipe, *own, "--profile"], seed, arguments.timeout)
                    seconds = time.monotonic() - started
                    line = f"{shown(arguments.output_dir, seed)}{seconds:>10.1f}\n{'':<14}{shares(log)}"
                except RunError as error:
                    line = str(error)
                print(f"{name:<14}{line}", flush=True)  # noqa: T201


def aligned(output_dir: Path) -> list[str]:
    """Return overrides for a vocabulary of 50,304 + 64 ids, of which the last 64 are reserved."""
    output_dir.mkdir(parents=True, exist_ok=True)
    path = output_dir / "none_64.yaml"
    path.write_text("name: none_64\nabout: The vocabulary size is a multiple of 64.\nnum_ids: 64\n", encoding="utf-8")
    return [f"tokenizer={path.resolve()}", "experiment=bench_aligned"]


class RunError(Exception):
    """A stage failed or took too long; the message says which of the two."""


def run(warm: WarmProcess, script: str, recipe: list[str], seed: int, timeout: float) -> str:
    """Run a stage and return what it printed. Raises `RunError`, with its last lines, if it fails or takes long."""
    with tempfile.TemporaryFile() as log:
        try:
            code = warm.run(
                [str(ROOT / f"scripts/{script}.py"), *recipe, f"seed={seed}"],
                cwd=ROOT, stdout=log, stderr=log, timeout=timeout,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise RunError("out of time") from None
        log.seek(0)
        printed = log.read().decode()
    if code:
        raise RunError(f"{printed[-1500:]}\nfailed with exit code {code}")
    return printed


def shares(log: str) -> str:
    """Return the shares of a step's time that `--profile` printed."""
    (found,) = re.findall(r"pretrain: \d+ steps of .*", log)
    return str(found.removeprefix("pretrain: "))


def shown(output_dir: Path, seed: int) -> str:
    """Return the medians of a run's rows as cells of the table."""
    (path,) = output_dir.glob(f"bench*/exp_baseline/seed_{seed}/pretrain_final/metrics.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if "tokens_per_s" in row and row["step"] > PROFILED]
    speed = statistics.median(row["tokens_per_s"] for row in rows)
    mfu = statistics.median(row["mfu"] or 0.0 for row in rows)
    return f"{speed:>10,.0f}{mfu:>8.1%}{max(row['memory_bytes'] for row in rows) / 1e9:>7.1f}"


if __name__ == "__main__":
    main()
