"""The tables of a comparison as text: the terminal, results.md and report.html show the same cells."""

import re
from dataclasses import dataclass

from domain_tokens.analysis.report.formats import (
    DASH,
    Scale,
    interval,
    number,
    p_value,
    percent,
    points,
    printable,
)
from domain_tokens.analysis.report.words.names import metric_of, names_in, outcome_name
from domain_tokens.analysis.results_model import (
    DECLARED,
    EXPLORATORY,
    INSENSITIVE,
    MOST_FACTS,
    PRIMARY,
    EndpointContrast,
    ErrorShares,
    Overview,
    ResultRow,
    Results,
)
from domain_tokens.runs.layout import Mode

WITH_TOKENIZER = "tokenizer and model together"
IDENTICAL = "identical prompts"
_NOT_SENSITIVE = (
    " Not sensitive: the deciding test would too seldom have found the declared smallest effect, or the positive "
    "control does not move. A control that does move shows that scoring sees a change as large as the control's, and "
    "nothing about smaller ones; the width of an interval says which effects may have been missed."
)
_MARKDOWN = re.compile(r"([\\`*\[\]<>|&$~])")


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: the heading.
        header: the columns' names.
        rows: the cells.
        note: how to read the table; may be empty.
        labels: how many columns, from the left, hold labels; the others hold numbers.
        grouped: how many of them, from the left, are shown on the page as the heading of the rows that share them.
        telling: the columns that would show a difference, the first of them to the right of the two conditions; a row
            without one is folded away on the page.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    note: str
    labels: int = 2
    grouped: int = 0
    telling: tuple[str, ...] = ()


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
    header = [*_HEADER, *condition_names(results), *_DIFFERENCE, "p (family)", "detectable", "equivalent"]
    return Table("What was declared, and what was found?", header, printable_rows(rows), note, labels=3, grouped=1)


def exploratory_table(results: Results) -> Table:
    """Return every other model, task, metric and group."""
    rows = [[*_endpoint(row), *_difference(row), _detectable(row)] for row in results.rows if row.role == EXPLORATORY]
    note = (
        "Not declared in advance, and p is not corrected for their number: at 5%, one in twenty is significant by "
        "chance. No sentence of the verdict rests on these rows. "
        "Methods and units as above."
    )
    header = [*_HEADER, *condition_names(results), *_DIFFERENCE, "detectable"]
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
    header = ["model", "task", "items", "question", "N", "rewritten", *condition_names(results), *_DIFFERENCE]
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
            *(percent(value) if row.num_problems else IDENTICAL for value in (row.reference, row.other)),
            points(row.delta), interval(row.interval), p_value(row.p_value),
        ]
        for row in results.spellings
    ]  # fmt: skip
    note = (
        "The share of questions that get one and the same number in all spellings. Only spellings that are different "
        f"prompts in both conditions are compared. {IDENTICAL.capitalize()}: to one of the tokenizers these spellings "
        "are the same, so that equal answers would say nothing. Exploratory."
    )
    header = ["model", "task", "measure", "spellings", "N", *condition_names(results), *_DIFFERENCE]
    return Table(
        "Is one question answered alike in several spellings?",
        header,
        printable_rows(rows),
        note,
        labels=4,
        grouped=2,
        telling=("difference", "95% interval"),
    )


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


def bits_table(results: Results) -> Table:
    """Return the losses that can be compared between tokenizers."""
    rows = [
        [
            row.stage,
            str(row.step),
            row.metric.replace("_", " "),
            number(row.reference),
            number(row.other),
            f"{row.delta:+.4f}",
            DASH if row.interval is None else "{:+.4f} to {:+.4f}".format(*row.interval),
        ]
        for row in results.bits_per_byte
        if not row.metric.startswith("bits_per_byte")
    ]
    losses = [
        [
            row.stage,
            str(row.step),
            f"bits per byte, {row.text}".removesuffix(", all"),
            _range(row.reference, "{:.4g}"),
            _range(row.other, "{:.4g}"),
            _range(row.delta, "{:+.4f}"),
            DASH if row.interval is None else "{:+.4f} to {:+.4f}".format(*row.interval),
        ]
        for row in results.losses
    ]
    rows = [
        row for stage in dict.fromkeys(row[0] for row in losses + rows) for row in losses + rows if row[0] == stage
    ]
    note = (
        "On the same validation text in both conditions. Bits per byte of the original text are a range where "
        "the tokenizer rewrites: from the model's bits alone, which are too few, to those and the bits of what the "
        "rewriting dropped, which are too many, since its code knows less than the model. The difference and its "
        "interval, a bootstrap of documents, allow for both. Only a difference whose whole interval lies on one side "
        "of 0 is one. The loss in nats is per token, on documents without sites, which are the same tokens in both "
        "conditions. Exploratory."
    )
    header = ["stage", "step", "measure", *condition_names(results), "difference", "95% interval"]
    return Table(
        "Which condition predicts the validation text better?",
        header,
        printable_rows(rows),
        note,
        labels=3,
        grouped=2,
        telling=("difference",),
    )


def _range(bounds: tuple[float, float], form: str) -> str:
    """Format both ends, or one if they look the same."""
    low, high = (form.format(bound) for bound in bounds)
    return low if low == high else f"{low} to {high}"


