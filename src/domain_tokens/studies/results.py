"""What a study writes beside its table: plots, and fits of the loss."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from domain_tokens.analysis.report.plots import render
from domain_tokens.analysis.scaling.analyze import Options, analyze
from domain_tokens.analysis.scaling.records import Analysis
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import make_folder, read_json
from domain_tokens.runs.layout import FITS, PLOTS
from domain_tokens.studies.declaration import Study
from domain_tokens.studies.declared import DECLARATIONS, STUDY, describe_held_out
from domain_tokens.studies.figures import draw_study
from domain_tokens.studies.points import Point
from domain_tokens.studies.table import ROWS, TABLE, Row, check_one_text

_FORMS = {"parameters": "N", "tokens": "D", "flops": "C", "context": "T", "joint": "joint"}
FITS_FOLDER = "fits"


@dataclass(frozen=True)
class Fitted:
    """What came of the fits.

    Attributes:
        files: what was written.
        lines: what was found, or why nothing was fitted.
    """

    files: list[Path] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def plot_study(study: Study, rows: Sequence[Row], keys: Sequence[str]) -> list[Path]:
    """Draw the losses of a study and return the files.

    Args:
        study (`Study`): the study.
        rows (`Sequence[Row]`): the rows of its table.
        keys (`Sequence[str]`): the varied keys; the first is drawn over if the study names none.
    """
    folder = study.folder / PLOTS
    make_folder(folder)
    files = []
    for name, image in render(draw_study(rows, study.axis or keys[0])).items():
        files.append(folder / name)
        files[-1].write_bytes(image)
    return files


def copy_results(study: Study, files: Sequence[Path], folder: Path) -> None:
    """Copy what was written into a folder that may be kept with a text about it; what is there twice is left out.

    Args:
        study (`Study`): the study.
        files (`Sequence[Path]`): what was written.
        folder (`Path`): where to.
    """
    for file in [study.folder / STUDY, study.folder / DECLARATIONS, *files]:
        target = folder / file.relative_to(study.folder)
        if file.name != ROWS and file.suffix != ".svg" and file.is_file():
            make_folder(target.parent)
            shutil.copyfile(file, target)


def fit_study(study: Study, points: Sequence[Point], rows: Sequence[Row]) -> Fitted:
    """Fit the table of a study; a table that allows no fit is no error, because points may be missing.

    Args:
        study (`Study`): the study, whose table is written.
        points (`Sequence[Point]`): its points.
        rows (`Sequence[Row]`): its rows.
    """
    try:
        check_one_text(rows)
        options = Options(forms=tuple(_FORMS[name] for name in study.fits), reference=rows[0]["condition"])
        files = analyze(study.folder / TABLE, study.folder / FITS_FOLDER, options)
    except RecipeError as error:
        return Fitted(lines=[f"no fits: {error}"])
    found = Analysis.model_validate(read_json(study.folder / FITS_FOLDER / FITS))
    lines = [
        f"{one.condition}, {one.point}, held out, by {', '.join(one.axes)}: predicted {one.predicted.value:.4f}, "
        f"measured {one.measured:.4f} ({one.error:+.2%})"
        for one in found.predictions
    ]
    said = describe_held_out(study, points)
    refused = () if found.fits else found.refused  # of forms that the study asks for, analyze itself refuses
    sentences = [pair.sentence for pair in found.pairs]
    return Fitted(files, [*found.notes, *refused, *lines, *([said] if said else []), *sentences])
