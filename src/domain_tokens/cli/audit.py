"""The command line of `scripts/audit.py`."""

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import local_path
from domain_tokens.recipe import RecipeError, user_errors
from domain_tokens.tokenization.audit.page import read_file, to_html
from domain_tokens.tokenization.audit.scoring import Mistake, Score, Sentence, load_audit_set, score_options
from domain_tokens.tokenization.intervention import (
    Intervention,
    default_intervention,
    load_intervention,
)

_NOTE = """\
A site is right if it covers a product marked in the audit set. Recall counts the products in the spellings that an
option is meant to match. The interval is the 95% Wilson interval for sentences like these. More than half of them were
designed to mislead the rules, so precision on ordinary text is higher."""


def _print_table(scores: list[Score], sentences: list[Sentence], console: Console) -> None:
    kinds = Counter(sentence.kind for sentence in sentences)
    table = Table(
        title=f"{len(sentences)} sentences: {kinds['product']} with products, {kinds['hard_negative']} hard negatives"
    )
    table.add_column("option")
    for header in ("rewritten", "right", "precision", "95% interval", "products", "found", "recall"):
        table.add_column(header, justify="right")
    for one in scores:
        interval = "–" if one.interval is None else f"{100 * one.interval[0]:.1f} to {100 * one.interval[1]:.1f}"
        precise = (str(one.num_rewritten), str(one.num_right), _percent(one.precision), interval)
        complete = (str(one.num_products), str(one.num_found), _percent(one.recall))
        table.add_row(Text(one.option), *precise, *complete)
    console.print(table)
    console.print(_NOTE, markup=False)


def _print_mistakes(scores: list[Score], console: Console) -> None:
    """Print every false alarm and every miss once, with the options that cause it."""
    made_by: dict[Mistake, list[str]] = {}
    for one in scores:
        for mistake in one.mistakes:
            made_by.setdefault(mistake, []).append(one.option)
    for mistake in sorted(made_by, key=lambda mistake: mistake.kind):
        site = mistake.sentence[mistake.start : mistake.end]
        line = f"{mistake.kind}: {site} in {mistake.sentence!r} ({mistake.reason}) [{'; '.join(made_by[mistake])}]"
        console.print(line, markup=False)


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.1f}%"


def main(description: str | None) -> None:
    """Run `scripts/audit.py`: print the scores on the audit set, or write the HTML page for the given files.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = new_parser(description)
    parser.add_argument("files", nargs="*", type=local_path, metavar="FILE", help="text, .jsonl or .parquet to audit")
    parser.add_argument("--intervention", type=local_path, metavar="YAML", help="intervention (default: mul_tokens)")
    parser.add_argument(
        "--output", type=local_path, default=Path("outputs/audit.html"), help="HTML page (default: %(default)s)"
    )
    parser.add_argument(
        "--max-lines",
        type=int,
        default=1000,
        metavar="N",
        help="maximum number of lines to show per file (default: %(default)s)",
    )
    parser.add_argument("--list", action="store_true", help="list false alarms and misses below the table")
    arguments = parser.parse_args()
    if arguments.max_lines < 0:
        parser.error(f"--max-lines: expected a whole number of at least 0, got {arguments.max_lines}")
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 120)  # do not cut the table in a file or a narrow terminal
    with user_errors():
        path = arguments.intervention
        intervention = default_intervention() if path is None else load_intervention(path)
        if arguments.files:
            _write_page(arguments.files, intervention, arguments.max_lines, arguments.output, console)
            return
        sentences = load_audit_set()
        scores = score_options(intervention, sentences)
        _print_table(scores, sentences, console)
        if arguments.list:
            _print_mistakes(scores, console)


def _write_page(files: list[Path], intervention: Intervention, max_lines: int, output: Path, console: Console) -> None:
    if output.resolve() in [file.resolve() for file in files]:
        raise RecipeError(f"--output: {output} is also an input file; choose another path")
    readings = [read_file(file, intervention, max_lines) for file in files]
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(to_html(readings, intervention), encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"--output: {output}: {error.strerror}; choose a writable path") from error
    for one in readings:
        counts = f"{one.count('rewritten'):,} sites rewritten, {one.count('left'):,} left"
        console.print(f"{one.name}: {one.num_texts:,} texts, {counts}", markup=False)
    console.print(str(output), markup=False)
