"""The command line of `scripts/watch.py`: where an experiment stands, in the terminal or on a page."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import above_zero, local_path
from domain_tokens.recipe import RecipeError, user_errors

if TYPE_CHECKING:
    from domain_tokens.watch.looking import Watch
    from domain_tokens.watch.view import ExperimentView, StageView, View

_EVERY_S = 3.0
_WIDTH = 140  # where the output is not a terminal
_STYLES = {"done": "green", "running": "bold cyan", "failed": "bold red", "interrupted": "yellow", "waiting": "dim"}
_WHOLE = {"finished": "green", "running": "cyan", "failed": "bold red", "interrupted": "yellow", "empty": "dim"}
_BLOCKS = "▁▂▃▄▅▆▇█"
_SPARK = 32  # characters of a curve
_LOG_LINES = 6  # of a failed stage


def main(description: str | None) -> None:
    """Run `scripts/watch.py`.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = new_parser(description)
    parser.add_argument(
        "folder", type=local_path, metavar="FOLDER", help="outputs/<experiment>, or outputs/studies/<study>"
    )
    parser.add_argument("--once", action="store_true", help="show it once and end")
    parser.add_argument("--wait", action="store_true", help="wait until there is a folder, instead of an error")
    parser.add_argument(
        "--html", type=local_path, metavar="FILE", help="write a page that loads itself again, until all is done"
    )
    parser.add_argument(
        "--every", type=above_zero, default=_EVERY_S, metavar="S", help="seconds between looks (default: %(default)g)"
    )
    arguments = parser.parse_args()
    with user_errors():
        from domain_tokens.watch.looking import Watch

        watch = Watch(arguments.folder)
        if arguments.html is not None:
            _check_page(arguments.html, arguments.folder)
        try:
            if arguments.wait:
                _wait(watch, arguments.every)
            if arguments.html is not None:
                _write_pages(watch, arguments.html, None if arguments.once else arguments.every)
            elif arguments.once or not sys.stdout.isatty():
                Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH).print(_shown(watch.look()))
            else:
                _show_live(watch, arguments.every)
        except KeyboardInterrupt:  # the usual end
            sys.exit(0)


def _check_page(page: Path, folder: Path) -> None:
    """Check where a page would be written: not beside results, of which a comparison records every file."""
    if folder.resolve() in page.resolve().parents:
        raise RecipeError(f"--html {page}: lies in {folder}, in which nothing is written; expected a file elsewhere")
    if page.is_dir() or not page.resolve().parent.is_dir():
        problem = "a folder" if page.is_dir() else f"{page.parent} is no folder"
        raise RecipeError(f"--html {page}: {problem}; expected a file in a folder that exists")


def _wait(watch: "Watch", every_s: float) -> None:
    if not watch.exists():
        sys.stderr.write(f"{watch.folder}: no experiment there yet; waiting\n")
    while not watch.exists():
        time.sleep(every_s)


def _looks(watch: "Watch", every_s: float) -> "Iterator[View]":
    """Yield what is there, again and again, until all is done."""
    while True:
        yield (view := watch.look())
        if view.is_over:
            return
        time.sleep(every_s)


def _write_pages(watch: "Watch", page: Path, every_s: float | None) -> None:
    """Write the page, once or until all is done, so that a browser never sees half of it."""
    from domain_tokens.runs.files import write_text
    from domain_tokens.watch.page.writing import to_html

    for number, view in enumerate([watch.look()] if every_s is None else _looks(watch, every_s)):
        try:
            write_text(page, to_html(view, every_s))
        except OSError as error:
            raise RecipeError(
                f"--html {page}: cannot be written: {error.strerror or error}; expected a file that can be"
            ) from error
        if number == 0:
            sys.stderr.write(
                f"{page}: {'written' if every_s is None else 'written again and again; Ctrl-C ends it'}\n"
            )


def _show_live(watch: "Watch", every_s: float) -> None:
    with Live(Text(""), console=Console(highlight=False), auto_refresh=False, vertical_overflow="ellipsis") as live:
        for view in _looks(watch, every_s):
            live.update(_shown(view), refresh=True)


def _shown(view: "View") -> Group:
    """Return the view for a terminal, what matters most first: a small one shows its beginning alone."""
    from domain_tokens.watch import words

    parts: list[RenderableType] = [
        Text.assemble((words.path(view.folder), "bold"), ("  ", ""), (words.when(view.at), "dim")),
        Text(words.headline(view), style=_WHOLE[view.state]),
    ]
    if view.headline:
        parts.append(Text(view.headline))
    if view.report is not None:
        parts.append(Text(f"report: {words.path(view.report)}", style="dim"))
    if view.state != "finished":
        parts.append(Text(words.alive(view), style="dim"))
    parts += _at_work(view)
    parts += _failures(view)
    if view.is_study:
        parts.append(_points(view))
    else:
        parts += [part for one in view.experiments if one.runs for part in (_stages(one), *_curves(one))]
    parts += _checkpoints(view)
    return Group(*parts)


def _table(title: str, *columns: str, numbers: tuple[str, ...] = ()) -> Table:
    table = Table(
        title=Text(title, style="bold"), title_justify="left", box=None, padding=(0, 2, 0, 0), title_style=""
    )
    for name in columns:
        table.add_column(Text(name, style="dim"), justify="right" if name in numbers else "left", no_wrap=True)
    return table


