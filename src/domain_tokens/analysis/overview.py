"""Several conditions against one reference, and what the control conditions take apart, as it was declared."""

from pathlib import Path
from typing import Any

from domain_tokens.analysis import report
from domain_tokens.analysis.outcomes import EXPLORATORY, PRIMARY
from domain_tokens.analysis.statistics import holm
from domain_tokens.provenance import write_json


def write_overview(pairs: dict[str, dict[str, Any]], output_dir: Path) -> dict[str, Any]:
    """Write `results.json`, `results.md` and `report.html` of all conditions against the reference; return the first.

    Args:
        pairs (`dict[str, dict]`): the results of each pair by the name of its folder under `output_dir`.
        output_dir (`Path`): the experiment's folder.
    """
    overview = assemble_overview(pairs)
    write_json(output_dir / "results.json", overview)
    (output_dir / "results.md").write_text(report.overview_to_markdown(overview), encoding="utf-8")
    (output_dir / "report.html").write_text(report.overview_to_html(overview), encoding="utf-8")
    return overview


def assemble_overview(pairs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the declared endpoints of every condition against the reference, and the factors that controls separate.

    `p_holm` of a row corrects its primary endpoint's p-value for the number of conditions. A factor is a contrast that
    was declared: the difference of two conditions' differences from the reference, left out where one of them was not
    run. It has no interval of its own: for one, compare its two conditions with `scripts/compare.py`.
    """
    first = next(iter(pairs.values()))
    rows = []
    for folder, results in pairs.items():
        for row in results["rows"]:
            if row["role"] != EXPLORATORY:
                kept = ("model", "task", "metric", "group", "role", "num_items", "reference", "other", "delta",
                        "interval", "p_value", "smallest_detectable")  # fmt: skip
                rows.append(
                    {"condition": results["other"], "folder": folder, "outcome": results["verdict"]["outcome"]}
                    | {key: row[key] for key in kept}
                    | {"p_holm": None}
                )
    primary = [row for row in rows if row["role"] == PRIMARY]
    for row, corrected in zip(primary, holm([row["p_value"] for row in primary]), strict=True):
        row["p_holm"] = corrected
    record = first["declaration"]["record"]
    contrasts = {} if record is None else record["declared"].get("contrasts", {})
    deltas = {row["condition"]: row["delta"] for row in primary} | {first["reference"]: 0.0}
    return {
        "schema_version": first["schema_version"],
        "experiment": first["experiment"],
        "label": first["label"],
        "reference": first["reference"],
        "conditions": [results["other"] for results in pairs.values()],
        "rows": rows,
        "factors": [
            {"factor": factor, "with": with_it, "without": without, "delta": deltas[with_it] - deltas[without]}
            for factor, (with_it, without) in contrasts.items()
            if with_it in deltas and without in deltas
        ],
    }
