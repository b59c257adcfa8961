"""Analyze self-adaptation: gain over the controls, reliability of the reward, what was chosen and what was forgotten.

    python scripts/analyze_adaptation.py outputs/seal/exp_baseline/seed_0
    python scripts/analyze_adaptation.py outputs/seal/exp_*/seed_* --output adaptation

Reads the files that scripts/run_seal.py left in the folder `seal/` of each run, and loads no model. Runs of one
condition are pooled, conditions are shown apart. Writes adaptation.json, adaptation.md and two figures, and prints the
tables. What was interrupted is analysed with a warning.
"""

from domain_tokens.cli.analyze_adaptation import main

if __name__ == "__main__":
    main(__doc__)
