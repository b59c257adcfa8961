"""The tables of what was recorded: text and compute, criteria, published results, the ledger, software and hashes."""

from pydantic import JsonValue

from domain_tokens.analysis.report.formats import DASH, number, percent, points
from domain_tokens.analysis.report.tables.table import Table, condition_names, printable_rows
from domain_tokens.analysis.results_model import Results


def text_table(results: Results) -> Table:
    """Return the text and compute of every stage."""
    rows = [
        [
            row.stage,
            row.quantity,
            number(row.reference),
            number(row.other),
            "not comparable" if row.quantity.endswith("_loss") else _ratio(row.reference, row.other),
        ]
        for row in results.text_and_compute
    ]
    rules = "; ".join(f"{row.stage}: {row.equal}" for row in results.estimands)
    note = (
        f"What is equal between the conditions, by stage: {rules}. These are different rules, and no single budget is "
        "equal over the whole run; every other quantity may differ. "
        "Losses are per token and cannot be compared between two tokenizers, so they have no ratio."
    )
    return Table(
        "How much text and compute did each stage use?",
        ["stage", "quantity", *condition_names(results), "ratio"],
        rows,
        note,
        grouped=1,
        telling=("ratio",),
    )


def injection_table(results: Results) -> Table:
    """Return what each tokenizer did to the corpus."""
    rows = [[row.what, _text(row.reference), _text(row.other)] for row in results.injection]
    note = (
        "What the tokenizer did to the pretraining corpus. `make audit` prints how often its rules are right, and "
        "shows what they do to your own text."
    )
    header = ["what", *condition_names(results)]
    return Table("What did the tokenizers do to the corpus?", header, printable_rows(rows), note, labels=1)


def criteria_table(results: Results) -> Table:
    """Return the success criteria with their evidence."""
    words = {True: "yes", False: "no", None: DASH}
    rows = [[row.name, words[row.met], row.evidence] for row in results.success_criteria]
    note = "These describe the results and are not tests. The verdict rests on the primary endpoint alone."
    return Table(
        "Are the success criteria met?", ["criterion", "met", "evidence"], printable_rows(rows), note, labels=3
    )


def published_table(results: Results) -> Table:
    """Return the results of an earlier, published run."""
    earlier = results.published
    rows = [
        [
            row.stage,
            row.task,
            *(percent(value) for value in row.values),
            points(row.values[1] - row.values[0]),
        ]
        for row in earlier.results
    ]
    note = " ".join((f"Not from these runs: {earlier.source}. {earlier.caveat}", *earlier.notes))
    return Table(
        "What did an earlier, published run find?",
        ["stage", "task", *earlier.conditions, "difference"],
        rows,
        note,
        grouped=1,
    )


def ledger_table(results: Results) -> Table:
    """Return the recorded fields that are equal in both conditions."""
    rows = []
    for row in results.ledger:
        values = [str(value) for value in row.values.values()]
        same = len(set(values)) == 1
        shown = values[0] if same else ", ".join(f"seed {seed}: {value}" for seed, value in row.values.items())
        rows.append([row.stage, row.field, shown])
    note = "Every field was compared between the two runs of each seed and is equal; otherwise there is no report."
    return Table(
        "Which recorded fields are equal in both conditions?",
        ["stage", "field", "value in both"],
        printable_rows(rows),
        note,
        labels=3,
        grouped=1,
    )


def software_table(results: Results) -> Table:
    """Return the software of each condition's runs."""
    rows = [[row.what, _text(row.reference), _text(row.other)] for row in results.provenance.software]
    return Table(
        "Which software made these numbers?",
        ["what", *condition_names(results)],
        printable_rows(rows),
        "Several values: the value changed between runs.",
        3,
    )


def hash_table(results: Results) -> Table:
    """Return the hashes of each run."""
    rows = [[row.what, _text(row.reference), _text(row.other)] for row in results.provenance.hashes]
    return Table(
        "Which files do these numbers come from?",
        ["what", *condition_names(results)],
        printable_rows(rows),
        "sha256. Weights and tokenizers differ by design.",
        3,
    )


def _ratio(reference: float | None, other: float | None) -> str:
    return f"{other / reference:.4f}" if reference and other is not None else DASH


def _text(value: JsonValue) -> str:
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return DASH if value is None else str(value)
