"""The verdict, by a rule that is fixed in advance; and the success criteria with their evidence."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain_tokens.analysis.family import Family
from domain_tokens.analysis.preregistration import NOTHING_DECLARED, Preregistration
from domain_tokens.analysis.report.formats import Scale, interval, p_words, points, size
from domain_tokens.analysis.report.words.names import TaskNames, curve_name, first_mention, names_in, task_names
from domain_tokens.analysis.results_model import (
    BETTER,
    EQUIVALENT,
    EXPLORATORY,
    INSENSITIVE,
    PILOT,
    UNDECIDED,
    WORSE,
    AssayCheck,
    Outcome,
    Plateau,
    ResultRow,
    SuccessCriterion,
    TokenUse,
    Verdict,
    primary_row,
)
from domain_tokens.analysis.statistics.smallest_effect import effect_words
from domain_tokens.runs.results import ALL_ITEMS, Pair

H0 = "Changing only the tokenizer does not change the primary endpoint."
H1 = "Changing only the tokenizer changes the primary endpoint, in either direction."

_ONLY, _WITH_BASE = "Changing only the tokenizer", "Changing the base vocabulary, and with it the size of the model,"

REJECTED = "H0 is rejected, "


@dataclass(frozen=True)
class Evidence:
    """What a verdict takes into account beside the primary endpoint's row.

    Attributes:
        pair: the two conditions.
        declared: what was declared.
        family: the declared tests, corrected.
        assay: whether the smallest effect could have been found; `None` if there is no telling.
        plateaus: the ends of the training curves.
    """

    pair: Pair
    declared: Preregistration
    family: Family
    assay: AssayCheck | None = None
    plateaus: tuple[Plateau, ...] = ()

    @property
    def climbing(self) -> list[Plateau]:
        """The curves that still improve at the end of their stage."""
        return [curve for curve in self.plateaus if curve.climbs]

    @property
    def untold(self) -> list[Plateau]:
        """The curves with too few points, or too much noise, to see a climb of the size that matters."""
        return [curve for curve in self.plateaus if curve.climbs is None]

    @property
    def at_plateau(self) -> bool | None:
        """Whether no curve still improves; `None` if there are none, or if one cannot tell and none climbs."""
        if self.climbing:
            return False
        return True if self.plateaus and not self.untold else None


def rule(evidence: Evidence) -> str:
    """Return the decision rule in words."""
    declared, family = evidence.declared, evidence.family
    alpha = f"{declared.alpha:g}"
    chosen = (
        "The primary endpoint is the first declared one."
        if declared.is_declared
        else "Nothing was declared: the primary endpoint is the main metric of the last evaluated model's first task."
    )
    several = len(family.main) > 1
    first = f"the {len(family.main)} main comparisons" if several else "the main comparison"
    corrected = f", after Holm's correction for {len(family.main)} comparisons," if several else ""
    gated = (
        f" Only if H0 is rejected in {first} are the {family.num_gated} other declared tests made (further endpoints "
        "and contrasts), with Holm's correction for their number."
        if family.num_gated
        else ""
    )
    sensitive = (
        "" if declared.effect_at(declared.endpoints[0]) is None
        else f" Otherwise, if the test's power for the smallest effect is under {declared.power:.0%}, or the declared "
        "positive control does not move, the assay is not sensitive."
    )  # fmt: skip
    return (
        f"H0 is rejected if the two-sided test over seeds and items gives p < {alpha} for the primary endpoint of "
        f"{first}{corrected} at the full alpha.{gated}{sensitive} Otherwise, if two one-sided tests show at the same "
        f"level that the difference lies within {_margin(declared)} of 0, the conditions are equivalent; if not, the "
        "result is undecided. With one seed, nothing is decided and the result is a pilot. "
        f"{chosen} The test generalizes to other training runs and other questions."
    )


def _margin(declared: Preregistration) -> str:
    effect = declared.effect_at(declared.endpoints[0])
    if effect is None:
        return f"{size(declared.margin)} points"
    return f"the smallest effect ({effect_words(effect.scale, effect.value)})"


def verdict(primary: ResultRow, evidence: Evidence) -> Verdict:
    """Return the hypotheses, the rule, the decision and its sentence.

    Args:
        primary (`ResultRow`): the row of the primary endpoint.
        evidence (`Evidence`): what was declared and what else was found.
    """
    outcome, rejected = decide(primary, evidence)
    other_base = evidence.pair.different_vocabularies
    found = Verdict(
        h0=H0.replace(_ONLY, _WITH_BASE) if other_base else H0,
        h1=H1.replace(_ONLY, _WITH_BASE) if other_base else H1,
        rule=rule(evidence),
        outcome=outcome,
        h0_rejected=rejected,
        at_plateau=evidence.at_plateau,
        sentence=" ".join([_sentence(primary, evidence, outcome, rejected), *_budget(evidence, outcome)]),
    )
    return demoted(found, evidence.declared.departures)


def _sentence(primary: ResultRow, evidence: Evidence, outcome: Outcome, rejected: bool | None) -> str:
    reference, other = (condition.name for condition in evidence.pair.sides)
    seeds = f"{len(primary.by_seed)} seeds"
    facts = " ".join(part for part in (_facts(primary, evidence), together_note(primary, reference, other)) if part)
    scale = Scale(primary.unit)
    within = evidence.declared.margin_at(primary.reference.accuracy, primary.unit, primary.endpoint)
    margin = f"{scale.size(within)} {scale.word}"
    detectable = _detectable(primary, evidence.declared.power)
    if outcome == PILOT:
        return f"Pilot, one seed: {facts} {detectable} One seed cannot decide between H0 and H1."
    if outcome == EXPLORATORY:
        return f"{seeds}: {facts}"
    if rejected:
        budget = " at this budget" if evidence.climbing else ""
        return f"{REJECTED}{other} is {outcome} than {reference}{budget}, {seeds}: {facts}"
    if rejected is None:
        return f"Undecided, {seeds}: {facts} Nothing varies between seeds, so no test applies."
    if outcome == INSENSITIVE and evidence.assay is not None:
        failed = "; and ".join(evidence.assay.failures)
        return (
            f"The assay is not sensitive, {seeds}: {facts} H0 is not rejected, and this says nothing about the "
            f"tokenizer: {failed}. {evidence.assay.advice}"
        )
    if outcome == EQUIVALENT and primary.equivalence is not None:
        return (
            f"No difference, {seeds}: {facts} It lies within {margin} of 0 "
            f"({p_words(primary.equivalence.p_value)}), which was declared to count as no difference."
        )
    return (
        f"Undecided, {seeds}: {facts} {detectable} The data show neither a difference nor its absence "
        f"(within {margin}).{_closed_gate(evidence)}"
    )


def demoted(verdict: Verdict, departures: Sequence[str]) -> Verdict:
    """Return a verdict as exploratory if the runs depart from the preregistration: it rejects nothing then.

    Args:
        verdict (`Verdict`): by the rule.
        departures (`Sequence[str]`): in words.
    """
    if not departures:
        return _exploratory(verdict, "not a declared comparison") if verdict.outcome == EXPLORATORY else verdict
    number = f"{len(departures)} departures" if len(departures) > 1 else "a departure"
    return _exploratory(
        verdict,
        "nothing was declared in advance"
        if departures[0] == NOTHING_DECLARED
        else f"{number} from the preregistration",
    )


def _exploratory(verdict: Verdict, why: str) -> Verdict:
    text = verdict.sentence.removeprefix(REJECTED)
    sentence = f"Exploratory, not a test of H0 ({why}): {text}"
    return verdict.model_copy(update={"h0_rejected": None, "exploratory": True, "sentence": sentence})


def decide(primary: ResultRow, evidence: Evidence) -> tuple[Outcome, bool | None]:
    """Return the outcome and whether H0 is rejected; `None` if the data cannot tell.

    A rejection stands, whatever the assay could not have shown: finding an effect proves that it could be found.
    """
    family = evidence.family
    if len(primary.by_seed) == 1:
        return PILOT, None
    if not family.is_declared(evidence.pair):
        return EXPLORATORY, None
    if primary.p_family is None:
        return UNDECIDED, None
    if primary.p_family < family.alpha:
        return (BETTER if primary.gain > 0 else WORSE), True
    if evidence.assay is not None and evidence.assay.failures:
        return INSENSITIVE, False
    within = None if primary.equivalence is None else primary.equivalence.p_value
    is_shown = family.is_main(evidence.pair) and within is not None and within < family.main_alpha
    return (EQUIVALENT if is_shown else UNDECIDED), False


def _facts(primary: ResultRow, evidence: Evidence) -> str:
    """Return the numbers of the primary endpoint as a sentence."""
    reference, other = (condition.name for condition in evidence.pair.sides)
    p, scale = primary.p_value if primary.p_family is None else primary.p_family, Scale(primary.unit)
    lower = "lower is better; " if primary.lower_is_better else ""
    return (
        f"{_endpoint(primary)} of {primary.model}{_source(primary)} is "
        f"{scale.value(primary.reference.accuracy)} for {reference} and {scale.value(primary.other.accuracy)} for "
        f"{other}, a difference of {scale.difference(primary.delta)} {scale.word} ({lower}95% interval "
        f"{scale.interval(primary.interval)}, {primary.test}, {p_words(p)})."
    )


def _endpoint(primary: ResultRow) -> str:
    """Return what is measured: `gsm8k (one product) accuracy`; generated data is called so."""
    name = first_mention(primary.task, primary.source)
    if name == primary.task:
        group = "" if primary.group == ALL_ITEMS else f" ({primary.group})"
        return f"{name}{group} {primary.metric}"
    return f"{primary.metric} on {name}" + ("" if primary.group == ALL_ITEMS else f", {primary.group},")


def _source(primary: ResultRow) -> str:
    """Return where the questions come from, and how many clusters they form, as far as that is known."""
    known = [] if primary.source is None else [f"data: {primary.source}"]
    if primary.last_checkpoints > 1:
        known.append(f"mean over the last {primary.last_checkpoints} checkpoints")
    if primary.num_clusters is not None and primary.num_clusters < primary.num_items:
        known.append(f"{primary.num_items:,} questions in {primary.num_clusters:,} clusters")
    return f" ({'; '.join(known)})" if known else ""


def _detectable(primary: ResultRow, power: float) -> str:
    ends, scale = "", Scale(primary.unit)
    sought = f"The smallest true difference that would be found with {power:.0%} power"
    if primary.smallest_detectable is None:
        return f"{sought} cannot be estimated: the two conditions' outcomes hardly differ, or not at all."
    if primary.detectable_range is not None:
        ends = f" ({scale.range(primary.detectable_range)}, as the seeds' variance allows)"
    return f"{sought} is {scale.size(primary.smallest_detectable)} {scale.word}{ends}."


def _closed_gate(evidence: Evidence) -> str:
    """Return why a contrast was not tested, if it was not."""
    family, pair = evidence.family, evidence.pair
    if family.is_main(pair):
        return ""
    return " This contrast is tested only where the main comparison shows a difference, after correction."


def _budget(evidence: Evidence, outcome: Outcome) -> list[str]:
    """Return the sentence about curves that still climb, or about those that cannot tell; nothing if all are level."""
    evaluations = evidence.pair.first_run.plain()
    names = task_names({task: evaluation.result.source for (_, task), evaluation in evaluations.items()})
    if evidence.climbing:
        shown = "; ".join(
            _curve(curve, names)
            + ("" if curve.share is None else f", {curve.share:.0%} of its improvement in the last quarter")
            for curve in evidence.climbing
        )
        what = "This describes one budget" if outcome != PILOT else "Whatever it shows belongs to one budget"
        return [f"Not at a plateau ({shown}). {what}; it is no claim about what the tokenizer causes."]
    if evidence.untold:
        more = f" and {len(evidence.untold) - 1} more" if len(evidence.untold) > 1 else ""
        curve = _curve(evidence.untold[0], names)
        shown = f"{curve}{more}, with too few points or too much noise to see a climb that matters"
        return [f"It cannot be told whether this is a plateau ({shown})."]
    return []


def _curve(curve: Plateau, names: TaskNames) -> str:
    return f"{curve_name(curve.metric, names)} of {curve.condition} in {curve.stage}"


def together_note(row: ResultRow, reference: str, other: str) -> str:
    """Return what to say of an endpoint whose prompts a condition rewrites, `""` of any other.

    Args:
        row (`ResultRow`): the endpoint's row.
        reference, other (`str`): the conditions' names.
    """
    if row.prompts is None or not row.with_tokenizer:
        return ""
    counts = [
        f"{name} rewrites {rewritten} of {row.num_items} prompts"
        for name, rewritten in zip((reference, other), row.prompts.rewritten, strict=True)
        if rewritten
    ]
    return f"This is of tokenizer and model together, not of the model: {' and '.join(counts)}."


def success_criteria(rows: Sequence[ResultRow], use: Sequence[TokenUse], other: str) -> tuple[SuccessCriterion, ...]:
    """Return four criteria, each with its evidence in words.

    They ask whether the other condition is better than the reference, so swapping the two may change every answer.

    Args:
        rows (`Sequence[ResultRow]`): all results.
        use (`Sequence[TokenUse]`): tokens and facts per response.
        other (`str`): the other condition's name.
    """
    primary = primary_row(rows)
    deltas, scale = [seed.delta for seed in primary.by_seed], Scale(primary.unit)
    worst = min(-delta if primary.lower_is_better else delta for delta in deltas)
    gains = SuccessCriterion(
        name="the primary endpoint improves in every seed, with at least two seeds",
        met=worst > 0 if len(deltas) >= 2 else None,
        evidence=f"differences by seed, in {scale.word}: {', '.join(map(scale.difference, deltas))}",
    )
    return gains, _probe(rows), _fact_use(use, other, names_in(rows)), _fewer_tokens(primary, use, other)


def _probe(rows: Sequence[ResultRow]) -> SuccessCriterion:
    name = "the last model improves on the arithmetic probe, and the 95% interval lies above 0"
    probes = [row for row in rows if row.task == "arithmetic" and row.group == ALL_ITEMS]
    if not probes or probes[-1].interval is None:
        return SuccessCriterion(name=name, met=None, evidence="no arithmetic results, or no interval")
    row, bounds = probes[-1], probes[-1].interval
    evidence = f"{row.model}: {points(row.delta)} points, 95% interval {interval(bounds)}"
    evidence += "; of tokenizer and model together" if row.with_tokenizer else ""
    return SuccessCriterion(name=name, met=bounds[0] > 0, evidence=evidence)


def _fact_use(use: Sequence[TokenUse], other: str, names: TaskNames) -> SuccessCriterion:
    name = f"GRPO increases the use of facts in {other}"
    facts = {(row.model, row.task): row.facts_per_response.other for row in use}
    for task in dict.fromkeys(row.task for row in use):
        before, after = facts.get(("sft_final", task)), facts.get(("grpo_final", task))
        if before is not None and after is not None:
            evidence = f"{names[task]}, facts per response: {before:.2f} after SFT, {after:.2f} after GRPO"
            return SuccessCriterion(name=name, met=after > before, evidence=evidence)
    evidence = "requires responses of sft_final and of grpo_final to the same task"
    return SuccessCriterion(name=name, met=None, evidence=evidence)


def _fewer_tokens(primary: ResultRow, use: Sequence[TokenUse], other: str) -> SuccessCriterion:
    name = f"{other} answers in fewer tokens without losing accuracy"
    scale = Scale(primary.unit)
    for row in use:
        tokens = row.tokens_per_response.known
        if (row.model, row.task) == (primary.model, primary.task) and tokens is not None:
            evidence = (
                f"tokens per response: {tokens[0]:.1f} and {tokens[1]:.1f}; "
                f"difference of the primary endpoint: {scale.difference(primary.delta)} {scale.word}"
            )
            return SuccessCriterion(name=name, met=tokens[1] < tokens[0] and primary.gain >= 0, evidence=evidence)
    return SuccessCriterion(name=name, met=None, evidence="no tokens of responses can be compared")
