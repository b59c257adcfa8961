"""Compare models by the logs of lm-evaluation-harness, Inspect or lighteval, whoever trained them.

    python scripts/compare_logs.py --run baseline=logs/a --run changed=logs/b --metric exact_match
    python scripts/compare_logs.py --runs runs.yaml --task gsm8k --metric exact_match,strict-match --margin 1

With several runs of each condition, --run baseline:0=... --run baseline:1=... gives each a seed, or a file does:

    runs:
      baseline: {0: logs/a0, 1: logs/a1}
      changed: {0: logs/b0, 1: logs/b1}

Reads the scores of single questions (samples_*.jsonl, *.eval, details_*.parquet), matches the questions of all runs,
and tests the difference over questions, and with several runs of each condition over runs too. Writes comparison.json,
comparison.md and comparison.html. If runs or questions do not pair, nothing is written and the exit code is 2.
"""

from domain_tokens.cli.compare_logs import main

if __name__ == "__main__":
    main(__doc__)
