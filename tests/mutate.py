"""Changes the code in random places and counts how many changes the tests notice: `make mutate`.

    python tests/mutate.py                 300 mutants, a sample drawn with a seed
    python tests/mutate.py --num-mutants 50 --pattern '*rewards*' --seed 1

`[tool.mutmut]` in pyproject.toml lists the files and the tests. A mutant is one small change in one function: another
operator, constant, argument or string. Survivors are printed as diffs: a missing assertion, or a change that alters
nothing (an error message, an equivalent expression). The folder `mutants/` can be removed.
"""

import argparse
import fnmatch
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from mutmut.__main__ import collect_source_file_mutation_data, status_by_exit_code

MUTMUT = Path(sys.executable).with_name("mutmut")


def main() -> None:
    """Draw a sample of mutants, run the tests on each, and list the survivors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-mutants", type=int, default=300, metavar="N", help="size of the sample (default: 300)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the sample (default: 0)")
    parser.add_argument("--pattern", default="*", help="only mutants whose name matches, e.g. '*verdict*'")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="mutants tested at a time (default: 2)")
    arguments = parser.parse_args()
    names = sorted(name for name in _statuses(arguments.jobs) if fnmatch.fnmatch(name, arguments.pattern))
    sample = random.Random(arguments.seed).sample(names, min(arguments.num_mutants, len(names)))
    if not sample:
        sys.exit(f"error: no mutant of {len(_read())} matches {arguments.pattern!r}")
    subprocess.run([MUTMUT, "run", "--max-children", str(arguments.jobs), *sample], check=True)
    statuses = _read()
    survivors = [name for name in sample if statuses[name] not in ("killed", "timeout")]
    for name in survivors:
        subprocess.run([MUTMUT, "show", name], check=True)
    counts = Counter(statuses[name] for name in sample)
    sys.stdout.write(f"{len(sample)} of {len(names)} mutants: {dict(counts)}\n")
    sys.stdout.write(f"noticed: {len(sample) - len(survivors)} of {len(sample)}\n")


def _statuses(jobs: int) -> dict[str, str]:
    """Generate the mutants and return their statuses: a run of the first function's alone makes all of them."""
    if not Path("mutants").is_dir():
        subprocess.run([MUTMUT, "run", "--max-children", str(jobs), "*.rewards.x_brevity__mutmut_1"], check=True)
    return _read()


def _read() -> dict[str, str]:
    found, _ = collect_source_file_mutation_data(mutant_names=())
    return {name: status_by_exit_code[exit_code] for _, name, exit_code in found}


if __name__ == "__main__":
    main()
