"""Run one contrast under many settings, and write how many of them agree with the headline: a specification curve.

    python scripts/run_robustness.py                         everything in recipes/robustness.yaml
    python scripts/run_robustness.py --dry-run               what would run, and what each variation shares
    python scripts/run_robustness.py --only sft_half strict  the headline and two variations
    python scripts/run_robustness.py --only-curve            from results that exist

Complete stages are skipped, so the command can be interrupted; the curve holds what is complete and names the rest.
"""

from domain_tokens.cli.run_robustness import main

if __name__ == "__main__":
    main(__doc__)
