"""Fine-tune a pretrained model on questions and answers, stage by stage.

accelerate launch --quiet --config_file accelerate_configs/ddp.yaml scripts/run_sft.py recipes/mul_tokens.yaml
"""

from domain_tokens.cli.stages import run_stage

if __name__ == "__main__":
    run_stage("sft", __doc__)
