"""Compare two conditions: results.json, results.md, report.html and plots, and a table in the terminal.

    python scripts/compare.py outputs/demo/exp_baseline outputs/demo/exp_mul_tokens

With more conditions, each is compared with the first in a folder of its own, and an overview joins them: report.html,
overview.md, overview.json. Differences are the other condition minus the first. Runs that are not compute-matched, or
not paired seed by seed and item by item, are refused with exit code 2, and nothing is written.
"""

from domain_tokens.cli.compare import main

if __name__ == "__main__":
    main(__doc__)
