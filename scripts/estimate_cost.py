"""What an experiment takes before it is begun: tokens, FLOPs, hours and money of every stage, from its recipe.

    python scripts/estimate_cost.py recipes/mul_tokens.yaml --device A100 --devices 8 --price 2
    python scripts/estimate_cost.py recipes/mul_tokens.yaml pretrain.max_steps=1907 --seeds 5

Nothing is read but the recipe, and nothing is downloaded.
"""

from domain_tokens.cli.estimate_cost import main

if __name__ == "__main__":
    main(__doc__)
