"""The headline of a finished experiment, as its comparison wrote it."""

from pathlib import Path

from domain_tokens.watch.files.reading import Reader, part_of

_OVERVIEW, _RESULTS, _PAGE = "overview.json", "results.json", "report.html"


def headline_of(experiment: Path, reader: Reader) -> tuple[str, Path | None]:
    """Return what the comparison of an experiment found, in one sentence, and its report; nothing before."""
    report = experiment / _PAGE if (experiment / _PAGE).is_file() else None
    pairs = part_of(reader.fields(experiment / _OVERVIEW), "pairs")
    if isinstance(pairs, list):
        names = [str(part_of(pair, "folder")) for pair in pairs]
        return _sentence([experiment / name / _RESULTS for name in names]), report
    if (experiment / _RESULTS).is_file():
        return _sentence([experiment / _RESULTS]), report
    return "", report


def _sentence(files: list[Path]) -> str:
    from pydantic import ValidationError  # with the types of results, a second of imports, for what is finished alone

    from domain_tokens.analysis.report import findings
    from domain_tokens.analysis.results_model import Results

    try:
        found = [Results.model_validate_json(file.read_text(encoding="utf-8")) for file in files]
    except (OSError, ValidationError, UnicodeDecodeError):
        return "There are results, but this version cannot read them."
    return findings.headline(found[0]) if len(found) == 1 else findings.overall(found)