def _at_work(view: "View") -> Iterator[Table]:
    from domain_tokens.watch import words
    from domain_tokens.watch.view import running_stages

    if not (running := running_stages(view.experiments)):
        return
    numbers = ("loss", "validation", "tokens/s", "running", "left")
    table = _table("\nAt work", "run", "stage", "where it is", *numbers, numbers=numbers)
    for experiment, run, stage in running:
        name = f"{experiment.name}, {run.name}" if view.is_study else run.name
        share = "" if stage.share is None else f" ({100 * stage.share:.0f}%)"
        cells = (
            name, words.column(stage.name), words.at_work(stage) + share, words.loss(stage.loss),
            words.loss(stage.validation_loss), words.speed(stage.tokens_per_s), words.seconds(stage.seconds),
            words.seconds(stage.seconds_left),
        )  # fmt: skip
        table.add_row(*map(Text, cells))
    yield table


def _failures(view: "View") -> Iterator[Text]:
    from domain_tokens.watch.words import SIGNS, path

    for failure in view.failures:
        style = _STYLES[failure.state]
        yield Text(f"\n{SIGNS[failure.state]} {failure.name}: {failure.state}: {failure.why}", style=style)
        if failure.state == "failed":
            yield Text("\n".join(f"    {line}" for line in failure.lines[-_LOG_LINES:]), style="dim")
        if failure.lines:
            yield Text(f"    {path(failure.log)}", style="dim")


def _points(view: "View") -> Table:
    """Return how far each point of a study is: its stages by kind, done of all, and what is not waiting."""
    from domain_tokens.watch import words
    from domain_tokens.watch.view import State

    columns = list(dict.fromkeys(name for experiment in view.experiments for name in experiment.columns))
    table = _table("\nPoints, stages of all conditions and seeds that are done", "point", *map(words.column, columns))
    for experiment in view.experiments:
        cells = []
        for name in columns:
            states = [stage.state for stage in experiment.stages if stage.name == name]
            cell = Text(f"{states.count(State.DONE)} of {len(states)}" if states else "")
            for state in (State.RUNNING, State.FAILED, State.INTERRUPTED):
                if number := states.count(state):
                    cell.append(f"  {words.SIGNS[state]} {number}", style=_STYLES[state])
            cells.append(cell)
        table.add_row(Text(experiment.name), *cells)
    return table


def _stages(experiment: "ExperimentView") -> Table:
    from domain_tokens.watch import words

    title = f"\nStages: {words.counts(experiment)}"
    table = _table(title, "condition", "seed", *map(words.column, experiment.columns), numbers=("seed",))
    for run in experiment.runs:
        by_name = {stage.name: stage for stage in run.stages}
        cells = [_cell(by_name[name]) if name in by_name else Text("") for name in experiment.columns]
        table.add_row(Text(run.condition), Text(str(run.seed)), *cells)
    return table


def _cell(stage: "StageView") -> Text:
    from domain_tokens.watch.words import SIGNS, cell

    return Text(f"{SIGNS[stage.state]} {cell(stage)}".rstrip(), style=_STYLES[stage.state])


def _curves(experiment: "ExperimentView") -> Iterator[RenderableType]:
    """Yield every chart as small curves: of each condition, the seed that is furthest in training."""
    if not experiment.charts:
        return
    table = _table("\nCurves, of the last seed that has one", "what", "condition", "seed", "curve", "first", "last")
    for chart in experiment.charts:
        kinds = [False, True] if any(not line.is_validation for line in chart.lines) else [True]
        what = f"{chart.title.partition(' (')[0]}{', ' * bool(chart.unit)}{chart.unit}"
        for condition in experiment.conditions:
            for kind in kinds:
                line = chart.newest_of(condition, kind)
                if line is not None:
                    values = [value for _, value in line.points]
                    name = f"{what}, validation" if kind and len(kinds) > 1 else what
                    row = (name, condition, str(line.seed), spark(values), f"{values[0]:.4g}", f"{values[-1]:.4g}")
                    table.add_row(*map(Text, row))
    yield table
    notes = {chart.note: chart for chart in experiment.charts if chart.unit}
    said = [f"{chart.title.partition(':')[0]}, {chart.unit}: {note}" for note, chart in notes.items()]
    yield Text("\n".join(said), style="dim")


def spark(values: list[float]) -> str:
    """Return a curve as a line of blocks, each the mean of a stretch: the highest is the largest value."""
    width = min(_SPARK, len(values))
    cuts = [round(number * len(values) / width) for number in range(width + 1)]
    means = [sum(values[start:end]) / (end - start) for start, end in zip(cuts, cuts[1:], strict=False)]
    low, span = min(means), max(means) - min(means) or 1.0
    return "".join(_BLOCKS[round((value - low) / span * (len(_BLOCKS) - 1))] for value in means)


def _checkpoints(view: "View") -> Iterator[RenderableType]:
    """Yield the checkpoints of what is not done, those that are not whole, and how many others are."""
    from domain_tokens.watch import words
    from domain_tokens.watch.files.health import CHECK

    every = [(experiment, *one) for experiment in view.experiments for one in experiment.healths]
    shown = [one for one in every if one[2].state != "done" or one[3].problem]
    if shown:
        table = _table("\nCheckpoints", "run", "stage", "newest", "state", "others", numbers=("newest",))
        for experiment, run, stage, health in shown:
            name = f"{experiment.name}, {run.name}" if view.is_study else run.name
            newest = "" if health.step is None else f"{health.step:,}"
            state = Text(words.checkpoint(health), style="bold red" if health.problem else "")
            table.add_row(Text(name), Text(words.column(stage.name)), Text(newest), state, Text(words.older(health)))
        yield table
    if saved := [health for *_, health in every if health.step is not None]:
        yield Text(f"\n{words.whole(saved)}")
        yield Text(CHECK, style="dim")
