"""Verify that two conditions are compute-matched in tokens, FLOPs, source bytes and examples, by stage and seed.

    python scripts/verify_matched.py outputs/demo/exp_baseline outputs/demo/exp_mul_tokens

Prints what each condition consumed. Lists every field that must be equal but differs, with both values; the exit code
is then 1.
"""

from domain_tokens.cli.verify_matched import main

if __name__ == "__main__":
    main(__doc__)
