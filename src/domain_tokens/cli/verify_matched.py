"""The command line of `scripts/verify_matched.py`: the compute of two conditions and every disallowed difference."""

import re
import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from domain_tokens.analysis.matching import Mismatch, Recorded, mismatches
from domain_tokens.analysis.report.formats import DASH, number, printable
from domain_tokens.analysis.report.tables.table import Table
from domain_tokens.cli.common import new_parser, to_rich, wide_console
from domain_tokens.cli.options import local_path
from domain_tokens.recipe import RecipeError, user_errors
from domain_tokens.runs.layout import EVALUATION, MODELS, RESULTS
from domain_tokens.runs.ledger import (
    AMOUNT_TOLERANCE,
    EPOCHS_TOLERANCE,
    ESTIMANDS,
    FLOPS_TOLERANCE,
    MEASURES,
    PACKING_TOLERANCE,
    VIEWS,
    estimand,
    measure_of,
    reason_to_differ,
)
from domain_tokens.runs.records import Fields, LedgerEntry, Number, TaskResult, read_record
from domain_tokens.runs.results import SeedRun, load_trained


def read_recorded(folder: Path) -> Recorded:
    """Read what a condition's stages and evaluations recorded. Runs need not have been evaluated.

    Args:
        folder (`Path`): `outputs/<experiment>/exp_<condition>`.

    Raises:
        RecipeError: if a file or folder is missing or damaged.
    """
    runs = {int(found[1]): path for path in folder.glob("seed_*") if (found := re.fullmatch(r"seed_(\d+)", path.name))}
    trained = {seed: load_trained(run, seed) for seed, run in sorted(runs.items())}
    stages = {seed: {name: one.manifest for name, one in run.stages.items()} for seed, run in trained.items()}
    evaluations = {seed: _evaluations(run) for seed, run in trained.items()}
    names = {
        one.manifest.condition
        for run in trained.values()
        for one in run.stages.values()
        if one.folder.parent == run.folder  # and not another condition's, with whose model it starts
    }
    if len(names) != 1:
        raise RecipeError(
            f"{folder}: expected the runs of one condition with a finished stage, e.g. outputs/demo/exp_baseline; "
            f"found {len(names)} conditions"
        )
    return Recorded(names.pop(), stages, evaluations)


def _evaluations(run: SeedRun) -> dict[str, TaskResult]:
    """Return what was evaluated of a run's models, also of those with which it starts."""
    begun = {name: stage.folder.parent for name, stage in (*run.stages.items(), *run.earlier.items())}
    paths = [
        path
        for folder in dict.fromkeys((run.folder, *begun.values()))
        for path in sorted(folder.glob(f"{EVALUATION}/*/*{RESULTS}"))
        if begun.get(path.parent.name, run.folder) == folder
    ]
    return {
        f"eval/{path.parent.name}/{path.name.removesuffix(RESULTS)}": read_record(path, TaskResult) for path in paths
    }


