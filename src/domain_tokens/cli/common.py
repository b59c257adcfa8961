"""Helpers shared by the commands: parsers, consoles and tables."""

import argparse
import itertools
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

import yaml

from domain_tokens.cli.options import local_path
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.errors import suggest
from domain_tokens.runs.layout import RUN_CONFIG
from domain_tokens.runs.progress import begin, hearing_of_parts

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from domain_tokens.analysis.report.tables.table import Table

STRICT = "contamination=refuse"
"""The override for which `--strict` stands."""


_SLOW_S = 3.0
_SLOW_IN_A_FILE_S = 10.0  # where nobody waits in front of it


class SlowSteps:
    """Says on the standard error what a dry run is doing, a line for each step that takes more than some seconds.

    Used as a context manager and, inside it, as a listener of the parts that begin.

    Args:
        seconds (`float`, *optional*): how long a step may take without a word; 3 s in a terminal, otherwise 10 s.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds or (_SLOW_S if sys.stderr.isatty() else _SLOW_IN_A_FILE_S)
        self._timer: threading.Timer | None = None

    def __call__(self, step: str) -> None:
        """Wait for the end of a step, which is the beginning of the next."""
        self._end()
        self._timer = threading.Timer(self._seconds, self._say, (step,))
        self._timer.daemon = True
        self._timer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _say(self, step: str) -> None:
        sys.stderr.write(f"{step} ...\n")
        sys.stderr.flush()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None


@contextmanager
def slow_steps_said() -> Iterator[None]:
    """Let a dry run say what it is doing where this takes long, besides `announce_checks`."""
    announce_checks()
    with SlowSteps() as steps, hearing_of_parts(steps):
        begin("loading the libraries")
        yield


@contextmanager
def local_copy_by(remedy: str) -> Iterator[None]:
    """Let errors about a data set on the Hub advise a script's own options, where they would advise a recipe's keys.

    Args:
        remedy (`str`): what to do to read a local copy.
    """
    try:
        yield
    except RecipeError as error:
        from domain_tokens.corpora.hub import LOCAL_COPY, LOCAL_FILES

        message = str(error)
        for advice in (LOCAL_COPY, LOCAL_FILES):
            message = message.replace(advice, remedy)
        raise RecipeError(message) from error


FIRST_LINE = "Loads the libraries, then checks the whole recipe and its local data ...\n"


def announce_checks() -> None:
    """Say what a command does first, also into a file or a pipe: it was silent for half a minute on a busy machine."""
    if os.environ.get("RANK", "0") != "0":  # under a launcher, one process speaks
        return
    sys.stderr.write(FIRST_LINE)
    sys.stderr.flush()


PREREG = Path("recipes/prereg.yaml")
"""The project's preregistration."""


def declaration_of(condition: Path) -> Path:
    """Return the preregistration that the recipe of a condition's first finished stage names.

    Args:
        condition (`Path`): `outputs/<experiment>/exp_<condition>`.
    """
    for config in sorted(condition.glob(f"seed_*/*/{RUN_CONFIG}")):
        if (named := yaml.safe_load(config.read_text(encoding="utf-8")).get("prereg")) is not None:
            return Path(named)
    return PREREG


def add_recipes(parser: argparse.ArgumentParser, recipes: str = "one recipe per condition") -> None:
    """Add the recipes of an experiment's conditions, and `--overlay` and `--set`, which change all of them.

    Args:
        parser (`argparse.ArgumentParser`): gets `recipes`, `overlay` and `overrides`.
        recipes (`str`, *optional*): help for the recipes.
    """
    parser.add_argument("recipes", nargs="+", type=local_path, metavar="RECIPE", help=recipes)
    parser.add_argument(
        "--overlay",
        action="append",
        default=[],
        type=local_path,
        metavar="YAML",
        help="changes applied to every recipe, e.g. recipes/scales/demo.yaml; may be repeated",
    )
    parser.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="overrides for every recipe, e.g. pretrain.max_steps=50",
    )


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add `--force`, which lets GRPO train where its preflight would stop it."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="train by GRPO although the fine-tuned model solves too few of its prompts (rollouts.min_pass_at_k); the "
        "manifest records it",
    )


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Add `--strict`, whose value is a list of overrides."""
    parser.add_argument(
        "--strict",
        action="store_const",
        const=[STRICT],
        default=[],
        help=f"refuse training data that holds a question of an evaluation set, instead of removing it ({STRICT})",
    )


class Once(argparse.Action):
    """An option that has one value: given again with another, the last would win without a word."""

    _given: tuple[object, ...] = ()

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Store a value, or a list of them."""
        if option_string is not None and self._given and self._given[0] != values:
            raise argparse.ArgumentError(self, f"given twice, as {self._given[0]} and {values}; expected it once")
        self._given = (values,)
        setattr(namespace, self.dest, values)


