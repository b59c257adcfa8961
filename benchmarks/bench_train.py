"""Measure a step of pretraining through the Trainer against a plain training loop at the same shape.

make bench-train
.venv/bin/python benchmarks/bench_train.py --only wide --rounds 15

Both begin with the same weights, read the same ids and decay the same weights; their losses are compared before the
first step and after the first round, since later ones differ by rounding that has grown. Rounds of steps alternate,
ours and the plain loop's, in one process. A ratio above 1 says that ours is faster. Ours also reads the shards, steps
the schedule, checks loss and gradient norm, calls all of a stage's callbacks at every step and, compiled, repeats bit
by bit on a CPU; the plain loop reads its ids from memory. Logging, evaluation and checkpoints are not timed. With a
CUDA device, `gpt2_124m` is among the shapes. `--json FILE` writes every round. `--control` lets the plain loop
alternate with itself: as far as its medians are from 1, those of ours can be without a difference.
"""

import argparse
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reference_gpt2 import PlainLoop, with_weights_of
from transformers import TrainerCallback

from domain_tokens.cli.options import whole_number
from domain_tokens.corpora.shards import PackedSequences
from domain_tokens.recipe import load_recipe
from domain_tokens.stopping.signals import StopSignals
from domain_tokens.training.callbacks.accounting import Counter
from domain_tokens.training.callbacks.progress import show_progress
from domain_tokens.training.callbacks.stopping import StopTogether
from domain_tokens.training.devices import keep_freed_memory
from domain_tokens.training.pretrain import Pretraining

ROOT = Path(__file__).parents[1]
COMMON = (
    "recipes/baseline.yaml", "recipes/scales/demo.yaml", "prereg=null", "experiment=bench_train", "corpus.epochs=100",
    "pretrain.eval_strategy=no", "pretrain.save_strategy=no", "pretrain.lr_scheduler_type=constant",
    "pretrain.logging_steps=1000", "corpus.sources=[{name: t, kind: synthetic, what: text, max_items: 4000}]",
)  # fmt: skip
FULL = ("base_vocabulary={kind: gpt2, num_ids: 50257}",)  # 50,349 ids in place of the demo's 1,837
DEMO = ("budget.pretrain_tokens_per_step=512",)  # the demo's shape: 2 layers of 128, 4 x 128 tokens a step
WIDE = (
    "model.n_layer=6", "model.n_head=8", "model.n_embd=256", "model.n_positions=256",
    "budget.pretrain_tokens_per_step=2048", "pretrain.per_device_train_batch_size=8",
)  # fmt: skip
GPT2 = (
    "model.n_layer=12", "model.n_head=12", "model.n_embd=768", "model.n_positions=1024",
    "budget.pretrain_tokens_per_step=65536", "pretrain.per_device_train_batch_size=64", "pretrain.bf16=true",
)  # fmt: skip
SHAPES = {"demo": DEMO, "demo_50349": DEMO + FULL, "wide": WIDE, "wide_50349": WIDE + FULL}
GPU_SHAPES = {"gpt2_124m": GPT2 + FULL}
STEPS = {"demo": 32, "demo_50349": 32}  # in which the shards are read once; of the others, eight steps


@dataclass
class Rounds(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Stops the Trainer's clock after every round and lets the plain loop train as many steps."""

    plain: PlainLoop
    steps: int
    synchronize: Callable[[], None]
    compare: Callable[[], None]
    seconds: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {"ours": [], "plain": []})
    begun: tuple[float, float] = (0.0, 0.0)

    def now(self) -> tuple[float, float]:
        """Return wall time and CPU time in seconds, when the device has done what it was given."""
        self.synchronize()
        return time.perf_counter(), time.process_time()

    def took(self, name: str, since: tuple[float, float]) -> None:
        """Note how long a round took."""
        wall, processor = self.now()
        self.seconds[name].append((wall - since[0], processor - since[1]))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Let the plain loop train after every round of ours."""
        self.after(state.global_step)

    def after(self, step: int) -> None:
        """Let the plain loop train if the step ends a round."""
        if step % self.steps:
            return
        self.took("ours", self.begun)
        begun, deterministic = self.now(), torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(False)  # which nobody who writes a plain loop asks for
        for _ in range(self.steps):
            self.plain.step()
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        self.took("plain", begun)
        if step == self.steps:
            self.compare()
        self.begun = self.now()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin the first round."""
        self.begun = self.now()


