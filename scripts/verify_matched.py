"""Verify that two conditions are compute-matched: tokens, FLOPs, source bytes and examples of every stage and seed.

    python scripts/verify_matched.py outputs/demo/exp_baseline outputs/demo/exp_mul_tokens

Prints what each consumed. Exits with 1 if anything differs that the design does not let differ, and names every such
field with both values.
"""

from domain_tokens.cli.verify_matched import main

if __name__ == "__main__":
    main(__doc__)
