"""Reads a table of runs, fits it, and writes `fits.json`, `fits.yaml`, `fits.md` and the figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from domain_tokens.analysis.report.formats import p_words
from domain_tokens.analysis.report.plots import render
from domain_tokens.analysis.scaling.comparison import compare
from domain_tokens.analysis.scaling.designs import IDENTIFIED, comparable, falls, forms_of
from domain_tokens.analysis.scaling.forms import Axis
from domain_tokens.analysis.scaling.points import Point, Points, read_points
from domain_tokens.analysis.scaling.records import Analysis, Fit, PairFit, Prediction, Source
from domain_tokens.analysis.scaling.report.figures import draw
from domain_tokens.analysis.scaling.report.page import to_page
from domain_tokens.analysis.scaling.single import describe, fit_condition, predict
from domain_tokens.analysis.statistics.paired import ALPHA
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.errors import suggest
from domain_tokens.runs.files import make_folder, write_json, write_text
from domain_tokens.runs.layout import FITS, FITS_PAGE, FITS_YAML, PLOTS

FORMS: Final[dict[str, tuple[Axis, ...]]] = {"N": ("N",), "D": ("D",), "C": ("C",), "T": ("T",), "joint": ("N", "D")}
"""The forms by the names that the command line has for them."""
_FIGURES: Final = ("fits_", "residuals_", "multiplier_", "equal_compute")
_HEADLINE_ORDER: Final[tuple[tuple[Axis, ...], ...]] = (("N", "D"), ("C",), ("N",), ("D",), ("T",))


@dataclass(frozen=True)
class Options:
    """How a table is fitted.

    Attributes:
        columns: columns by role, where their names do not tell (`columns.SPELLINGS` has the roles).
        forms: names of `FORMS`; empty for all that the table allows.
        huber_delta: the residual of log L at which the loss turns linear; by default it follows from the residuals.
        reference: the condition that others are compared with; by default the table's first.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    forms: tuple[str, ...] = ()
    huber_delta: float | None = None
    reference: str | None = None


