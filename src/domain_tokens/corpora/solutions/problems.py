"""Reads the questions and programs of a data set, row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domain_tokens.corpora.sources import rows_in_order
from domain_tokens.local_data.row import Row, check_characters, is_blank, listed
from domain_tokens.recipe import RecipeError, Source


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with the program that answers it.

    Attributes:
        row: its number in the data set, from 0.
        question, program: the texts; empty if the row has none that can be used.
    """

    row: int
    question: str
    program: str


def read_problems(source: Source) -> Iterator[Problem]:
    """Yield the problems of a data set in order, as far as its `max_items`.

    Raises:
        RecipeError: if the data cannot be read, or has no such columns.
    """
    questions = source.question_key if isinstance(source.question_key, list) else [source.question_key]
    programs = source.answer_key if isinstance(source.answer_key, list) else [source.answer_key]
    for number, row in enumerate(rows_in_order(source, [*questions, *programs])):
        if source.max_items is not None and number >= source.max_items:
            return
        yield Problem(number, _text(source, row, questions), _text(source, row, programs))


def _text(source: Source, row: Row, keys: Sequence[str]) -> str:
    """Return the text in some columns; empty if one of them holds none, as some of millions of rows may."""
    texts = []
    for key in keys:
        if key not in row:
            raise RecipeError(
                f"source {source.name}: {row.place} has no column {key!r}; it has {listed(row)}; name the "
                "columns with --question-key and --program-key"
            )
        value = row[key]
        if not isinstance(value, str) or is_blank(value):
            return ""
        try:
            check_characters(value, row.place)
        except RecipeError:
            return ""
        texts.append(value)
    return "\n".join(texts)
