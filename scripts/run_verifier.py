"""Train a verifier on a run's own solutions of training problems, and let it choose among samples of test questions.

python scripts/run_verifier.py recipes/mul_tokens.yaml
"""

from domain_tokens.cli.verifier import main

if __name__ == "__main__":
    main(__doc__)
