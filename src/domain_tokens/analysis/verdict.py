"""The verdict, by a rule that is fixed in advance; and the success criteria with their evidence."""

from collections.abc import Sequence

from domain_tokens.analysis.preregistration import NOTHING_DECLARED, Preregistration
from domain_tokens.analysis.report.formats import interval, p_words, percent, points, size
from domain_tokens.analysis.results_model import (
    BETTER,
    EQUIVALENT,
    PILOT,
    UNDECIDED,
    WORSE,
    Outcome,
    ResultRow,
    SuccessCriterion,
    TokenUse,
    Verdict,
    primary_row,
)
from domain_tokens.runs.results import ALL_ITEMS

H0 = "Changing only the tokenizer does not change the primary endpoint."
H1 = "Changing only the tokenizer changes the primary endpoint, in either direction."

REJECTED = "H0 is rejected, "


def rule(declared: Preregistration) -> str:
    """Return the decision rule in words."""
    alpha, margin = f"{declared.alpha:g}", size(declared.margin)
    chosen = (
        "The primary endpoint is the first declared one."
        if declared.is_declared
        else "Nothing was declared: the primary endpoint is the main metric of the last evaluated model's first task."
    )
    return (
        f"H0 is rejected if the two-sided test over seeds and items gives p < {alpha} for the primary endpoint, after "
        f"Holm's correction for {len(declared.endpoints)} declared endpoint{'s' * (len(declared.endpoints) > 1)}. If "
        "it is not rejected and two one-sided tests show, at the same level, that the difference lies within "
        f"{margin} points of 0, the conditions are equivalent; otherwise the result is undecided. With one seed, "
        "nothing is decided and the result is a pilot. "
        f"{chosen} The test generalizes to other training runs and other questions."
    )


def verdict(primary: ResultRow, declared: Preregistration, reference: str, other: str) -> Verdict:
    """Return the hypotheses, the rule, the decision and its sentence.

    Args:
        primary (`ResultRow`): the row of the primary endpoint.
        declared (`Preregistration`): the endpoints and error rates.
        reference, other (`str`): the conditions' names.
    """
    outcome, rejected = decide(primary, declared.alpha)
    num_seeds = len(primary.by_seed)
    facts = _facts(primary, reference, other)
    margin = size(declared.margin)
    detectable = (
        "The smallest true difference that would be found with 80% power is "
        f"{size(primary.smallest_detectable)} points."
    )
    if note := together_note(primary, reference, other):
        facts = f"{facts} {note}"
    if outcome == PILOT:
        sentence = f"Pilot, one seed: {facts} {detectable} One seed cannot decide between H0 and H1."
    elif outcome == EQUIVALENT and primary.equivalence is not None:
        sentence = (
            f"No difference, {num_seeds} seeds: {facts} It lies within {margin} points of 0 "
            f"({p_words(primary.equivalence.p_value)}), which was declared to count as no difference."
        )
    elif rejected:
        sentence = f"{REJECTED}{other} is {outcome} than {reference}, {num_seeds} seeds: {facts}"
    elif rejected is None:
        sentence = f"Undecided, {num_seeds} seeds: {facts} Nothing varies between seeds, so no test applies."
    else:
        sentence = (
            f"Undecided, {num_seeds} seeds: {facts} {detectable} The data show neither a difference nor its absence "
            f"(within {margin} points)."
        )
    found = Verdict(h0=H0, h1=H1, rule=rule(declared), outcome=outcome, h0_rejected=rejected, sentence=sentence)
    return demoted(found, declared.departures)


def demoted(verdict: Verdict, departures: Sequence[str]) -> Verdict:
    """Return a verdict as exploratory if the runs depart from the preregistration: it rejects nothing then.

    Args:
        verdict (`Verdict`): by the rule.
        departures (`Sequence[str]`): in words.
    """
    if not departures:
        return verdict
    number = f"{len(departures)} departures" if len(departures) > 1 else "a departure"
    why = (
        "nothing was declared in advance"
        if departures[0] == NOTHING_DECLARED
        else (f"{number} from the preregistration, listed below")
    )
    text = verdict.sentence.removeprefix(REJECTED)
    sentence = f"Exploratory, not a test of H0 ({why}): {text}"
    return verdict.model_copy(update={"h0_rejected": None, "exploratory": True, "sentence": sentence})


