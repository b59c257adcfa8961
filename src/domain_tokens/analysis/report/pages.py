"""The comparison as a page and as Markdown, and the files that hold it.

`report.html` is one file without scripts that asks the network for nothing: its policy allows the one style sheet (by
its hash) and embedded images. The template engine escapes all text, whatever a model wrote; facts are highlighted in
text that is already escaped.
"""

import base64
import re
from pathlib import Path

from markupsafe import Markup, escape

from domain_tokens.analysis.report import assay_tables, captions, tables
from domain_tokens.analysis.report.formats import interval
from domain_tokens.analysis.results_model import Overview, Results, Sensitivity
from domain_tokens.page import render
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import write_json
from domain_tokens.tokenization.facts import TOKEN_NAME

_HERE = Path(__file__).parent
_FACT = re.compile(TOKEN_NAME.replace("<", "&lt;").replace(">", "&gt;"))

# The tables in the order of the page. Tables without rows are left out, and `_DETAILS` are folded.
_MAKERS = {
    "assay": assay_tables.assay_table,
    "plateau": assay_tables.plateau_table,
    "exploratory": tables.exploratory_table,
    "facts-needed": tables.facts_needed_table,
    "equations": tables.equation_table,
    "error-types": tables.error_table,
    "encodings": tables.encoding_table,
    "spellings": tables.spelling_table,
    "ablations": tables.ablation_table,
    "facts": tables.use_table,
    "samples": tables.sample_table,
    "bits": tables.bits_table,
    "compute": tables.text_table,
    "injection": tables.injection_table,
}
_DETAILS = (tables.ledger_table, tables.software_table, tables.hash_table)


def to_html(results: Results, images: dict[str, bytes]) -> str:
    """Return the report as one HTML page.

    Args:
        results (`Results`): what `results.json` holds.
        images (`dict[str, bytes]`): image files by name; the SVG ones are embedded.
    """
    shown = {id: make(results) for id, make in _MAKERS.items()}
    shown = {id: table for id, table in shown.items() if table.rows}
    sections = [("results", "Results"), ("criteria", "Success criteria"), *((id, t.title) for id, t in shown.items())]
    sections += [("plots", "Plots"), ("answers", "Paired answers"), ("published", "Published results")]
    sections += [("evidence", "Evidence"), ("reproduce", "How to reproduce")]
    figures = [
        {"name": name, "caption": captions.caption(name, results), "source": source}
        for name, source in _embedded(images).items()
    ]
    return render(
        _HERE,
        "comparison.html",
        "style.css",
        {"mark_facts": mark_facts},
        results=results,
        not_tokenizer_only=not_tokenizer_only(results),
        sensitivity_note=sensitivity_note(results.sensitivity),
        sections=sections,
        result_table=tables.result_table(results),
        criteria_table=tables.criteria_table(results),
        tables=list(shown.items()),
        published_table=tables.published_table(results),
        details=[make(results) for make in _DETAILS],
        headline=[figure for figure in figures if figure["name"] == "effects"],
        figures=[figure for figure in figures if figure["name"] != "effects"],
    )


def to_markdown(results: Results) -> str:
    """Return the verdict and the tables as Markdown: what `results.md` holds."""
    write = tables.escape_markdown
    verdict = results.verdict
    parts = [
        f"# {write(results.experiment)}: {write(results.other)} against {write(results.reference)}",
        f"**{write(verdict.sentence)}**",
        *(f"**Departs from the preregistration: {write(one)}.**" for one in results.preregistration.departures),
        *(f"**Not tokenizer only: {write(one)}.**" for one in not_tokenizer_only(results)),
        *(f"Preregistration, note: {write(one)}." for one in results.preregistration.notes),
        f"- H0: {write(verdict.h0)}\n- H1: {write(verdict.h1)}\n- Rule: {write(verdict.rule)}",
    ]
    makers = (tables.result_table, tables.criteria_table, *_MAKERS.values(), tables.published_table, *_DETAILS)
    made = [make(results) for make in makers]
    parts += [tables.to_markdown(table) for table in made if table.rows]
    if note := sensitivity_note(results.sensitivity):
        parts.append(f"The primary endpoint by other methods, on which the verdict does not rest: {write(note)}")
    commands = [f"    {tables.printable(command)}" for command in results.reproduce]
    parts.append("\n".join(["## How to reproduce", "", *commands]))
    return "\n\n".join(parts) + "\n"


def not_tokenizer_only(results: Results) -> list[str]:
    """Return in words what differs beside the tokenizers, each thing once; empty if nothing does."""
    return list(dict.fromkeys(row.reason for row in results.not_tokenizer_only))


