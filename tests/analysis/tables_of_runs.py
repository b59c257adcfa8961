"""Tables of runs whose truth is known, as CSV files."""

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

E, ALPHA = 0.9, 0.35
MULTIPLIER = 1.12
WIDTHS = (32, 48, 64, 96, 128, 192)
HEADER = (
    "study", "point", "condition", "seed", "run", "model", "step", "final", "held_out", "parameters",
    "non_embedding_parameters", "tokens", "flops", "loss", "perplexity", "bits_per_byte", "bits_per_byte_model",
    "bits_per_byte_without_sites", "tokens_per_second", "vocabulary", "model.n_embd",
)  # fmt: skip

# The parameters of arXiv:2404.10102, for a table of the same design as theirs.
REANALYSIS = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}


def width_study(
    path: Path,
    seeds: int = 3,
    widths: Sequence[int] = WIDTHS,
    held_out: int | None = WIDTHS[-1],
    noise: float = 0.004,
    multiplier: float = MULTIPLIER,
) -> Path:
    """Write what a study of widths writes: two conditions, a checkpoint of each run, the largest width held out."""
    rng = np.random.default_rng(0)
    rows = []
    for width in widths:
        size = 48 * width**2
        for seed in range(seeds):
            shared = rng.normal(0, noise)
            for condition, times in (("baseline", 1.0), ("mul_tokens", multiplier)):
                bits = bits_per_byte(times * size) * math.exp(shared + rng.normal(0, noise / 3))
                bytes_per_token = 3.6 if condition == "baseline" else 3.924
                for final, factor in (("false", 1.3), ("true", 1.0)):
                    loss = bits * factor * bytes_per_token * math.log(2)
                    name = f"w{width}/{condition}/seed_{seed}"
                    rows.append(
                        ("widths", f"w{width}", condition, seed, name, "pretrain_final", 100, final)
                        + (str(width == held_out).lower(), size + 2000 * width, size, 5_000_000, 3e7 * size, loss)
                        + (math.exp(loss), bits * factor, bits * factor, 1.01 * bits * factor, 1000, 1536, width)
                    )
    return write(path, HEADER, rows)


def bits_per_byte(size: float) -> float:
    return E + 0.45 * (size / 2e5) ** -ALPHA


def published(path: Path, noise: float = 0.0025) -> Path:
    """Write 245 runs at nine budgets of compute, five of them outliers, in the columns of a published table."""
    rng = np.random.default_rng(0)
    rows = []
    for budget in (6e18, 1e19, 3e19, 6e19, 1e20, 3e20, 6e20, 1e21, 3e21):
        for times in np.geomspace(0.25, 4, 28):
            size = times * math.sqrt(budget / 120)
            tokens = budget / 6 / size
            loss = REANALYSIS["E"] + REANALYSIS["A"] / size ** REANALYSIS["alpha"]
            loss = (loss + REANALYSIS["B"] / tokens ** REANALYSIS["beta"]) * math.exp(rng.normal(0, noise))
            rows.append([size, tokens, budget, loss])
    for index in (3, 50, 100, 150, 200):
        rows[index][3] *= 1.08
    return write(path, ("Model Size", "Training Tokens", "Training FLOP", "loss"), rows[:245])


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def edited(path: Path, change: Callable[[dict[str, str]], None]) -> Path:
    """Change the rows of a table in place."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        change(row)
    return write(path, list(rows[0]), [list(row.values()) for row in rows])
