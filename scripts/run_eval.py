"""Evaluate the models of one run on all tasks of the recipe.

python scripts/run_eval.py recipes/mul_tokens.yaml
"""

from domain_tokens.cli.stages import run_stage

if __name__ == "__main__":
    run_stage("evaluate", __doc__)
