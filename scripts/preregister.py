"""Freeze an experiment's preregistration before its first step, or amend it.

    python scripts/preregister.py recipes/baseline.yaml recipes/mul_tokens.yaml --overlay recipes/scales/demo.yaml
    python scripts/preregister.py ... --set sft.learning_rate=1e-3 --amend "the loss diverged at step 40"

Give the same recipes, overlays and settings as to run_experiment.py, which freezes by itself if this was not done.
Writes outputs/<experiment>/preregistration.json: the declaration, each condition's whole recipe, the questions and
their order, decoding, the version and hash of what scores answers, and the declared seeds, with date, commit and hash.
An amendment is added and the original stays. One that is written after an evaluation makes the verdict exploratory.
"""

from domain_tokens.cli.preregister import main

if __name__ == "__main__":
    main(__doc__)
