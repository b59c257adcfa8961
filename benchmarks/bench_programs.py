"""Measure how many programs a second become prose on one core: by the converter alone, and by the whole route.

make bench-programs ARGS="data/tinygsm/sample.jsonl --question-key user --program-key assistant"

Prints rows a second of CPU time, user and system, as medians over rounds: the converter in this process; the converter
in a jail; and with every equation read by the project's reader, as scripts/convert_tinygsm.py does it.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Callable

from domain_tokens.cli.options import whole_number
from domain_tokens.corpora.programs import convert
from domain_tokens.corpora.programs.conversion import EXAMPLES
from domain_tokens.corpora.solutions.problems import Problem, read_problems
from domain_tokens.corpora.solutions.rules import MakeRules
from domain_tokens.corpora.solutions.shards import solve
from domain_tokens.evaluation.equations import all_hold
from domain_tokens.recipe import Source


def main() -> None:
    """Parse the command line, run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", default=str(EXAMPLES), help="default: the project's ten examples")
    parser.add_argument("--question-key", default="question", help="default: %(default)s")
    parser.add_argument("--program-key", default="code", help="default: %(default)s")
    parser.add_argument("--rows", type=whole_number, default=5000, help="of each round (default: 5000)")
    parser.add_argument("--rounds", type=whole_number, default=3, help="default: 3")
    arguments = parser.parse_args()
    source = Source("programs", "file", arguments.path)
    source.question_key, source.answer_key = arguments.question_key, arguments.program_key
    read = list(read_problems(source))
    problems = (read * (arguments.rows // len(read) + 1))[: arguments.rows]
    makers: dict[str, Callable[[], int]] = {
        "the converter": lambda: sum(hasattr(convert(one.program, one.question), "answer") for one in problems),
        "in a jail": lambda: _route(problems, lambda text: True),
        "in a jail, equations read": lambda: _route(problems, all_hold),
    }
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    for number in range(arguments.rounds + 1):
        for name, make in makers.items():
            before = _cpu_seconds()
            solved = make()
            if number:  # the first round fills caches
                seconds[name].append(_cpu_seconds() - before)
    sys.stdout.write(f"{arguments.rows:,} rows, {solved:,} solved\n")
    for name, measured in seconds.items():
        sys.stdout.write(f"{name:28} {arguments.rows / statistics.median(measured):8,.0f} rows a CPU-second\n")


def _route(problems: list[Problem], check: Callable[[str], bool]) -> int:
    with MakeRules(check)() as route:
        return solve(problems, route).counts.solved


def _cpu_seconds() -> float:
    """Return the time of this process and of its children that have ended."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
