"""Plan an experiment: how many seeds and items detect a difference, and what they cost.

    python scripts/plan.py outputs/pilot/exp_baseline outputs/pilot/exp_mul_tokens --effect 1 --price 2.5
    python scripts/plan.py --discordance 4 --between-run-sd 0.3 --effect 1 --hours-per-run 24 --price 2.5

Estimates come from a pilot or from given numbers. Prints the smallest difference that each number of seeds and items
can detect, and the seeds and items needed for the target difference. Points are percentage points of accuracy.
"""

from domain_tokens.cli.plan import main

if __name__ == "__main__":
    main(__doc__)
