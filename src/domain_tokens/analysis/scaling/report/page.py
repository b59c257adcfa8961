"""A scaling analysis as a short page: the verdict, the fits, what held-out sizes showed, and other choices."""

from collections.abc import Sequence
from typing import Final

from domain_tokens.analysis.report.formats import DASH, p_value
from domain_tokens.analysis.report.tables.table import Table, escape_markdown, to_markdown
from domain_tokens.analysis.scaling.records import Analysis, Estimate, Fit, Multiplier, PairFit

_MOST_LINES: Final = 10
_INTERVALS: Final = (
    "Intervals are at 95%, by profile, with the run as the unit. A bracket without an end is not bounded by the data."
)


def to_page(analysis: Analysis, images: Sequence[str]) -> str:
    """Return the page as Markdown.

    Args:
        analysis (`Analysis`): what `fits.json` holds.
        images (`Sequence[str]`): paths of the figures from the page.
    """
    source = analysis.source
    parts = ["# Scaling fits", escape_markdown(read_words(analysis))]
    parts.append("\n".join(f"- {escape_markdown(note)}" for note in analysis.notes))
    for pair in analysis.pairs:
        parts.append(f"**{escape_markdown(pair.sentence)}**")
        parts.append("\n".join(f"- {escape_markdown(note)}" for note in pair.notes))
    parts.append(to_markdown(fit_table(analysis.fits)))
    parts += [to_markdown(table) for table in (prediction_table(analysis),) if table.rows]
    for pair in analysis.pairs:
        parts += [to_markdown(multiplier_table(pair)), to_markdown(level_table(pair))]
    parts.append(to_markdown(variant_table(analysis.fits)))
    if analysis.refused:
        refused = "\n".join(f"- {escape_markdown(reason)}" for reason in analysis.refused)
        parts.append(f"## Not fitted\n\n{refused}")
    parts += [f"![{escape_markdown(_alternative(image))}]({image})" for image in images]
    parts.append(f"Table: `{source.path}`, sha256 `{source.sha256}`. All numbers: `fits.json`.")
    return "\n\n".join(filter(None, parts)) + "\n"


def read_words(analysis: Analysis) -> str:
    """Return which rows and columns of the table were read."""
    source = analysis.source
    columns = ", ".join(f"{role} from {name}" for role, name in source.columns.items() if name != role)
    text = f"{source.num_fitted} runs fitted, {source.num_held_out} held out"
    if source.num_unfinished:
        text += f", rows left out because their model is unfinished: {source.num_unfinished}"
    if source.num_repeated:
        text += f", rows left out because they repeat another: {source.num_repeated}"
    text += f". Columns: {columns}." if columns else "."
    text += f" {' and '.join(source.computed)} from the others by C = 6 N D." if source.computed else ""
    return text


def estimate_words(estimate: Estimate) -> str:
    """Format a number with its interval: `0.348 [0.31, 0.38]`."""
    if estimate.low is None and estimate.high is None:
        return f"{estimate.value:.4g}"
    ends = ["" if end is None else f"{end:.4g}" for end in (estimate.low, estimate.high)]
    return f"{estimate.value:.4g} [{ends[0]}, {ends[1]}]"


def fit_table(fits: Sequence[Fit]) -> Table:
    """Return the estimates of each condition and form."""
    rows = []
    for fit in fits:
        found = {one.name: estimate_words(one.estimate) for one in fit.parameters}
        sd = DASH if fit.residual_sd is None else f"{100 * fit.residual_sd:.2f}%"
        cells = [found.get(name, DASH) for name in ("E", "A", "alpha", "B", "beta")]
        rows.append(
            [
                fit.condition,
                fit.formula,
                *cells,
                str(fit.num_runs),
                sd,
                f"{fit.r_squared:.4f}",
                p_value(fit.lack_of_fit_p),
            ]
        )
    remarks = dict.fromkeys(
        f"{fit.condition}, {fit.formula}: {fit.floor}" + (f"; {fit.advice}" if fit.advice else "")
        for fit in fits
        if fit.floor != "identified"
    )
    note = f"{_INTERVALS} Noise: robust standard deviation of log L."
    note += "".join(f" {remark}." for remark in remarks)
    note += "".join(
        f" {fit.condition}: {one.words}: {estimate_words(one.estimate)}." for fit in fits for one in fit.derived
    )
    note += "".join(f" {_far(fit)}" for fit in fits if fit.outliers)
    header = ["condition", "form", "E", "A", "alpha", "B", "beta", "runs", "noise", "R²", "p, lack of fit"]
    return Table("The fits", header, rows, note)