def overview_to_html(overview: Overview, images: dict[str, bytes]) -> str:
    """Return the page of several conditions against one; it links to the reports of the pairs beside it."""
    return render(
        _HERE,
        "overview.html",
        "style.css",
        {},
        overview=overview,
        overview_table=tables.overview_table(overview),
        factor_table=tables.factor_table(overview),
        figures=list(_embedded(images).values()),
    )


def overview_to_markdown(overview: Overview) -> str:
    """Return the tables of several conditions against one as Markdown."""
    write = tables.escape_markdown
    made = (tables.overview_table(overview), tables.factor_table(overview))
    title = f"# {write(overview.experiment)}: all conditions against {write(overview.reference)}"
    verdicts = []
    for pair in overview.pairs:
        verdicts.append(f"- {write(pair.verdict)}")
        verdicts += [f"  **Departs from the preregistration: {write(one)}.**" for one in pair.departures]
        verdicts += [f"  **Not tokenizer only: {write(one)}.**" for one in pair.not_tokenizer_only]
    shown = [tables.to_markdown(table) for table in made if table.rows]
    return "\n\n".join([title, "\n".join(verdicts), *shown]) + "\n"


def excerpt(folder: Path) -> str:
    """Return the declared endpoints and contrasts of an experiment as Markdown, with the verdict of a single pair.

    Args:
        folder (`Path`): the experiment's folder, with `overview.json` or `results.json`.

    Raises:
        RecipeError: if the folder has neither.
    """
    parts = []
    if (folder / "overview.json").is_file():
        overview = Overview.model_validate_json((folder / "overview.json").read_text(encoding="utf-8"))
        made = [tables.overview_table(overview), tables.factor_table(overview)]
    elif (folder / "results.json").is_file():
        results = Results.model_validate_json((folder / "results.json").read_text(encoding="utf-8"))
        parts, made = [tables.escape_markdown(results.verdict.sentence)], [tables.result_table(results)]
    else:
        raise RecipeError(f"{folder}: has no overview.json and no results.json; run the experiment first")
    parts += [tables.to_markdown(table).replace("## ", "#### ", 1) for table in made if table.rows]
    return "\n\n".join(parts)


def _embedded(images: dict[str, bytes]) -> dict[str, str]:
    """Return the SVG images as data URLs, by name."""
    return {
        name.removesuffix(".svg"): f"data:image/svg+xml;base64,{base64.b64encode(image).decode()}"
        for name, image in images.items()
        if name.endswith(".svg")
    }


def write_files(
    output_dir: Path, values: Results | Overview, markdown: str, html: str, images: dict[str, bytes]
) -> None:
    """Write `results.json` and `results.md` (or `overview.json` and `overview.md`), `report.html` and `plots/`.

    The files of an earlier comparison, of two conditions or of more, are removed first, so that nothing is mixed.
    """
    drawn = [f"plots/{name}.{kind}" for name in captions.NAMES for kind in ("png", "svg")]
    for name in ("results.json", "results.md", "overview.json", "overview.md", "report.html", *drawn):
        (output_dir / name).unlink(missing_ok=True)
    (output_dir / "plots").mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        (output_dir / "plots" / name).write_bytes(image)
    stem = "results" if isinstance(values, Results) else "overview"
    (output_dir / f"{stem}.md").write_text(markdown, encoding="utf-8")
    (output_dir / "report.html").write_text(html, encoding="utf-8")
    write_json(output_dir / f"{stem}.json", values.model_dump(mode="json", by_alias=True))


def sensitivity_note(sensitivity: Sensitivity | None) -> str | None:
    """Return in words what other methods say about the primary endpoint, or `None` for one seed."""
    if sensitivity is None:
        return None
    mixed = sensitivity.mixed_logit
    odds = mixed.reason
    if mixed.odds_ratio is not None and mixed.interval is not None:
        low, high = mixed.interval
        odds = f"odds ratio {mixed.odds_ratio:.2f} (95% interval {low:.2f} to {high:.2f})"
    return (
        "the paired t-test over seeds, with questions taken as fixed, gives the 95% interval "
        f"{interval(sensitivity.paired_t.interval)}; the crossed percentile bootstrap, which is too narrow for few "
        f"seeds, {interval(sensitivity.bootstrap.interval)}; a mixed-effects logistic model: {odds}. "
        "None of the three takes into account that items may form clusters."
    )


def mark_facts(text: str | None) -> Markup:
    """Escape text, then highlight each fact token in it, such as `<MUL_6_9_54>`."""
    escaped = str(escape("" if text is None else text))
    return Markup(_FACT.sub(r"<mark>\g<0></mark>", escaped))
