"""Analyses runs, condition by condition."""

from collections import Counter
from collections.abc import Iterator, Sequence

from domain_tokens.analysis.report.formats import listed
from domain_tokens.seal.analysis.arms import NUM_COMPARISONS, arm_results, contrasts, unequal_steps
from domain_tokens.seal.analysis.budget import budget_points, settings
from domain_tokens.seal.analysis.chain import chain_results
from domain_tokens.seal.analysis.choices import choices, validities
from domain_tokens.seal.analysis.edits import edits_of, proposals_of
from domain_tokens.seal.analysis.reading import Adapted, AdaptedRun, by_condition, notes_on
from domain_tokens.seal.analysis.reliability import halves, reliabilities
from domain_tokens.seal.analysis.results import Adaptation, ArmResult, ConditionResult
from domain_tokens.seal.analysis.selection import round_changes, round_means, selections
from domain_tokens.seal.records import ROUND, AdaptRow

_FEW_RUNS = 4


def analyze(runs: Sequence[AdaptedRun]) -> Adaptation:
    """Return all numbers of runs whose settings are the same."""
    return Adaptation(
        runs=tuple(str(run.folder) for run in runs),
        settings=runs[0].record.settings,
        num_comparisons=NUM_COMPARISONS,
        notes=tuple(notes_on(runs)),
        conditions=tuple(map(_condition, by_condition(runs))),
    )


def _condition(adapted: Adapted) -> ConditionResult:
    rows = [run.rows for run in adapted.runs]
    edits = [list(edits_of(own, ROUND)) for own in rows]
    proposals = [proposals_of(own) for own in edits]
    arms = arm_results(rows)
    chosen, unknown = choices(proposals, [run.policy for run in adapted.runs])
    return ConditionResult(
        condition=adapted.condition,
        seeds=adapted.seeds,
        validity=tuple(validities(rows)),
        arms=tuple(arms),
        contrasts=tuple(contrasts(rows)),
        selection=tuple(selections(proposals)),
        rounds=tuple(round_means(proposals)),
        changes=tuple(round_changes(proposals)),
        reliability=tuple(reliabilities(proposals)),
        halves=halves(proposals),
        choices=tuple(chosen),
        budget=tuple(budget_points(edits)),
        settings=tuple(settings(edits)),
        chain=tuple(chain_results(rows)),
        notes=(*_notes(adapted, arms, unequal_steps(rows), unknown), *_on_divergence(rows)),
    )


def _notes(adapted: Adapted, arms: Sequence[ArmResult], unequal: Sequence[str], unknown: int) -> Iterator[str]:
    if len(adapted.seeds) == 1:
        yield "One run: the intervals are for other passages, and say nothing about other runs."
    elif len(adapted.seeds) < _FEW_RUNS:
        yield (
            f"{len(adapted.seeds)} runs: the intervals are for other runs too, of which so few tell little, so they "
            "are wide; a run alone has narrower ones, for other passages."
        )
    if unequal:
        yield (
            f"Warning: {listed(unequal)} had other numbers of inner steps than trained for some test passages; the "
            "budgets are not equal."
        )
    unreadable = [f"{arm.arm} {arm.unreadable}" for arm in arms if arm.unreadable]
    if unreadable:
        yield (
            f"Test passages without an edit that could be read: {listed(unreadable)}. They leave the model as it is, "
            "and count as a gain of 0."
        )
    if len({arm.passages for arm in arms}) > 1:
        yield "Warning: the arms have different numbers of test passages; contrasts are of those that both have."
    if unknown:
        yield f"Warning: {unknown} kept edits are not among the proposals, and are left out of what was chosen."


def _on_divergence(runs: Sequence[Sequence[AdaptRow]]) -> Iterator[str]:
    """Say how many inner loops of which arm gave no number: nothing stands for them, not even a gain of 0."""
    diverged = Counter(row.arm for rows in runs for row in rows if row.forms and not row.valid)
    if diverged:
        by_arm = listed([f"{arm} {number:,}" for arm, number in diverged.items()])
        yield (
            f"Warning: {diverged.total():,} inner loops diverged ({by_arm}) and are left out; their edits have fewer "
            "inner seeds or none, and differences are of the passages that are left in both arms."
        )
