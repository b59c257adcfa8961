"""The comparison of two conditions: read, check, compute, write results.json, results.md, report.html and plots."""

from pathlib import Path
from typing import Any

from domain_tokens.analysis.matching import match
from domain_tokens.analysis.measures.ablations import ablation_rows, sample_rows
from domain_tokens.analysis.measures.accuracy import PRIMARY, further_looks, result_rows
from domain_tokens.analysis.measures.curves import bits_rows, curve_rows
from domain_tokens.analysis.measures.equation_use import equation_rows, mistake_rows
from domain_tokens.analysis.measures.facts_needed import need_rows
from domain_tokens.analysis.measures.paired_answers import paired_answers
from domain_tokens.analysis.measures.usage import text_and_compute, token_use
from domain_tokens.analysis.preregistration import declaration
from domain_tokens.analysis.provenance import injection, provenance, reference_results, reproduce
from domain_tokens.analysis.report import pages, plots
from domain_tokens.analysis.report.formats import plain
from domain_tokens.analysis.verdict import success_criteria, verdict
from domain_tokens.runs.results import Condition, Pair, load_condition

SCHEMA_VERSION = 2


def compare(reference_dir: Path, other_dir: Path, output_dir: Path, prereg: Path | None = None) -> dict[str, Any]:
    """Compare two conditions and write `results.json`, `results.md`, `report.html` and `plots/` to `output_dir`.

    Args:
        reference_dir (`Path`): `outputs/<experiment>/exp_<condition>`; differences are the other's less this one's.
        other_dir (`Path`): the condition to compare with it.
        output_dir (`Path`): where the files are written. The same inputs give the same bytes.
        prereg (`Path`, *optional*): the declaration as it stands now, compared with the one that the runs recorded.

    Returns:
        `dict`: what `results.json` holds; accuracies and differences are fractions of 1.

    Raises:
        RecipeError: if results are missing, damaged or not paired, or if the runs are not compute-matched. Nothing is
            written then.
    """
    reference, other = load_condition(reference_dir), load_condition(other_dir)
    Pair(reference, other)  # refuses what does not pair
    return compare_conditions(reference, other, output_dir, prereg)


def compare_conditions(
    reference: Condition, other: Condition, output_dir: Path, prereg: Path | None
) -> dict[str, Any]:
    results = assemble(reference, other, prereg)
    images = plots.render(plots.draw(reference, other, results))
    markdown, html = pages.to_markdown(results), pages.to_html(results, images)
    pages.write_files(output_dir, "results", results, markdown, html, images)
    return results


def assemble(reference: Condition, other: Condition, prereg: Path | None = None) -> dict[str, Any]:
    """Return the whole comparison as plain values: what `results.json` holds, and `results_schema.json` describes."""
    ledger = match(reference, other)
    declared = declaration(reference, other, prereg)
    rows = result_rows(reference, other, declared)
    (primary,) = (row for row in rows if row["role"] == PRIMARY)
    num_seeds = len(reference.seeds)
    return plain(
        {
            "schema_version": SCHEMA_VERSION,
            "experiment": reference.folder.resolve().parent.name,
            "label": "pilot, one seed" if num_seeds == 1 else f"{num_seeds} seeds",
            "seeds": list(reference.seeds),
            "reference": reference.name,
            "other": other.name,
            "primary_endpoint": {key: primary[key] for key in ("model", "task", "metric", "group")},
            "declaration": {
                "is_declared": declared.is_declared,
                "departures": declared.departures,
                "record": declared.record,
            },
            "verdict": verdict(primary, declared, reference.name, other.name),
            "success_criteria": success_criteria(rows, reference, other),
            "rows": rows,
            "further_looks": further_looks(reference, other, primary),
            "needs": need_rows(reference, other),
            "equations": equation_rows(reference, other),
            "mistakes": mistake_rows(reference, other),
            "ablations": ablation_rows(reference, other),
            "samples": sample_rows(reference, other),
            "bits_per_byte": bits_rows(reference, other),
            "curves": curve_rows(reference, other),
            "text_and_compute": text_and_compute(reference, other),
            "token_use": token_use(reference, other),
            "answers": paired_answers(reference, other, primary["model"], primary["task"]),
            "ledger": ledger,
            "injection": injection(reference, other),
            "provenance": provenance(reference, other),
            "reference_results": reference_results(),
            "reproduce": reproduce(reference, other),
        }
    )
