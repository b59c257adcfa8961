"""The command line of `scripts/chat.py`: several models answer in a terminal, token by token."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import seed, temperature, whole_number
from domain_tokens.cli.playground import DEMO, add_models
from domain_tokens.cli.typed import typed_lines
from domain_tokens.playground.models import LoadedModel, find_models, load, quieten
from domain_tokens.playground.visible import visible
from domain_tokens.recipe import RecipeError, user_errors
from domain_tokens.recipe.errors import suggest

if TYPE_CHECKING:
    from domain_tokens.playground.difference import Chance, Difference
    from domain_tokens.playground.reading import Read
    from domain_tokens.playground.vocabulary import Chip
    from domain_tokens.playground.writing import Rival, Settings, Writing

_TINTS = ("black on #cfe2ff", "black on #d1f2dc", "black on #fdf0c4", "black on #f9d9d9")
_FACT = "bold white on #6b21a8"
_APART = "dim"
_BAR = 24  # characters of a probability of 1

_HELP = """\
/temperature 0.7    draw at a temperature; 0 takes the likeliest token
/seed 3             seed of the draws, which all models share
/forbid on|off      forbid the facts
/swap 6*9 7*8|off   let models read each of two facts as the other, where they wrote one
/longest 100        longest answer in tokens
/question           the last question, as each model reads it
/tokens             each token of the last answers, with its probability and its rivals
/why [1 2]          where the answers of two models part, and what each could have written
/quit               or Ctrl-D
"""


def main(description: str | None) -> None:
    """Run `scripts/chat.py`.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = new_parser(description)
    add_models(parser)
    parser.add_argument("--temperature", type=temperature, default=0.0, help="temperature (default: 0, no draw)")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the draws (default: %(default)s)")
    parser.add_argument(
        "--longest",
        type=whole_number,
        default=256,
        metavar="N",
        help="longest answer in tokens (default: %(default)s)",
    )
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    with user_errors():
        folders = find_models(arguments.models or [DEMO], arguments.run_seed)
        # Imported after parsing, so that --help and usage errors appear at once.
        from domain_tokens.playground.writing import Settings

        quieten()
        settings = Settings(arguments.temperature, arguments.seed, max_new_tokens=arguments.longest)
        try:
            chat = Chat(console, load(folders), settings)
            for line in typed_lines("Enter one question per line; /help lists commands, Ctrl-D ends."):
                if not chat.take(line.strip()):
                    return
        except KeyboardInterrupt:
            sys.stdout.write("\n")
            sys.exit(130)