def measure(
    overrides: tuple[str, ...], compiled: bool, steps: int, num_rounds: int, folder: Path, control: bool = False
) -> Rounds:
    """Train both, or for control the plain loop twice, and return the seconds of every round.

    Raises `SystemExit` if their losses differ.
    """
    own = [f"pretrain.max_steps={steps * (num_rounds + 1)}", f"pretrain.torch_compile={compiled}"]
    torch.use_deterministic_algorithms(False)  # an earlier row may have compiled
    recipe_arguments = [*COMMON, *overrides, *own, f"output_dir={folder}"]
    prepared = subprocess.run(
        [sys.executable, "scripts/prepare_data.py", *recipe_arguments], cwd=ROOT, capture_output=True, text=True
    )
    if prepared.returncode:
        raise SystemExit(f"bench_train: the data could not be prepared\n{prepared.stderr}")
    recipe = load_recipe([str(ROOT / one) if one.startswith("recipes/") else one for one in recipe_arguments])
    run = Pretraining(recipe)
    trainer = run.prepared_trainer(Counter(), StopTogether(StopSignals(is_launched=False)))
    show_progress(trainer)

    def plain_loop() -> PlainLoop:
        return PlainLoop(
            with_weights_of(run.model).to(trainer.args.device), batches(run), trainer.args.gradient_accumulation_steps,
            trainer.args.learning_rate, bf16=trainer.args.bf16, compiled=compiled,
        )  # fmt: skip

    plain = plain_loop()
    check_losses(run, plain, trainer.args.device, "at the start", tolerance=1e-3)
    compare = partial(check_losses, run, plain, trainer.args.device, "after the first round", tolerance=1e-2)
    on_gpu = torch.cuda.is_available()
    rounds = Rounds(
        plain, steps, torch.cuda.synchronize if on_gpu else lambda: None, (lambda: None) if control else compare
    )
    if control:
        other, rounds.begun = plain_loop(), rounds.now()
        for step in range(1, steps * (num_rounds + 1) + 1):
            other.step()
            rounds.after(step)
        return rounds
    trainer.add_callback(rounds)
    reads = count_reads(run.train)
    trainer.train()
    if sum(reads) < trainer.state.global_step * run.tokens_per_step:
        raise SystemExit(f"bench_train: ours read {sum(reads):,} tokens, fewer than it was trained on")
    return rounds


def count_reads(sequences: PackedSequences) -> list[int]:
    """Return a list to which every read of the shards adds its number of tokens."""
    reads: list[int] = []
    read = sequences.stream.read

    def counted(start: int, stop: int) -> np.ndarray:
        reads.append(stop - start)
        return read(start, stop)

    sequences.stream.read = counted  # type: ignore[method-assign]
    return reads


def batches(run: Pretraining) -> Iterator[torch.Tensor]:
    """Yield micro batches of ids from one array in memory, again and again."""
    own = PackedSequences(run.documents, run.sequence_length, run.train.multiple_of)  # ours must not have it read
    rows = own.__getitems__(list(range(len(own))))
    size = run.arguments.per_device_train_batch_size
    for start in itertools.cycle(range(0, len(rows) - size + 1, size)):
        yield rows[start : start + size]


def check_losses(run: Pretraining, plain: PlainLoop, device: torch.device, when: str, tolerance: float) -> None:
    """Compare the losses of both models on the first micro batch, in 32 bits and not compiled."""
    ids = next(batches(run)).to(device)
    targets = torch.nn.functional.pad(ids[:, 1:], (0, 1), value=-100)
    with torch.no_grad():
        ours = run.model.to(device)(input_ids=ids, labels=ids).loss.item()
        theirs = plain.model(ids, targets).item()
    if abs(ours - theirs) > tolerance * abs(theirs):
        raise SystemExit(f"bench_train: expected equal losses {when}, got {ours:.5f} (ours) and {theirs:.5f} (plain)")


def row(name: str, rounds: Rounds) -> str:
    """Return the medians of all rounds but the first, in which memory is allocated and graphs are compiled."""
    ours, plain = (list(zip(*rounds.seconds[key][1:], strict=True)) for key in ("ours", "plain"))
    cells = [f"{name:<32}", *(f"{1000 * statistics.median(one[0]) / rounds.steps:>10.1f}" for one in (ours, plain))]
    for clock in (0, 1):
        ratios = sorted(b / a for a, b in zip(ours[clock], plain[clock], strict=True))
        cells.append(f"{statistics.median(ratios):>8.3f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]")
    return "".join(cells)


def main() -> None:
    """Read the command line, measure every shape, print a row each."""
    shapes = SHAPES | (GPU_SHAPES if torch.cuda.is_available() else {})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=shapes, default=list(shapes), help="shapes (default: all)")
    parser.add_argument("--steps", type=whole_number, help="steps of a round (default: 32, of the larger shapes 8)")
    parser.add_argument("--rounds", type=whole_number, default=9, help="rounds that count (default: 9)")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--compile", action="store_true", help="compiled only; needs a C++ compiler")
    only.add_argument("--eager", action="store_true", help="eager only")
    parser.add_argument("--control", action="store_true", help="the plain loop against itself")
    parser.add_argument("--json", type=Path, help="file for the seconds of every round")
    arguments = parser.parse_args()
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if arguments.compile and not compiler:
        parser.error("--compile: expected a C++ compiler (c++, g++ or clang++), found none; install one")
    modes = [False] * (not arguments.compile) + [True] * (not arguments.eager and compiler is not None)
    first = "plain, ms" if arguments.control else "ours, ms"
    print(f"{'':32}{first:>10}{'plain, ms':>10}   {'ratio by wall clock':<22}by CPU time")  # noqa: T201
    keep_freed_memory()  # as a stage does; the plain loop gains as much
    found = {}
    for name, compiled in itertools.product(arguments.only, modes):
        with tempfile.TemporaryDirectory() as folder:
            steps = arguments.steps or STEPS.get(name, 8)
            rounds = measure(shapes[name], compiled, steps, arguments.rounds, Path(folder), arguments.control)
        label = f"{name}, {'compiled' if compiled else 'eager'}{', control' * arguments.control}"
        found[label] = rounds.seconds
        print(row(label, rounds), flush=True)  # noqa: T201
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
