"""Measure how many programs the jail executes, and how many texts it maps, per second of CPU time.

make bench-jail
.venv/bin/python benchmarks/bench_jail.py --programs 1000

Prints programs or texts per CPU-second (user and system, of the caller, the clean parent and all children), as medians
over rounds, and the share of programs that gave a number, with the reasons of the others. The programs are TinyGSM's
sample from the data folder, or the project's own samples.

    run      a program in a child of its own
    map      `json.dumps` of a program's text, in batches: what the way into the jail and back takes
    plain    `exec` in this process, without a jail
    start    starting a jail and ending it, in CPU-seconds
"""

import argparse
import ast
import json
import os
import resource
import statistics
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

from domain_tokens.cli.options import whole_number
from domain_tokens.jail.client import Jail
from domain_tokens.jail.outcomes import Refusal

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("DOMAIN_TOKENS_DATA", ROOT.parent / "shared" / "data"))
SAMPLE = "tinygsm/sample_1000.jsonl"


def main() -> None:
    """Parse the command line, run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=whole_number, default=500, help="of each round (default: 500)")
    parser.add_argument("--rounds", type=whole_number, default=5, help="default: 5")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # "\\$" in a program's text
    sources = _sources(arguments.programs)
    outcomes: list[int | float | Refusal] = []
    works: dict[str, Callable[[Jail], object]] = {
        "run": lambda jail: outcomes.extend(jail.run_all(sources)),
        "map": lambda jail: list(jail.map(json.dumps, sources * 10)),
        "start": lambda jail: None,
    }
    seconds: dict[str, list[float]] = {name: [] for name in [*works, "plain"]}
    for _ in range(arguments.rounds):
        for name, work in works.items():
            seconds[name].append(_cpu_seconds(lambda work=work: _in_jail(work)))
        seconds["plain"].append(_cpu_seconds(lambda: [_plain(source) for source in sources]))
    _print(len(sources), {name: statistics.median(spent) for name, spent in seconds.items()}, outcomes)


def _sources(number: int) -> list[str]:
    path = DATA / SAMPLE if (DATA / SAMPLE).is_file() else ROOT / "tests" / "samples" / SAMPLE
    rows = [json.loads(line)["assistant"] for line in path.read_text(encoding="utf-8").splitlines()]
    programs = [row.split("```python\n", 1)[-1].rsplit("```", 1)[0] for row in rows]
    return list(islice(cycle(programs), number))


def _in_jail(work: Callable[[Jail], object]) -> None:
    with Jail() as jail:
        work(jail)


def _plain(source: str) -> None:
    exec(compile(ast.parse(source), "<program>", "exec"), {})


def _cpu_seconds(work: Callable[[], object]) -> float:
    before = _spent()
    work()
    return _spent() - before


def _spent() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(of.ru_utime + of.ru_stime for of in usage)


def _print(number: int, seconds: dict[str, float], outcomes: list[int | float | Refusal]) -> None:
    start = seconds["start"]
    refused = Counter(outcome.reason.value for outcome in outcomes if isinstance(outcome, Refusal))
    sys.stdout.write(
        f"run    {number / (seconds['run'] - start):10,.0f} programs a CPU-second\n"
        f"map    {10 * number / (seconds['map'] - start):10,.0f} texts a CPU-second\n"
        f"plain  {number / seconds['plain']:10,.0f} programs a CPU-second\n"
        f"start  {start:10.2f} CPU-seconds\n"
        f"{1 - sum(refused.values()) / len(outcomes):.1%} of the programs gave a number; refused: {dict(refused)}\n"
    )


if __name__ == "__main__":
    main()
