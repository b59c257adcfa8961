"""Measure how many documents a minute the generator of lessons makes on one core.

make bench-generator
.venv/bin/python benchmarks/bench_generator.py --documents 20000

Prints documents a minute of CPU time (user and system) and MB a CPU-second, as medians over rounds, for the default
shares and for each kind alone; beside them, in the same rounds, the mixed text of `what: text`.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable

from domain_tokens.cli.options import whole_number
from domain_tokens.corpora import synthetic
from domain_tokens.corpora.lessons import making
from domain_tokens.recipe import LESSON_KINDS


def main() -> None:
    """Parse the command line, run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=whole_number, default=5000, help="of each round (default: 5000)")
    parser.add_argument("--rounds", type=whole_number, default=5, help="default: 5")
    arguments = parser.parse_args()
    makers: dict[str, Callable[[int], Iterable[str]]] = {
        "what: text": lambda seed: synthetic.texts(arguments.documents, seed, "train"),
        "lessons": lambda seed: _lessons(arguments.documents, seed, None),
        "lessons, test split": lambda seed: _lessons(arguments.documents, seed, None, "test"),
        **{
            f"lessons/{kind}": lambda seed, kind=kind: _lessons(arguments.documents, seed, {kind: 1.0})
            for kind in LESSON_KINDS
        },
    }
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    sizes: dict[str, float] = {}
    for number in range(arguments.rounds + 1):
        for name, make in makers.items():
            start = time.process_time()
            size = sum(len(text.encode()) for text in make(number))
            if number:  # the first round fills the caches
                seconds[name].append(time.process_time() - start)
                sizes[name] = size
    for name, spent in seconds.items():
        median = statistics.median(spent)
        sys.stdout.write(
            f"{name:24} {arguments.documents / median * 60:12,.0f} documents a minute "
            f"{sizes[name] / median / 1e6:8.2f} MB a CPU-second {sizes[name] / arguments.documents:6.0f} bytes each\n"
        )


def _lessons(num_items: int, seed: int, shares: dict[str, float] | None, split: str = "train") -> Iterable[str]:
    return (text for _, text in making.documents(num_items, seed, split, shares))


if __name__ == "__main__":
    main()
