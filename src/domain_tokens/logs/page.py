"""A comparison of logs as a page, as Markdown, and the files that hold it."""

from pathlib import Path
from typing import Final

from domain_tokens.analysis.report.findings import Finding
from domain_tokens.analysis.report.formats import DASH, Scale, p_value, printable
from domain_tokens.analysis.report.page.forest import Axis, Drawn, axes
from domain_tokens.analysis.report.page.sections import Section
from domain_tokens.analysis.report.pages import render_page
from domain_tokens.analysis.report.tables.table import DIFFERENCE, Table, escape_markdown, printable_rows, to_markdown
from domain_tokens.analysis.results_model import DECLARED, EXPLORATORY
from domain_tokens.logs.records import DIFFER, LogComparison, TaskDifference
from domain_tokens.runs.files import write_json, write_text

FILES: Final = ("comparison.json", "comparison.md", "comparison.html")
_MOST_CHARACTERS: Final = 1200
_SHOWN_HASH: Final = 12


def write(found: LogComparison, folder: Path) -> None:
    """Write `comparison.json`, `comparison.md` and `comparison.html`. The same logs give the same bytes."""
    json_file, markdown_file, html_file = (folder / name for name in FILES)
    markdown, html = as_markdown(found), as_html(found)
    write_json(json_file, found.model_dump(mode="json"))
    write_text(markdown_file, markdown)
    write_text(html_file, html)


def as_html(found: LogComparison) -> str:
    """Return the page: one file without scripts that loads nothing; every text of a log is escaped."""
    sections = [
        Section("results", difference_table(found).title, (), difference_table(found)),
        Section("seeds", seed_table(found).title, (), seed_table(found)),
        Section("questions", question_table(found).title, (), question_table(found)),
        Section("logs", log_table(found).title, (), log_table(found)),
    ]
    return render_page(
        "logs.html",
        comparison=found,
        label="one run a side" if found.num_runs == 1 else f"{found.num_runs} runs a side",
        forest=_forest(found),
        sentences=[one.sentence for one in found.differences] if len(found.differences) > 1 else [],
        notes=[Finding(note.about, note.text, "logs") for note in found.notes if note.care],
        facts=[Finding(note.about, note.text, "logs") for note in found.notes if not note.care],
        sections=[section for section in sections if section.table is not None and section.table.rows],
    )


def as_markdown(found: LogComparison) -> str:
    """Return the sentences, the notes and the tables as Markdown."""
    title = f"# {escape_markdown(', '.join(found.conditions))} against {escape_markdown(found.reference)}"
    notes = "\n".join(f"- **{escape_markdown(note.about)}.** {escape_markdown(note.text)}" for note in found.notes)
    sentences = [one.sentence for one in found.differences] if len(found.differences) > 1 else []
    listed = "\n".join(f"- {escape_markdown(text)}" for text in sentences)
    tables = [to_markdown(table) for table in (difference_table(found), seed_table(found), log_table(found))]
    parts = [title, f"**{escape_markdown(found.headline)}**", listed, notes, *tables]
    return "\n\n".join([*filter(None, parts), "Questions and answers: `comparison.html`."]) + "\n"


def difference_table(found: LogComparison) -> Table:
    """Return every task and condition against the reference."""
    rows = [
        [
            one.task,
            one.metric,
            one.condition,
            f"{one.num_items:,}" if one.num_clusters == one.num_items else f"{one.num_items:,} / {one.num_clusters:,}",
            *_values(one),
            p_value(one.p_holm),
            _detectable(one),
            DASH if one.equivalence is None else p_value(one.equivalence.p_value),
            one.outcome,
        ]
        for one in found.differences
    ]
    tests = " and ".join(dict.fromkeys(one.test for one in found.differences))
    note = (
        f"Differences are the condition minus {found.reference}, in percentage points, or in the unit of the metric "
        f"where scores are not from 0 to 1. p: {tests}. Holm: corrected for {found.num_tests} "
        f"{'test' if found.num_tests == 1 else 'tests'}. Detectable: the smallest true difference that would be found "
        f"with 80% power{_more_runs(found)}. Equivalent: p of two one-sided tests against the margin. N: questions, "
        "and how many of them are different where some are copies. An interval and p are two methods and may disagree "
        "near 5%; the outcome follows the test."
    )
    header = ["task", "metric", "condition", "N", *_sides(found), *DIFFERENCE]
    header += ["Holm", "detectable", "equivalent", "outcome"]
    return Table("How large is each difference?", header, printable_rows(rows), note, labels=3, grouped=1)


