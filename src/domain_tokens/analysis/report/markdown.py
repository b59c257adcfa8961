"""The comparison as Markdown: the verdict, what limits it, and the tables that it rests on, in at most 120 lines.

Everything else is in `report.html` and `results.json`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from domain_tokens.analysis.report import findings
from domain_tokens.analysis.report.findings import Finding
from domain_tokens.analysis.report.formats import printable
from domain_tokens.analysis.report.tables.answers import error_table
from domain_tokens.analysis.report.tables.assay import assay_table
from domain_tokens.analysis.report.tables.by_stage import stage_table
from domain_tokens.analysis.report.tables.condition import group_table, spelling_table
from domain_tokens.analysis.report.tables.overview import factor_table, overview_table
from domain_tokens.analysis.report.tables.record import criteria_table
from domain_tokens.analysis.report.tables.results import facts_needed_table, result_table
from domain_tokens.analysis.report.tables.table import Table, escape_markdown
from domain_tokens.analysis.report.tables.table import to_markdown as as_markdown
from domain_tokens.analysis.report.tables.transplant import cells_table, effects_table, enters
from domain_tokens.analysis.results_model import Overview, Results
from domain_tokens.recipe import RecipeError

_MAKERS: Final = {
    result_table: 12,
    assay_table: 8,
    criteria_table: 4,
    stage_table: 8,
    facts_needed_table: 8,
    error_table: 8,
}
"""The tables of a pair, each with the number of rows at which it is cut."""
_MAX_LIST, _MAX_NOTES, _MAX_OVERVIEW = 8, 2, 25
_write = escape_markdown


def to_markdown(results: Results) -> str:
    """Return the verdict, the findings and the first tables as Markdown: what `results.md` holds."""
    verdict = results.verdict
    parts = [
        f"# {_write(results.experiment)}: {_write(results.other)} against {_write(results.reference)}",
        f"**{_write(findings.headline(results))}**",
        _labelled("Departs from the preregistration", results.preregistration.departures, _MAX_LIST),
        _labelled("Not tokenizer only", not_tokenizer_only(results), _MAX_LIST),
        _labelled("Preregistration, note", results.preregistration.notes, _MAX_NOTES),
        _listed([*findings.findings(results), *findings.warnings(results)]),
        _write(verdict.sentence),
        f"- H0: {_write(verdict.h0)}\n- H1: {_write(verdict.h1)}\n- Rule: {_write(verdict.rule)}",
        *(_cut(make(results), most) for make, most in _MAKERS.items()),
        "\n".join(["## How are these numbers reproduced?", "", *_commands(results)]),
        "All tables, figures and answers: `report.html`. All numbers: `results.json`.",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def not_tokenizer_only(results: Results) -> list[str]:
    """Return in words what differs beside the tokenizers, each thing once; empty if nothing does."""
    return list(dict.fromkeys(row.reason for row in results.not_tokenizer_only))


def overview_to_markdown(overview: Overview, found: Sequence[Results]) -> str:
    """Return the verdicts and the tables of several conditions against one as Markdown.

    Args:
        overview (`Overview`): what `overview.json` holds.
        found (`Sequence[Results]`): the results of its pairs, in their order.
    """
    title = f"# {_write(overview.experiment)}: all conditions against {_write(overview.reference)}"
    verdicts = []
    for pair, results in zip(overview.pairs, found, strict=True):
        verdicts.append(f"- {_write(findings.headline(results))}")
        verdicts += _short("  **Departs from the preregistration: {}.**", pair.departures, 2)
        verdicts += _short("  **Not tokenizer only: {}.**", pair.not_tokenizer_only, 2)
    made = [overview_table(overview), factor_table(overview)]
    if overview.transplant is not None:
        made += [cells_table(overview.transplant), effects_table(overview.transplant)]
    shown = [_cut(table, _MAX_OVERVIEW) for table in made]
    first = f"{_write(found[0].other)} against {_write(overview.reference)}:"
    said = _listed([*findings.findings(found[0]), *findings.warnings(found[0])])
    where = "" if overview.transplant is None else _write(enters(overview.transplant))
    parts = [title, f"**{_write(findings.overall(found))}**", where, "\n".join(verdicts), first, said, *shown]
    return "\n\n".join(filter(None, parts)) + "\n"


def excerpt(folder: Path) -> str:
    """Return the declared endpoints and contrasts of an experiment as Markdown, with the verdict of a single pair.

    Tables of all conditions by group of items and by spelling follow.

    Args:
        folder (`Path`): the experiment's folder, with `overview.json` and its pairs', or `results.json`.

    Raises:
        RecipeError: if the folder has neither.
    """
    parts = []
    if (folder / "overview.json").is_file():
        overview = Overview.model_validate_json((folder / "overview.json").read_text(encoding="utf-8"))
        found = [_results(folder / pair.folder) for pair in overview.pairs]
        made = [overview_table(overview), factor_table(overview)]
    elif (folder / "results.json").is_file():
        found = [_results(folder)]
        parts, made = [_write(found[0].verdict.sentence)], [result_table(found[0])]
    else:
        raise RecipeError(f"{folder}: has no overview.json and no results.json; run the experiment first")
    made += [group_table(found), spelling_table(found)]
    parts += [as_markdown(table).replace("## ", "#### ", 1) for table in made if table.rows]
    return "\n\n".join(parts)


def _results(folder: Path) -> Results:
    return Results.model_validate_json((folder / "results.json").read_text(encoding="utf-8"))


def _labelled(label: str, lines: Sequence[str], most: int) -> str:
    return "\n".join(_short(f"- **{label}: {{}}.**", lines, most))


def _short(form: str, lines: Sequence[str], most: int) -> list[str]:
    """Return the first lines in a form, and how many more there are."""
    shown = [form.replace("{}", _write(line)) for line in lines[:most]]
    return [*shown, f"- ({len(lines) - most} more in the report)"] if len(lines) > most else shown


def _listed(said: Sequence[Finding]) -> str:
    return "\n".join(f"- **{_write(one.about)}.** {_write(one.text)}" for one in said)


def _cut(table: Table, most: int) -> str:
    """Return the first rows of a table as Markdown, and how many more there are; nothing if it has none."""
    if len(table.rows) > most:
        note = f"The first {most} of {len(table.rows)} rows; the others are in the report. {table.note}"
        table = replace(table, rows=table.rows[:most], note=note)
    return as_markdown(table) if table.rows else ""


def _commands(results: Results) -> list[str]:
    commands = [f"    {printable(command)}" for command in results.reproduce[:_MAX_LIST]]
    more = len(results.reproduce) - _MAX_LIST
    return [*commands, "", f"({more} more commands in the report.)"] if more > 0 else commands
