"""Show the completions that GRPO kept, those of several runs to the same prompts side by side.

    python scripts/show_completions.py outputs/demo/exp_*/seed_10/grpo_final
    python scripts/show_completions.py outputs/demo/exp_*/seed_10/checkpoints/grpo --step 6 --num 4

`rollouts.keep_every` and `rollouts.keep_prompts` of the recipe say what is kept. The second command looks at a stage
that still runs. Added tokens are highlighted in a terminal; under each completion stands what it earned.
"""

from domain_tokens.cli.show_completions import main

if __name__ == "__main__":
    main(__doc__)
