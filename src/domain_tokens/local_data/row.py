"""A row of a data set, and the text in a column of it."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from itertools import islice
from typing import NamedTuple

from domain_tokens.recipe import RecipeError

FOR_PANDAS = "; if pandas wrote it, use to_json(..., orient='records', lines=True)"
"""What to do about a whole table in one value."""
_MOST_LISTED = 20
# What a missing value becomes in a file that was written by `str()` or by pandas.
# The last are errors of spreadsheets.
_MISSING = re.compile(
    r"""["'(\[<]*(?:none|null|nil|nan|nat|n/?a|undefined|missing)["')\]>.;]*|\#(?:ref!|n/a|value!|div/0!|name\?|num!|null!)""",
    re.IGNORECASE,
)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def check_characters(text: str, where: str) -> None:
    """Check that a text can be written: JSON and UTF-16 can spell half of a surrogate pair, and JSON a NUL.

    Raises:
        RecipeError: naming the half, or the NUL.
    """
    if "\0" in text:
        raise RecipeError(f"{where}: it holds the character NUL ('\\x00'), which is no text; remove it or the row")
    if not _can_be_written(text) and (lone := _LONE_SURROGATE.search(text)) is not None:
        raise RecipeError(
            f"{where}: {lone.group()!a} is half of a surrogate pair, which UTF-8 cannot hold; expected a whole "
            "character"
        )


