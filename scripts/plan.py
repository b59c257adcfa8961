"""Print how many seeds and items are needed to find a difference, from a pilot or from given numbers, and their cost.

    python scripts/plan.py outputs/pilot/exp_baseline outputs/pilot/exp_mul_tokens --effect 1 --price 2.5
    python scripts/plan.py --discordance 4 --between-run-sd 0.3 --effect 1 --hours-per-run 24 --price 2.5

Prints the smallest difference that each number of seeds and items can show, and the seeds and items that the wanted
difference needs. Points are percentage points of accuracy.
"""

from domain_tokens.cli.plan import main

if __name__ == "__main__":
    main(__doc__)
