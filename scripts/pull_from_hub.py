"""Bring published runs back from the Hugging Face Hub, verified, and laid out as if they had been made here.

    python scripts/pull_from_hub.py my-name/demo-mul_tokens-seed0-pretrain my-name/demo-results
    python scripts/pull_from_hub.py my-name/demo-mul_tokens-seed0-pretrain --revision step-1000 --output-dir elsewhere

Every file is compared with the manifest, and the tokenizer with its certificate. Evaluation, comparison and the next
stage of training work on what was pulled. See docs/HUB.md.
"""

from domain_tokens.cli.pull_from_hub import main

if __name__ == "__main__":
    main(__doc__)
