"""The command line of `scripts/sampling_curves.py`."""

import argparse
import sys

from domain_tokens.cli.common import add_recipes, new_parser, to_rich, wide_console
from domain_tokens.cli.options import seed, temperature, whole_number
from domain_tokens.recipe import Recipe, load_recipe, user_errors
from domain_tokens.stopping.parent import end_with_launcher
from domain_tokens.stopping.signals import end_by_signals

_WIDTH = 120


def main(description: str | None) -> None:
    """Run `scripts/sampling_curves.py`. A user's mistake ends the program with a single error message.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    end_with_launcher()
    end_by_signals()
    with user_errors():
        recipes = _recipes(arguments)
        # Imported after parsing, so that --help and usage errors appear at once.
        from domain_tokens.cli.display import stage_progress
        from domain_tokens.sampling_curves.comparison import tables
        from domain_tokens.sampling_curves.drawing import Wanted
        from domain_tokens.sampling_curves.run import measure_curves

        wanted = Wanted(
            model=arguments.model or list(recipes[0].model_folders.values())[-1],
            task=arguments.task,
            temperatures=tuple(sorted({one for one in arguments.temperatures if one > 0})),
            num_samples=arguments.num_samples,
            seed=arguments.sampling_seed,
        )
        with stage_progress("sampling curves"):
            curves, path = measure_curves(recipes, wanted, arguments.allow_change)
        console = wide_console(_WIDTH)
        for table in tables(curves):
            console.print(to_rich(table))
        sys.stdout.write(f"{path}\n")


def _recipes(arguments: argparse.Namespace) -> list[Recipe]:
    shared = [*map(str, arguments.overlay), *arguments.overrides]
    return [
        load_recipe([str(recipe), *shared, f"seed={seed}"]) for recipe in arguments.recipes for seed in arguments.seeds
    ]


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    add_recipes(parser, "one recipe per condition; the first is the reference")
    parser.add_argument(
        "--seeds", nargs="+", type=seed, default=[0], metavar="N", help="seeds of the runs (default: 0)"
    )
    parser.add_argument("--model", metavar="NAME", help="the runs' model (default: the last, e.g. grpo_final)")
    parser.add_argument("--task", default="gsm8k", metavar="NAME", help="a task of the recipes (default: %(default)s)")
    parser.add_argument(
        "--temperatures",
        nargs="+",
        type=temperature,
        default=[0.2, 0.6, 1.0],
        metavar="T",
        help="at which answers are drawn, beside one greedy answer (default: 0.2 0.6 1.0)",
    )
    parser.add_argument(
        "--num-samples",
        type=whole_number,
        default=16,
        metavar="N",
        help="answers to each question at each temperature (default: %(default)s)",
    )
    parser.add_argument("--sampling-seed", type=seed, default=0, help="seed of the draws (default: %(default)s)")
    parser.add_argument(
        "--allow-change",
        action="store_true",
        help="go on with interrupted samples although recipe or code have changed; the manifest records the change",
    )
    return parser
