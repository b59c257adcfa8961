"""The command line of `scripts/plan.py`: tables of what seeds and items can show, and of what they cost."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from domain_tokens.analysis.measures.accuracy import outcomes
from domain_tokens.analysis.statistics.crossed import Components
from domain_tokens.analysis.statistics.paired import POWER
from domain_tokens.analysis.statistics.power import (
    MOST_SEEDS,
    Cost,
    between_run_limit,
    needed_items,
    needed_seeds,
    pilot_components,
    recorded_hours,
    smallest_effect,
    typed_components,
)
from domain_tokens.cli.common import wide_console
from domain_tokens.cli.options import above_zero, from_zero, whole_number
from domain_tokens.recipe import RecipeError, user_errors
from domain_tokens.runs.layout import MODELS
from domain_tokens.runs.results import Condition, Pair, load_condition

SEEDS = [1, 2, 3, 5, 10, 20]
GSM8K_ITEMS = 1319


def main(description: str | None) -> None:
    """Read the command line of `scripts/plan.py` and print the plan.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    console = wide_console(100)
    with user_errors():
        try:
            _plan(arguments, console)
        except RecipeError:
            raise
        except ValueError as error:
            raise RecipeError(str(error)) from error


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    pilot = parser.add_argument_group("a pilot, two conditions that were run")
    pilot.add_argument(
        "conditions", nargs="*", type=Path, metavar="EXP_DIR", help="outputs/<experiment>/exp_<condition>"
    )
    pilot.add_argument("--model", choices=MODELS, help="default: the last one evaluated")
    pilot.add_argument("--task", help="default: the first that the model was asked")
    pilot.add_argument(
        "--time-scale", type=above_zero, default=1.0, metavar="X", help="times as long as the pilot's runs"
    )
    typed = parser.add_argument_group("numbers, instead of the pilot's or in place of some of them")
    typed.add_argument(
        "--discordance",
        type=above_zero,
        metavar="PERCENT",
        help="items that one of two paired runs answers right only",
    )
    typed.add_argument(
        "--between-run-sd", type=from_zero, metavar="POINTS", help="sd over seeds of the true difference in accuracy"
    )
    typed.add_argument("--item-sd", type=from_zero, metavar="POINTS", help="sd over items of the difference in chance")
    typed.add_argument("--hours-per-run", type=above_zero, metavar="HOURS", help="device-hours of one run")
    wanted = parser.add_argument_group("what is wanted")
    wanted.add_argument("--effect", type=above_zero, default=1.0, metavar="POINTS", help="default: %(default)s")
    wanted.add_argument("--power", type=float, default=POWER, metavar="FRACTION", help="default: %(default)s")
    wanted.add_argument(
        "--seeds", type=whole_number, nargs="+", default=SEEDS, metavar="N", help="default: 1 2 3 5 10 20"
    )
    wanted.add_argument(
        "--items", type=whole_number, nargs="+", metavar="N", help="default: the pilot's, or GSM8K's 1319"
    )
    wanted.add_argument("--price", type=from_zero, metavar="PRICE", help="of one device-hour")
    return parser


def _plan(arguments: argparse.Namespace, console: Console) -> None:
    if not 0 < arguments.power < 1:
        raise RecipeError(f"--power: expected a fraction between 0 and 1, got {arguments.power:g}")
    sds = [value if value is None else value / 100 for value in (arguments.between_run_sd, arguments.item_sd)]
    hours: float | None = None
    if arguments.conditions:
        if len(arguments.conditions) != 2 or arguments.discordance is not None:
            raise RecipeError("expected the folders of two conditions, or --discordance and no folder")
        pair = Pair(*map(load_condition, arguments.conditions))
        model, task = _endpoint(pair.reference, arguments.model, arguments.task)
        key = next(iter(pair.first_run.evaluations[model, task].outcome_keys.values()))
        sides = outcomes(pair, model, task, key)
        components = pilot_components(*sides, *sds)
        hours = recorded_hours(*pair.sides) * arguments.time_scale
        num_seeds, num_items = sides[0].shape
        console.print(f"From {num_seeds} seed(s) and {num_items:,} items of {task}, {model}.")
        if num_seeds > 1 and sds[0] is None:
            limit = between_run_limit(*sides)
            console.print(
                f"{num_seeds} seeds leave a between-run sd of up to {100 * limit:.2f} points possible (80% limit); "
                f"--between-run-sd {100 * limit:.2g} plans for that."
            )
    elif arguments.discordance is None:
        raise RecipeError("expected the folders of two conditions, or --discordance and --between-run-sd")
    elif sds[0] is None:
        raise RecipeError(
            "--between-run-sd: expected with --discordance, in points of accuracy; 0 if runs do not vary"
        )
    else:
        components = typed_components(arguments.discordance / 100, sds[0], sds[1] or 0.0)
        num_items = GSM8K_ITEMS
    if arguments.hours_per_run is not None:
        hours = 2 * arguments.hours_per_run
    cost = None if hours is None else Cost(hours, arguments.price)
    counts = sorted({*(arguments.items or [num_items])})
    _print_components(components, console)
    seeds, effect = sorted({*arguments.seeds}), arguments.effect / 100
    console.print(_smallest_effects(components, seeds, counts, arguments.power, cost))
    console.print(
        "1 seed: McNemar's test, which speaks for other questions and these two runs, not for other runs.\n"
        "More: the test of the verdict, for other runs and other questions.\n"
    )
    console.print(_seeds_needed(components, effect, counts, arguments.power, cost))
    console.print(_items_needed(components, effect, seeds, arguments.power, cost))


