"""Compare two conditions: writes results.json, results.md, report.html and plots, and prints what was found.

    python scripts/compare.py outputs/demo/exp_baseline outputs/demo/exp_mul_tokens

With more conditions, compares each with the first, in separate folders, and writes an overview: report.html,
overview.md and overview.json. A difference is the other condition minus the first. If runs are not compute-matched, or
do not pair by seed and item, nothing is written and the exit code is 2.
"""

from domain_tokens.cli.compare import main

if __name__ == "__main__":
    main(__doc__)
