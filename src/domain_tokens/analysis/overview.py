"""Several conditions against one reference, and what the control conditions take apart, as it was declared."""

from pathlib import Path
from typing import Any

from domain_tokens.analysis.measures.accuracy import EXPLORATORY, PRIMARY, endpoint_row
from domain_tokens.analysis.preregistration import Endpoint, declaration
from domain_tokens.analysis.report import pages, plots
from domain_tokens.analysis.report.formats import plain
from domain_tokens.analysis.statistics.paired import holm
from domain_tokens.runs.results import Condition, Pair

_SHOWN = ("reference", "other", "delta", "interval", "p_value", "p_holm", "smallest_detectable")


def write_overview(pairs: dict[str, dict[str, Any]], conditions: list[Condition], output_dir: Path) -> dict[str, Any]:
    """Write `overview.json`, `overview.md`, `report.html` and `plots/` of all conditions against the reference.

    Args:
        pairs (`dict[str, dict]`): the results of each pair by the name of its folder under `output_dir`.
        conditions (`list[Condition]`): the reference and then the others.
        output_dir (`Path`): the experiment's folder.

    Returns:
        `dict`: what `overview.json` holds.
    """
    overview = assemble_overview(pairs, conditions)
    images = plots.render(plots.draw_overview(overview))
    markdown, html = pages.overview_to_markdown(overview), pages.overview_to_html(overview, images)
    pages.write_files(output_dir, "overview", overview, markdown, html, images)
    return overview


def assemble_overview(pairs: dict[str, dict[str, Any]], conditions: list[Condition]) -> dict[str, Any]:
    """Return the declared endpoints of every condition against the reference, and the factors that controls separate.

    `p_holm` of a row corrects its primary endpoint's p-value for the number of conditions, that of a factor for the
    number of factors. A factor is a contrast that was declared, of the primary endpoint: what one condition has and
    the other has not. It is left out where one of the two was not run.
    """
    first = next(iter(pairs.values()))
    rows = [
        {"condition": results["other"], "folder": folder, "outcome": results["verdict"]["outcome"]}
        | {key: row[key] for key in ("model", "task", "metric", "group", "role", "num_items", *_SHOWN)}
        | {"p_holm": None}
        for folder, results in pairs.items()
        for row in results["rows"]
        if row["role"] != EXPLORATORY
    ]
    _correct([row for row in rows if row["role"] == PRIMARY])
    overview = {
        "experiment": first["experiment"],
        "label": first["label"],
        "reference": first["reference"],
        "pairs": [
            {
                "condition": results["other"],
                "folder": folder,
                "verdict": results["verdict"]["sentence"],
                "departures": results["declaration"]["departures"],
            }
            for folder, results in pairs.items()
        ],
        "primary_endpoint": first["primary_endpoint"],
        "rows": rows,
        "factors": _factors(first, conditions),
    }
    return plain(overview)


def _factors(first: dict[str, Any], conditions: list[Condition]) -> list[dict[str, Any]]:
    """Return the declared contrasts between conditions that were run, each tested as a pair of its own."""
    record = first["declaration"]["record"]
    contrasts = {} if record is None else record["declared"].get("contrasts", {})
    by_name = {condition.name: condition for condition in conditions}
    place = Endpoint(**first["primary_endpoint"])
    found = []
    for factor, (with_it, without) in contrasts.items():
        if with_it in by_name and without in by_name:
            sides = by_name[without], by_name[with_it]
            Pair(*sides)  # refuses what does not pair
            row = endpoint_row(*sides, place, declaration(*sides))
            found.append({"factor": factor, "with": with_it, "without": without} | {key: row[key] for key in _SHOWN})
    _correct(found)
    return found


def _correct(rows: list[dict[str, Any]]) -> None:
    for row, corrected in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_holm"] = corrected
