"""Verify that two conditions are compute-matched: tokens, FLOPs, source bytes and examples of every stage and seed.

    python scripts/verify_matched.py outputs/demo/exp_baseline outputs/demo/exp_mul_tokens

Prints what each condition consumed. If a field differs that must not, names it with both values and exits with 1.
"""

from domain_tokens.cli.verify_matched import main

if __name__ == "__main__":
    main(__doc__)
