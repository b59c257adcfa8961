"""Search for the learning rate of a stage, for each condition alone: the same values, budget and seed in all of them.

    python scripts/tune_learning_rate.py recipes/baseline.yaml recipes/mul_tokens.yaml \
        --overlay recipes/scales/demo.yaml --stage sft --values 1e-3 2e-3 4e-3
    python scripts/run_experiment.py recipes/baseline.yaml recipes/mul_tokens.yaml --overlay recipes/scales/demo.yaml \
        --set learning_rates=outputs/demo/learning_rates.json

Chooses by the loss on validation text or on training examples that are held out, never on an evaluation set. Writes
every try to outputs/<experiment>/learning_rates.json.
"""

from domain_tokens.cli.tune_learning_rate import main

if __name__ == "__main__":
    main(__doc__)
