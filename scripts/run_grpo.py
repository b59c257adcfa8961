"""Train a fine-tuned model on its own answers with GRPO.

accelerate launch --quiet --config_file accelerate_configs/ddp.yaml scripts/run_grpo.py recipes/mul_tokens.yaml
"""

from domain_tokens.cli.stages import run_stage

if __name__ == "__main__":
    run_stage("grpo", __doc__)
