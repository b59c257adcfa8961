"""The table of the losses that can be compared between tokenizers."""

from domain_tokens.analysis.report.formats import DASH, number
from domain_tokens.analysis.report.tables.table import Table, condition_names, printable_rows
from domain_tokens.analysis.results_model import Results

_PER_TOKEN = (
    "The loss in nats is per token, on documents without sites, which are the same tokens in both conditions. "
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
    per_token = _PER_TOKEN if rows else ""
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
        f"of 0 is one. {per_token}Exploratory."
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
