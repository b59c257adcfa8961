r"""Run many experiments in which nothing differs, and count how often the pipeline finds a difference.

    python scripts/calibrate_pipeline.py recipes/mul_tokens.yaml recipes/conditions/mul_tokens_permuted.yaml \
        --overlay recipes/scales/null_pipeline.yaml --config-file accelerate_configs/cpu.yaml

The two conditions share seeds, data and initial weights and differ only in which id each token has, so every rejection
is a false positive. Seeds are grouped into disjoint verdicts. Run the same command again to resume, or with a larger
--num-seeds to add runs.
"""

from domain_tokens.cli.calibrate_pipeline import main

if __name__ == "__main__":
    main(__doc__)
