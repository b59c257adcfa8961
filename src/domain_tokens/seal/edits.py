"""The edit language: what a policy writes, how it is read and checked, and the texts that an edit trains on.

    write statements+questions; repeat 2; train lora 8; rate 0.003; steps 16

The parts always come in this order, so that one edit has one text. What may stand in them is in the recipe's section
`seal`; what cannot be read, or is not among it, is refused with the part and what was expected.
"""

import itertools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from domain_tokens.corpora.worlds.language import Fact, read_facts, statement, taught_question
from domain_tokens.corpora.worlds.passages import as_document, told
from domain_tokens.recipe.sections.apart.seal import Seal

PASSAGE, REWRITE, STATEMENTS, QUESTIONS = FORMS = ("passage", "rewrite", "statements", "questions")
"""What an edit can train on: the passage as it is, told anew, as single statements, as questions with answers."""

LORA, LAST_LAYER = "lora", "last_layer"
_MOST_CHARACTERS = 200
_EDIT = re.compile(
    r"write (?P<forms>[a-z+]+); repeat (?P<repeat>\d+); "
    r"train (?P<target>lora (?P<rank>\d+)|last layer); rate (?P<rate>[0-9.e+-]+); steps (?P<steps>\d+)"
)
_EXAMPLE = "write statements+questions; repeat 2; train lora 8; rate 0.003; steps 16"


class EditError(ValueError):
    """An edit that cannot be read: which part, what was expected, what was got."""


@dataclass(frozen=True, order=True)
class Edit:
    """How a passage is learned.

    Attributes:
        forms: what is trained on, some of `FORMS` in their order.
        repeat: how many times each text is written, in other words and another order each time; a passage has one
            wording, and comes as often.
        rank: of low-rank adapters on every linear map; `None` trains the last block alone.
        learning_rate: of AdamW, constant.
        steps: inner steps.
    """

    forms: tuple[str, ...]
    repeat: int
    rank: int | None
    learning_rate: float
    steps: int

    @property
    def target(self) -> Literal["lora", "last_layer"]:
        """What is trained."""
        return "last_layer" if self.rank is None else "lora"

    def __str__(self) -> str:
        trained = "last layer" if self.rank is None else f"lora {self.rank}"
        return (
            f"write {'+'.join(self.forms)}; repeat {self.repeat}; train {trained}; rate {self.learning_rate!r}; "
            f"steps {self.steps}"
        )


@dataclass(frozen=True)
class EditLanguage:
    """The edits that a recipe allows.

    Attributes:
        repeats, ranks, learning_rates, steps: as in the section `seal`.
    """

    repeats: tuple[int, ...]
    ranks: tuple[int, ...]
    learning_rates: tuple[float, ...]
    steps: tuple[int, ...]

    @classmethod
    def of(cls, settings: Seal) -> "EditLanguage":
        """Return the language of a recipe's section."""
        return cls(
            tuple(settings.repeats), tuple(settings.ranks), tuple(settings.learning_rates), tuple(settings.steps)
        )

    @property
    def parts(self) -> Mapping[str, Sequence[object]]:
        """What can stand in each part of an edit, by the names of `Edit`."""
        return {
            "forms": _FORM_SETS,
            "repeat": self.repeats,
            "rank": (None, *self.ranks),
            "learning_rate": self.learning_rates,
            "steps": self.steps,
        }

    def draw(self, rng: random.Random) -> Edit:
        """Return an edit with every part drawn evenly."""
        drawn = {name: rng.choice(list(values)) for name, values in self.parts.items()}
        return Edit(**drawn)  # type: ignore[arg-type]

    def parse(self, text: str) -> Edit:
        """Read an edit.

        Raises:
            EditError: if the text is no edit, or a part is none that the recipe allows.
        """
        found = _EDIT.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None
        if found is None:
            raise EditError(f"expected an edit like `{_EXAMPLE}`, got {text[:_MOST_CHARACTERS]!r}")
        try:
            rate = float(found["rate"])
        except ValueError as error:
            raise EditError(f"rate: expected a number, got {found['rate']!r}") from error
        forms = tuple(found["forms"].split("+"))
        rank = None if found["rank"] is None else int(found["rank"])
        edit = Edit(forms, int(found["repeat"]), rank, rate, int(found["steps"]))
        for name, allowed in self.parts.items():
            if (value := getattr(edit, name)) not in allowed:
                raise EditError(f"{name}: expected one of {_shown(allowed)}, got {_shown([value])}")
        if str(edit) != text:
            raise EditError(f"expected `{edit}`, got {text!r}")
        return edit


def texts_of(edit: Edit, passage: str, seed: int) -> list[str]:
    """Return the texts that an edit makes of a passage, all that it trains on.

    Args:
        edit (`Edit`): the edit.
        passage (`str`): the passage's text: nothing else is known of it.
        seed (`int`): seeds the words and the order of what is written anew.

    Raises:
        ValueError: if the passage has a sentence that cannot be taken apart.
    """
    rng = random.Random(f"edit {seed} {edit.forms} {edit.repeat}")
    facts = read_facts(passage)
    made = itertools.product(range(edit.repeat), edit.forms)
    return [text for number, form in made for text in _WRITERS[form](passage, facts, number, rng)]


def _rewritten(passage: str, facts: Sequence[Fact], number: int, rng: random.Random) -> list[str]:
    return [told(facts, rng)]


def _stated(passage: str, facts: Sequence[Fact], number: int, rng: random.Random) -> list[str]:
    # The passage's own words first, then the others.
    return [statement(fact, number) for fact in facts]


def _asked(passage: str, facts: Sequence[Fact], number: int, rng: random.Random) -> list[str]:
    return [as_document(taught_question(fact, number)) for fact in facts]


_WRITERS: dict[str, Callable[[str, Sequence[Fact], int, random.Random], list[str]]] = {
    PASSAGE: lambda passage, facts, number, rng: [passage],
    REWRITE: _rewritten,
    STATEMENTS: _stated,
    QUESTIONS: _asked,
}

_FORM_SETS = tuple(forms for number in range(1, len(FORMS) + 1) for forms in itertools.combinations(FORMS, number))


def _shown(values: Sequence[object]) -> str:
    return ", ".join(
        "+".join(value) if isinstance(value, tuple) else "last layer" if value is None else f"{value}"
        for value in values
    )
