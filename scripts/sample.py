"""Show what saved models write: the answers to a question, or with --plain how they go on with a text.

    python scripts/sample.py outputs/demo/exp_*/seed_0/grpo_final --prompt "What is 6 * 9?"
    python scripts/sample.py outputs/demo/exp_mul_tokens/seed_0/grpo_final      # asks for questions, one a line

Several models answer one after another. Tokens that an intervention added stand out in a terminal, and are repeated
in full; prompts, endings and the number that is read are those of the evaluation.
"""

from domain_tokens.cli.sample import main

if __name__ == "__main__":
    main(__doc__)
