"""Measure how long a stage takes from its command to its first step, and to its first step after a resume.

make bench-startup
.venv/bin/python benchmarks/bench_startup.py --rounds 9

The stage is pretraining at the demo's scale, in a process of its own, on a corpus that is ready. It is killed at the
first step that it reports: once at the beginning, and once where it goes on from a checkpoint. Both take turns.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from domain_tokens.cli.options import whole_number

ROOT = Path(__file__).parents[1]
RECIPE = (
    "recipes/baseline.yaml", "recipes/scales/demo.yaml", "prereg=null", "experiment=startup", "corpus.epochs=100",
    "pretrain.max_steps=100", "pretrain.save_steps=10", "budget.pretrain_tokens_per_step=512",
    "corpus.sources=[{name: t, kind: synthetic, what: text, max_items: 4000}]",
)  # fmt: skip


def command(script: str, folder: Path) -> list[str]:
    """Return the command of a stage whose results lie in `folder`."""
    return [sys.executable, str(ROOT / f"scripts/{script}.py"), *RECIPE, f"output_dir={folder}"]


def first_step(folder: Path, resumes: bool) -> tuple[float, float]:
    """Start pretraining, kill it at the first step that it reports; return seconds of time and of CPU time until then.

    Args:
        folder (`Path`): where its results lie.
        resumes (`bool`): whether it must go on from a checkpoint.
    """
    begun = time.perf_counter()
    with subprocess.Popen(
        command("run_pretrain", folder), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("step "):
                wall, times = time.perf_counter() - begun, psutil.Process(process.pid).cpu_times()
                process.kill()
                if resumes != any("resumes from step" in one for one in said):
                    raise SystemExit(f"bench_startup: expected resumes={resumes}, got\n{''.join(said)}")
                return wall, times.user + times.system
    raise SystemExit(f"bench_startup: pretraining ended before its first step\n{''.join(said)}")


def main() -> None:
    """Prepare the data and a checkpoint, take turns, print medians and extremes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=whole_number, default=5, help="rounds (default: 5)")
    arguments = parser.parse_args()
    found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as name:
        fresh, resumed = Path(name, "fresh"), Path(name, "resumed")
        for folder in (fresh, resumed):
            subprocess.run(command("prepare_data", folder), cwd=ROOT, check=True, capture_output=True)
        with subprocess.Popen(
            command("run_pretrain", resumed), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            while process.poll() is None and not list(resumed.rglob("checkpoint-20/verified.json")):
                time.sleep(0.1)
            process.kill()
        for _ in range(arguments.rounds):
            found[False].append(first_step(fresh, resumes=False))
            found[True].append(first_step(resumed, resumes=True))
    for resumes, label in ((False, "first step"), (True, "first step after a resume")):
        walls, processor = (sorted(column) for column in zip(*found[resumes], strict=True))
        print(  # noqa: T201
            f"{label:<28}{statistics.median(walls):>6.1f} s [{walls[0]:.1f}, {walls[-1]:.1f}]"
            f"{statistics.median(processor):>8.1f} CPU-seconds [{processor[0]:.1f}, {processor[-1]:.1f}]"
        )


if __name__ == "__main__":
    main()
