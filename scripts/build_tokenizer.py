"""Build an intervention's tokenizer, a folder that `AutoTokenizer.from_pretrained` loads.

python scripts/build_tokenizer.py recipes/interventions/mul_tokens.yaml tokenizers/mul_tokens
"""

from domain_tokens.cli.build_tokenizer import main

if __name__ == "__main__":
    main(__doc__)
