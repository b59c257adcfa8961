"""What the evaluation reads in an answer: its number, and its equations, right or wrong."""

from dataclasses import dataclass

from domain_tokens.evaluation.equations import read_equations
from domain_tokens.evaluation.tasks._generative import trim
from domain_tokens.playground.visible import visible
from domain_tokens.playground.writing import Writing


@dataclass(frozen=True)
class Mark:
    """An equation of an answer.

    Attributes:
        start, end: its span in the answer as the tokenizer writes it, in characters.
        text: the same, with facts as what they stand for.
        right: whether it holds, exactly or rounded.
        form: `fact` if a token states it, `mixed` if one is a part of it, else `digits`.
    """

    start: int
    end: int
    text: str
    right: bool
    form: str


@dataclass(frozen=True)
class Read:
    """A finished answer, as the evaluation reads it.

    Attributes:
        num_tokens: the tokens that belong to it; what is behind them does not, as the next question does not.
        end: why it ended.
        number: the number that it gives; `None` if it gives none, or several.
        equations: those that state a result, in order.
        circumstances: what else it depends on: that facts were forbidden, and what was read as something else.
    """

    num_tokens: int
    end: str
    number: str | None
    equations: tuple[Mark, ...]
    circumstances: tuple[str, ...]


def read(writing: Writing) -> Read:
    """Read a finished answer."""
    model = writing.model
    ids, _ = trim(writing.ids, model.tokenizer)
    kept = writing.steps[len(ids)].start if len(ids) < len(writing.steps) else None
    answer = model.reader.read(writing.written[:kept])
    equations = [one for one in read_equations(answer, writing.question) if one.has_result]
    marks = [
        Mark(one.start, one.end, visible(model.reader.read(one.text).text), one.right, one.form) for one in equations
    ]
    number = None if answer.number is None else str(answer.number)
    return Read(len(ids), str(writing.end or ""), number, tuple(marks), tuple(writing.circumstances()))
