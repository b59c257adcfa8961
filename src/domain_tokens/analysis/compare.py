"""The comparison of two conditions, or of several with one: read, check, compute, write the files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from domain_tokens.analysis.assay import check_assay
from domain_tokens.analysis.family import Family, declared_family
from domain_tokens.analysis.matching import estimands, match, outside_tokenizer
from domain_tokens.analysis.measures.ablations import ablation_rows, sample_rows
from domain_tokens.analysis.measures.accuracy import result_rows, sensitivity
from domain_tokens.analysis.measures.answers.equation_use import equation_rows, error_rows
from domain_tokens.analysis.measures.answers.exchanged import exchanged_rows
from domain_tokens.analysis.measures.answers.paired_answers import paired_answers
from domain_tokens.analysis.measures.by_stage.rows import by_stage
from domain_tokens.analysis.measures.curves import bits_rows, curve_rows
from domain_tokens.analysis.measures.encodings import encoding_rows
from domain_tokens.analysis.measures.facts_needed import facts_needed_rows
from domain_tokens.analysis.measures.losses import loss_rows
from domain_tokens.analysis.measures.plateau import plateau_rows
from domain_tokens.analysis.measures.spellings import spelling_rows
from domain_tokens.analysis.measures.transplant import transplant
from domain_tokens.analysis.measures.usage import forced_stages, text_and_compute, token_use
from domain_tokens.analysis.overview import assemble_overview
from domain_tokens.analysis.preregistration import Preregistration, read_preregistration
from domain_tokens.analysis.provenance import injection, provenance, published_results, reproduce
from domain_tokens.analysis.report import pages
from domain_tokens.analysis.report.markdown import overview_to_markdown, to_markdown
from domain_tokens.analysis.results_model import SCHEMA_VERSION, Overview, ResultRow, Results, primary_row
from domain_tokens.analysis.verdict import Evidence, success_criteria, verdict
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.results import Condition, Pair, load_condition


@dataclass(frozen=True)
class Comparison:
    """One comparison of two conditions and the folder that it was written to."""

    folder: Path
    results: Results


def compare(
    reference_dir: Path, other_dir: Path, output_dir: Path, prereg: Path | None = None, plots: bool = True
) -> Results:
    """Compare two conditions and write `results.json`, `results.md`, `report.html` and `plots/` to `output_dir`.

    Args:
        reference_dir (`Path`): `outputs/<experiment>/exp_<condition>`; differences are the other's less this one's.
        other_dir (`Path`): the condition to compare with it.
        output_dir (`Path`): where the files are written. The same inputs give the same bytes.
        prereg (`Path`, *optional*): the preregistration as it is now, compared with the one that the runs recorded.
        plots (`bool`, *optional*, defaults to `True`): whether to draw plots, which takes most of the time.

    Returns:
        `Results`: what `results.json` holds; accuracies and differences are fractions of 1.

    Raises:
        RecipeError: if results are missing, damaged or not paired, or if the runs are not compute-matched. Nothing is
            written then.
    """
    pair = Pair(load_condition(reference_dir), load_condition(other_dir))
    return write_comparison(pair, output_dir, prereg, plots)


def compare_all(
    reference_dir: Path,
    other_dirs: Sequence[Path],
    output_dir: Path,
    prereg: Path | None = None,
    plots: bool = True,
    different_vocabularies: bool = False,
) -> tuple[list[Comparison], Overview | None]:
    """Compare each condition with the first; with several others, write an overview of all of them too.

    Args:
        reference_dir (`Path`): the reference.
        other_dirs (`Sequence[Path]`): the conditions to compare with it. One is compared in `output_dir` itself,
            several in a folder each under it.
        output_dir (`Path`): the folder for the files.
        prereg (`Path`, *optional*): as for `compare`.
        plots (`bool`, *optional*, defaults to `True`): as for `compare`.
        different_vocabularies (`bool`, *optional*, defaults to `False`): whether the base vocabularies differ; then
            the conditions may be of two experiments and have one name.

    Returns:
        The comparisons, and the overview if there are several.

    Raises:
        RecipeError: as `compare`, or if two reports would be written to one folder. Nothing is written then.
    """
    reference, *others = (load_condition(folder) for folder in (reference_dir, *other_dirs))
    if different_vocabularies:
        reference, *others = (_with_experiment(condition) for condition in (reference, *others))
    _check_distinct(others)
    pairs = [Pair(reference, other, different_vocabularies=different_vocabularies) for other in others]
    for pair in pairs:  # all of them before anything is written
        match(pair)
    if len(pairs) == 1:
        return [Comparison(output_dir, write_comparison(pairs[0], output_dir, prereg, plots))], None
    conditions = [reference, *others]
    comparisons = []
    for pair in pairs:
        names = (side.folder.name.removeprefix("exp_") for side in (reference, pair.other))
        folder = output_dir / "_".join(names)
        comparisons.append(Comparison(folder, write_comparison(pair, folder, prereg, plots, conditions)))
    found = {comparison.folder.name: comparison.results for comparison in comparisons}
    return comparisons, write_overview(found, conditions, output_dir, plots)


def write_comparison(
    pair: Pair, output_dir: Path, prereg: Path | None, plots: bool, conditions: Sequence[Condition] = ()
) -> Results:
    """Compare two conditions that pair, and write the files. Arguments as for `compare` and `assemble`."""
    results = assemble(pair, prereg, conditions)
    images: dict[str, bytes] = {}
    if plots:
        # matplotlib takes half a second to import
        from domain_tokens.analysis.report.figures.drawn import draw
        from domain_tokens.analysis.report.plots import render

        images = render(draw(pair, results))
    markdown, html = to_markdown(results), pages.to_html(results, images)
    pages.write_files(output_dir, results, markdown, html, images)
    return results


def write_overview(
    found: dict[str, Results], conditions: list[Condition], output_dir: Path, plots: bool = True
) -> Overview:
    """Write `overview.json`, `overview.md`, `report.html` and `plots/` of all conditions against the reference.

    Args:
        found (`dict[str, Results]`): the results of each pair by the name of its folder under `output_dir`.
        conditions (`list[Condition]`): the reference and then the others.
        output_dir (`Path`): the experiment's folder.
        plots (`bool`, *optional*, defaults to `True`): whether to draw plots.
    """
    overview = assemble_overview(found, conditions)
    images: dict[str, bytes] = {}
    if plots:
        from domain_tokens.analysis.report.figures.drawn import draw_overview
        from domain_tokens.analysis.report.plots import render

        images = render(draw_overview(overview, list(found.values())))
    markdown, html = (
        overview_to_markdown(overview, list(found.values())),
        pages.overview_to_html(overview, list(found.values()), images),
    )
    pages.write_files(output_dir, overview, markdown, html, images)
    return overview


def assemble(pair: Pair, prereg: Path | None = None, conditions: Sequence[Condition] = ()) -> Results:
    """Return what `results.json` holds. Tests may need `conditions`, all of the report; others are as in `compare`."""
    ledger, declared = match(pair), read_preregistration(pair, prereg)
    family = declared_family(conditions or pair.sides, declared)
    rows = result_rows(pair, declared, family)
    use, primary, num_seeds = token_use(pair), primary_row(rows), len(pair.seeds)
    evidence = _evidence(pair, declared, family, primary, conditions or pair.sides)
    return Results(
        schema_version=SCHEMA_VERSION,
        experiment=pair.reference.folder.resolve().parent.name,
        label="pilot, one seed" if num_seeds == 1 else f"{num_seeds} seeds",
        seeds=tuple(pair.seeds),
        reference=pair.reference.name,
        about={side.name: side.about for side in pair.sides if side.about is not None},
        other=pair.other.name,
        primary_endpoint=primary.endpoint,
        preregistration=declared.summary(),
        verdict=verdict(primary, evidence),
        assay=evidence.assay,
        plateaus=evidence.plateaus,
        forced=forced_stages(pair),
        success_criteria=success_criteria(rows, use, pair.other.name),
        rows=rows,
        sensitivity=sensitivity(pair, primary),
        facts_needed=facts_needed_rows(pair),
        equations=equation_rows(pair),
        error_types=error_rows(pair),
        exchanged_answers=exchanged_rows(pair),
        ablations=ablation_rows(pair),
        encodings=encoding_rows(pair),
        spellings=spelling_rows(pair),
        samples=sample_rows(pair),
        bits_per_byte=bits_rows(pair),
        losses=loss_rows(pair),
        curves=curve_rows(pair),
        text_and_compute=text_and_compute(pair),
        token_use=use,
        by_stage=by_stage(pair, rows, use, published_results()),
        transplant=transplant(conditions, rows),
        answers=paired_answers(pair, primary.model, primary.task, primary.group),
        ledger=ledger,
        estimands=estimands(pair),
        not_tokenizer_only=outside_tokenizer(pair),
        injection=injection(pair),
        provenance=provenance(pair),
        published=published_results(),
        reproduce=reproduce(pair),
    )


def _evidence(
    pair: Pair,
    declared: Preregistration,
    family: Family,
    primary: ResultRow,
    conditions: Sequence[Condition],
) -> Evidence:
    """Return what the verdict takes into account beside the primary endpoint's row."""
    assay = check_assay(pair, primary, declared, family, conditions)
    return Evidence(pair, declared, family, assay, plateau_rows(pair, primary.model, declared, conditions))


def _with_experiment(condition: Condition) -> Condition:
    """Return a condition whose name has that of its experiment, since two experiments may have one of this name."""
    return replace(condition, name=f"{condition.folder.resolve().parent.name}/{condition.name}")


def _check_distinct(others: list[Condition]) -> None:
    """Check that no condition and no folder's name occurs twice: one report would overwrite the other."""
    for index, other in enumerate(others):
        for before in others[:index]:
            if other.name == before.name:
                raise RecipeError(f"{before.folder} and {other.folder}: both hold the condition {other.name!r}")
            if other.folder.name == before.folder.name:
                raise RecipeError(
                    f"{before.folder} and {other.folder}: their reports would be written to one folder; rename one"
                )
