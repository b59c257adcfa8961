"""Run a study: pretraining at many points of a grid, in several conditions and seeds, then one table, fits and plots.

    python scripts/run_study.py recipes/studies/scaling_width.yaml --dry-run    the points, and what each takes
    python scripts/run_study.py recipes/studies/scaling_width.yaml --jobs 2     everything that is missing
    python scripts/run_study.py recipes/studies/scaling_width.yaml --only-table from results that exist

What is complete is skipped, so the command can be interrupted and given again. A run that fails is named at the end
and does not stop the others.
"""

from domain_tokens.cli.run_study import main

if __name__ == "__main__":
    main(__doc__)
