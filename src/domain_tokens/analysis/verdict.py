"""The verdict: two hypotheses, one rule, one sentence; and four success criteria with their evidence."""

from typing import Any

from domain_tokens.analysis.formats import interval, p_words, percent, points, size
from domain_tokens.analysis.results import ALL_ITEMS, Condition
from domain_tokens.analysis.statistics import ALPHA
from domain_tokens.analysis.usage import token_use

H0 = "Changing only the tokenizer does not change the primary endpoint."
H1 = "Changing only the tokenizer changes the primary endpoint, in either direction."
RULE = (
    "H0 is rejected if the two-sided paired t-test over seeds gives p < 0.05 for the primary endpoint; with one seed "
    "nothing is decided, and the result is a pilot. The primary endpoint is GSM8K accuracy of the last evaluated "
    "model, or arithmetic accuracy where that model has no GSM8K results, or HellaSwag acc_norm where it has neither. "
    "The items are the same for every seed and are taken as fixed: the test generalizes over training runs, not over "
    "questions."
)


def verdict(primary: dict[str, Any], reference: str, other: str) -> dict[str, Any]:
    """Return the hypotheses, the rule, the sentence, and whether H0 is rejected (`None` for a pilot).

    Args:
        primary: the primary row of `result_rows`.
        reference, other (`str`): the conditions' names.
    """
    num_seeds = len(primary["by_seed"])
    endpoint = f"{primary['task']} {primary['metric']} of {primary['model']}"
    facts = (
        f"{endpoint} is {percent(primary['reference']['accuracy'])} for {reference} and "
        f"{percent(primary['other']['accuracy'])} for {other}, a difference of {points(primary['delta'])} points "
        f"(95% interval {interval(primary['interval'])}, {primary['test']}, {p_words(primary['p_value'])})."
    )
    detectable = (
        f"The smallest difference that would show with 80% power is {size(primary['smallest_detectable'])} points."
    )
    rejected: bool | None
    if num_seeds == 1:
        rejected, sentence = None, f"Pilot, one seed: {facts} {detectable} One seed cannot decide between H0 and H1."
    elif primary["p_value"] is None:
        rejected = None
        sentence = (
            f"Undecided, {num_seeds} seeds: {facts} All seeds differ by exactly the same amount, so no test applies."
        )
    elif primary["p_value"] < ALPHA:
        rejected, sentence = True, f"H0 is rejected, {num_seeds} seeds: {facts}"
    else:
        rejected = False
        sentence = f"H0 is not rejected, {num_seeds} seeds: {facts} {detectable} This does not show that H0 is true."
    return {"h0": H0, "h1": H1, "rule": RULE, "h0_rejected": rejected, "sentence": sentence}


def success_criteria(rows: list[dict[str, Any]], reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return four criteria with `met` (`None` where the results needed are not there) and the evidence in words.

    They ask whether the other condition is better than the reference, so swapping the two may change every answer.
    """
    (primary,) = (row for row in rows if row["primary"])
    deltas = [seed["delta"] for seed in primary["by_seed"]]
    gains = {
        "name": "the primary endpoint gains in every seed, with at least two seeds",
        "met": len(deltas) >= 2 and min(deltas) > 0,
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
    for task in ("gsm8k", "arithmetic"):
        before, after = use.get(("sft_final", task)), use.get(("grpo_final", task))
        if before is not None and after is not None:
            evidence = f"{task}, facts per response: {before:.2f} after SFT, {after:.2f} after GRPO"
            return {"name": name, "met": after > before, "evidence": evidence}
    return {"name": name, "met": None, "evidence": "needs responses of sft_final and of grpo_final to one task"}


def _fewer_tokens(primary: dict[str, Any], reference: Condition, other: Condition) -> dict[str, Any]:
    name = f"{other.name} answers in fewer tokens, and no less often right"
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
