"""Let a run's model choose its own training edits for passages, reward it for what they do, and compare with controls.

python scripts/run_seal.py recipes/baseline.yaml recipes/scales/seal_demo.yaml
"""

from domain_tokens.cli.seal import main

if __name__ == "__main__":
    main(__doc__)
