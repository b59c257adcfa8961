"""The command line of `scripts/plan.py`: what seeds and items can show, and what they cost."""

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain_tokens.cli.common import PREREG, declaration_of, new_parser, to_rich, wide_console
from domain_tokens.cli.options import above_zero, from_zero, local_path, whole_number
from domain_tokens.recipe import RecipeError, load_prereg, user_errors
from domain_tokens.recipe.prereg import Endpoint, Prereg
from domain_tokens.runs.results import ALL_ITEMS, Condition, Pair, load_condition

if TYPE_CHECKING:
    from domain_tokens.analysis.report.signals import EndpointSignal
    from domain_tokens.analysis.statistics.crossed import Components

SEEDS = [1, 2, 3, 5, 10, 20]
GSM8K_ITEMS = 1319


@dataclass(frozen=True)
class _Basis:
    """The inputs of a plan.

    Attributes:
        components: variance components of the paired differences.
        num_items: number of items in the pilot, or in GSM8K.
        hours: device-hours for one seed of both conditions; `None` if unknown.
        base_rate: the reference's accuracy; `None` if unknown.
        ends: the components with the least and the most variance between seeds that the pilot is compatible with.
        remarks: remarks about the pilot.
        pilot: the two conditions; `None` if numbers were typed.
    """

    components: "Components"
    num_items: int
    hours: float | None
    base_rate: float | None
    ends: "tuple[Components, Components] | None" = None
    remarks: tuple[str, ...] = ()
    pilot: Pair | None = None


