"""The summary at the end of an experiment. Separate from `display` because importing it takes a second."""

import shutil
from pathlib import Path

from domain_tokens.analysis.report.tables import Table, overview_table, result_table
from domain_tokens.analysis.results_model import Overview, Results
from domain_tokens.cli.common import to_rich, wide_console
from domain_tokens.runs.layout import LOGS

_OVERVIEW, _RESULTS, _REPORT = "overview.json", "results.json", "report.html"

_WIDTH = 125  # of the table of endpoints


def show_outcome(folder: Path) -> None:
    """Show the result of the experiment's comparison, if any, and the paths of the report and the logs."""
    console = wide_console(_WIDTH)
    console.print()
    if (folder / _OVERVIEW).is_file():
        overview = Overview.model_validate_json((folder / _OVERVIEW).read_text(encoding="utf-8"))
        console.print(to_rich(overview_table(overview)))
    elif (folder / _RESULTS).is_file():
        results = Results.model_validate_json((folder / _RESULTS).read_text(encoding="utf-8"))
        width = shutil.get_terminal_size().columns if console.is_terminal else None
        console.print(results.verdict.sentence, markup=False, width=width, soft_wrap=width is None)
        for departure in results.preregistration.departures:
            console.print(f"Departs from the preregistration: {departure}", style="red", markup=False)
        for row in results.not_tokenizer_only:
            console.print(f"Not tokenizer only: {row.reason}", style="red", markup=False)
        console.print(to_rich(_short(result_table(results))))
    if (folder / _REPORT).is_file():
        console.print(f"report  {folder / _REPORT}", markup=False)
    console.print(f"logs    {folder / LOGS}", markup=False)


def _short(table: Table) -> Table:
    """Return the table of declared endpoints without a note, reduced to the columns that fit in a terminal."""
    first = table.header.index("N") + 1
    kept = [i for i, name in enumerate(table.header) if i >= first and name not in ("p", "detectable", "equivalent")]
    rows = []
    for row in table.rows:
        model, task, group, _ = row[:first]
        rows.append([f"{task}, {group}, {model}", *(row[i] for i in kept)])
    return Table("Declared endpoints", ["endpoint", *(table.header[i] for i in kept)], rows, "", labels=1)
