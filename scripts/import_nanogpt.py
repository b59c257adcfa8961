"""Write a checkpoint of nanoGPT-style code as a folder that transformers loads: a native GPT2LMHeadModel.

    python scripts/import_nanogpt.py log/model_19072.pt imported/baseline --activation gelu_pytorch_tanh
    python scripts/import_nanogpt.py ckpt.pt imported/mul_tokens --activation gelu --tokenizer tokenizers/mul_tokens

Every row of the embedding is kept, with the ids that it had. The file is read without running code that it may hold.
"""

from domain_tokens.cli.import_nanogpt import main

if __name__ == "__main__":
    main(__doc__)
