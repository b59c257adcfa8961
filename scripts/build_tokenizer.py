"""Build an intervention's tokenizer: a folder that `AutoTokenizer.from_pretrained` loads.

python scripts/build_tokenizer.py recipes/interventions/mul_tokens.yaml tokenizers/mul_tokens
"""

from domain_tokens.tokenization.command import main

if __name__ == "__main__":
    main(__doc__)