def _more_runs(found: LogComparison) -> str:
    """Return what the table has of several runs a side beside what it has of one."""
    if found.num_runs == 1:
        return ""
    return (
        ", and its range as the variance between runs allows (80%); ±: the standard deviation of a condition's means "
        "over its runs"
    )


def _sides(found: LogComparison) -> list[str]:
    """Return the headings of both sides' columns."""
    other = found.conditions[0] if len(found.conditions) == 1 else "the condition"
    return [printable(found.reference), printable(other)]


def _values(one: TaskDifference) -> list[str]:
    scale = Scale(one.unit)
    return [
        *(scale.value(side.accuracy) + scale.spread(side.sd) for side in (one.reference, one.other)),
        scale.difference(one.delta),
        scale.interval(one.interval),
        p_value(one.p_value),
    ]


def _detectable(one: TaskDifference) -> str:
    scale = Scale(one.unit)
    ends = "" if one.detectable_range is None else f" ({scale.range(one.detectable_range)})"
    return scale.size(one.smallest_detectable) + ends


def seed_table(found: LogComparison) -> Table:
    """Return each pair of runs; no row for one run a side, which the first table has."""
    rows = []
    for one in found.differences:
        scale = Scale(one.unit)
        for seed in one.by_seed if len(one.by_seed) > 1 else ():
            rows.append(
                [
                    one.task,
                    one.condition,
                    seed.seeds[0],
                    scale.value(seed.reference),
                    scale.value(seed.other),
                    scale.difference(seed.delta),
                    scale.interval(seed.interval),
                    p_value(seed.p_value),
                ]
            )
    note = "Each pair of runs of one seed by itself, over questions alone; the names of the seeds are the user's."
    header = ["task", "condition", "seed", *_sides(found), *DIFFERENCE]
    return Table("What does each pair of runs show?", header, printable_rows(rows), note, labels=3, grouped=1)


def log_table(found: LogComparison) -> Table:
    """Return the logs, and the harness's own result of each beside the mean of its questions."""
    rows = [
        [
            log.task,
            f"{log.condition}:{log.seed}" if log.seed else log.condition,
            log.model or DASH,
            f"{log.harness} {log.version}" if log.version else log.harness,
            log.path,
            log.sha256[:_SHOWN_HASH],
            f"{log.num_items:,}",
            f"{log.mean:.6g}",
            DASH if log.own is None else f"{log.own:.6g}",
            DASH if log.own is None else log.own_method or "not said",
        ]
        for log in found.logs
    ]
    note = (
        "Mean: of the scores of the questions. Own: what the harness itself reports, and by which method; where it is "
        "a mean, a comparison is refused unless the two agree."
    )
    header = ["task", "run", "model", "harness", "log", "sha256", "N", "mean", "own", "method"]
    title = "Which logs were read, and what do their harnesses report?"
    return Table(title, header, printable_rows(rows), note, labels=6, grouped=1)


def question_table(found: LogComparison) -> Table:
    """Return questions that one of a pair of runs answered better than the other."""
    rows = [
        [
            one.task,
            one.condition,
            _cut(one.question),
            _cut(one.target),
            f"{_cut(one.reference)} ({one.scores[0]:g})",
            f"{_cut(one.other)} ({one.scores[1]:g})",
        ]
        for one in found.questions
    ]
    note = (
        "Of the first pair of runs of each comparison, the first questions of the log that one of them answered "
        "better, up to five in each direction. In parentheses: the score; of several epochs, the mean of all beside "
        "the answer of the first."
    )
    header = ["task", "condition", "question", "target", *_sides(found)]
    return Table("What do the answers look like?", header, rows, note, labels=4, grouped=1)


def _cut(text: str | None) -> str:
    """Return a text that fits into a cell: of a long one, its end, where a prompt has its question."""
    if text is None:
        return DASH
    text = "".join(character if character == "\n" else printable(character) for character in text).strip()
    return text if len(text) <= _MOST_CHARACTERS else f"... {text[-_MOST_CHARACTERS:]}"


def _forest(found: LogComparison) -> list[Axis]:
    several = len(found.conditions) > 1
    drawn = []
    for one in found.differences:
        label = printable(f"{one.task}: {one.condition}" if several else one.task)
        margin = None if one.equivalence is None else one.equivalence.margin
        drawn.append(Drawn(one, label, DECLARED if one.outcome == DIFFER else EXPLORATORY, margin))
    return axes(drawn)
