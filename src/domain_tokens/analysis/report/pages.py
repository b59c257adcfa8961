"""The comparison as a page, and the files that hold it.

`report.html` is one file without scripts that asks the network for nothing: its policy allows the one style sheet (by
its hash) and embedded images. The template engine escapes all text, whatever a model wrote; facts are highlighted in
text that is already escaped.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from domain_tokens.analysis.report import captions, findings
from domain_tokens.analysis.report.formats import interval
from domain_tokens.analysis.report.markdown import not_tokenizer_only
from domain_tokens.analysis.report.page.forest import declared_forest, factor_forest, overview_forest
from domain_tokens.analysis.report.page.images import embedded
from domain_tokens.analysis.report.page.marks import example, mark_answer, mark_facts
from domain_tokens.analysis.report.page.sections import Figure, Section, blocks, quiet, telling
from domain_tokens.analysis.report.tables.answers import (
    equation_table,
    error_table,
    floor_table,
    sample_table,
    use_table,
)
from domain_tokens.analysis.report.tables.assay import assay_table, plateau_table
from domain_tokens.analysis.report.tables.by_stage import ends_table, stage_table
from domain_tokens.analysis.report.tables.losses import bits_table
from domain_tokens.analysis.report.tables.modes import ablation_table, encoding_table, spelling_table
from domain_tokens.analysis.report.tables.overview import factor_table, overview_table
from domain_tokens.analysis.report.tables.record import (
    criteria_table,
    hash_table,
    injection_table,
    ledger_table,
    published_table,
    software_table,
    text_table,
)
from domain_tokens.analysis.report.tables.results import exploratory_table, facts_needed_table, result_table
from domain_tokens.analysis.report.tables.table import Table
from domain_tokens.analysis.report.tables.transplant import cells_table, effects_table, enters
from domain_tokens.analysis.report.words.glossary import WORDS
from domain_tokens.analysis.report.words.names import names_in
from domain_tokens.analysis.results_model import Overview, Results, Sensitivity
from domain_tokens.page import render
from domain_tokens.runs.files import write_json

_HERE = Path(__file__).parent
_FILTERS: dict[str, Callable[..., object]] = {
    "mark_facts": mark_facts,
    "mark_answer": mark_answer,
    "blocks": blocks,
    "telling": telling,
    "quiet": quiet,
}

Maker = Callable[[Results], Table]

# The folded sections in the order of the page, under their headings. Sections without rows and figures are left out.
_ANSWER: dict[str, Maker] = {
    "results": result_table,
    "stages": stage_table,
    "assay": assay_table,
    "plateau": plateau_table,
    "facts-needed": facts_needed_table,
    "equations": equation_table,
    "floor": floor_table,
    "error-types": error_table,
    "facts": use_table,
    "ablations": ablation_table,
    "encodings": encoding_table,
    "spellings": spelling_table,
    "samples": sample_table,
    "exploratory": exploratory_table,
}
_TRAINING: dict[str, Maker] = {
    "curves": lambda results: Table("How did the conditions learn?", [], [], ""),
    "bits": bits_table,
    "grpo": lambda results: Table("What did GRPO change?", [], [], ""),
    "answer-ends": ends_table,
    "compute": text_table,
    "injection": injection_table,
}
_RECORDS: dict[str, Maker] = {
    "criteria": criteria_table,
    "published": published_table,
    "ledger": ledger_table,
    "software": software_table,
    "hashes": hash_table,
}
_FIGURES = {
    "facts-needed": ("facts_needed",),
    "error-types": ("mistakes",),
    "facts": ("fact_use", "lengths"),
    "exploratory": ("effects", "accuracy"),
    "curves": ("learning_curves", "training_loss", "validation_loss"),
    "bits": ("fact_rows",),
    "grpo": ("grpo",),
}
"""The plots of each section."""
_OVERVIEW_FIGURES = (
    ("facts-needed", "Is the difference larger where facts are needed?", ("facts_needed",)),
    ("error-types", "What kinds of mistakes are made?", ("mistakes",)),
    ("curves", "How did the conditions learn?", ("learning_curves",)),
    ("facts", "How many facts and tokens are in an answer?", ("fact_use", "lengths")),
)


def render_page(template: str, **values: object) -> str:
    """Render a template of this folder with the style sheet of all reports, escaping all values."""
    return render(_HERE, template, "style.css", _FILTERS, **values)


def to_html(results: Results, images: dict[str, bytes]) -> str:
    """Return the report as one HTML page.

    Args:
        results (`Results`): what `results.json` holds.
        images (`dict[str, bytes]`): image files by name; the SVG ones are embedded.
    """
    figures = {name: Figure(captions.caption(name, results), source) for name, source in embedded(images).items()}
    return render_page(
        "comparison.html",
        results=results,
        headline=findings.headline(results),
        findings=findings.findings(results),
        warnings=findings.warnings(results),
        forest=declared_forest(results),
        example=example(results),
        task_names=names_in(results.rows),
        not_tokenizer_only=not_tokenizer_only(results),
        sensitivity_note=sensitivity_note(results.sensitivity),
        answer_sections=_sections(_ANSWER, results, figures),
        training_sections=_sections(_TRAINING, results, figures),
        record_sections=_sections(_RECORDS, results, figures),
        words=WORDS,
    )


def _sections(makers: dict[str, Maker], results: Results, figures: dict[str, Figure]) -> list[Section]:
    made = []
    for id, make in makers.items():
        table = make(results)
        shown = [figures[name] for name in _FIGURES.get(id, ()) if name in figures]
        if table.rows or shown:
            made.append(Section(id, table.title, shown, table if table.rows else None))
    return made


def overview_to_html(overview: Overview, found: Sequence[Results], images: dict[str, bytes]) -> str:
    """Return the page of several conditions against one; it links to the reports of the pairs beside it.

    Args:
        overview (`Overview`): what `overview.json` holds.
        found (`Sequence[Results]`): the results of its pairs, in their order.
        images (`dict[str, bytes]`): as for `to_html`.
    """
    figures = {
        name: Figure(captions.overview_caption(name, overview), source) for name, source in embedded(images).items()
    }
    made = (
        ("conditions", overview_table(overview), ()),
        *((id, Table(title, [], [], ""), names) for id, title, names in _OVERVIEW_FIGURES),
    )
    sections = []
    for id, table, names in made:
        shown = [figures[name] for name in names if name in figures]
        if table.rows or shown:
            sections.append(Section(id, table.title, shown, table if table.rows else None))
    crossed = overview.transplant
    return render_page(
        "overview.html",
        overview=overview,
        headline=findings.overall(found),
        pairs=[
            (pair, findings.headline(results), findings.findings(results), findings.warnings(results))
            for pair, results in zip(overview.pairs, found, strict=True)
        ],
        first=found[0],
        example=example(found[0]),
        forest=overview_forest(overview),
        factors=factor_forest(overview),
        factor_table=factor_table(overview),
        transplant=None
        if crossed is None
        else {"text": enters(crossed), "effects": effects_table(crossed), "cells": cells_table(crossed)},
        sections=sections,
        words=WORDS,
    )


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