class YesOrNo(argparse.BooleanOptionalAction):
    """`--name` or `--no-name`, and not both."""

    _given = ""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Store true or false."""
        if option_string is not None and self._given not in ("", option_string):
            raise argparse.ArgumentError(self, f"{self._given} contradicts {option_string}; expected one of them")
        self._given = option_string or ""
        super().__call__(parser, namespace, values, option_string)


class Parser(argparse.ArgumentParser):
    """A parser whose options are given once, and that says which option a misspelled one may be.

    Options that add up, such as `--set`, say so (`append`, `extend`). Inside `started_as` it has the name given there.
    """

    name: ClassVar[str | None] = None

    def __init__(self, **settings: Any) -> None:
        super().__init__(**({"prog": self.name} | settings))
        self._given: Sequence[str] = ()
        for name in (None, "store"):
            self.register("action", name, Once)

    def parse_known_args(  # type: ignore[override]  # the library's has one signature for each kind of namespace
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse a command line, and keep it for messages."""
        self._given = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """End the program with a message: on an unknown option, also where arguments are missing besides."""
        unknown = self._unknown()
        if message.startswith("the following arguments are required") and unknown:
            message = f"unrecognized arguments: {' '.join(unknown)}"
        if not message.startswith("unrecognized arguments"):
            super().error(message)
        options = [name for name in self._option_string_actions if name.startswith("--")]
        close = "".join(suggest(name, options) for name in unknown[:1])
        self.exit(2, f"{self.prog}: error: {message}{close or f'; {self.prog} --help lists the options'}\n")

    def _unknown(self) -> list[str]:
        """Return the long options of the command line that the parser does not have, without their values."""
        before = itertools.takewhile(lambda one: one != "--", self._given)
        given = [one.partition("=")[0] for one in before if one.startswith("--")]
        return [one for one in given if not any(name.startswith(one) for name in self._option_string_actions)]


@contextmanager
def started_as(name: str) -> Iterator[None]:
    """Let the parsers that are made inside have the name of the command that the user typed.

    Args:
        name (`str`): such as `domain-tokens compare`.
    """
    Parser.name = name
    try:
        yield
    finally:
        Parser.name = None


def new_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that shows a script's docstring as it stands, but for the name by which scripts are started.

    Args:
        description (`str`): the script's docstring.
    """
    if Parser.name is not None:
        description = re.sub(r"python scripts/(?:run_)?(\w+)\.py", _command, description or "")
    return Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def _command(script: re.Match[str]) -> str:
    return f"domain-tokens {script[1].replace('_', '-')}"


def wide_console(width: int) -> "Console":
    """Return a console of at least `width` columns, so that tables are not cut in a file or a narrow terminal."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, width)
    return console


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Let the reader of the standard output, such as `head`, end before everything is written."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer is written at the end of the process, and would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def to_rich(table: "Table") -> "RichTable":
    """Convert a table for display in a terminal."""
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(title=table.title, caption=Text(table.note), caption_justify="left")
    for index, name in enumerate(table.header):
        shown.add_column(Text(name), justify="left" if index < table.labels else "right")
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    return shown


def show_messages_of_the_hub() -> None:
    """Show what publishing and pulling say, without the Hub's library and what it uses for its requests."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("httpx", "httpx2", "huggingface_hub"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
