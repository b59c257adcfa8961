"""The tables of what the answers hold: equations, mistakes, facts and tokens, several samples."""

from domain_tokens.analysis.report.formats import DASH, interval, number, percent, points
from domain_tokens.analysis.report.tables.table import Table, condition_names, printable_rows
from domain_tokens.analysis.report.words.names import names_in
from domain_tokens.analysis.results_model import ErrorShares, Results


def equation_table(results: Results) -> Table:
    """Return the shares of the equations in the answers."""
    names = names_in(results.rows)
    rows = [
        [
            row.model,
            names[row.task],
            row.share,
            *(f"{percent(side.value)} of {side.total:,}" for side in (row.reference, row.other)),
            points(row.delta),
            interval(row.interval),
        ]
        for row in results.equations
    ]
    note = (
        "The equations in the models' answers that state a result and are not copied. Right for the item: the result "
        "is right, each operand is a number of the question or what an earlier right equation arrives at, and the "
        "answer goes on from the result. "
        "Equations in digits and fact tokens are counted apart: a token is right by construction, so only its "
        "operands can be wrong. Intervals are over seeds and items. Exploratory."
    )
    header = ["model", "task", "share of", *condition_names(results), "difference", "95% interval"]
    return Table(
        "Which equations are right?",
        header,
        printable_rows(rows),
        note,
        labels=3,
        grouped=2,
        telling=("difference", "95% interval"),
    )


def error_table(results: Results) -> Table:
    """Return the error types of each condition's answers."""
    names = names_in(results.rows)
    rows = [
        [row.model, names[row.task], condition, *(percent(share) for _, share in side)]
        for row in results.error_types
        for condition, side in zip(condition_names(results), (row.reference, row.other), strict=True)
    ]
    note = (
        "Each answer is of one type. The first faulty equation of a wrong answer decides. Operands: they are neither "
        "the question's numbers nor what earlier right equations arrive at. Arithmetic: the result is wrong; a fact "
        "token cannot make this error, so a condition with tokens has fewer of them by definition. Reasoning: no "
        "equation has a fault. Format: it ended without a readable result. Unfinished: it did not end."
    )
    header = ["model", "task", "condition", *ErrorShares.model_fields]
    return Table("What kinds of mistakes are made?", header, printable_rows(rows), note, labels=3, grouped=2)


def floor_table(results: Results) -> Table:
    """Return what answers to other questions of the same problem reach, beside the accuracy."""
    names = names_in(results.rows)
    rows = [
        [
            row.model,
            names[row.task],
            condition,
            f"{row.num_items:,} in {row.num_problems:,}",
            percent(side.accuracy),
            percent(side.floor),
            f"{side.num_right:,}",
            DASH if side.num_with_steps is None else f"{side.num_with_steps:,}",
        ]
        for row in results.exchanged_answers
        for condition, side in zip(condition_names(results), (row.reference, row.other), strict=True)
    ]
    note = (
        "Floor: the accuracy if each question were given, in place of its own answer, this run's answers to the "
        "questions of its problem that have another right number (the exact mean over all of them). A model that "
        "writes numbers of a problem whatever its question says is expected to be at its floor, so an accuracy near "
        "the floor shows no computing, and one above it need not be all computing. Right with its steps: the answer "
        "has an equation, and all of them are right, with operands of the question. N: questions, and in how many "
        "problems. Shares are means over seeds, counts are over all seeds. Exploratory."
    )
    header = ["model", "task", "condition", "N", "accuracy", "floor", "right", "right with its steps"]
    return Table("Do right answers belong to their questions?", header, printable_rows(rows), note, 3, 2)


def use_table(results: Results) -> Table:
    """Return tokens and facts in responses."""
    header = ["model", "task"]
    for what in ("facts per response", "tokens per response", "finished"):
        header += [f"{what}, {name}" for name in condition_names(results)]
    names = names_in(results.rows)
    rows = [
        [
            row.model,
            names[row.task],
            *map(number, row.facts_per_response.sides),
            *map(number, row.tokens_per_response.sides),
            *map(percent, row.finished.sides),
        ]
        for row in results.token_use
    ]
    note = "Means over all responses and seeds. Finished: the share of responses that ended before the length limit."
    return Table("How many facts and tokens are in an answer?", header, rows, note, grouped=1)


def sample_table(results: Results) -> Table:
    """Return pass@k and maj@k."""
    names = names_in(results.rows)
    rows = [
        [row.model, names[row.task], row.metric, percent(row.reference), percent(row.other)] for row in results.samples
    ]
    note = (
        "Several sampled answers to each question. pass@k: at least one of k is right (unbiased estimate). maj@k: the "
        "most frequent number is right."
    )
    return Table(
        "How often is one of several sampled answers right?",
        ["model", "task", "metric", *condition_names(results)],
        printable_rows(rows),
        note,
        labels=3,
        grouped=2,
    )
