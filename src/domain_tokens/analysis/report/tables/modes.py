"""The tables of questions asked in other ways: without the facts, in crossed encodings, in other spellings."""

from domain_tokens.analysis.report.formats import interval, p_value, percent, points
from domain_tokens.analysis.report.tables.table import DIFFERENCE, Table, condition_names, printable_rows
from domain_tokens.analysis.report.words.names import names_in
from domain_tokens.analysis.results_model import Results
from domain_tokens.runs.layout import Mode

_IDENTICAL = "identical prompts"


def ablation_table(results: Results) -> Table:
    """Return the accuracies with the fact tokens forbidden or exchanged."""
    names = names_in(results.rows)
    rows = [
        [
            row.model, names[row.task], row.mode.replace("_", " "), condition, percent(side.plain),
            percent(side.ablated), points(side.delta), interval(side.interval), p_value(side.p_value),
        ]
        for row in results.ablations
        for condition, side in zip(condition_names(results), (row.reference, row.other), strict=True)
    ]  # fmt: skip
    note = (
        "The same model, once with the ids of the facts forbidden during generation, once with each fact that it "
        "wrote read by it as the next one; its question is as in training. What is lost shows how much this model "
        "depends on its tokens when it is taken off what it was trained on, not what the tokens have taught it. If no "
        "text produces the ids, nothing must change. Exploratory."
    )
    header = ["model", "task", "facts", "condition", "as trained", "ablated", "difference", "95% interval", "p"]
    return Table(
        "What is lost without the tokens?",
        header,
        printable_rows(rows),
        note,
        labels=4,
        grouped=2,
        telling=("difference", "95% interval"),
    )


def encoding_table(results: Results) -> Table:
    """Return the accuracies with the questions in crossed encodings."""
    words = {
        Mode.PLAIN: "as its tokenizer reads it",
        Mode.PLAIN_QUESTION: "plain",
        Mode.REWRITTEN_QUESTION: "rewritten, in digits",
    }
    names = names_in(results.rows)
    rows = [
        [
            row.model, names[row.task], row.group, words[row.encoding], str(row.num_items),
            ", ".join(map(str, row.num_rewritten)), percent(row.reference), percent(row.other), points(row.delta),
            interval(row.interval), p_value(row.p_value),
        ]
        for row in results.encodings
    ]  # fmt: skip
    note = (
        "The same model asked the same questions, encoded in three ways. Plain: without the intervention, so this is "
        "what the model knows. Rewritten, in digits: each fact in a question is written with its result, as a "
        "rewriting tokenizer gives it to its model, in both conditions alike. Where a condition is better as its "
        "tokenizer reads the question than with the plain one, the tokenizer computes. A condition trained on "
        "rewritten questions has seldom or never read plain ones. Rewritten: how many prompts, in each condition. "
        "Exploratory."
    )
    header = ["model", "task", "items", "question", "N", "rewritten", *condition_names(results), *DIFFERENCE]
    return Table(
        "Does the tokenizer compute, or does the model know?",
        header,
        printable_rows(rows),
        note,
        labels=4,
        grouped=2,
        telling=("difference", "95% interval"),
    )


def spelling_table(results: Results) -> Table:
    """Return consistency and commutativity over spellings that are different prompts."""
    names = names_in(results.rows)
    rows = [
        [
            row.model, names[row.task], row.measure, ", ".join(row.spellings), str(row.num_problems),
            *(percent(value) if row.num_problems else _IDENTICAL for value in (row.reference, row.other)),
            points(row.delta), interval(row.interval), p_value(row.p_value),
        ]
        for row in results.spellings
    ]  # fmt: skip
    note = (
        "The share of questions that get one and the same number in all spellings. Only spellings that are different "
        f"prompts in both conditions are compared. {_IDENTICAL.capitalize()}: to one of the tokenizers these "
        "spellings are the same, so that equal answers would say nothing. Exploratory."
    )
    header = ["model", "task", "measure", "spellings", "N", *condition_names(results), *DIFFERENCE]
    return Table(
        "Is one question answered alike in several spellings?",
        header,
        printable_rows(rows),
        note,
        labels=4,
        grouped=2,
        telling=("difference", "95% interval"),
    )