def _endpoint(condition: Condition, model: str | None, task: str | None) -> tuple[str, str]:
    evaluations = condition.first_run.plain()
    chosen = model or max((name for name, _ in evaluations), key=MODELS.index)
    tasks = [name for place, name in evaluations if place == chosen]
    if not tasks or (task is not None and task not in tasks):
        raise RecipeError(
            f"{condition.folder}: {chosen} has no results of {task or 'any task'}; there are: "
            f"{', '.join(f'{name} of {place}' for place, name in evaluations)}"
        )
    return chosen, task or tasks[0]


def _print_components(components: Components, console: Console) -> None:
    points = [100 * sd for sd in (components.seed_sd, components.item_sd, components.residual_sd)]
    console.print(
        f"The paired difference varies by {points[0]:.2f} points from run to run, {points[1]:.1f} from item to item "
        f"in all runs alike, and {points[2]:.1f} from answer to answer (standard deviations)."
    )


def _smallest_effects(
    components: Components, seeds: list[int], items: list[int], power: float, cost: Cost | None
) -> Table:
    title = f"Smallest difference in points found with {power:.0%} power at 5%, by number of items"
    table = _table(title, ["seeds", *(f"{count:,}" for count in items)], cost)
    for num_seeds in seeds:
        effects = (smallest_effect(components, num_seeds, count, power) for count in items)
        shown = ["over 100" if effect > 1 else f"{100 * effect:.2f}" for effect in effects]
        table.add_row(str(num_seeds), *shown, *_cost_cells(cost, num_seeds))
    return table


def _seeds_needed(components: Components, effect: float, items: list[int], power: float, cost: Cost | None) -> Table:
    table = _table(f"Seeds needed for {100 * effect:g} points with {power:.0%} power at 5%", ["items", "seeds"], cost)
    for count in items:
        num_seeds = needed_seeds(components, effect, count, power)
        if num_seeds is None:
            table.add_row(f"{count:,}", f"over {MOST_SEEDS:,}")
        else:
            table.add_row(f"{count:,}", str(num_seeds), *_cost_cells(cost, num_seeds))
    return table


def _items_needed(components: Components, effect: float, seeds: list[int], power: float, cost: Cost | None) -> Table:
    table = _table(f"Items needed for {100 * effect:g} points with {power:.0%} power at 5%", ["seeds", "items"], cost)
    for num_seeds in seeds:
        needed = needed_items(components, effect, num_seeds, power)
        shown = "no number is enough" if needed is None else f"{needed:,}"
        table.add_row(str(num_seeds), shown, *_cost_cells(cost, num_seeds))
    return table


def _table(title: str, headings: list[str], cost: Cost | None) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in (*headings, *_cost_headings(cost)):
        table.add_column(heading, justify="right")
    return table


def _cost_headings(cost: Cost | None) -> list[str]:
    return [] if cost is None else ["device-hours"] if cost.price is None else ["device-hours", "cost"]


def _cost_cells(cost: Cost | None, num_seeds: int) -> list[str]:
    if cost is None:
        return []
    money = cost.money(num_seeds)
    return [_rounded(cost.hours(num_seeds))] + ([] if money is None else [_rounded(money)])


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
