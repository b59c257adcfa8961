"""The command line of `scripts/run_experiment.py`."""

import argparse
import logging
import signal
import sys
from pathlib import Path

from domain_tokens.experiment import run_experiment
from domain_tokens.recipe import user_errors


def main() -> None:
    """Run the command line of `scripts/run_experiment.py`."""
    parser = argparse.ArgumentParser(
        prog="run_experiment.py",
        description="Run every stage of every condition and seed, then compare each condition with the first.",
        epilog="Run again, it skips what is complete and goes on where it stopped.",
    )
    parser.add_argument(
        "recipes", nargs="+", type=Path, metavar="RECIPE", help="one recipe a condition; the first is the reference"
    )
    parser.add_argument(
        "--overlay",
        action="append",
        default=[],
        type=Path,
        metavar="YAML",
        help="what changes in every recipe, for example recipes/scales/demo.yaml; may be given several times",
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0], metavar="N", help="seeds of the runs (default: 0)"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="overrides of every recipe, for example pretrain.max_steps=50",
    )
    parser.add_argument(
        "--config-file",
        type=Path,
        metavar="YAML",
        help="accelerate's configuration, for example accelerate_configs/zero2.yaml (default: what accelerate finds)",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of `finally`, so that no stage is left behind
    with user_errors():
        run_experiment(
            arguments.recipes, arguments.overlay, arguments.seeds, arguments.overrides, arguments.config_file
        )
