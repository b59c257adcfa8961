"""Ask several models the same question in the browser, side by side, and see what each token was drawn from.

    python scripts/playground.py                                   # the demo: the last model of each condition
    python scripts/playground.py outputs/demo --run-seed 21 --open # another of its seeds, and a browser
    python scripts/playground.py outputs/demo/exp_baseline/seed_20 outputs/demo/exp_baseline/seed_20/sft_final

The page is served on this machine alone and loads nothing from a network. docs/PLAYGROUND.md explains it.
"""

from domain_tokens.cli.playground import main

if __name__ == "__main__":
    main(__doc__)
