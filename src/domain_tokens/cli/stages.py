"""The command line shared by the scripts of all stages.

Libraries are imported only after the command line and the recipe have been read, so that help and errors appear at
once.
"""

import argparse
import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from domain_tokens.cli.common import add_force, add_strict, new_parser, slow_steps_said
from domain_tokens.cli.options import local_path
from domain_tokens.recipe import Recipe, check_named_files, load_recipe, user_errors
from domain_tokens.stopping.parent import end_with_launcher
from domain_tokens.stopping.signals import end_by_signals

if TYPE_CHECKING:
    from domain_tokens.planning.preview import StageName

_ARGUMENTS = """arguments:
  RECIPE          YAML or JSON file, e.g. recipes/mul_tokens.yaml
  OVERLAY         file with changes to the recipe, e.g. recipes/scales/demo.yaml; may be repeated
  KEY.PATH=VALUE  override of a single key, e.g. pretrain.max_steps=50; may be repeated
"""
_TRAIN = ("pretrain", "sft", "grpo")


def run_stage(name: "StageName", description: str | None) -> None:
    """Run one stage, or print what it would do. A user's mistake ends the program with a single error message.

    Args:
        name (`str`): the stage.
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _read_command_line(description, name)
    if not arguments.dry_run:
        end_with_launcher()
        if name in _TRAIN:
            end_by_signals()
    with user_errors():
        given = [*arguments.recipe, *arguments.strict]
        recipe = load_recipe(given)
        check_named_files(recipe, given)
        publishes = recipe.publishes and name in _TRAIN and os.environ.get("RANK", "0") == "0"
        if arguments.dry_run:
            with slow_steps_said():
                from domain_tokens.cli.dry_run import show_stage

                code = show_stage(recipe, name, arguments.executor if name == "prepare_data" else "local")
            sys.exit(code)
        if name in _TRAIN:
            _before_training(recipe, given, name, publishes)
        with _imports_alone():
            stage = _import_stage(name)
            if name == "prepare_data":
                stage = partial(stage, executor=arguments.executor, with_text=arguments.write_text)
            elif name in _TRAIN:
                stage = partial(stage, allow_change=arguments.allow_change, profile=arguments.profile)
            if name == "grpo":
                stage = partial(stage, force=arguments.force, rates=arguments.measure)
            from domain_tokens.cli.display import stage_progress
        with stage_progress(name):
            stage(recipe)
            if name == "prepare_data":  # the first command that has a tokenizer, and the last before hours of training
                from domain_tokens.evaluation.lengths import check_lengths

                check_lengths(recipe)
            if name == "evaluate_checkpoints":  # the last stage of a run
                from domain_tokens.analysis.report.figures.condition import write_condition_plots

                write_condition_plots(recipe.condition_dir)
        if publishes and not (name == "grpo" and arguments.measure):
            from domain_tokens.publishing.stages import publish_stages

            publish_stages(recipe, name)


def _before_training(recipe: Recipe, given: list[str], name: "StageName", publishes: bool) -> None:
    level = logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR
    logging.basicConfig(level=level, format="%(message)s")  # as the stage does
    from domain_tokens.training.fitting.search import ensure_micro_batches

    if publishes:
        from domain_tokens.publishing.stages import check_publishing

        check_publishing(recipe)
    ensure_micro_batches(given, name)


def _read_command_line(description: str | None, name: "StageName") -> argparse.Namespace:
    parser = new_parser(description)
    parser.usage = "%(prog)s [-h] [--dry-run] [--strict] RECIPE [OVERLAY ...] [KEY.PATH=VALUE ...]"
    if name in _TRAIN:
        parser.usage = parser.usage.replace("RECIPE", "[--allow-change] [--profile] RECIPE", 1)
        parser.add_argument(
            "--allow-change",
            action="store_true",
            help="go on with an interrupted stage although its recipe, code, libraries or processes have changed; the "
            "manifest records the change",
        )
        parser.add_argument(
            "--profile",
            action="store_true",
            help="write a trace of 10 steps after 3 of warm-up to the folder of checkpoints (trace.json.gz, for "
            "https://ui.perfetto.dev) and print the share of time in data, forward, backward and optimizer; the "
            "result is the same",
        )
    if name == "grpo":
        parser.usage = parser.usage.replace("RECIPE", "[--force] [--measure FILE] RECIPE", 1)
        add_force(parser)
        parser.add_argument(
            "--measure",
            type=local_path,
            metavar="FILE",
            help="train nothing; measure how often the fine-tuned model solves each prompt, and write the rates to a "
            "file for rollouts.pass_rates; an interrupted measurement is continued",
        )
    if name == "prepare_data":
        parser.usage = parser.usage.replace("RECIPE", "[--executor NAME] [--write-text] RECIPE", 1)
        parser.add_argument(
            "--executor",
            choices=("local", "slurm", "ray"),
            default="local",
            help="who reads and tokenizes: corpus.num_workers processes here (default), or jobs of a cluster",
        )
        parser.add_argument(
            "--write-text",
            action="store_true",
            help="also write the documents as the condition's tokenizer rewrites them, as text to look at",
        )
    parser.epilog = _ARGUMENTS
    parser.add_argument("recipe", nargs="+", metavar="RECIPE", help=argparse.SUPPRESS)
    add_strict(parser)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the resolved recipe, what follows from it and what would run; change nothing",
    )
    return parser.parse_intermixed_args()


@contextmanager
def _imports_alone() -> Iterator[None]:
    """Import with garbage collection off, then exclude the imported objects from later collections.

    The libraries create a million objects that live until the process ends. Collections during the import cost 0.7
    CPU-seconds, and every later full collection another 0.2.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _import_stage(name: "StageName") -> Callable[..., object]:
    # Each import takes up to 6 CPU-seconds.
    if name == "prepare_data":
        from domain_tokens.corpora.prepare import prepare_data

        return prepare_data
    if name == "pretrain":
        from domain_tokens.training.pretrain import pretrain

        return pretrain
    if name == "sft":
        from domain_tokens.training.sft import sft

        return sft
    if name == "grpo":
        from domain_tokens.training.grpo import grpo

        return grpo
    if name == "evaluate":
        from domain_tokens.evaluation.evaluate import evaluate

        return evaluate
    from domain_tokens.evaluation.checkpoints import evaluate_checkpoints

    return evaluate_checkpoints
