"""The tables that say what a comparison could have shown: the assay's sensitivity, and the ends of its curves."""

from domain_tokens.analysis.report.formats import DASH, Scale, p_value, printable
from domain_tokens.analysis.report.tables.table import Table
from domain_tokens.analysis.report.words.names import curve_name, names_in
from domain_tokens.analysis.results_model import AssayCheck, Plateau, Results
from domain_tokens.analysis.statistics.smallest_effect import effect_words


def assay_table(results: Results) -> Table:
    """Return whether the assay could have shown the smallest effect."""
    assay = results.assay
    rows = []
    if assay is not None:
        control, scale = assay.positive_control, Scale(assay.unit)
        power = DASH if assay.power is None else f"{assay.power:.0%}"
        if assay.power_range is not None:
            power += " ({:.0%} to {:.0%})".format(*assay.power_range)
        rows = [
            ["smallest effect", _effect(assay, scale)],
            [f"{'accuracy' if assay.unit is None else 'value'} of the reference", scale.value(assay.base_rate)],
            ["level of the deciding test", f"{assay.alpha:.2g}"],
            ["power of the deciding test for the smallest effect", power],
            ["declared power", f"{assay.wanted_power:.0%}"],
        ]
        if control is None:
            rows.append(["positive control", "none was declared, or its conditions were not planned"])
        else:
            shown = (
                f"{scale.difference(control.delta)} {scale.word}, {scale.interval(control.interval)}, "
                f"p {p_value(control.p_value)}"
            )
            moved = {True: f"moves: {shown}", False: f"does not move: {shown}", None: "was not run"}[control.moved]
            rows.append([f"positive control: {control.contrast}", moved])
        rows.append(
            ["sensitive", "no: " + "; ".join(assay.failures) if assay.failures else "yes, as far as was tested"]
        )
    note = (
        "A comparison that finds nothing says something only if it could have found something. A control that moves "
        "shows that scoring sees a change as large as the control's; the power is about the smallest effect. The "
        f"range of the power is that of the variance between seeds (80%). {assay.advice if assay is not None else ''}"
    )
    return Table(
        "Could this experiment have found the effect?",
        ["what", "found"],
        [[printable(cell) for cell in row] for row in rows],
        note,
    )


def _effect(assay: AssayCheck, scale: Scale) -> str:
    shown = f"{scale.size(assay.smallest_effect)} {scale.word}"
    return shown if assay.scale == "points" else f"{effect_words(assay.scale, assay.value)}, {shown}"


def _over_the_stage(row: Plateau) -> str:
    if row.rise is None:
        return DASH
    low_to_high = "" if row.rise_interval is None else " ({:+.3f} to {:+.3f})".format(*row.rise_interval)
    return f"{row.rise:+.3f}{low_to_high}"


def plateau_table(results: Results) -> Table:
    """Return the ends of the training curves."""
    words = {True: "still climbs", False: "no climb found", None: "cannot tell"}
    names = names_in(results.rows)
    rows = [
        [
            row.stage,
            row.condition,
            curve_name(row.metric, names),
            f"{row.gain:+.4g}" if abs(row.gain) > 1e-12 else "0",
            DASH if row.share is None else f"{row.share:.1%}",
            DASH if row.matters is None else f"{row.matters:.4g}",
            p_value(row.p_value if row.p_holm is None else row.p_holm),
            words[row.climbs],
            _over_the_stage(row),
        ]
        for row in results.plateaus
    ]
    note = (
        "The improvement over the last quarter of each curve, a mean over seeds; positive is better. What matters is "
        "5% of the improvement after the first tenth, or a quarter of the smallest effect (of a loss: of 1%) if more. "
        "A curve still climbs if its gain is more than that and significant (one-sided p below 5%, by Holm's "
        "method over all curves of the report). It does not if the 95% upper limit of its gain is less. Otherwise it "
        "has too few points, or too much noise, to tell. A learning rate that ends at 0 flattens every curve: only a "
        "longer run shows that more training adds nothing. Over the stage: by how much a straight line "
        "through a reward rises from the first step to the last, with its 95% interval."
    )
    header = ["stage", "condition", "metric", "gain", "share", "matters", "p", "end of the stage", "over the stage"]
    return Table(
        "Does more training still help?",
        header,
        [[printable(cell) for cell in row] for row in rows],
        note,
        labels=3,
        grouped=1,
    )
