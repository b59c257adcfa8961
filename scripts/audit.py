"""Audit the rewriting rules: a table of their precision and recall, or a page that shows what they do to a text.

    python scripts/audit.py --list
    python scripts/audit.py notes.txt data.jsonl --intervention recipes/interventions/mul_tokens.yaml

Without files, scores the labelled sentences that come with the package, for each spelling and for whole sets of rules.
With files, shows every passage that states or seems to state a fact, before and after rewriting, with the reason.
"""

from domain_tokens.cli.audit import main

if __name__ == "__main__":
    main(__doc__)