class Chat:
    """A conversation of single questions: no model sees an earlier one.

    Args:
        console (`Console`): where answers are shown.
        models (`list[LoadedModel]`): who answers.
        settings (`Settings`): how, until a command changes it.
    """

    def __init__(self, console: Console, models: list[LoadedModel], settings: "Settings") -> None:
        self._console = console
        self._models = models
        self._settings = settings
        self._answers: dict[int, Writing] = {}  # to the last question, by the model's index
        self._commands: dict[str, Callable[[list[str]], None]] = {
            "temperature": lambda words: self._set(temperature=temperature(_only(words))),
            "seed": lambda words: self._set(seed=seed(_only(words))),
            "longest": lambda words: self._set(max_new_tokens=whole_number(_only(words))),
            "forbid": lambda words: self._set(forbid_facts=_switch(words)),
            "swap": self._swap,
            "question": self._question,
            "tokens": self._tokens,
            "why": self._why,
            "help": lambda words: self._console.print(Text(_HELP, style=_APART), end=""),
        }

    def take(self, line: str) -> bool:
        """Answer a question or obey a command, and return whether to go on.

        Raises:
            RecipeError: if it cannot be, and nobody is there to type another line.
        """
        if line in ("/quit", "/exit"):
            return False
        try:
            if line.startswith("/"):
                self._obey(*line[1:].split())
            else:
                self._ask(line)
        except RecipeError as error:
            if not sys.stdin.isatty():
                raise RecipeError(str(error)) from error
            self._console.print(Text(str(error), style="red"))
        return True

    def _obey(self, name: str = "", *words: str) -> None:
        if name not in self._commands:
            raise RecipeError(f"/{visible(name)}: no such command{suggest(name, [*self._commands])}; /help lists them")
        try:
            self._commands[name](list(words))
        except (RecipeError, argparse.ArgumentTypeError) as error:
            raise RecipeError(f"/{name}: {error}") from error

    def _set(self, **changed: object) -> None:
        self._settings = replace(self._settings, **changed)  # type: ignore[arg-type]  # each command knows its own type
        now = self._settings
        facts, swap = "forbidden" if now.forbid_facts else "allowed", " and ".join(now.swap) if now.swap else "off"
        shown = f"temperature {now.temperature:g}, seed {now.seed}, at most {now.max_new_tokens} tokens, facts {facts}"
        self._console.print(Text(f"{shown}, swap {swap}", style=_APART))

    def _swap(self, words: list[str]) -> None:
        from domain_tokens.playground.vocabulary import check_swap

        if words == ["off"]:
            self._set(swap=None)
            return
        if len(words) != 2:
            raise RecipeError("expected two facts, such as /swap 6*9 7*8, or /swap off")
        check_swap([model.vocabulary for model in self._models], (words[0], words[1]))
        self._set(swap=(words[0], words[1]))

    def _ask(self, question: str) -> None:
        from domain_tokens.playground.writing import Writing

        self._answers = {}
        problems = []
        for index, model in enumerate(self._models):
            try:
                writing = Writing(model, question, self._settings)
            except RecipeError as error:
                problems.append(str(error))
            else:
                self._answer(model, writing)
                self._answers[index] = writing
        if problems:
            raise RecipeError("; ".join(problems))

    def _answer(self, model: LoadedModel, writing: "Writing") -> None:
        from domain_tokens.playground.reading import read

        self._console.print(Text(visible(model.name), style="bold"))
        for source, written in writing.prompt.rewritten:
            self._console.print(Text(f"its tokenizer wrote {source} as {written}", style=_APART))
        if self._settings.swap and not writing.read_as:
            self._console.print(Text("it has no tokens for these two facts: nothing is swapped", style=_APART))
        for number, step in enumerate(writing):
            self._console.print(self._chip(step.chip, number), end="")
        self._summarize(read(writing))

    def _chip(self, chip: "Chip", number: int) -> Text:
        """Return a token as it is shown; without colours, a fact is in brackets and the others are plain text."""
        if chip.kind in ("end", "reserved"):
            return Text(f" {chip.text}" if self._is_coloured else "", style=_APART)
        broken = "\n" if "↵" in chip.text else ""
        if not self._is_coloured:
            return Text(f"[{chip.text}]" if chip.kind == "fact" else chip.text.replace("↵", "\n"))
        style = _FACT if chip.kind == "fact" else _TINTS[number % len(_TINTS)]
        return Text(chip.text, style=style).append(broken)

    @property
    def _is_coloured(self) -> bool:
        return self._console.color_system is not None

    def _summarize(self, found: "Read") -> None:
        self._console.print()
        for one in found.equations:
            sign, verdict, style = ("✓", "right", "green") if one.right else ("✗", "wrong", "red")
            as_fact = ", as a fact" if one.form == "fact" else ""
            self._console.print(Text(f"{sign} {one.text} {verdict}{as_fact}", style=style))
        answer = "no number after ####" if found.number is None else f"the answer is {found.number}"
        self._console.print(Text(f"{answer}, {found.num_tokens} tokens, ended by: {found.end}", style=_APART))
        for said in found.circumstances:
            self._console.print(Text(f"in this answer, {said}", style=_APART))
        self._console.print()

    def _question(self, words: list[str]) -> None:
        _none(words)
        for index, writing in self._answered().items():
            chips = writing.prompt.chips
            self._console.print(Text(f"{visible(self._models[index].name)}: {len(chips)} tokens", style="bold"))
            for number, chip in enumerate(chips):
                self._console.print(self._chip(chip, number), end="")
            self._console.print("\n")

    def _tokens(self, words: list[str]) -> None:
        _none(words)
        for index, writing in self._answered().items():
            table = Table(title=Text(visible(self._models[index].name)), title_justify="left", box=None)
            for name in ("token", "probability", "rivals"):
                table.add_column(name, justify="right" if name == "probability" else "left")
            for number, step in enumerate(writing.steps):
                rivals = Text(", ").join(_rival(rival) for rival in step.rivals)
                table.add_row(self._named(step.chip, number), f"{step.probability:.2%}", rivals)
            self._console.print(table)

    def _named(self, chip: "Chip", number: int) -> Text:
        style = _FACT if chip.kind == "fact" else _APART if chip.kind == "end" else _TINTS[number % len(_TINTS)]
        return Text(_in_table(chip), style=style)

    def _why(self, words: list[str]) -> None:
        from domain_tokens.playground.difference import REASONS, first_difference

        answered = self._answered()
        numbers = [whole_number(word) - 1 for word in words] or [*answered][:2]
        if len(set(numbers)) != 2 or len(numbers) != 2 or not set(numbers) <= answered.keys():
            raise RecipeError(f"expected two of the {len(answered)} models that have answered, such as /why 1 2")
        found = first_difference(answered[numbers[0]], answered[numbers[1]])
        self._console.print(Text(f"{REASONS[found.part]}{_place(found)}"))
        for said in found.circumstances:
            self._console.print(Text(said, style=_APART))
        names = [visible(self._models[number].name) for number in numbers]
        for row in found.rows:
            text = row.text.replace(" ", "␣") + (" end of text" if row.ends else "")
            self._console.print(Text(text, style="bold"))
            for name, chance, style in zip(names, row.chances, ("blue", "dark_orange"), strict=True):
                self._console.print(_bar(chance, name.ljust(max(map(len, names))), style))

    def _answered(self) -> "dict[int, Writing]":
        if not self._answers:
            raise RecipeError("nothing has been answered yet; type a question first")
        return self._answers


