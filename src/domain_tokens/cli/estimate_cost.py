"""The command line of `scripts/estimate_cost.py`."""

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import above_zero, fraction, whole_number
from domain_tokens.recipe import load_recipe, parse_trainers, user_errors
from domain_tokens.training.devices import PEAK_FLOPS, SAMPLING_MFU, TRAINING_MFU

if TYPE_CHECKING:
    from domain_tokens.planning.cost import StageCost

_SECONDS_PER_HOUR = 3600


def main(description: str | None) -> None:
    """Run `scripts/estimate_cost.py`: print the table of costs.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 100)  # do not cut the table in a file or a narrow terminal
    warnings.filterwarnings("ignore", category=FutureWarning)  # the libraries' own, of deprecated names
    with user_errors():
        recipe = load_recipe(arguments.recipe)
        from domain_tokens.planning.cost import (
            EARLIER_STUDY,
            NOTE,
            evaluation_cost,
            is_own,
            stage_costs,
        )  # imports torch, so only after parsing

        parameters, costs = stage_costs(recipe, parse_trainers(recipe))
        costs = [*(cost for cost in costs if is_own(recipe, cost)), evaluation_cost(recipe)]
    console.print(_table(arguments, parameters, costs, Path(arguments.recipe[0]).stem))
    console.print(NOTE)
    console.print(EARLIER_STUDY)


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    parser.add_argument("recipe", nargs="+", metavar="RECIPE", help="recipe, overlays and key.path=value overrides")
    parser.add_argument("--device", choices=PEAK_FLOPS, default="A100", help="device type (default: %(default)s)")
    parser.add_argument(
        "--devices", type=whole_number, default=8, metavar="N", help="number of devices (default: %(default)s)"
    )
    parser.add_argument(
        "--mfu",
        type=fraction,
        default=TRAINING_MFU,
        metavar="X",
        help="fraction of peak FLOP/s reached in training (default: %(default)s)",
    )
    parser.add_argument(
        "--sampling-mfu",
        type=fraction,
        default=SAMPLING_MFU,
        metavar="X",
        help="fraction of peak FLOP/s reached in sampling (default: %(default)s)",
    )
    parser.add_argument("--price", type=above_zero, metavar="P", help="price of one device-hour, in any currency")
    parser.add_argument(
        "--conditions", type=whole_number, default=2, metavar="N", help="number of conditions (default: %(default)s)"
    )
    parser.add_argument(
        "--seeds", type=whole_number, default=3, metavar="N", help="number of seeds (default: %(default)s)"
    )
    return parser


def _table(arguments: argparse.Namespace, parameters: int, costs: "list[StageCost]", name: str) -> Table:
    table = Table(
        title=f"{name}: {parameters:,} parameters, {arguments.devices} x {arguments.device} at "
        f"{arguments.mfu:.0%} of {PEAK_FLOPS[arguments.device] / 1e12:,.0f} TFLOP/s"
    )
    for heading in ("stage", "tokens", "FLOPs", "hours", "device-hours", *(["cost"] if arguments.price else [])):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    peak, total = PEAK_FLOPS[arguments.device], 0.0
    for cost in costs:
        if cost.tokens is None:
            table.add_row(cost.stage, "unknown")
            continue
        seconds = cost.flops / (peak * arguments.mfu) + cost.sampling_flops / (peak * arguments.sampling_mfu)
        numbers = f"{cost.tokens:,.0f}", f"{cost.flops + cost.sampling_flops:.2e}"
        table.add_row(cost.stage, *numbers, *_time_and_money(arguments, seconds))
        total += seconds
    table.add_section()
    runs = arguments.conditions * arguments.seeds
    table.add_row("one run", "", "", *_time_and_money(arguments, total))
    shape = f"{arguments.conditions} conditions, {arguments.seeds} seeds"
    table.add_row(shape, "", "", *_time_and_money(arguments, runs * total))
    return table


def _time_and_money(arguments: argparse.Namespace, device_seconds: float) -> list[str]:
    hours = device_seconds / _SECONDS_PER_HOUR
    return [
        f"{hours / arguments.devices:,.2f}",
        f"{hours:,.1f}",
        *([f"{hours * arguments.price:,.0f}"] if arguments.price else []),
    ]
