"""Build a condition's tokenizer and its token shards.

python scripts/prepare_data.py recipes/mul_tokens.yaml
"""

from domain_tokens.cli.stages import run_stage

if __name__ == "__main__":
    run_stage("prepare_data", __doc__)
