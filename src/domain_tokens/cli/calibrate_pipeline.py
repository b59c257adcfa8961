"""The command line of `scripts/calibrate_pipeline.py`: many null experiments, and how often they find a difference."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.cli.common import new_parser, wide_console
from domain_tokens.cli.options import local_path, number_of_processes, whole_number
from domain_tokens.recipe import user_errors

if TYPE_CHECKING:
    from domain_tokens.analysis.pipeline_errors import ErrorRate, PipelineErrors
    from domain_tokens.experiment import Experiment


def main(description: str | None) -> None:
    """Run `scripts/calibrate_pipeline.py`: run what is missing, then print the rates.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    with user_errors():
        folders = [_folder(recipe, arguments) for recipe in (arguments.reference, arguments.renamed)]
        if not arguments.only_rates:
            _run(arguments)
        # Imported after parsing, so that --help and usage errors appear at once.
        from domain_tokens.analysis.pipeline_errors import pipeline_errors
        from domain_tokens.runs.results import Pair, load_condition

        found = pipeline_errors(Pair(*map(load_condition, folders)), arguments.seeds_per_verdict)
    console = wide_console(100)
    for line in _lines(found):
        console.print(line, markup=False)


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    parser.add_argument("reference", type=local_path, metavar="RECIPE", help="one condition")
    parser.add_argument(
        "renamed", type=local_path, metavar="RECIPE_AGAIN", help="the same with its tokens' ids permuted"
    )
    parser.add_argument(
        "--overlay", action="append", default=[], type=local_path, metavar="YAML", help="applied to both"
    )
    parser.add_argument(
        "--set", action="extend", nargs="+", default=[], dest="overrides", metavar="KEY=VALUE", help="for both"
    )
    parser.add_argument("--num-seeds", type=whole_number, default=60, metavar="N", help="pairs of runs (default: 60)")
    parser.add_argument(
        "--seeds-per-verdict", type=whole_number, default=3, metavar="N", help="seeds of one verdict (default: 3)"
    )
    parser.add_argument("--config-file", type=local_path, metavar="YAML", help="accelerate configuration")
    parser.add_argument("--jobs", type=number_of_processes, metavar="N", help="how many runs to do at a time")
    parser.add_argument("--only-rates", action="store_true", help="run nothing; compute the rates of finished runs")
    return parser


def _experiment(arguments: argparse.Namespace) -> "Experiment":
    from domain_tokens.experiment import Experiment

    recipes = [arguments.reference, arguments.renamed]
    return Experiment(recipes, arguments.overlay, list(range(arguments.num_seeds)), arguments.overrides)


def _folder(recipe: Path, arguments: argparse.Namespace) -> Path:
    from domain_tokens.recipe import load_recipe

    loaded = load_recipe([str(recipe), *map(str, arguments.overlay), *arguments.overrides])
    return loaded.experiment_dir / f"exp_{loaded.condition}"


def _run(arguments: argparse.Namespace) -> None:
    from domain_tokens.cli.running import running_experiments
    from domain_tokens.experiment import Options, run_experiment

    with running_experiments() as display:
        run_experiment(_experiment(arguments), Options(arguments.config_file, jobs=arguments.jobs), display)


def _lines(found: "PipelineErrors") -> list[str]:
    from domain_tokens.analysis.report.words.names import metric_of

    endpoint = found.endpoint
    size = len(found.groups[0].seeds)
    where = (
        f"{metric_of(endpoint.task, endpoint.metric, found.source, first=True)} of {endpoint.model}, {endpoint.group}"
    )
    lines = [
        f"False positives of the whole pipeline at {100 * found.alpha:g}%: {where}",
        f"verdicts of {size} seeds, disjoint: {_shown(found.disjoint)}",
        f"verdicts of one seed: {_shown(found.single_seeds)}",
    ]
    if found.regrouped is not None:
        lines.append(f"verdicts of {size} seeds, all groupings, which depend on each other: {_shown(found.regrouped)}")
    differences = ", ".join(f"{100 * group.delta:+.1f}" for group in found.groups)
    return [*lines, f"differences of the disjoint groups, points: {differences}"]


def _shown(rate: "ErrorRate") -> str:
    text = f"{rate.rejected} of {rate.total}, {100 * rate.value:.1f}%"
    if rate.interval is None:
        return text
    return f"{text} (exact 95% interval {100 * rate.interval[0]:.1f}% to {100 * rate.interval[1]:.1f}%)"
