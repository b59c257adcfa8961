"""Estimate the cost of an experiment from its recipe: tokens, FLOPs, hours and money for every stage.

    python scripts/estimate_cost.py recipes/mul_tokens.yaml --device A100 --devices 8 --price 2
    python scripts/estimate_cost.py recipes/mul_tokens.yaml pretrain.max_steps=1907 --seeds 5

Reads only the recipe and downloads nothing.
"""

from domain_tokens.cli.estimate_cost import main

if __name__ == "__main__":
    main(__doc__)
