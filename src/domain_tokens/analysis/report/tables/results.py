"""The tables of the endpoints: what was declared, all the rest, and the differences by facts needed."""

from domain_tokens.analysis.report.formats import DASH, Scale, interval, p_value, percent, points
from domain_tokens.analysis.report.tables.table import (
    DIFFERENCE,
    WITH_TOKENIZER,
    Table,
    condition_names,
    printable_rows,
    together_mark,
)
from domain_tokens.analysis.report.words.names import metric_of, names_in
from domain_tokens.analysis.results_model import DECLARED, EXPLORATORY, MOST_FACTS, PRIMARY, ResultRow, Results

_HEADER = ("model", "task", "items", "N")


def result_table(results: Results) -> Table:
    """Return the declared endpoints, the primary one first."""
    tested = [row for role in (PRIMARY, DECLARED) for row in results.rows if row.role == role]
    rows = [
        [
            *_endpoint(row),
            *_difference(row),
            p_value(row.p_family),
            _detectable(row),
            DASH if row.equivalence is None else p_value(row.equivalence.p_value),
        ]
        for row in tested
    ]
    method = (
        "Newcombe's method 10, and p by the exact McNemar test; both generalize to other questions, not to other runs"
        if len(results.seeds) == 1
        else "a crossed test over seeds and items, as is p; accuracies are means over seeds with their sd"
    )
    reference, other = condition_names(results)
    note = (
        f"{results.label.capitalize()}. Differences are {other} minus {reference}, in percentage points, or in the "
        "unit of the values where these are no percentages. The interval "
        f"is by {method}. p (family) is corrected over the declared family of tests; the verdict rests on it. "
        "Detectable: the smallest true difference that this rule would find with the declared power, and its range as "
        "the variance between seeds allows (80%). Equivalent: p of two one-sided tests that the difference is smaller "
        "than the declared smallest effect. N: items, and in how many clusters if some share a template or its "
        f"numbers. {WITH_TOKENIZER.capitalize()}: a tokenizer rewrites more than 1% of these prompts, so the number "
        "is not the model's alone."
    )
    header = [*_HEADER, *condition_names(results), *DIFFERENCE, "p (family)", "detectable", "equivalent"]
    return Table("What was declared, and what was found?", header, printable_rows(rows), note, labels=3, grouped=1)


_TAUGHT = " Taught: `notations`, and of `arithmetic` what names the table, ask what trains too."


def exploratory_table(results: Results) -> Table:
    """Return every other model, task, metric and group."""
    rows = [[*_endpoint(row), *_difference(row), _detectable(row)] for row in results.rows if row.role == EXPLORATORY]
    note = (
        "Not declared in advance, and p is not corrected for their number: at 5%, one in twenty is significant by "
        "chance. No sentence of the verdict rests on these rows. "
        "Methods and units as above."
        f"{_TAUGHT if any(map(_is_taught, results.rows)) else ''}"
    )
    header = [*_HEADER, *condition_names(results), *DIFFERENCE, "detectable"]
    return Table(
        "What do all other tasks, metrics and groups show?",
        header,
        printable_rows(rows),
        note,
        labels=3,
        grouped=1,
        telling=("difference", "95% interval"),
    )


def facts_needed_table(results: Results) -> Table:
    """Return the differences by number of facts needed, and their contrasts."""
    rows, names = [], names_in(results.rows)
    for row in results.facts_needed:
        for stratum in row.strata:
            needed = f"{stratum.count}{' or more' if stratum.count == MOST_FACTS else ''}"
            rows.append([
                row.model, names[row.task], needed, str(stratum.num_items), percent(stratum.reference),
                percent(stratum.other), points(stratum.delta), interval(stratum.interval), DASH,
            ])  # fmt: skip
        for name, contrast in (("any, compared with none", row.excess), ("each additional one", row.slope)):
            if contrast is not None:
                rows.append([
                    row.model, names[row.task], name, DASH, DASH, DASH, points(contrast.value),
                    interval(contrast.interval), p_value(contrast.p_value),
                ])  # fmt: skip
    header = ["model", "task", "facts needed", "N", *condition_names(results), "difference", "95% interval", "p"]
    note = (
        "Items by the number of products of the table that their gold solution needs. If the intervention works as "
        "intended, the difference grows with that number. Such items differ from the others in other ways too: in "
        "generated problems the template decides what is needed, so a difference between templates looks the same. "
        "Exploratory."
    )
    return Table(
        "Is the difference larger where facts are needed?",
        header,
        printable_rows(rows),
        note,
        labels=3,
        grouped=2,
        telling=("difference", "95% interval"),
    )


def _is_taught(row: ResultRow) -> bool:
    return row.task == "notations" or (row.task == "arithmetic" and "table" in f"{row.metric} {row.group}")


def _endpoint(row: ResultRow) -> list[str]:
    role = "" if row.role == EXPLORATORY else f" ({row.role})"
    fewer = row.num_clusters is not None and row.num_clusters < row.num_items
    num_items = f"{row.num_items} in {row.num_clusters}" if fewer else str(row.num_items)
    averaged = f", last {row.last_checkpoints} checkpoints" if row.last_checkpoints > 1 else ""
    lower = ", lower is better" if row.lower_is_better else ""
    return [
        row.model,
        f"{metric_of(row.task, row.metric, row.source)}{averaged}{lower}{role}{together_mark(row)}",
        row.group,
        num_items,
    ]


def _difference(row: ResultRow) -> list[str]:
    scale = Scale(row.unit)
    return [
        *(scale.value(side.accuracy) + scale.spread(side.sd) for side in (row.reference, row.other)),
        scale.difference(row.delta) + scale.spread(row.delta_sd),
        scale.interval(row.interval),
        p_value(row.p_value),
    ]


def _detectable(row: ResultRow) -> str:
    scale = Scale(row.unit)
    ends = "" if row.detectable_range is None else f" ({scale.range(row.detectable_range)})"
    return f"{scale.size(row.smallest_detectable)}{ends}"