def decide(primary: ResultRow, alpha: float) -> tuple[Outcome, bool | None]:
    """Return the outcome and whether H0 is rejected; `None` if the data cannot tell."""
    if len(primary.by_seed) == 1:
        return PILOT, None
    if primary.p_holm is None:
        return UNDECIDED, None
    if primary.p_holm < alpha:
        return (BETTER if primary.delta > 0 else WORSE), True
    within = None if primary.equivalence is None else primary.equivalence.p_value
    return (EQUIVALENT if within is not None and within < alpha else UNDECIDED), False


def _facts(primary: ResultRow, reference: str, other: str) -> str:
    """Return the numbers of the primary endpoint as a sentence."""
    group = "" if primary.group == ALL_ITEMS else f" ({primary.group})"
    return (
        f"{primary.task}{group} {primary.metric} of {primary.model} is {percent(primary.reference.accuracy)} for "
        f"{reference} and {percent(primary.other.accuracy)} for {other}, a difference of {points(primary.delta)} "
        f"points (95% interval {interval(primary.interval)}, {primary.test}, {p_words(primary.p_holm)})."
    )


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
    deltas = [seed.delta for seed in primary.by_seed]
    gains = SuccessCriterion(
        name="the primary endpoint improves in every seed, with at least two seeds",
        met=min(deltas) > 0 if len(deltas) >= 2 else None,
        evidence=f"differences by seed, in points: {', '.join(points(delta) for delta in deltas)}",
    )
    return gains, _probe(rows), _fact_use(use, other), _fewer_tokens(primary, use, other)


def _probe(rows: Sequence[ResultRow]) -> SuccessCriterion:
    name = "the last model improves on the arithmetic probe, and the 95% interval lies above 0"
    probes = [row for row in rows if row.task == "arithmetic" and row.group == ALL_ITEMS]
    if not probes or probes[-1].interval is None:
        return SuccessCriterion(name=name, met=None, evidence="no arithmetic results, or no interval")
    row, bounds = probes[-1], probes[-1].interval
    evidence = f"{row.model}: {points(row.delta)} points, 95% interval {interval(bounds)}"
    evidence += "; of tokenizer and model together" if row.with_tokenizer else ""
    return SuccessCriterion(name=name, met=bounds[0] > 0, evidence=evidence)


def _fact_use(use: Sequence[TokenUse], other: str) -> SuccessCriterion:
    name = f"GRPO increases the use of facts in {other}"
    facts = {(row.model, row.task): row.facts_per_response.other for row in use}
    for task in dict.fromkeys(row.task for row in use):
        before, after = facts.get(("sft_final", task)), facts.get(("grpo_final", task))
        if before is not None and after is not None:
            evidence = f"{task}, facts per response: {before:.2f} after SFT, {after:.2f} after GRPO"
            return SuccessCriterion(name=name, met=after > before, evidence=evidence)
    evidence = "requires responses of sft_final and of grpo_final to the same task"
    return SuccessCriterion(name=name, met=None, evidence=evidence)


def _fewer_tokens(primary: ResultRow, use: Sequence[TokenUse], other: str) -> SuccessCriterion:
    name = f"{other} answers in fewer tokens without losing accuracy"
    for row in use:
        tokens = row.tokens_per_response.known
        if (row.model, row.task) == (primary.model, primary.task) and tokens is not None:
            evidence = (
                f"tokens per response: {tokens[0]:.1f} and {tokens[1]:.1f}; "
                f"difference of the primary endpoint: {points(primary.delta)} points"
            )
            return SuccessCriterion(name=name, met=tokens[1] < tokens[0] and primary.delta >= 0, evidence=evidence)
    return SuccessCriterion(name=name, met=None, evidence="the primary endpoint has no responses")
