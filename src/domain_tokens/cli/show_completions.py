"""The command line of `scripts/show_completions.py`: kept completions of GRPO, several runs side by side."""

import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import local_path, whole_number
from domain_tokens.recipe import RecipeError, user_errors
from domain_tokens.runs.layout import COMPLETIONS, shown_name
from domain_tokens.runs.records import Completion, read_rows
from domain_tokens.tokenization.facts import TOKEN

_SHOWN = "bold magenta"  # a token that an intervention added
_WIDTH = 140  # where the output is not a terminal

Asked = tuple[int, int]
"""A step, and the number of a prompt in it."""


def main(description: str | None) -> None:
    """Run `scripts/show_completions.py`.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = new_parser(description)
    parser.add_argument("folders", nargs="+", type=local_path, metavar="FOLDER", help="grpo_final or checkpoints/grpo")
    parser.add_argument("--step", type=whole_number, metavar="N", help="one step alone (default: all that were kept)")
    parser.add_argument(
        "--num", type=whole_number, default=2, metavar="N", help="completions to each prompt (default: %(default)s)"
    )
    arguments = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    with user_errors():
        for table in _tables(arguments.folders, arguments.step, arguments.num):
            console.print(table)
            console.print()


def _tables(folders: list[Path], step: int | None, num: int) -> Iterator[Table]:
    """Yield a table for each prompt of each step, with a column for each run.

    Raises:
        RecipeError: if a folder has no completions, nothing was kept at the step, or runs were asked other questions.
    """
    runs = [_kept(folder) for folder in folders]
    steps = sorted({at for run in runs for at, _ in run})
    if step is not None and step not in steps:
        raise RecipeError(f"--step: nothing was kept at step {step}; expected one of {', '.join(map(str, steps))}")
    for asked in sorted({asked for run in runs for asked in run}):
        if step is None or asked[0] == step:
            found = [run.get(asked, []) for run in runs]
            yield _table(folders, asked, found, num)


def _kept(folder: Path) -> dict[Asked, list[Completion]]:
    path = folder / COMPLETIONS
    if not path.is_file():
        raise RecipeError(
            f"{path}: no such file; expected the folder of a GRPO stage whose recipe says rollouts.keep_every"
        )
    kept: dict[Asked, list[Completion]] = {}
    for row in read_rows(path, Completion):
        kept.setdefault((row.step, row.prompt), []).append(row)
    return kept


def _table(folders: list[Path], asked: Asked, found: list[list[Completion]], num: int) -> Table:
    questions = {(row.question, row.gold) for rows in found for row in rows}
    if len(questions) > 1:
        raise RecipeError(
            f"step {asked[0]}, prompt {asked[1]}: the runs were asked different questions; expected runs of one "
            "experiment and seed"
        )
    ((question, gold),) = questions
    table = Table(title=Text(f"step {asked[0]}: {question} ({gold})"), title_justify="left", show_lines=True)
    for folder in folders:
        table.add_column(Text(shown_name(folder)), ratio=1, overflow="fold")
    for row in zip_longest(*(rows[:num] for rows in found)):
        table.add_row(*(Text("not reached yet", style="dim") if one is None else _cell(one) for one in row))
    return table


def _cell(row: Completion) -> Text:
    text = Text(row.completion.strip())
    text.highlight_regex(TOKEN, _SHOWN)
    # Minus nothing is 0.
    earned = ", ".join(f"{name} {value + 0.0:.3g}" for name, value in row.rewards.items() if value is not None)
    advantage = "none" if row.advantage is None else f"{row.advantage:+.2f}"
    return text.append(f"\n{earned}; advantage {advantage}", style="dim")
