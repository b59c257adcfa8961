"""Audit the rules: a table of how often they are right, or a page of what they do to a text.

    python scripts/audit.py --list
    python scripts/audit.py notes.txt data.jsonl --intervention recipes/interventions/mul_tokens.yaml

Without a file, the labelled sentences that come with the package are scored, for each spelling and for whole sets of
rules. With files, every place that states a fact or seems to is shown before and after, with the reason.
"""

from domain_tokens.cli.audit import main

if __name__ == "__main__":
    main(__doc__)
