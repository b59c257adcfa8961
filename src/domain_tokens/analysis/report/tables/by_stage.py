"""The tables by stage: what every stage of training changed, and whether answers end after it."""

from domain_tokens.analysis.report.formats import DASH, Scale, percent
from domain_tokens.analysis.report.tables.table import Table, condition_names, printable_rows
from domain_tokens.analysis.report.words.names import metric_of
from domain_tokens.analysis.results_model import Accuracy, Means, PublishedRow, Results, StageRow


def stage_table(results: Results) -> Table:
    """Return accuracy and use of facts after every evaluated stage, with the numbers of an earlier run beside them."""
    rows = [
        [
            metric_of(row.task, row.metric, row.source) + (", lower is better" if row.lower_is_better else ""),
            row.stage,
            str(row.num_items),
            *(_with_interval(side, row) for side in (row.reference, row.other)),
            f"{Scale(row.unit).difference(row.delta)} ({Scale(row.unit).interval(row.interval)})",
            _facts(row.facts_per_response),
            _published(row.published),
        ]
        for row in results.by_stage.rows
    ]
    earlier = results.published
    note = (
        "All items of each task, by its main metric, with 95% intervals; the declared tests are above, and these rows "
        "are exploratory. Facts per answer: means over all answers. A stage that was not evaluated has no row; "
        "`evaluation.models: [all]` evaluates every stage. "
        f"Earlier study: {earlier.source}, {' / '.join(earlier.conditions)}, after such a stage and on the same "
        f"benchmark; nothing stands beside generated data. {earlier.caveat} {' '.join(earlier.notes)}"
    )
    header = ["task", "after", "N", *condition_names(results), "difference", "facts per answer", "earlier study"]
    return Table("What did each stage change?", header, printable_rows(rows), note, labels=2, grouped=1)


def ends_table(results: Results) -> Table:
    """Return the shares of answers that end, before and after each stage."""
    rows = [
        [
            row.stage,
            str(row.num_prompts),
            *(
                f"{percent(before)} \N{RIGHTWARDS ARROW} {percent(after)}"
                for before, after in zip(row.before.sides, row.after.sides, strict=True)
            ),
            ", ".join(row.falls) or "no",
        ]
        for row in results.by_stage.answer_ends
    ]
    longest = max((row.max_new_tokens for row in results.by_stage.answer_ends), default=0)
    note = (
        "Greedy answers to the stage's own training prompts, the same in every condition, by the model from which the "
        f"stage started and by its own: the share that end within {longest} tokens. Prompts differ from stage to "
        "stage. Falls: where fewer answers end after the stage than before it."
    )
    header = ["stage", "prompts", *condition_names(results), "falls"]
    return Table("Do answers end after each stage?", header, printable_rows(rows), note, labels=1)


def _with_interval(side: Accuracy, row: StageRow) -> str:
    scale = Scale(row.unit)
    low, high = map(scale.value, side.interval)
    return f"{scale.value(side.accuracy)} ({low.removesuffix('%')} to {high})"


def _facts(found: Means | None) -> str:
    if found is None or found.known is None:
        return DASH
    return " / ".join(f"{value:.2f}" for value in found.known)


def _published(found: PublishedRow | None) -> str:
    return DASH if found is None else f"{' / '.join(map(percent, found.values))} ({found.stage})"
