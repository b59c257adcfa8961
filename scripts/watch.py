"""Show where an experiment or a study stands, while it runs and afterwards: stages, curves, failures, checkpoints.

    python scripts/watch.py outputs/demo
    python scripts/watch.py outputs/demo --once
    python scripts/watch.py outputs/studies/scaling_width --html watch.html
    python scripts/watch.py outputs/gpt2_124m --wait

It only reads, takes no lock and needs no GPU, so it may run beside the training, on any machine that sees the folder.
Ctrl-C ends it, and changes nothing. Where the output is no terminal, it shows once.
"""

from domain_tokens.cli.watch import main

if __name__ == "__main__":
    main(__doc__)
