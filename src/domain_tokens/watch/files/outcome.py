"""The headline of a finished experiment, as its comparison wrote it."""

from collections.abc import Mapping
from pathlib import Path

from domain_tokens.watch.files.reading import Reader, part_of

_OVERVIEW, _RESULTS, _PAGE = "overview.json", "results.json", "report.html"


def headline_of(experiment: Path, reader: Reader, seeds: Mapping[str, set[int]]) -> tuple[str, Path | None]:
    """Return what the comparison of an experiment found, in one sentence, and its report; nothing before.

    Args:
        experiment (`Path`): its folder.
        reader (`Reader`): reads files.
        seeds (`Mapping[str, set[int]]`): by condition, what has to be compared. Results of fewer are those of before.
    """
    files = result_files(experiment, reader)
    found = _sentence(files, seeds) if files else ""
    return found, experiment / _PAGE if found and (experiment / _PAGE).is_file() else None


def result_files(experiment: Path, reader: Reader) -> list[Path]:
    """Return the files with the results of an experiment: one for each pair of conditions."""
    pairs = part_of(reader.fields(experiment / _OVERVIEW), "pairs")
    if isinstance(pairs, list):
        return [experiment / str(part_of(pair, "folder")) / _RESULTS for pair in pairs]
    return [experiment / _RESULTS] if (experiment / _RESULTS).is_file() else []


def _sentence(files: list[Path], seeds: Mapping[str, set[int]]) -> str:
    from pydantic import ValidationError  # with the types of results, a second of imports, for what is finished alone

    from domain_tokens.analysis.report import findings
    from domain_tokens.analysis.results_model import Results

    try:
        found = [Results.model_validate_json(file.read_text(encoding="utf-8")) for file in files]
    except (OSError, ValidationError, UnicodeDecodeError):
        return "There are results, but this version cannot read them."
    compared = {(name, seed) for one in found for name in (one.reference, one.other) for seed in one.seeds}
    common = set.intersection(*seeds.values()) if seeds else set()
    if not compared.issuperset((name, seed) for name in seeds for seed in common):
        return ""
    return findings.headline(found[0]) if len(found) == 1 else findings.overall(found)