def main(description: str | None) -> None:
    """Run `scripts/plan.py`: print the plan.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    # Imported after parsing, so that --help and usage errors appear at once.
    from domain_tokens.analysis.report import planning
    from domain_tokens.analysis.statistics.power import Cost

    with user_errors():
        declared = _declared(arguments)
        rule = planning.Rule(
            declared.deciding_alpha(arguments.planned) if arguments.alpha is None else arguments.alpha,
            declared.power if arguments.power is None else arguments.power,
        )
        for name, value in (("--power", rule.power), ("--alpha", rule.alpha)):
            if not 0 < value < 1:
                raise RecipeError(f"{name}: expected a fraction between 0 and 1, got {value:g}")
        try:
            basis = _basis(arguments, declared)
        except RecipeError:
            raise
        except ValueError as error:
            raise RecipeError(str(error)) from error
    hours = basis.hours if arguments.hours_per_run is None else 2 * arguments.hours_per_run
    cost = None if hours is None else Cost(hours, arguments.price)
    items, seeds = sorted({*(arguments.items or [basis.num_items])}), sorted({*arguments.seeds})
    effect, remark = _effect(arguments.effect, declared, basis.base_rate)
    console = wide_console(100)
    for line in (*basis.remarks, planning.describe(basis.components), remark):
        console.print(line)
    for table in (
        planning.smallest_effects(basis.components, seeds, items, rule, cost, basis.ends),
        planning.seeds_needed(basis.components, effect, items, rule, cost),
        planning.items_needed(basis.components, effect, seeds, rule, cost),
    ):
        console.print(to_rich(table))
    if basis.pilot is not None:
        console.print(to_rich(planning.signals(_signals(basis.pilot, declared))))


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    pilot = parser.add_argument_group("pilot: two conditions that have been run")
    pilot.add_argument(
        "conditions", nargs="*", type=local_path, metavar="EXP_DIR", help="outputs/<experiment>/exp_<condition>"
    )
    pilot.add_argument(
        "--model",
        metavar="NAME",
        help="e.g. sft_final (default: the declared endpoint's, or the last one evaluated)",
    )
    pilot.add_argument("--task", help="task to use (default: the declared endpoint's, or the model's first)")
    pilot.add_argument(
        "--time-scale",
        type=above_zero,
        default=1.0,
        metavar="X",
        help="duration of the planned runs relative to the pilot's (default: %(default)s)",
    )
    typed = parser.add_argument_group("numbers that replace the pilot or override its estimates")
    typed.add_argument(
        "--discordance",
        type=above_zero,
        metavar="PERCENT",
        help="percentage of items that exactly one of two paired runs answers correctly",
    )
    typed.add_argument(
        "--between-run-sd",
        type=from_zero,
        metavar="POINTS",
        help="standard deviation over seeds of the true difference in accuracy",
    )
    typed.add_argument(
        "--item-sd",
        type=from_zero,
        metavar="POINTS",
        help="standard deviation over items of the difference in the probability of a correct answer",
    )
    typed.add_argument("--hours-per-run", type=above_zero, metavar="HOURS", help="device-hours per run")
    _add_target(parser)
    return parser


def _add_target(parser: argparse.ArgumentParser) -> None:
    wanted = parser.add_argument_group("target")
    wanted.add_argument(
        "--effect",
        type=above_zero,
        metavar="POINTS",
        help="difference in accuracy to detect (default: the declared smallest effect at the base rate, or 1)",
    )
    wanted.add_argument(
        "--base-rate",
        type=above_zero,
        metavar="PERCENT",
        help="accuracy of the reference (default: the pilot's)",
    )
    _add_rule(wanted)
    wanted.add_argument(
        "--seeds",
        type=whole_number,
        nargs="+",
        default=SEEDS,
        metavar="N",
        help="numbers of seeds to consider (default: 1 2 3 5 10 20)",
    )
    wanted.add_argument(
        "--items",
        type=whole_number,
        nargs="+",
        metavar="N",
        help="numbers of items to consider (default: the pilot's, or GSM8K's 1319)",
    )
    wanted.add_argument("--price", type=from_zero, metavar="PRICE", help="price of one device-hour")


def _add_rule(wanted: argparse._ArgumentGroup) -> None:
    wanted.add_argument(
        "--prereg",
        type=local_path,
        help="preregistration with the endpoint, the error rates and the smallest effect (default: the file that the "
        f"pilot's recipe names, or {PREREG})",
    )
    wanted.add_argument(
        "--planned",
        nargs="+",
        metavar="CONDITION",
        help="conditions that will be run, so which main comparisons share alpha (default: all that are declared)",
    )
    wanted.add_argument(
        "--alpha",
        type=float,
        metavar="FRACTION",
        help="level of the primary endpoint's test (default: the declared one, divided among the main comparisons)",
    )
    wanted.add_argument(
        "--power",
        type=float,
        metavar="FRACTION",
        help="probability of detecting the difference (default: the declared one)",
    )


def _effect(given: float | None, declared: Prereg, base_rate: float | None) -> tuple[float, str]:
    """Return the target difference as a fraction of 1, and where it comes from."""
    from domain_tokens.analysis.statistics.smallest_effect import effect_words, in_points

    smallest = declared.smallest_effect
    if given is not None:
        return given / 100, f"Target: {given:g} points."
    if smallest is None or (base_rate is None and smallest.scale != "points"):
        return 0.01, "Target: 1 point; --base-rate or a pilot turns a declared smallest effect into points."
    effect = in_points(smallest.scale, smallest.value, base_rate or 0.0)
    if effect == 0:
        raise RecipeError(f"the declared smallest effect is 0 points at an accuracy of {base_rate:.0%}; give --effect")
    at = "" if base_rate is None else f" at an accuracy of {100 * base_rate:.1f}%"
    named = effect_words(smallest.scale, smallest.value)
    return effect, f"Target: the declared smallest effect, {named}{at}: {100 * effect:.2f} points."


def _declared(arguments: argparse.Namespace) -> Prereg:
    """Return the declaration: the one that is named, or that of the pilot's recipe, or the project's."""
    path = arguments.prereg or (declaration_of(arguments.conditions[0]) if arguments.conditions else PREREG)
    return load_prereg(path) if path.is_file() else Prereg()


def _basis(arguments: argparse.Namespace, declared: Prereg) -> _Basis:
    """Return the plan's inputs, from the pilot or from the given numbers."""
    between_run_sd, item_sd = (
        value if value is None else value / 100 for value in (arguments.between_run_sd, arguments.item_sd)
    )
    if arguments.conditions:
        if len(arguments.conditions) != 2 or arguments.discordance is not None:
            raise RecipeError(
                "expected the folders of two conditions without --discordance, or --discordance without folders"
            )
        pair = Pair(*map(load_condition, arguments.conditions))
        return _from_pilot(pair, arguments, declared, between_run_sd, item_sd)
    if arguments.discordance is None:
        raise RecipeError("expected the folders of two conditions, or --discordance and --between-run-sd")
    if between_run_sd is None:
        raise RecipeError(
            "--between-run-sd: required with --discordance, in points of accuracy; 0 if runs do not vary"
        )
    from domain_tokens.analysis.statistics.power import typed_components

    base_rate = None if arguments.base_rate is None else arguments.base_rate / 100
    components = typed_components(arguments.discordance / 100, between_run_sd, item_sd or 0.0)
    return _Basis(components, GSM8K_ITEMS, None, base_rate)