def _in_table(chip: "Chip") -> str:
    return chip.name or (chip.text if chip.kind == "end" else chip.text.replace(" ", "␣"))


def _rival(rival: "Rival") -> Text:
    shown = f"{_in_table(rival.chip)} {rival.probability:.2%}"
    return Text(shown, style="strike" if rival.forbidden else "")


def _place(found: "Difference") -> str:
    if found.steps is None:
        return ""
    return f", after {found.before!r}:" if found.before else ", at the beginning:"


def _bar(chance: "Chance", name: str, style: str) -> Text:
    """Return a probability as a line: the model, a bar, and the number."""
    value = chance.probability
    notes = [
        "no room" if value is None else f"{value:.2%}",
        f"{chance.num_tokens} tokens" if chance.num_tokens > 1 else "",
        _forbidden_share(chance.forbidden),
        "taken" if chance.taken else "",
    ]
    filled = round(_BAR * (value or 0.0))
    bar = Text(f"  {name} ").append("█" * filled, style=style).append("░" * (_BAR - filled), style=_APART)
    return bar.append(f" {', '.join(filter(None, notes))}", style="bold" if chance.taken else "")


def _forbidden_share(share: float) -> str:
    if share < 0.0005:
        return ""
    return "forbidden" if share > 0.9995 else f"{share:.1%} of that forbidden"


def _only(words: list[str]) -> str:
    if len(words) != 1:
        raise RecipeError("expected one value; /help lists the commands")
    return words[0]


def _none(words: list[str]) -> None:
    if words:
        raise RecipeError("expected nothing behind it; /help lists the commands")


def _switch(words: list[str]) -> bool:
    if words not in (["on"], ["off"]):
        raise RecipeError("expected on or off; /help lists the commands")
    return words == ["on"]