def overview_table(overview: Overview) -> Table:
    """Return the declared endpoints of every condition against the reference."""
    rows = [
        [
            row.condition,
            f"{metric_of(row.task, row.metric, row.source)} of {row.model}"
            + ", lower is better" * row.lower_is_better
            + " (primary)" * (row.role == PRIMARY)
            + _together(row),
            row.group,
            *_contrast(row),
            outcome_name(row.outcome) if row.role == PRIMARY else "",
        ]
        for row in overview.rows
    ]
    header = ["condition", "endpoint", "items", overview.reference, "condition", *_CONTRAST, "verdict"]
    note = (
        f"{overview.label.capitalize()}. The primary endpoint is {_primary_words(overview)}. Every condition against "
        f"{overview.reference}, in percentage points, or in the unit of the values where these are no percentages. "
        "p (family) is corrected over the family of tests, and the verdicts rest on it; a dash: not in the family. "
        "p (Holm), exploratory: corrected for the number of conditions alone."
    )
    if any(row.outcome == INSENSITIVE for row in overview.rows):
        note += _NOT_SENSITIVE
    return Table(
        "What do the declared endpoints of all conditions show?",
        header,
        printable_rows(rows),
        note,
        labels=3,
        grouped=1,
        telling=("difference", "95% interval"),
    )


def factor_table(overview: Overview) -> Table:
    """Return the declared contrasts between conditions."""
    rows = [
        [
            row.factor,
            f"{row.with_factor} minus {row.without}" + _together(row) + ", exploratory" * row.exploratory,
            *_contrast(row),
        ]
        for row in overview.factors
    ]
    header = ["factor", "contrast", "without", "with", *_CONTRAST]
    note = (
        f"The primary endpoint, {_primary_words(overview)}, in "
        "percentage points, for the contrasts declared in advance. p (family) is corrected over the declared family "
        "of tests. p (Holm), exploratory: corrected for the number of factors alone."
    )
    return Table("Which factors do the controls separate?", header, printable_rows(rows), note)


def _primary_words(overview: Overview) -> str:
    endpoint = overview.primary_endpoint
    source = next((row.source for row in overview.rows if row.role == PRIMARY), None)
    return f"{metric_of(endpoint.task, endpoint.metric, source, first=True)} of {endpoint.model}, {endpoint.group}"


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


def to_markdown(table: Table) -> str:
    """Return the table as Markdown, with its title as a heading; names and texts cannot break out of their cells."""
    align = ["---"] * table.labels + ["---:"] * (len(table.header) - table.labels)
    lines = [[escape_markdown(cell) for cell in row] for row in (table.header, *table.rows)]
    body = [f"| {' | '.join(cells)} |" for cells in (lines[0], align, *lines[1:])]
    return "\n".join([f"## {table.title}", "", *body, "", escape_markdown(table.note)])


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", printable(text))


_HEADER = ("model", "task", "items", "N")
_DIFFERENCE = ("difference", "95% interval", "p")


def _endpoint(row: ResultRow) -> list[str]:
    role = "" if row.role == EXPLORATORY else f" ({row.role})"
    fewer = row.num_clusters is not None and row.num_clusters < row.num_items
    num_items = f"{row.num_items} in {row.num_clusters}" if fewer else str(row.num_items)
    averaged = f", last {row.last_checkpoints} checkpoints" if row.last_checkpoints > 1 else ""
    lower = ", lower is better" if row.lower_is_better else ""
    return [
        row.model,
        f"{metric_of(row.task, row.metric, row.source)}{averaged}{lower}{role}{_together(row)}",
        row.group,
        num_items,
    ]


def _together(row: ResultRow | EndpointContrast) -> str:
    return f" ({WITH_TOKENIZER})" if row.with_tokenizer else ""


def _difference(row: ResultRow) -> list[str]:
    scale = Scale(row.unit)
    return [
        *(scale.value(side.accuracy) + scale.spread(side.sd) for side in (row.reference, row.other)),
        scale.difference(row.delta) + scale.spread(row.delta_sd),
        scale.interval(row.interval),
        p_value(row.p_value),
    ]


_CONTRAST = (*_DIFFERENCE, "p (family)", "p (Holm)", "detectable")


def _contrast(row: EndpointContrast) -> list[str]:
    scale = Scale(row.unit)
    return [
        scale.value(row.reference.accuracy),
        scale.value(row.other.accuracy),
        scale.difference(row.delta),
        scale.interval(row.interval),
        p_value(row.p_value),
        p_value(row.p_family),
        p_value(row.p_holm),
        scale.size(row.smallest_detectable),
    ]


def _detectable(row: ResultRow) -> str:
    scale = Scale(row.unit)
    ends = "" if row.detectable_range is None else f" ({scale.range(row.detectable_range)})"
    return f"{scale.size(row.smallest_detectable)}{ends}"


def condition_names(results: Results) -> list[str]:
    """Return the names of both conditions, for a table's header."""
    return [printable(results.reference), printable(results.other)]


def printable_rows(rows: list[list[str]]) -> list[list[str]]:
    """Replace what a terminal cannot show in all cells."""
    return [[printable(cell) for cell in row] for row in rows]
