"""Pretrain one condition's model.

accelerate launch --quiet --config_file accelerate_configs/ddp.yaml scripts/run_pretrain.py recipes/mul_tokens.yaml
"""

from domain_tokens.cli.stages import run_stage

if __name__ == "__main__":
    run_stage("pretrain", __doc__)