def views(reference: Recorded, other: Recorded, found: list[Mismatch]) -> Table:
    """Return the four views of every stage and seed: both values, their ratio, and what the design requires."""
    wrong = {(mismatch.seed, mismatch.field.partition(" ")[0]) for mismatch in found}
    rows = []
    for seed in dict.fromkeys((*reference.stages, *other.stages)):
        for name in MODELS:
            ledgers = (_ledger(side, seed, name) for side in (reference, other))
            measure = measure_of(*(_matched(side, seed, name) for side in (reference, other)))
            for entries in zip_longest(*ledgers):
                stage, kind = next((entry.stage, entry.kind) for entry in entries if entry is not None)
                rule = estimand(kind, measure)
                for view, field in VIEWS.items():
                    values = [None if entry is None else getattr(entry, field) for entry in entries]
                    verdict = "equal" if values[0] == values[1] else "different"
                    if verdict == "different" and measure is not None and field == MEASURES[measure]:
                        verdict = "equal within the limit"
                    if (seed, f"ledger.{stage}.{field}") in wrong:
                        verdict = "WRONG"
                    design = _design(kind, field, measure)
                    rows.append([str(seed), stage, rule, view, *map(_value, values), _ratio(values), design, verdict])
    note = (
        "Allowed differences are limited: fine-tuning must take the same number of epochs "
        f"(within {EPOCHS_TOLERANCE:.0%}) or, where it is packed, rows that are about as full (within "
        f"{PACKING_TOLERANCE:.0%} and half a step), and FLOPs per position must be the same "
        f"(within {FLOPS_TOLERANCE:.0%}). "
        f"Where equal text or FLOPs is declared, it may differ by {AMOUNT_TOLERANCE:.0%} and half a step."
    )
    header = ["seed", "stage", "estimand", "view", reference.name, other.name, "ratio", "by design", "is"]
    shown = [[printable(cell) for cell in row] for row in rows]
    return Table("Compute", [printable(cell) for cell in header], shown, note, labels=4)


def main(description: str | None) -> None:
    """Run `scripts/verify_matched.py`: print both conditions and exit with 1 if they do not match.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = new_parser(description)
    parser.add_argument(
        "reference", type=local_path, metavar="EXP_A", help="condition folder, e.g. outputs/demo/exp_baseline"
    )
    parser.add_argument(
        "other", type=local_path, metavar="EXP_B", help="condition folder, e.g. outputs/demo/exp_mul_tokens"
    )
    arguments = parser.parse_args()
    with user_errors():
        reference, other = read_recorded(arguments.reference), read_recorded(arguments.other)
        found = mismatches(reference, other)
        table = views(reference, other, found)
    console = wide_console(170)
    console.print(to_rich(table))
    for line in _verdict(found, reference, other):
        console.print(line, markup=False)
    sys.exit(1 if found else 0)


def _verdict(found: list[Mismatch], *sides: Recorded) -> list[str]:
    if not found:
        return [f"Compute-matched: {_rules(*sides)}; every other field is equal or differs only as the design allows."]
    listed = [f"  {printable(str(mismatch))}" for mismatch in found]
    return [f"Not compute-matched: {len(found)} fields differ that must be equal.", *listed]


def _rules(*sides: Recorded) -> str:
    """Return what is equal by kind of stage, in words; every seed has the same rules, or they would not match."""
    rules = []
    for name in MODELS:
        recorded = [_matched(side, seed, name) for side in sides for seed in side.stages]
        if not any(recorded):  # a run may have no fine-tuning, or no GRPO
            continue
        entries = [entry for side in sides for seed in side.stages for entry in _ledger(side, seed, name)]
        kinds = [kind for kind in ESTIMANDS if any(entry.kind == kind for entry in entries)]
        rules += [f"{estimand(kind, measure_of(*recorded))} in {kind}" for kind in kinds or [name.partition("_")[0]]]
    return ", ".join(dict.fromkeys(rules))


def _design(kind: str, field: str, measure: str | None) -> str:
    """Return what the design requires of a quantity."""
    if measure is not None:
        return "equal, by declaration" if field == MEASURES[measure] else "may differ: another quantity is equal"
    reason = reason_to_differ(kind, field)
    return f"may differ: {reason}" if reason else "equal"


def _matched(side: Recorded, seed: int, name: str) -> Fields:
    manifest = side.stages.get(seed, {}).get(name)
    return {} if manifest is None else manifest.matched


def _value(value: float | None) -> str:
    return f"{value:,}" if isinstance(value, int) else number(value)


def _ratio(values: list[Number | None]) -> str:
    left, right = values
    return f"{right / left:.4f}" if left and right is not None else DASH


def _ledger(side: Recorded, seed: int, name: str) -> Sequence[LedgerEntry]:
    manifest = side.stages.get(seed, {}).get(name)
    return () if manifest is None else manifest.ledger