def _far(fit: Fit) -> str:
    lines = ", ".join(str(one.line) for one in fit.outliers[:_MOST_LINES])
    more = " and more" if len(fit.outliers) > _MOST_LINES else ""
    return (
        f"{fit.condition}, {fit.formula}: {len(fit.outliers)} of {fit.num_points} points lie beyond four robust "
        f"standard deviations (lines {lines}{more})."
    )


def prediction_table(analysis: Analysis) -> Table:
    """Return the held-out sizes: predicted and measured."""
    rows = []
    for one in analysis.predictions:
        size = ", ".join(f"{axis} = {value:.3g}" for axis, value in one.axes.items())
        inside = DASH if one.inside is None else "yes" if one.inside else "no"
        measured = f"{one.measured:.4g}"
        rows.append([one.condition, size, estimate_words(one.predicted), measured, f"{one.error:+.2%}", inside])
    note = "Predicted from the other sizes alone; the interval is of the mean of as many new runs as were measured."
    header = ["condition", "size", "predicted", "measured", "error", "inside"]
    return Table("Held-out sizes", header, rows, note)


def multiplier_table(pair: PairFit) -> Table:
    """Return the multiplier by every choice of loss, loss function and points."""
    rows = [_multiplier_row(one) for one in (pair.multiplier, *pair.variants)]
    note = (
        f"{pair.reference} needs this many times the {pair.scale} of {pair.other} for the same loss. p: of a "
        "multiplier of 1. The verdict rests on the first row; the others show what it depends on."
    )
    title = f"The multiplier: {pair.other} against {pair.reference}, {pair.formula}"
    return Table(title, ["by", "loss", "multiplier", "p"], rows, note)


def _multiplier_row(one: Multiplier) -> list[str]:
    return [one.words, one.loss, estimate_words(one.estimate), p_value(one.p_value)]


def level_table(pair: PairFit) -> Table:
    """Return what two conditions share at each level, and the tests between them."""
    rows = [
        [
            one.name,
            one.words,
            ", ".join(f"{name} {value:.4g}" for name, value in one.parameters.items()),
            p_value(one.p_value),
        ]
        for one in pair.levels
    ]
    note = (
        "p: of the sharing, within the fit in which nothing is shared. Logs of amplitudes are at the geometric "
        "mean of the sizes."
    )
    return Table(f"What {pair.other} and {pair.reference} share", ["level", "shared", "estimates", "p"], rows, note, 3)


def variant_table(fits: Sequence[Fit]) -> Table:
    """Return the estimates by other loss functions, and without outliers."""
    rows = []
    for fit in fits:
        for variant in fit.variants:
            cells = [
                f"{variant.values[name]:.4g}" if name in variant.values else DASH
                for name in ("E", "A", "alpha", "B", "beta")
            ]
            rows.append([fit.condition, f"{fit.formula}; {variant.words}", *cells])
    note = "What the estimates depend on besides the data."
    return Table("By other loss functions", ["condition", "fit", "E", "A", "alpha", "B", "beta"], rows, note)


def _alternative(image: str) -> str:
    name = image.rpartition("/")[2].partition(".")[0]
    kind, _, which = name.partition("_")
    return {
        "fits": f"Losses of all runs with the fitted curves, {which}",
        "residuals": f"Residuals of the fits, {which}",
        "equal": "Fitted loss over parameters at equal compute",
        "multiplier": f"The multiplier by scale, {which}",
    }.get(kind, name)
