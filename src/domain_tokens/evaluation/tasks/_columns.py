"""One row of a benchmark's data: its columns, each with its type checked, and never turned into text by `str()`."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from domain_tokens.evaluation.tasks._base import RawRow, check_question, check_text
from domain_tokens.local_data.row import check_present, listed, repeated_in
from domain_tokens.recipe import RecipeError


@dataclass(frozen=True)
class Columns:
    """The columns of one row. Every method raises `RecipeError` naming source, row and column.

    Attributes:
        values: the row.
        where: its source and number, for messages.
    """

    values: RawRow
    where: str

    def text(self, name: str, *, may_be_empty: bool = False, stripped: bool = True) -> str:
        """Return a text, `stripped` of the spaces around it; unless it may be empty, it has a letter or a digit."""
        value = self._value(name)
        if not isinstance(value, str):
            raise self.error(name, "text", value)
        check = check_present if may_be_empty else check_question
        check(value, f"{self.where}: column {name!r}")
        check_text(value, f"{self.where}: column {name!r}")
        return value.strip() if stripped else value

    def number(self, name: str) -> str:
        """Return a number, or a text that stands for one, as text; whether it can be read is the task's concern."""
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, (int, float, str)) or value == "":
            raise self.error(name, "a number", value)
        if isinstance(value, float) and not math.isfinite(value):
            raise self.error(name, "a finite number", value)
        if isinstance(value, str):
            return self.text(name)
        return str(value)

    def texts(self, name: str) -> list[str]:
        """Return a list of at least two texts, each with a letter or a digit."""
        value = self._value(name)
        if not isinstance(value, (list, tuple)):
            raise self.error(name, "a list of texts", value)
        found: list[str] = []
        for text in value:
            if not isinstance(text, str) or not text.strip():
                raise self.error(name, "a list of texts, none of them empty", text)
            check_present(text, f"{self.where}: column {name!r}")
            check_text(text, f"{self.where}: column {name!r}")
            found.append(text)
        if len(found) < 2:
            raise self.error(name, "two texts or more", value)
        return found

    def index(self, name: str, length: int) -> int:
        """Return a whole number from 0 up to the length of a list, which may be written as text."""
        value = self._value(name)
        is_index = re.fullmatch("[0-9]{1,9}", value) if isinstance(value, str) else type(value) is int
        if not is_index or not 0 <= int(str(value)) < length:
            raise self.error(name, f"a whole number below {length}", value)
        return int(str(value))

    def check_names(self, names: Iterable[str]) -> None:
        """Check that the row has all of these columns."""
        for name in names:
            if name not in self.values:
                raise RecipeError(f"{self.where} has no column {name!r}; it has {listed(self.values)}")

    def has(self, name: str) -> bool:
        """Return whether the row has a value in a column that some rows leave out."""
        return self.values.get(name) is not None

    def error(self, name: str, expected: str, value: object) -> RecipeError:
        """Return the error of a column that holds something else than expected."""
        shown = "null" if value is None else f"{type(value).__name__} {value!r}"
        return RecipeError(f"{self.where}: column {name!r}: expected {expected}, got {shown[:80]}")

    def _value(self, name: str) -> object:
        self.check_names([name])
        if name in repeated_in(self.values):
            raise RecipeError(f"{self.where}: column {name!r} is there more than once; keep one of them")
        return self.values[name]
