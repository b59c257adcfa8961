"""What the tokenizer computes and what the model knows: the same questions in crossed encodings.

With the question encoded plainly, a model has to read it by itself in every condition. With the facts in it written
with their results, in digits, every model is told what a rewriting tokenizer tells its own.
"""

from domain_tokens.analysis.measures.outcomes import difference, item_clusters, outcomes, prompt_counts
from domain_tokens.analysis.results_model import EncodingRow
from domain_tokens.runs.layout import Mode
from domain_tokens.runs.results import ALL_ITEMS, Pair

_CROSSED = (Mode.PLAIN_QUESTION, Mode.REWRITTEN_QUESTION)


def encoding_rows(pair: Pair) -> tuple[EncodingRow, ...]:
    """Return, for every task that was run in crossed encodings, the accuracy in each of them.

    Shown are all items, and each group of which a prompt is rewritten in some condition or encoding.
    """
    rows = []
    for (model, task), evaluation in pair.first_run.plain().items():
        names = {Mode.PLAIN: task} | {mode: f"{task}.{mode}" for mode in _CROSSED}
        if any((model, name) not in pair.first_run.evaluations for name in names.values()):
            continue
        for group in evaluation.groups():
            found = [_row(pair, model, task, group, *named) for named in names.items()]
            if group == ALL_ITEMS or any(sum(row.num_rewritten) for row in found):
                rows += found
    return tuple(rows)


def _row(pair: Pair, model: str, task: str, group: str, mode: Mode, name: str) -> EncodingRow:
    key = next(iter(pair.first_run.evaluations[model, name].outcome_keys.values()))
    sides = outcomes(pair, model, name, key, group)
    counts = prompt_counts(pair, model, name, group)
    return EncodingRow(
        model=model,
        task=task,
        group=group,
        encoding=mode,
        num_items=sides[0].shape[1],
        num_rewritten=(0, 0) if counts is None else counts.rewritten,
        reference=float(sides[0].mean()),
        other=float(sides[1].mean()),
        **vars(difference(*sides, item_clusters(pair, model, name, group))),
    )
