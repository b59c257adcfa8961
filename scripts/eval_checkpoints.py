"""Evaluate every checkpoint of one run to obtain its learning curves.

python scripts/eval_checkpoints.py recipes/mul_tokens.yaml evaluation.max_samples=200
"""

from domain_tokens.cli.stages import run_stage

if __name__ == "__main__":
    run_stage("evaluate_checkpoints", __doc__)
