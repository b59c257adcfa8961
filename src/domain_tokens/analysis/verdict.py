"""The verdict: two hypotheses, one rule, one sentence; and the success criteria with their evidence."""

from typing import Any

from domain_tokens.analysis.measures.accuracy import PRIMARY
from domain_tokens.analysis.measures.usage import token_use
from domain_tokens.analysis.preregistration import Declaration
from domain_tokens.analysis.report.formats import interval, p_words, percent, points, size
from domain_tokens.runs.results import ALL_ITEMS, Condition

H0 = "Changing only the tokenizer does not change the primary endpoint."
H1 = "Changing only the tokenizer changes the primary endpoint, in either direction."

PILOT, BETTER, WORSE, EQUIVALENT, UNDECIDED = "pilot", "better", "worse", "equivalent", "undecided"


def rule(declared: Declaration) -> str:
    """Return in words how the verdict follows from the numbers."""
    alpha, margin = f"{declared.alpha:g}", size(declared.margin)
    chosen = (
        "The primary endpoint is the first that was declared."
        if declared.is_declared
        else "Nothing was declared: the primary endpoint is the main metric of the last evaluated model's first task."
    )
    return (
        f"H0 is rejected if the two-sided test over seeds and items gives p < {alpha} for the primary endpoint, after "
        f"Holm's correction for {len(declared.endpoints)} declared endpoint{'s' * (len(declared.endpoints) > 1)}. If "
        f"it is not, and two one-sided tests show at the same level that the difference lies within {margin} points "
        "of 0, the conditions are equivalent; else the result is undecided. With one seed nothing is decided, and the "
        f"result is a pilot. {chosen} The test generalizes over training runs and over questions."
    )


def verdict(primary: dict[str, Any], declared: Declaration, reference: str, other: str) -> dict[str, Any]:
    """Return the hypotheses, the rule, the sentence, the outcome, and whether H0 is rejected (`None`: no telling).

    Args:
        primary: the primary row of `result_rows`.
        declared (`Declaration`): the endpoints and error rates.
        reference, other (`str`): the conditions' names.
    """
    num_seeds = len(primary["by_seed"])
    group = "" if primary["group"] == ALL_ITEMS else f" ({primary['group']})"
    endpoint = f"{primary['task']}{group} {primary['metric']} of {primary['model']}"
    corrected = p_words(primary["p_holm"])
    facts = (
        f"{endpoint} is {percent(primary['reference']['accuracy'])} for {reference} and "
        f"{percent(primary['other']['accuracy'])} for {other}, a difference of {points(primary['delta'])} points "
        f"(95% interval {interval(primary['interval'])}, {primary['test']}, {corrected})."
    )
    detectable = (
        f"The smallest difference that would show with 80% power is {size(primary['smallest_detectable'])} points."
    )
    within = primary["equivalence"] is not None and primary["equivalence"]["p_value"] is not None
    equivalent = within and primary["equivalence"]["p_value"] < declared.alpha
    rejected: bool | None = False
    if num_seeds == 1:
        outcome, rejected = PILOT, None
        sentence = f"Pilot, one seed: {facts} {detectable} One seed cannot decide between H0 and H1."
    elif primary["p_holm"] is None:
        outcome, rejected = UNDECIDED, None
        sentence = f"Undecided, {num_seeds} seeds: {facts} Nothing varies between seeds, so no test applies."
    elif primary["p_holm"] < declared.alpha:
        rejected = True
        outcome = BETTER if primary["delta"] > 0 else WORSE
        sentence = f"H0 is rejected, {other} is {outcome} than {reference}, {num_seeds} seeds: {facts}"
    elif equivalent:
        outcome = EQUIVALENT
        sentence = (
            f"No difference, {num_seeds} seeds: {facts} It lies within {size(declared.margin)} points of 0 "
            f"({p_words(primary['equivalence']['p_value'])}), which was declared to count as none."
        )
    else:
        outcome = UNDECIDED
        sentence = (
            f"Undecided, {num_seeds} seeds: {facts} {detectable} Neither a difference nor its absence (within "
            f"{size(declared.margin)} points) is shown."
        )
    return {
        "h0": H0,
        "h1": H1,
        "rule": rule(declared),
        "outcome": outcome,
        "h0_rejected": rejected,
        "sentence": sentence,
    }


def success_criteria(rows: list[dict[str, Any]], reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return four criteria with `met` (`None` where the results needed are not there) and the evidence in words.

    They ask whether the other condition is better than the reference, so swapping the two may change every answer.
    """
    (primary,) = (row for row in rows if row["role"] == PRIMARY)
    deltas = [seed["delta"] for seed in primary["by_seed"]]
    gains = {
        "name": "the primary endpoint gains in every seed, with at least two seeds",
        "met": min(deltas) > 0 if len(deltas) >= 2 else None,
        "evidence": f"differences by seed, in points: {', '.join(points(delta) for delta in deltas)}",
    }
    return [gains, _probe(rows), _fact_use(reference, other), _fewer_tokens(primary, reference, other)]


def _probe(rows: list[dict[str, Any]]) -> dict[str, Any]:
    name = "the arithmetic probe of the last model gains, and its 95% interval lies above 0"
    probes = [row for row in rows if row["task"] == "arithmetic" and row["group"] == ALL_ITEMS]
    if not probes or probes[-1]["interval"] is None:
        return {"name": name, "met": None, "evidence": "no arithmetic results, or no interval"}
    row = probes[-1]
    evidence = f"{row['model']}: {points(row['delta'])} points, 95% interval {interval(row['interval'])}"
    return {"name": name, "met": row["interval"][0] > 0, "evidence": evidence}


def _fact_use(reference: Condition, other: Condition) -> dict[str, Any]:
    name = f"GRPO raises the use of facts in {other.name}"
    use = {(row["model"], row["task"]): row["facts_per_response"]["other"] for row in token_use(reference, other)}
    for task in dict.fromkeys(task for _, task in use):
        before, after = use.get(("sft_final", task)), use.get(("grpo_final", task))
        if before is not None and after is not None:
            evidence = f"{task}, facts per response: {before:.2f} after SFT, {after:.2f} after GRPO"
            return {"name": name, "met": after > before, "evidence": evidence}
    return {"name": name, "met": None, "evidence": "needs responses of sft_final and of grpo_final to one task"}


def _fewer_tokens(primary: dict[str, Any], reference: Condition, other: Condition) -> dict[str, Any]:
    name = f"{other.name} answers in fewer tokens, without loss of accuracy"
    for row in token_use(reference, other):
        tokens = row["tokens_per_response"]
        if (row["model"], row["task"]) == (primary["model"], primary["task"]) and None not in tokens.values():
            met = tokens["other"] < tokens["reference"] and primary["delta"] >= 0
            evidence = (
                f"tokens per response: {tokens['reference']:.1f} and {tokens['other']:.1f}; "
                f"difference of the primary endpoint: {points(primary['delta'])} points"
            )
            return {"name": name, "met": met, "evidence": evidence}
    return {"name": name, "met": None, "evidence": "the primary endpoint has no responses"}
