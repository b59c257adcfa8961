"""The tables of a comparison as text, made once: the terminal, results.md and report.html show the same cells."""

import re
from dataclasses import dataclass
from typing import Any

from rich.table import Table as RichTable
from rich.text import Text

from domain_tokens.analysis.formats import (
    DASH,
    interval,
    number,
    p_value,
    percent,
    points,
    printable,
    size,
)

_MARKDOWN = re.compile(r"([\\`*\[\]<>|&$~])")


@dataclass(frozen=True)
class Table:
    """A title, the columns' names, rows of cells, and a note on how to read them. Numbers start at column `labels`."""

    title: str
    header: list[str]
    rows: list[list[str]]
    note: str
    labels: int = 2


def result_table(results: dict[str, Any]) -> Table:
    header = [
        "model",
        "task",
        "items",
        "N",
        *_names(results),
        "difference",
        "95% interval",
        "p",
        "p (Holm)",
        "detectable",
    ]
    rows = [
        [
            row["model"],
            f"{row['task']} {row['metric']}{' (primary)' if row['primary'] else ''}",
            printable(row["group"]),
            str(row["num_items"]),
            _accuracy(row["reference"]),
            _accuracy(row["other"]),
            points(row["delta"]) + _sd(row["delta_sd"]),
            interval(row["interval"]),
            p_value(row["p_value"]),
            p_value(row["p_holm"]),
            size(row["smallest_detectable"]),
        ]
        for row in results["rows"]
    ]
    method = (
        "Newcombe's method 10, p by the exact McNemar test"
        if len(results["seeds"]) == 1
        else "a paired t-test over seeds, as is p; accuracies are means over seeds, followed by their sd"
    )
    reference, other = _names(results)
    note = (
        f"{results['label'].capitalize()}. Differences are {other} less {reference}, in percentage points; the "
        f"interval is by {method}. p (Holm) is corrected for all rows but the primary one, which was declared in "
        "advance. Detectable: the smallest difference that would show with 80% power at 5%."
    )
    return Table("Results", header, rows, note, labels=3)


def text_table(results: dict[str, Any]) -> Table:
    rows = [
        [row["stage"], row["quantity"], number(row["reference"]), number(row["other"]), _ratio(row)]
        for row in results["text_and_compute"]
    ]
    note = (
        "Steps, tokens and FLOPs are equal by design. The same tokens may cover a different amount of text: source "
        "bytes say how much. Losses are per token and cannot be compared between two tokenizers, so they get no ratio."
    )
    return Table("Text and compute", ["stage", "quantity", *_names(results), "ratio"], rows, note)


def use_table(results: dict[str, Any]) -> Table:
    header = ["model", "task"]
    for what in ("facts per response", "tokens per response", "finished"):
        header += [f"{what}, {name}" for name in _names(results)]
    rows = [
        [row["model"], row["task"]]
        + [number(row["facts_per_response"][side]) for side in ("reference", "other")]
        + [number(row["tokens_per_response"][side]) for side in ("reference", "other")]
        + [percent(row["finished"][side]) for side in ("reference", "other")]
        for row in results["token_use"]
    ]
    note = "Means over all responses and seeds. Finished: responses that ended before the longest allowed length."
    return Table("Fact use", header, rows, note)


def criteria_table(results: dict[str, Any]) -> Table:
    words = {True: "yes", False: "no", None: DASH}
    rows = [[row["name"], words[row["met"]], row["evidence"]] for row in results["success_criteria"]]
    note = "Descriptions of these results, not tests; the verdict rests on the primary endpoint alone."
    return Table("Success criteria", ["criterion", "met", "evidence"], _printable(rows), note, labels=3)


def reference_table(results: dict[str, Any]) -> Table:
    earlier = results["reference_results"]
    rows = [
        [
            row["stage"],
            row["task"],
            *(percent(value) for value in row["values"]),
            points(row["values"][1] - row["values"][0]),
        ]
        for row in earlier["results"]
    ]
    note = f"Not from these runs: {earlier['source']}. {earlier['caveat']}"
    return Table("Reference results", ["stage", "task", *earlier["conditions"], "difference"], rows, note)


def ledger_table(results: dict[str, Any]) -> Table:
    rows = []
    for row in results["ledger"]:
        values = [str(value) for value in row["values"].values()]
        same = len(set(values)) == 1
        shown = values[0] if same else ", ".join(f"seed {seed}: {value}" for seed, value in row["values"].items())
        rows.append([row["stage"], row["field"], shown])
    note = "Compared field by field between the two runs of each seed, and found equal; otherwise there is no report."
    return Table("Ledger of matched fields", ["stage", "field", "value in both"], _printable(rows), note, labels=3)


def software_table(results: dict[str, Any]) -> Table:
    rows = [[row["what"], _text(row["reference"]), _text(row["other"])] for row in results["provenance"]["software"]]
    return Table(
        "Software", ["what", *_names(results)], _printable(rows), "Several values: it changed between runs.", 3
    )


def hash_table(results: dict[str, Any]) -> Table:
    rows = [[row["what"], _text(row["reference"]), _text(row["other"])] for row in results["provenance"]["hashes"]]
    return Table(
        "Hashes", ["what", *_names(results)], _printable(rows), "sha256; weights and tokenizers differ by design.", 3
    )


def to_markdown(table: Table) -> str:
    """Return the table as Markdown, with its title as a heading; names and texts cannot break out of their cells."""
    align = ["---"] * table.labels + ["---:"] * (len(table.header) - table.labels)
    lines = [[escape_markdown(cell) for cell in row] for row in (table.header, *table.rows)]
    body = [f"| {' | '.join(cells)} |" for cells in (lines[0], align, *lines[1:])]
    return "\n".join([f"## {table.title}", "", *body, "", escape_markdown(table.note)])


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", printable(text))


def to_rich(table: Table) -> RichTable:
    """Return the table for a terminal."""
    shown = RichTable(title=table.title, caption=Text(table.note), caption_justify="left")
    for index, name in enumerate(table.header):
        shown.add_column(Text(name), justify="left" if index < table.labels else "right")
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    return shown


def _names(results: dict[str, Any]) -> list[str]:
    return [printable(results["reference"]), printable(results["other"])]


def _printable(rows: list[list[str]]) -> list[list[str]]:
    return [[printable(cell) for cell in row] for row in rows]


def _accuracy(side: dict[str, Any]) -> str:
    return percent(side["accuracy"]) + _sd(side["sd"])


def _sd(sd: float | None) -> str:
    return "" if sd is None else f" ± {100 * sd:.2f}"


def _ratio(row: dict[str, Any]) -> str:
    if row["reference"] is None or row["other"] is None or row["reference"] == 0 or row["quantity"].endswith("_loss"):
        return DASH
    return f"{row['other'] / row['reference']:.4f}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return DASH if value is None else str(value)
