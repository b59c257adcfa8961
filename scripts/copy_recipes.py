"""Copy the recipes and the launcher configurations of this version into a folder, to work there without a checkout.

    domain-tokens copy-recipes lab
    cd lab
    domain-tokens experiment recipes/baseline.yaml recipes/mul_tokens.yaml --dry-run

Files that are there already are kept; one that differs is named, and nothing is copied.
"""

from domain_tokens.cli.copy_recipes import main

if __name__ == "__main__":
    main(__doc__)
