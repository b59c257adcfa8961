"""Show what saved models generate: answers to a question, or with --plain the continuation of a text.

    python scripts/sample.py outputs/demo/exp_*/seed_0/grpo_final --prompt "What is 6 * 9?"
    python scripts/sample.py outputs/demo/exp_mul_tokens/seed_0/grpo_final      # reads one question per line

Several models answer one after another. Added tokens are highlighted in a terminal, and the answer is repeated with
them expanded. The prompt format, the stopping rule and the extraction of the number are those of the evaluation.
"""

from domain_tokens.cli.sample import main

if __name__ == "__main__":
    main(__doc__)