def _can_be_written(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_present(text: str, where: str) -> None:
    """Refuse the name of a missing value in place of a text.

    Raises:
        RecipeError: naming the row.
    """
    if _MISSING.fullmatch(text.strip()):
        raise RecipeError(f"{where}: {text.strip()!r} stands for a missing value; remove the row")


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing: it holds spaces, controls and signs without width alone."""
    return all(character.isspace() or unicodedata.category(character) in ("Cc", "Cf") for character in text)


def listed(names: Collection[str]) -> str:
    """Return names of columns for a message, the first of very many."""
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(map(repr, islice(names, _MOST_LISTED))) + more


def repeated_in(value: object) -> frozenset[str]:
    """Return the keys that an object of a file has more than once."""
    return value.repeated if isinstance(value, Row) else frozenset()


class Turn(NamedTuple):
    """What one side of a conversation says.

    Attributes:
        role: who says it, in small letters.
        text: what is said.
        unusable: why the conversation cannot be learned as it is written, or nothing.
    """

    role: str
    text: str
    unusable: str = ""


class Row(dict[str, object]):
    """One row of a data set, with the columns of its publishers, or an object within a row.

    Attributes:
        place: the file and its line or row, for messages.
        repeated: the columns that the row has more than once.
    """

    place: str = ""
    repeated: frozenset[str] = frozenset()

    @classmethod
    def at(cls, place: str, values: Mapping[str, object]) -> "Row":
        """Return a row with its place."""
        row = cls(values)
        row.place = place
        return row

    def _lacks(self, key: str, where: str) -> RecipeError:
        todo = _as_rows(self) or of_preferences(self)
        return RecipeError(f"{where}: {self.place} has no column {key!r}; it has {listed(self)}{todo}")

    def text(self, key: str, where: str, *, is_document: bool = False) -> str:
        """Return the text in a column. The content of a chat, a list of parts of text, is joined.

        Args:
            key (`str`): the column.
            where (`str`): what asks for it, for messages: a source and a key of the recipe.
            is_document (`bool`, *optional*): whether a word such as `None` is a text, as among paragraphs.

        Raises:
            RecipeError: if the column is missing, holds anything but text, or none.
        """
        if key not in self:
            raise self._lacks(key, where)
        where = f"{where}: {self.place}: column {key!r}"
        if key in self.repeated:
            raise RecipeError(f"{where} is there more than once; keep one of them")
        text = self._content(self[key], where)
        if is_blank(text):
            raise RecipeError(f"{where} is empty; remove the row")
        check_characters(text, where)
        if not is_document:
            check_present(text, where)
        return text

    def lines(self, key: str, where: str) -> str:
        """Return the text in a column as `text` does; a list of texts, such as the steps of a solution, by lines."""
        value = self.get(key)
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            joined = Row.at(self.place, {key: "\n".join(value)})
            joined.repeated = self.repeated
            return joined.text(key, where)
        return self.text(key, where)

    def turns(self, key: str, where: str) -> "list[Turn]":
        """Return the turns of a conversation in a column: a list of objects with a role and a content.

        Args:
            key (`str`): the column.
            where (`str`): what asks for it, for messages: a source and a key of the recipe.

        Raises:
            RecipeError: if the column is missing or holds anything but a conversation, naming the turn.
        """
        if key not in self:
            raise self._lacks(key, where)
        where = f"{where}: {self.place}: column {key!r}"
        if key in self.repeated:
            raise RecipeError(f"{where} is there more than once; keep one of them")
        value = self[key]
        if not isinstance(value, list):
            raise RecipeError(f"{where}: expected a list of turns {{role: ..., content: ...}}, got {_kind(value)}")
        return [self._turn(turn, f"{where}: turn {number}") for number, turn in enumerate(value, 1)]

    def _turn(self, turn: object, where: str) -> "Turn":
        named = turn if isinstance(turn, dict) else {}
        if twice := sorted({"role", "from", "content", "value"} & repeated_in(turn)):
            raise RecipeError(f"{where} has the key {twice[0]!r} more than once; keep one of them")
        # A schema that unites two forms leaves the keys of the other one null.
        role, content = (
            next((named[key] for key in keys if named.get(key) is not None), None)
            for keys in (("role", "from"), ("content", "value"))
        )
        if not isinstance(role, str) or not {"content", "value"} & set(named):
            found = f"an object with {listed(named)}" if named else _kind(turn)
            raise RecipeError(
                f"{where}: expected {{role: ..., content: ...}} or {{from: ..., value: ...}}, got {found}"
            )
        role = role.casefold()
        if any(named.get(key) for key in ("tool_calls", "function_call")):
            return Turn(role, "", "a call of a tool")
        if named.get("weight") == 0:
            return Turn(role, "", "a turn of weight 0")
        if content is None:
            return Turn(role, "")
        text = self._content(content, where)
        check_characters(text, where)
        return Turn(role, text)

    @staticmethod
    def _content(value: object, where: str) -> str:
        if isinstance(value, str):
            return value
        if not isinstance(value, list) or not value:
            raise RecipeError(f"{where}: expected text, got {_kind(value)}")
        texts = []
        for number, part in enumerate(value, 1):
            if twice := sorted({"type", "text"} & repeated_in(part)):
                raise RecipeError(f"{where}: part {number} has the key {twice[0]!r} more than once; keep one of them")
            kind = part.get("type") if isinstance(part, dict) else None
            text = part.get("text") if isinstance(part, dict) else None
            if kind != "text" or not isinstance(text, str):
                found = f"of type {kind!r}" if kind != "text" and kind is not None else "of another form"
                raise RecipeError(
                    f"{where}: expected text, or a list of parts {{type: text, text: ...}}; part {number} is {found}"
                )
            texts.append(text)
        return "".join(texts)


def of_preferences(names: Collection[str]) -> str:
    """Return what to do about columns of preference data, where another column was asked for."""
    for wanted, other in (("chosen", "rejected"), ("preferred_output", "non_preferred_output")):
        if {wanted, other} <= set(names):
            return (
                f"; {wanted!r} and {other!r} are preference data, which is not for fine-tuning: nothing here learns "
                f"from what is not wanted; to learn the preferred answers alone, name the column {wanted!r} as "
                "answer_key, or as messages_key if it holds whole conversations"
            )
    return ""


def _kind(value: object) -> str:
    """Return the name of a value's type, of a row within a row as well."""
    return f"dict{_as_rows(value)}" if isinstance(value, dict) else type(value).__name__


def _as_rows(value: Mapping[str, object]) -> str:
    """Return what to do about an object that is a whole table, as `to_json()` of pandas writes one by default."""
    is_table = {"columns", "index", "data"} <= set(value) or {"schema", "data"} <= set(value)
    is_by_index = "0" in value and all(key.isdecimal() and not isinstance(one, list) for key, one in value.items())
    if not is_table and not is_by_index:
        return ""
    return FOR_PANDAS