def analyze(table: Path, output: Path, options: Options | None = None) -> list[Path]:
    """Fit a table of runs and write what was found.

    Args:
        table (`Path`): a CSV file; `points.read_points` says what it holds.
        output (`Path`): the folder for `fits.json`, `fits.yaml`, `fits.md` and `plots/`.
        options (`Options`, *optional*): how.

    Returns:
        The files.

    Raises:
        RecipeError: if the table cannot be read, allows none of the forms, or the folder holds another table's fits.
    """
    chosen = options or Options()
    _refuse_fits_of_another(output / FITS, table)
    points = read_points(table, chosen.columns)
    found = fit_table(points, chosen)
    images, failed = _images(found, points)
    found = found.model_copy(update={"notes": (*found.notes, *failed)})
    make_folder(output / PLOTS)
    for old in (output / PLOTS).glob("*"):  # of a form that this table does not allow, perhaps
        if old.name.startswith(_FIGURES):
            old.unlink()
    values = found.model_dump(mode="json")
    write_json(output / FITS, values)
    write_text(output / FITS_YAML, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
    for name, image in images.items():
        (output / PLOTS / name).write_bytes(image)
    write_text(output / FITS_PAGE, to_page(found, [f"{PLOTS}/{name}" for name in images if name.endswith(".png")]))
    return [output / FITS, output / FITS_YAML, output / FITS_PAGE, *(output / PLOTS / name for name in images)]


def _refuse_fits_of_another(fits: Path, table: Path) -> None:
    """Check that a folder holds no fits of a table of another name; those of the table as it was are replaced."""
    if not fits.is_file():
        return
    try:
        before = Path(Analysis.model_validate_json(fits.read_bytes()).source.path)
    except ValueError:  # of another version
        return
    if before.name != table.name:
        raise RecipeError(f"{fits.parent}: holds the fits of {before}; name another folder with --output")


def _images(found: Analysis, points: Points) -> tuple[dict[str, bytes], list[str]]:
    """Return the figures, or why there are none: the numbers are written in any case."""
    try:
        return render(draw(found, points)), []
    except Exception as error:  # whatever a table holds, its fits are kept
        return {}, [f"no figures: {_failure(error)}"]


def _failure(error: Exception) -> str:
    return f"could not be computed ({type(error).__name__}: {error})"


def fit_table(points: Points, options: Options) -> Analysis:
    """Return all fits of a table."""
    conditions = _ordered(points, options.reference)
    fits: list[Fit] = []
    predictions: list[Prediction] = []
    pairs: list[PairFit] = []
    refused: list[str] = []
    notes = list(points.notes)
    allowed: dict[str, list[tuple[Axis, ...]]] = {}
    for condition in conditions:
        allowed[condition], reasons = _forms(points, condition, options.forms)
        refused += [f"{condition}, {reason}" for reason in reasons]
        for axes in tuple(allowed[condition]):
            try:
                fit, predicted, note = _fit(points, condition, axes, options.huber_delta)
            except Exception as error:  # what one form cannot do must not take the others with it
                refused.append(f"{condition}, L({', '.join(axes)}): {_failure(error)}")
                allowed[condition].remove(axes)
                continue
            fits.append(fit)
            predictions += predicted
            notes += [f"{condition}, {note}"] if note else []
    if not fits:
        raise RecipeError(f"{points.path}: allows none of the forms: {'; '.join([*refused, *notes])}")
    reference = conditions[0]
    for other in conditions[1:]:
        for axes in allowed[reference]:
            if axes in allowed[other]:
                try:
                    compared, ratios = compare(points, reference, other, axes, options.huber_delta)
                except Exception as error:
                    refused.append(f"{other} against {reference}, L({', '.join(axes)}): {_failure(error)}")
                    continue
                pairs.append(_with_misfit(compared.record, fits))
                predictions += ratios
    pairs.sort(key=lambda pair: pair.floor != IDENTIFIED)  # stable: the forms' order among equals
    return Analysis(
        source=_source(points),
        conditions=tuple(conditions),
        refused=tuple(refused),
        notes=tuple(notes),
        fits=tuple(fits),
        predictions=tuple(predictions),
        pairs=tuple(pairs),
    )


def _fit(
    points: Points, condition: str, axes: tuple[Axis, ...], delta: float | None
) -> tuple[Fit, list[Prediction], str | None]:
    """Return a form's fit to a condition, its predictions, and why some held-out runs are not predicted."""
    members = points.of(condition)
    single = fit_condition(members, points.losses[0], axes, delta)
    held_out, note = comparable(members, points.of(condition, True), axes)
    return describe(single, delta), predict(single, held_out), note


def _with_misfit(pair: PairFit, fits: Sequence[Fit]) -> PairFit:
    """Return the record of a pair with a note for each condition whose sizes depart from the form."""
    notes = [
        f"The form does not describe the sizes of {fit.condition} ({p_words(fit.lack_of_fit_p)}, lack of fit): read "
        "what it says beyond them, and the multiplier, with care."
        for fit in fits
        if fit.axes == pair.axes and fit.condition in (pair.reference, pair.other) and (fit.lack_of_fit_p or 1) < ALPHA
    ]
    return pair.model_copy(update={"notes": (*pair.notes, *notes)})


def _ordered(points: Points, reference: str | None) -> list[str]:
    """Return the conditions, the reference first."""
    names = [name for name in points.conditions if points.of(name)]
    if reference is None:
        return names
    if reference not in names:
        hint = suggest(reference, names)
        raise RecipeError(
            f"--reference: {points.path} has no condition {reference!r}{hint}; it has {', '.join(names)}"
        )
    return [reference, *(name for name in names if name != reference)]


def _forms(points: Points, condition: str, wanted: Sequence[str]) -> tuple[list[tuple[Axis, ...]], list[str]]:
    """Return the axes of the forms of a condition, the headline's first, and why others are not fitted."""
    members = points.of(condition)
    allowed, reasons = forms_of(members)
    kept = []
    for axes in allowed:
        if (reason := _why_not(points, members, axes, allowed)) is None:
            kept.append(axes)
        else:
            reasons.append(f"L({', '.join(axes)}): {reason}")
    asked = [FORMS[name] for name in wanted] or list(_HEADLINE_ORDER)
    missing = [axes for axes in asked if axes not in kept]
    if wanted and missing:
        because = "; ".join(reasons)
        raise RecipeError(
            f"--form: {points.path} does not allow L({', '.join(missing[0])}) for {condition}: {because}"
        )
    return [axes for axes in _HEADLINE_ORDER if axes in kept and axes in asked], reasons


def _why_not(
    points: Points, members: Sequence[Point], axes: tuple[Axis, ...], allowed: Sequence[tuple[Axis, ...]]
) -> str | None:
    """Return why a form that the sizes allow is not fitted; `None` if it is."""
    if len(members) < 2 * len(axes) + 1:
        return f"{len(members)} runs, expected at least {2 * len(axes) + 1}; add sizes"
    if axes == ("C",) and "C" in points.computed and len(allowed) == 2:
        return f"compute is 6 N D and follows {allowed[0][0]} alone, so it is the same curve"
    if not falls(members, axes, points.losses[0]):
        return f"the loss does not fall with {' and '.join(axes)} by more than the runs vary; add sizes or seeds"
    return None


def _source(points: Points) -> Source:
    held_out = sum(point.held_out for point in points.points)
    return Source(
        path=str(points.path),
        sha256=points.sha256,
        columns=dict(points.columns),
        computed=points.computed,
        num_fitted=len(points.points) - held_out,
        num_held_out=held_out,
        num_unfinished=points.unfinished,
        num_repeated=points.repeated,
    )
