"""What a comparison found, for the terminal: verdict, declared endpoints, three sentences and the report's path.

Separate from `display` because importing it takes a second.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from domain_tokens.analysis.report import findings
from domain_tokens.analysis.report.markdown import not_tokenizer_only
from domain_tokens.analysis.report.tables.overview import overview_table
from domain_tokens.analysis.report.tables.results import result_table
from domain_tokens.analysis.report.tables.table import Table
from domain_tokens.analysis.results_model import Overview, Results
from domain_tokens.cli.common import to_rich, wide_console
from domain_tokens.runs.layout import LOGS

_OVERVIEW, _RESULTS, _REPORT = "overview.json", "results.json", "report.html"

_WIDTH = 125  # of the table of endpoints
_IN_TERMINAL = {"condition", "difference", "95% interval", "p (family)"}
_MOST = 5  # departures of one pair; the report lists all


def show_outcome(folder: Path) -> None:
    """Show the result of the experiment's comparison, if any, and the paths of the report and the logs."""
    if (folder / _OVERVIEW).is_file():
        overview = Overview.model_validate_json((folder / _OVERVIEW).read_text(encoding="utf-8"))
        show_overview(overview, [_read(folder / pair.folder) for pair in overview.pairs], folder)
    elif (folder / _RESULTS).is_file():
        show_comparison(_read(folder), folder)
    wide_console(_WIDTH).print(f"logs    {folder / LOGS}", markup=False)


def show_comparison(results: Results, folder: Path) -> None:
    """Show what two conditions gave.

    Args:
        results (`Results`): what `results.json` holds.
        folder (`Path`): where the report is.
    """
    console = wide_console(_WIDTH)
    console.print()
    _show_text(console, [findings.headline(results)])
    _show_limits(console, results)
    console.print(to_rich(_short(results)))
    _show_findings(console, results)
    console.print(f"report  {folder / _REPORT}", markup=False)


def show_overview(overview: Overview, found: Sequence[Results], folder: Path) -> None:
    """Show what several conditions gave against one; the sentences are those of the first.

    Args:
        overview (`Overview`): what `overview.json` holds.
        found (`Sequence[Results]`): the results of its pairs, in their order.
        folder (`Path`): where the report is.
    """
    console = wide_console(_WIDTH)
    console.print()
    _show_text(console, [findings.overall(found)])
    for results in found:
        _show_limits(console, results)
    console.print(to_rich(_endpoints(overview, found)))
    _show_text(console, [f"{found[0].other} against {found[0].reference}:"])
    _show_findings(console, found[0])
    console.print(f"report  {folder / _REPORT}", markup=False)


def _read(folder: Path) -> Results:
    return Results.model_validate_json((folder / _RESULTS).read_text(encoding="utf-8"))


def _show_text(console: Console, lines: Sequence[str], style: str | None = None) -> None:
    """Show sentences, wrapped in a terminal and whole in a file."""
    width = shutil.get_terminal_size().columns if console.is_terminal else None
    for line in lines:
        console.print(line, markup=False, style=style, width=width, soft_wrap=width is None)


def _show_limits(console: Console, results: Results) -> None:
    departures = results.preregistration.departures
    lines = [f"{results.other} departs from the preregistration: {one}" for one in departures[:_MOST]]
    if len(departures) > _MOST:
        lines.append(f"{results.other}: {len(departures) - _MOST} more departures in the report")
    lines += [f"{results.other}, not tokenizer only: {one}" for one in not_tokenizer_only(results)]
    _show_text(console, lines, "red")


def _show_findings(console: Console, results: Results) -> None:
    said = [*findings.findings(results), *findings.warnings(results)]
    _show_text(console, [f"- {one.about}. {one.text}" for one in said])


def _endpoints(overview: Overview, found: Sequence[Results]) -> Table:
    """Return the table of declared endpoints without a note, reduced to the columns that fit in a terminal."""
    table = overview_table(overview)
    first = table.header.index("items") + 1
    kept = [i for i, name in enumerate(table.header) if i >= first and name in _IN_TERMINAL | {overview.reference}]
    rows = []
    for row in table.rows:
        condition, endpoint, group = row[:first]
        what = endpoint.partition(", ")[0].replace("_final", "")
        label = f"{condition}: {what}, {group}".removesuffix(", all")
        rows.append([label, *(row[i] for i in kept)])
    return Table(_title(*found), ["endpoint", *(table.header[i] for i in kept)], rows, "", labels=1)


def _title(*found: Results) -> str:
    declared = all(results.preregistration.is_declared for results in found)
    return "Declared endpoints" if declared else "Endpoints, not declared before the runs"


def _short(results: Results) -> Table:
    """Return the table of endpoints without a note, reduced to the columns that fit in a terminal."""
    table = result_table(results)
    first = table.header.index("N") + 1
    kept = [i for i, name in enumerate(table.header) if i >= first and name not in ("p", "detectable", "equivalent")]
    rows = []
    for row in table.rows:
        model, task, group, _ = row[:first]
        rows.append([f"{task}, {group}, {model}", *(row[i] for i in kept)])
    return Table(_title(results), ["endpoint", *(table.header[i] for i in kept)], rows, "", labels=1)
