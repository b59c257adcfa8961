"""Run the whole experiment: every stage of every condition and seed, then the comparison.

    python scripts/run_experiment.py recipes/baseline.yaml recipes/mul_tokens.yaml --seeds 0 1 2 \
        --config-file accelerate_configs/zero1.yaml
"""

from domain_tokens.cli.run_experiment import main

if __name__ == "__main__":
    main()
