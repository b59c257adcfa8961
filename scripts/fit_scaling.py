"""Fit power laws to the losses of models of several sizes, and say how much compute one condition is worth.

    python scripts/fit_scaling.py outputs/studies/scaling_width/evaluation_results.csv
    python scripts/fit_scaling.py runs.csv --loss loss --parameters "Model Size" --tokens "Training Tokens"

Reads a table with a row for each finished model: parameters, tokens or FLOPs, the loss, and as far as there are
several, the condition, the seed and the run. Writes fits.json, fits.yaml, fits.md and plots/.
"""

from domain_tokens.cli.fit_scaling import main

if __name__ == "__main__":
    main(__doc__)
