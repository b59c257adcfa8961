"""The tables of several conditions: each against the reference, and the contrasts between them."""

from domain_tokens.analysis.report.formats import Scale, p_value
from domain_tokens.analysis.report.tables.table import DIFFERENCE, Table, printable_rows, together_mark
from domain_tokens.analysis.report.words.names import metric_of, outcome_name
from domain_tokens.analysis.results_model import INSENSITIVE, PRIMARY, EndpointContrast, Overview, OverviewRow

_CONTRAST = (*DIFFERENCE, "p (family)", "p (Holm)", "detectable")
_NOT_SENSITIVE = (
    " Not sensitive: the deciding test would too seldom have found the declared smallest effect, or the positive "
    "control does not move. A control that does move shows that scoring sees a change as large as the control's, and "
    "nothing about smaller ones; the width of an interval says which effects may have been missed."
)


def overview_table(overview: Overview) -> Table:
    """Return the declared endpoints of every condition against the reference."""
    rows = [
        [
            row.condition,
            f"{metric_of(row.task, row.metric, row.source)} of {row.model}"
            + ", lower is better" * row.lower_is_better
            + " (primary)" * (row.role == PRIMARY)
            + together_mark(row),
            row.group,
            *_contrast(row),
            _verdict(row) if row.role == PRIMARY else "",
        ]
        for row in overview.rows
    ]
    header = ["condition", "endpoint", "items", overview.reference, "condition", *_CONTRAST, "verdict"]
    note = (
        f"{overview.label.capitalize()}. The primary endpoint is {_primary_words(overview)}. Every condition against "
        f"{overview.reference}, in percentage points, or in the unit of the values where these are no percentages. "
        "p (family) is corrected over the family of tests, and the verdicts rest on it; a dash: not in the family. "
        "p (Holm), exploratory: corrected for the number of conditions alone."
    )
    if any(row.outcome == INSENSITIVE for row in overview.rows):
        note += _NOT_SENSITIVE
    return Table(
        "What do the declared endpoints of all conditions show?",
        header,
        printable_rows(rows),
        note,
        labels=3,
        grouped=1,
        telling=("difference", "95% interval"),
    )


def _verdict(row: OverviewRow) -> str:
    if row.control_moved is None:
        return outcome_name(row.outcome)
    return "control, moves" if row.control_moved else "control, does not move"


def factor_table(overview: Overview) -> Table:
    """Return the declared contrasts between conditions."""
    rows = [
        [
            row.factor,
            f"{row.with_factor} minus {row.without}" + together_mark(row) + ", exploratory" * row.exploratory,
            *_contrast(row),
        ]
        for row in overview.factors
    ]
    header = ["factor", "contrast", "without", "with", *_CONTRAST]
    note = (
        f"The primary endpoint, {_primary_words(overview)}, in "
        "percentage points, for the contrasts declared in advance. p (family) is corrected over the declared family "
        "of tests. p (Holm), exploratory: corrected for the number of factors alone."
    )
    return Table("Which factors do the controls separate?", header, printable_rows(rows), note)


def _primary_words(overview: Overview) -> str:
    endpoint = overview.primary_endpoint
    source = next((row.source for row in overview.rows if row.role == PRIMARY), None)
    return f"{metric_of(endpoint.task, endpoint.metric, source, first=True)} of {endpoint.model}, {endpoint.group}"


def _contrast(row: EndpointContrast) -> list[str]:
    scale = Scale(row.unit)
    return [
        scale.value(row.reference.accuracy),
        scale.value(row.other.accuracy),
        scale.difference(row.delta),
        scale.interval(row.interval),
        p_value(row.p_value),
        p_value(row.p_family),
        p_value(row.p_holm),
        scale.size(row.smallest_detectable),
    ]
