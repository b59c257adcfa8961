"""The command line of `scripts/tune_learning_rate.py`."""

import argparse
from pathlib import Path

from domain_tokens.cli.common import add_recipes, new_parser, to_rich, wide_console
from domain_tokens.cli.options import above_zero, local_path, number_of_processes, seed, whole_number
from domain_tokens.recipe import user_errors
from domain_tokens.runs.records import LearningRates, read_record


def main(description: str | None) -> None:
    """Run `scripts/tune_learning_rate.py`: try every value, write the record and print it.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    from domain_tokens.cli.running import running_experiments
    from domain_tokens.experiment import Experiment, Options
    from domain_tokens.experiment.learning_rate import Search, search_learning_rates

    with user_errors():
        search = Search(
            arguments.stage, tuple(arguments.values), arguments.seed, arguments.validation_items,
            arguments.shared_from_experiment,
        )  # fmt: skip
        experiment = Experiment(arguments.recipes, arguments.overlay, [search.seed], arguments.overrides)
        options = Options(arguments.config_file, jobs=arguments.jobs, threads=arguments.threads)
        with running_experiments() as display:
            path = search_learning_rates(experiment, search, options, display)
    _show(path, search.stage)


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    add_recipes(parser)
    parser.add_argument("--stage", choices=("pretrain", "sft"), default="sft", help="default: %(default)s")
    parser.add_argument(
        "--values", nargs="+", type=above_zero, required=True, metavar="X", help="at least three learning rates"
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="seed of all tries (default: %(default)s)")
    parser.add_argument(
        "--validation-items", type=whole_number, default=200, metavar="N",
        help="examples that each stage of fine-tuning holds out to choose by (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--shared-from-experiment", action="store_true",
        help="use the data and the pretrained models of the experiment itself, and make them there if they are "
        "missing, instead of separate ones",
    )  # fmt: skip
    parser.add_argument("--config-file", type=local_path, metavar="YAML", help="accelerate configuration")
    parser.add_argument("--jobs", type=number_of_processes, metavar="N", help="how many runs to do at a time")
    parser.add_argument("--threads", type=number_of_processes, metavar="N", help="threads per stage")
    return parser


def _show(path: Path, stage: str) -> None:
    """Print every try and the chosen values."""
    from domain_tokens.analysis.report.tables.table import Table

    found = read_record(path, LearningRates).searches[stage]
    rows = []
    for condition, choice in found.conditions.items():
        for one in choice.tries:
            chosen = one.learning_rate == choice.learning_rate
            note = "chosen, at the edge of the values" if chosen and choice.at_edge else "chosen" if chosen else ""
            rows.append([condition, f"{one.learning_rate:g}", f"{one.validation_loss:.4f}", note])
    note = (
        "Validation loss in nats per token; comparable within a condition only. A value at the edge may not be the "
        "best one: search again with more values."
    )
    header = ["condition", "learning rate", "validation loss", ""]
    console = wide_console(100)
    console.print(to_rich(Table(f"Learning rate of {stage}", header, rows, note, labels=1)))
    console.print(f"use it with  --set learning_rates={path}", markup=False)
