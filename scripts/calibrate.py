"""Simulate comparisons with a known truth and count how often the report's tests and intervals err.

    python scripts/calibrate.py
    python scripts/calibrate.py --simulations 500
    python scripts/calibrate.py --part scaling

Prints false positives without an effect, power with an effect, and how often an interval misses the true value. Covers
the methods and sample sizes of the report, with and without variance between runs, and the fits of scaling studies.
"""

from domain_tokens.cli.calibrate import main

if __name__ == "__main__":
    main(__doc__)
