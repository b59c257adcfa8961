"""A specification curve in words: the sentence that counts, and the table."""

from domain_tokens.analysis.report.formats import Scale, p_value
from domain_tokens.analysis.report.tables.table import Table, escape_markdown, to_markdown
from domain_tokens.analysis.report.words.names import metric_of, outcome_name
from domain_tokens.analysis.specification.budget_curves import budget_table
from domain_tokens.analysis.specification.curve import SpecificationCurve
from domain_tokens.analysis.specification.use_by_rows import use_table


def sentence(curve: SpecificationCurve) -> str:
    """Return the counts in one sentence, with what was not run."""
    agreement, main = curve.agreement, curve.main
    scale = Scale(main.row.unit)
    what = ("other size" if curve.rows_axis else "variation") + "s" * (agreement.num_variations != 1)
    agrees = "agrees" if agreement.same_sign == 1 else "agree"
    text = (
        f"Of {agreement.num_variations} {what}, {agreement.same_sign} {agrees} with the headline "
        f"({scale.difference(main.row.delta)} {scale.word}, {outcome_name(main.outcome)}) in sign and "
        f"{agreement.same_outcome} in verdict."
    )
    if curve.rows_axis:
        text += " Each size is a question of its own, so this is no test of the headline's robustness."
    return f"{text} Not run: {', '.join(curve.not_run)}." if curve.not_run else text


def curve_table(curve: SpecificationCurve) -> Table:
    """Return the variations from the lowest difference to the highest, the headline marked."""
    rows = []
    for one in curve.specifications:
        row, is_main = one.row, one.name == curve.headline
        scale = Scale(row.unit)
        rows.append(
            [
                f"{one.name} (headline)" if is_main else one.name,
                one.words,
                scale.value(row.reference.accuracy),
                scale.value(row.other.accuracy),
                scale.difference(row.delta),
                scale.interval(row.interval),
                p_value(row.p_value),
                outcome_name(one.outcome),
            ]
        )
    row = curve.main.row
    what = metric_of(row.task, row.metric, row.source, first=True)
    group = "" if row.group == "all" else f", {row.group}"
    note = (
        f"{what} of {row.model}{group}; seeds {', '.join(map(str, curve.seeds))}; intervals over "
        "seeds and items. Each verdict is by the headline's rule, as if it were the only comparison: the headline "
        "alone was declared, and nothing is corrected for the number of variations. Variations share seeds, "
        "questions and often the pretrained model, so they do not count as independent repetitions."
    )
    header = ["variation", "what differs", "reference", "other", "difference", "95% interval", "p", "verdict"]
    return Table("Specification curve", header, rows, note)


def curve_to_markdown(curve: SpecificationCurve, image: str, budgets_image: str, use_image: str) -> str:
    """Return the sentence, the figures and the tables, as the block of a page.

    Args:
        curve (`SpecificationCurve`): what `robustness.json` holds.
        image, budgets_image, use_image (`str`): the figures' paths from the page. The second is not read without a
            budget curve, the third without a number of rows that varies.
    """
    write = escape_markdown
    parts = [f"**{write(sentence(curve))}**", f"The headline: {write(curve.verdict)}"]
    parts += [f"![Specification curve: {write(sentence(curve))}]({image})"]
    parts.append(_as_block(curve_table(curve)))
    if (budgets := budget_table(curve)) is not None:
        what = "accuracy of each condition at multiples of one setting, means and the band of the seeds"
        parts += [f"![Budget curves: {what}]({budgets_image})", _as_block(budgets)]
    if (use := use_table(curve)) is not None:
        what = "accuracy with 95% intervals and facts per answer, by number of rows of fine-tuning"
        parts += [f"![Use against scale: {what}]({use_image})", _as_block(use)]
    return "\n\n".join(parts)


def _as_block(table: Table) -> str:
    return to_markdown(table).replace("## ", "#### ", 1)
