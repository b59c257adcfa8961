"""The command line of `scripts/run_experiment.py`."""

import argparse
import sys
from typing import TYPE_CHECKING

from domain_tokens.cli.common import Parser, YesOrNo, add_force, add_recipes, add_strict, slow_steps_said
from domain_tokens.cli.options import local_path, number_of_processes, seed
from domain_tokens.recipe import RecipeError, check_named_files, load_recipe, user_errors
from domain_tokens.recipe.errors import NOT_PUBLISHED
from domain_tokens.runs.progress import begin

if TYPE_CHECKING:
    from domain_tokens.experiment import Experiment


def main() -> None:
    """Run the command line of `scripts/run_experiment.py`."""
    arguments = _parser().parse_args()
    arguments.overrides = [*arguments.overrides, *arguments.strict]
    with user_errors():  # before anything is said: a misspelled key is one line
        for one in _experiment(arguments).arguments():
            check_named_files(load_recipe(one), one)
    if arguments.dry_run:
        with user_errors(), slow_steps_said():
            code = _dry_run(arguments)
        sys.exit(code)
    with user_errors():
        _run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        description="Run every stage of every condition and seed, then compare each condition with the first.",
        epilog="Run the same command again to skip what is complete and resume what is not.",
    )
    add_recipes(parser, "one recipe per condition; the first is the reference")
    parser.add_argument(
        "--seeds", nargs="+", type=seed, default=[0], metavar="N", help="seeds of the runs (default: 0)"
    )
    add_strict(parser)
    parser.add_argument(
        "--config-file",
        type=local_path,
        metavar="YAML",
        help="accelerate configuration, e.g. accelerate_configs/zero2.yaml (default: accelerate's own default)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the resolved recipe, what follows from it and what would run; change nothing",
    )
    _add_how_to_run(parser)
    return parser


def _add_how_to_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--transplant",
        action="store_true",
        help="of two recipes, also fine-tune each condition's pretrained model as the other condition, and show the "
        "2 x 2: whether a difference comes from pretraining or from fine-tuning",
    )
    parser.add_argument(
        "--allow-change",
        action="store_true",
        help="go on with interrupted stages although their recipe, code, libraries or processes have changed; the "
        "manifests record the changes",
    )
    add_force(parser)
    group = parser.add_argument_group("processes")
    group.add_argument(
        "--jobs",
        type=number_of_processes,
        metavar="N",
        help="how many runs to do at a time; does not change results (default: as many as the cores allow; one if "
        "stages use several processes or a GPU)",
    )
    group.add_argument(
        "--threads",
        type=number_of_processes,
        metavar="N",
        help="threads per stage, the same in every condition; results depend on it in their last digits (default: "
        "what the experiment's finished stages used, else OMP_NUM_THREADS, else half of the cores)",
    )
    group.add_argument(
        "--in-process",
        action=YesOrNo,
        default=sys.platform == "linux",
        help="fork stages from a process that has imported the libraries instead of starting each from scratch; does "
        "not change results (default on Linux)",
    )


def _run(arguments: argparse.Namespace) -> None:
    from domain_tokens.cli.running import running_experiments
    from domain_tokens.experiment import Options, run_experiment

    experiment = _experiment(arguments)
    options = Options(
        arguments.config_file,
        arguments.in_process,
        arguments.jobs,
        arguments.threads,
        arguments.allow_change,
        arguments.force,
    )
    if publishing := [one for one in map(load_recipe, experiment.arguments()) if one.publishes]:
        from domain_tokens.publishing.stages import check_publishing

        check_publishing(publishing[0])  # the token, which is the same for all of them
    with running_experiments(", or add --no-in-process") as display:
        folder = run_experiment(experiment, options, display)
    from domain_tokens.cli.outcome import show_outcome

    show_outcome(folder)
    if not all(step.is_published() for run in experiment.runs() for step in run):
        sys.stderr.write("not published: some stages; run the same command again to publish them\n")
        sys.exit(NOT_PUBLISHED)


def _dry_run(arguments: argparse.Namespace) -> int:
    from domain_tokens.experiment import announced, load_experiment

    experiment = _experiment(arguments)
    begin("checking recipes and files")
    loaded = load_experiment(experiment)
    begin("reading the questions of the declared endpoints")
    lines = announced(experiment, loaded)
    runs = [[*one, f"seed={seed}"] for seed in experiment.seeds for one in experiment.arguments()]
    recipes = [load_recipe(one) for one in runs]
    begin("loading the libraries that train")
    from domain_tokens.cli.dry_run import show_experiment
    from domain_tokens.planning.launcher import read_launch

    if arguments.config_file is not None and not arguments.config_file.is_file():
        raise RecipeError(f"{arguments.config_file}: no such file; expected a file from accelerate_configs/")
    return show_experiment(recipes, lines, read_launch(str(arguments.config_file or "")))


def _experiment(arguments: argparse.Namespace) -> "Experiment":
    from domain_tokens.experiment import Experiment

    given = arguments.recipes, arguments.overlay, arguments.seeds, arguments.overrides
    return Experiment(*given, arguments.transplant)
