"""The command line of `scripts/run_experiment.py`."""

import argparse
import logging
import signal
import sys
from pathlib import Path

from domain_tokens.recipe import Recipe, load_recipe, user_errors
from domain_tokens.recipe.files import read_file


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
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the resolved recipe, what follows from it and what would be done; touch nothing",
    )
    arguments = parser.parse_args()
    if arguments.dry_run:
        with user_errors():
            sys.exit(_dry_run(arguments))
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of `finally`, so that no stage is left behind
    with user_errors():
        for recipe in arguments.recipes:  # mistakes are answered before anything slow is imported
            load_recipe([str(recipe), *map(str, arguments.overlay), *arguments.overrides])
        from domain_tokens.experiment import run_experiment

        run_experiment(
            arguments.recipes, arguments.overlay, arguments.seeds, arguments.overrides, arguments.config_file
        )


def _dry_run(arguments: argparse.Namespace) -> int:
    recipes = _load_runs(arguments)
    num_processes = 1
    if arguments.config_file is not None:
        num_processes = int(read_file(arguments.config_file).get("num_processes", 1))
    from domain_tokens.cli.dry_run import show_experiment

    return show_experiment(recipes, num_processes)


def _load_runs(arguments: argparse.Namespace) -> list[Recipe]:
    shared = [*map(str, arguments.overlay), *arguments.overrides]
    return [
        load_recipe([str(recipe), *shared, f"seed={seed}"]) for seed in arguments.seeds for recipe in arguments.recipes
    ]
