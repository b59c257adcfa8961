"""Forms in which rows are published that are not a question with its answer, or need a word about what they are."""

import re

from domain_tokens.local_data.row import Row, Turn
from domain_tokens.recipe import RecipeError, Source

# MAWPS and Math23K as they are prepared for equation solvers: the numbers stand in a column of their own.
_PLACEHOLDER = re.compile(r"\b(?:N_\d+|number\d+|NUM_?\d+|temp_[a-z])\b")
_OPTION = re.compile(r"\(?[A-Fa-f]\)?")
_OPTIONS = ("options", "choices")


def check_wanted(row: Row, answers: list[str], where: str) -> None:
    """Refuse an answer that its publishers mark as one not to imitate.

    Args:
        row (`Row`): the row.
        answers (`list[str]`): the columns of the answer.
        where (`str`): the source, for the message.

    Raises:
        RecipeError: naming the row and what to do.
    """
    for key in answers:
        if key in ("rejected", "non_preferred_output") and {"chosen", "preferred_output"} & set(row):
            raise RecipeError(
                f"{where}: {row.place}: column {key!r} of preference data holds the answers that are not wanted; "
                "expected the preferred ones"
            )
    if "completion" in answers and row.get("label") is False:
        raise RecipeError(
            f"{where}: {row.place}: label is false, so this completion is not wanted (unpaired preference data); keep "
            "the rows whose label is true"
        )


def check_filled_in(text: str, row: Row, where: str) -> None:
    """Refuse a question whose numbers are left out. Raises `RecipeError` naming the row."""
    found = sorted(set(_PLACEHOLDER.findall(text)))
    if found and any(key.casefold() in ("numbers", "nums", "num_list") for key in row):
        raise RecipeError(
            f"{where}: {row.place}: {', '.join(found)} stand for numbers in a column of their own; put the numbers "
            "into the question"
        )


def check_no_option(text: str, row: Row, where: str) -> None:
    """Refuse the letter of an option as a final number. Raises `RecipeError` naming the row and what to do."""
    named = next((key for key in row if key.casefold() in _OPTIONS), None)
    if named is not None and _OPTION.fullmatch(text):
        raise RecipeError(
            f"{where}: {row.place}: {text!r} is the letter of an option, and a final answer is a number; write the "
            f"option's number into a column of its own, or leave final_key out and add {named!r} to question_key"
        )


def is_turns(value: object) -> bool:
    """Return whether a column holds turns of a conversation rather than text, as `prompt` and `completion` of TRL."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) and _has_role(one) for one in value)


def _has_role(turn: dict[str, object]) -> bool:
    return bool({"role", "from"} & set(turn))


def only_turn(source: Source, row: Row, key: str, side: str, roles: dict[str, str]) -> str:
    """Return what one side says in a column of turns that holds no other turn but those of the system before it.

    Args:
        source (`Source`): for messages.
        row (`Row`): the row.
        key (`str`): the column.
        side (`str`): `user` or `assistant`.
        roles (`dict[str, str]`): the roles of chat formats, and the side of each.

    Raises:
        RecipeError: if it holds other turns.
    """
    where = f"source {source.name}: {row.place}: column {key!r}"
    turns = row.turns(key, f"source {source.name}")
    system = "".join(f"{turn.text.strip()}\n\n" for turn in turns[:-1] if roles.get(turn.role) == "system")
    last: Turn = turns[-1]
    if last.unusable:
        raise RecipeError(f"{where}: {last.unusable} cannot be learned as text; remove the row")
    others = [turn.role for turn in turns[:-1] if roles.get(turn.role) != "system"]
    if others or roles.get(last.role) != side:
        raise RecipeError(
            f"{where}: expected one turn of the {side}, got {', '.join(turn.role for turn in turns)}; put all turns "
            "of a conversation into one column and name it as messages_key"
        )
    return system + last.text
