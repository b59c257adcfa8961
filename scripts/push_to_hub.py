"""Publish runs on the Hugging Face Hub: a repository for each stage, one for the results, a collection for all.

    python scripts/push_to_hub.py outputs/demo --namespace my-name --dry-run   # lists files and a card, sends nothing
    python scripts/push_to_hub.py outputs/demo --namespace my-name
    python scripts/push_to_hub.py outputs/demo/exp_mul_tokens/seed_0 --namespace my-name --checkpoints

Repositories are private unless --public is given. What the Hub has already is not sent, so the same command goes on
where a push was cut. The token comes from HF_TOKEN or from `hf auth login`. See docs/HUB.md.
"""

from domain_tokens.cli.push_to_hub import main

if __name__ == "__main__":
    main(__doc__)
