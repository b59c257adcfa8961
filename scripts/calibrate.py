"""Simulate comparisons of known truth, and count how often the report's tests and intervals err.

    python scripts/calibrate.py
    python scripts/calibrate.py --simulations 500

Prints false positives without an effect, power with one, and how often an interval misses the truth, for the methods
and sizes that the report uses, with and without variance between runs.
"""

from domain_tokens.cli.calibrate import main

if __name__ == "__main__":
    main(__doc__)
