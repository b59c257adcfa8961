"""Run the experiments of the research notes and write their tables into the page.

    python scripts/research_tables.py                       everything in recipes/research.yaml
    python scripts/research_tables.py assay                 one experiment
    python scripts/research_tables.py assay --only-tables   from results that exist

Complete stages are skipped, so the command can be interrupted. Run it after a change of the rules, of the generator or
of the statistics: every number in the tables depends on them.
"""

from domain_tokens.cli.research_tables import main

if __name__ == "__main__":
    main(__doc__)
