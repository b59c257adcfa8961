"""Ask several models the same question in a terminal, and see what each token was drawn from.

    python scripts/chat.py                                               # the demo: the last model of each condition
    python scripts/chat.py outputs/demo --temperature 0.7 --seed 3
    echo "What is 6 times 9?" | python scripts/chat.py outputs/demo/exp_mul_tokens/seed_20/grpo_final

One question a line; lines that begin with / are commands, which /help lists. The same as scripts/playground.py shows
in a browser: docs/PLAYGROUND.md explains it.
"""

from domain_tokens.cli.chat import main

if __name__ == "__main__":
    main(__doc__)
