"""Build the tokenizer and the token shards of a condition.

python scripts/prepare_data.py recipes/mul_tokens.yaml
"""

from domain_tokens.cli.stages import run_stage

if __name__ == "__main__":
    run_stage("prepare_data", __doc__)
