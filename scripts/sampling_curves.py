r"""Draw several answers of finished runs at several temperatures: accuracy by temperature, pass@n and maj@n by n.

    python scripts/sampling_curves.py recipes/baseline.yaml recipes/mul_tokens.yaml --seeds 0 1 \
        --model grpo_final --task gsm8k --temperatures 0.2 0.6 1.0 --num-samples 16

Answers are kept in each run's folder `sampling/`: the same command draws what is missing and goes on where it was
interrupted. Tables and figure are written to outputs/<experiment>/sampling_<model>_<task>.md and .png. Nothing trains.
"""

from domain_tokens.cli.sampling_curves import main

if __name__ == "__main__":
    main(__doc__)