def _from_pilot(
    pair: Pair,
    arguments: argparse.Namespace,
    declared: Prereg,
    between_run_sd: float | None,
    item_sd: float | None,
) -> _Basis:
    from domain_tokens.analysis.measures.outcomes import item_clusters, outcomes
    from domain_tokens.analysis.report.words.names import first_mention
    from domain_tokens.analysis.statistics.power import (
        between_run_limit,
        components_range,
        pilot_components,
        recorded_hours,
    )

    endpoint = _endpoint(pair.reference, arguments.model, arguments.task, declared)
    model, task, group = endpoint.model, endpoint.task, endpoint.group or ALL_ITEMS
    evaluation = pair.first_run.evaluations[model, task]
    sides = outcomes(pair, model, task, evaluation.outcome_keys[endpoint.metric], group)
    components = pilot_components(*sides, between_run_sd, item_sd, item_clusters(pair, model, task, group))
    num_seeds, num_items = sides[0].shape
    data = first_mention(task, evaluation.result.source) + ("" if endpoint.group is None else f" ({group})")
    remarks = [f"Based on {num_seeds} seed{'s' * (num_seeds != 1)} and {num_items:,} items of {data}, {model}."]
    if num_seeds > 1 and between_run_sd is None:
        limit = between_run_limit(*sides)
        remarks.append(
            f"With {num_seeds} seeds, the between-run sd may be as large as {100 * limit:.2f} points (80% limit); "
            f"to plan for that, pass --between-run-sd {100 * limit:.2g}."
        )
    if components.items_per_cluster > 1:
        clusters = num_items / components.items_per_cluster
        remarks.append(f"The items form {clusters:,.0f} clusters that share a template or its numbers.")
    is_observed = num_seeds > 1 and between_run_sd is None
    return _Basis(
        components=components,
        num_items=num_items,
        hours=recorded_hours(*pair.sides) * arguments.time_scale,
        base_rate=float(sides[0].mean()) if arguments.base_rate is None else arguments.base_rate / 100,
        ends=components_range(components, num_seeds, num_items) if is_observed else None,
        remarks=tuple(remarks),
        pilot=pair,
    )


def _signals(pair: Pair, declared: Prereg) -> "list[EndpointSignal]":
    """Return signal and noise of the pilot's endpoints, with the declared smallest effect."""
    from domain_tokens.analysis.report.signals import endpoint_signals
    from domain_tokens.analysis.results_model import Endpoint as ResultsEndpoint
    from domain_tokens.analysis.statistics.smallest_effect import in_points

    endpoints = {
        ResultsEndpoint(
            model=one.model,
            task=one.task,
            metric=one.metric,
            group=one.group or ALL_ITEMS,
            last_checkpoints=one.last_checkpoints,
        ): one.smallest_effect
        for one in declared.endpoints
    }

    def smallest_effect(endpoint: ResultsEndpoint, value: float, unit: str | None) -> float | None:
        smallest = endpoints.get(endpoint) or declared.smallest_effect
        if unit is not None and smallest is not None and smallest.scale == "logit":
            return None  # odds are of right answers
        effect = declared.equivalence_margin if smallest is None else in_points(smallest.scale, smallest.value, value)
        return effect or None  # 0: no effect shows on the scale at this value

    return endpoint_signals(pair, list(endpoints), smallest_effect)


def _endpoint(condition: Condition, model: str | None, task: str | None, declared: Prereg) -> Endpoint:
    """Return the first declared endpoint that fits and has results; else all items of a task, by its main metric."""
    evaluations = condition.first_run.plain()
    for one in declared.endpoints:
        known = evaluations.get((one.model, one.task))
        if known is None or one.metric not in known.outcome_keys or known.unit(one.metric) is not None:
            continue
        has_group = one.group is None or one.group in {item.group for item in known.items.values()}
        if has_group and model in (None, one.model) and task in (None, one.task):
            return one
    chosen = model or list(evaluations)[-1][0]
    # Planned for are right and wrong answers; values, such as bits per byte, have a row among the signals.
    tasks = [
        name for (other, name), one in evaluations.items() if other == chosen and one.unit(one.main_metric) is None
    ]
    if not tasks or (task is not None and task not in tasks):
        raise RecipeError(
            f"{condition.folder}: {chosen} has no results for {task or 'any task'}; available: "
            f"{', '.join(f'{name} of {other}' for other, name in evaluations)}"
        )
    named = task or tasks[0]
    return Endpoint(chosen, named, evaluations[chosen, named].main_metric)
