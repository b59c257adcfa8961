"""Check that a study is done: every declared run, its table, its plots, its fits, and whole models.

    python scripts/check_study.py recipes/studies/scaling_width.yaml
    python scripts/check_study.py recipes/studies/sanity.yaml recipes/studies/scaling_width.yaml

Prints what holds and what does not, and changes nothing. The exit code is 1 if anything is missing. A study that was
run with other seeds or overrides than its file's is checked with the same `--seeds`, `--set` and `--name`.
"""

from domain_tokens.cli.check_study import main

if __name__ == "__main__":
    main(__doc__)
