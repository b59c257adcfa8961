r"""Choose a placebo: frequent phrases that shorten a recipe's corpus by as many tokens as another intervention.

    python scripts/choose_placebo.py recipes/mul_tokens.yaml \
        --matches recipes/interventions/mul_tokens.yaml --output placebo.yaml

Reads the documents that scripts/prepare_data.py wrote for the recipe. The recipe may be followed by overlays and
overrides. If the two totals cannot be matched within 1%, nothing is written and the exit code is 2.
"""

from domain_tokens.cli.choose_placebo import main

if __name__ == "__main__":
    main(__doc__)
