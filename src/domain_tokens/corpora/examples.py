"""Reads examples of fine-tuning, GRPO and evaluation: questions with answers, and conversations of several turns."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from domain_tokens.corpora.forms import check_filled_in, check_no_option, check_wanted, is_turns, only_turn
from domain_tokens.corpora.sources import read_rows, without_annotations
from domain_tokens.local_data.row import Row, is_blank
from domain_tokens.recipe import RecipeError, Source

_ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant",
    "prompter": "user",
}  # fmt: skip
"""The roles of chat formats, and of ShareGPT's, which names them `from` and their text `value`."""


_WHOLE = re.compile(r"-?\d+\.0")


class Exchange(NamedTuple):
    """What a user says, and what the assistant answers."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Example:
    """A question and its answer; in a conversation, the last exchange.

    Attributes:
        question: what the user says.
        answer: what the assistant answers. To a question of mathematics, it ends with `#### <number>`.
        earlier: the exchanges before, of a conversation of several turns.
        source: the name of the source.
        place: the file and its line or row.
        id: what the row's column `id` says, if it was read; a row of a parquet file is known by its place.
        cluster: for a generated question its template and numbers, `boxes:6,9`; questions of one cluster ask the same.
        group: for a word problem of the generator what its answer needs, such as `one product`.
    """

    question: str
    answer: str
    earlier: tuple[Exchange, ...] = ()
    source: str = ""
    place: str = ""
    id: str | None = None
    cluster: str | None = None
    group: str | None = None

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All exchanges, the last of them too."""
        return (*self.earlier, Exchange(self.question, self.answer))

    @property
    def texts(self) -> tuple[str, ...]:
        """All that is said, in order: of a single exchange, question and answer."""
        return tuple(text for exchange in self.exchanges for text in exchange)


def read_examples(
    source: Source,
    seed: int,
    split: str,
    stream: str = "",
    check_answer: Callable[[str, str], object] | None = None,
    left_out: Counter[str] | None = None,
    keep: Callable[[Source, Sequence[Row]], Sequence[Row]] | None = None,
) -> list[Example]:
    """Read questions and answers, or conversations, as the source's columns say; arguments as in `read_rows`.

    Args:
        check_answer (`Callable[[str, str], object]`, *optional*): called with each answer, and its source, row and
            column, to refuse it.
        left_out (`Counter[str]`, *optional*): counts, by reason, the conversations that cannot be used, such as one
            with calls of tools.
        keep (`Callable[[Source, Sequence[Row]], Sequence[Row]]`, *optional*): chooses among the rows, which then have
            all their columns.

    Raises:
        RecipeError: if a column is missing, or a question or an answer is empty or no text, naming source and row; or
            if no conversation can be used.
    """
    counted: Counter[str] = Counter() if left_out is None else left_out
    examples = []
    rows: Sequence[Row] = read_rows(source, seed, split, stream, None if keep else _columns(source))
    for row in keep(source, rows) if keep else rows:
        where = f"source {source.name}"
        if source.messages_key is None:
            example = _question_and_answer(source, row)
        elif (conversation := _conversation(source, row, counted)) is not None:
            example = conversation
        else:
            continue
        if check_answer is not None:
            key = _names(source.answer_key) if source.final_key is None else [source.final_key]
            columns = " and ".join(map(repr, key))
            check_answer(example.answer, f"{where}: {row.place}: column {columns}")
        examples.append(example)
    if not examples:
        reasons = ", ".join(f"{reason} ({number})" for reason, number in counted.most_common())
        raise RecipeError(f"source {source.name}: messages_key: no conversation can be used: {reasons}")
    return examples


def _names(key: str | list[str]) -> list[str]:
    return [key] if isinstance(key, str) else [str(one) for one in key]


def _columns(source: Source) -> Sequence[str]:
    if source.messages_key is not None:
        return (source.messages_key,)
    final = () if source.final_key is None else (source.final_key,)
    return (*_names(source.question_key), *_names(source.answer_key), *final)


def _question_and_answer(source: Source, row: Row) -> Example:
    where = f"source {source.name}"
    answer = _answer(source, row, where)
    if source.final_key is not None:
        if "####" in answer:
            raise RecipeError(
                f"{where}: final_key: {row.place}: the answer has a line `#### ...` already; remove final_key"
            )
        answer = f"{answer.rstrip()}\n#### {_number(row, source.final_key, where)}".lstrip()
    if source.answers == "final":
        _, mark, final = answer.rpartition("####")
        if not mark or len(final.strip().splitlines()) != 1:
            raise RecipeError(
                f"{where}: answers: {row.place}: the answer has no last line `#### <number>`; set final_key to the "
                "column with the final number"
            )
        answer = f"#### {final.strip()}"
    question = _question(source, row, where)
    check_filled_in(question, row, f"{where}: question_key")
    generated = row if source.kind == "synthetic" else {}
    return Example(
        question,
        answer,
        (),
        source.name,
        row.place,
        _id(row),
        _label(generated, "cluster"),
        _label(generated, "group"),
    )


def _question(source: Source, row: Row, where: str) -> str:
    where = f"{where}: question_key"
    if isinstance(source.question_key, str):
        if is_turns(row.get(source.question_key)):
            return only_turn(source, row, source.question_key, "user", _ROLES)
        return row.text(source.question_key, where)
    # Some rows have no input beside their instruction, or no text before their question.
    filled = [key for key in source.question_key if key not in row or not _is_empty(row[key])]
    return " ".join(row.text(key, where).strip() for key in filled or source.question_key)


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and is_blank(value))


def _answer(source: Source, row: Row, where: str) -> str:
    """Return the answer in a row, without its final number where that is in a column of its own."""
    if source.answers == "final" and source.final_key is not None:
        return ""
    keys = _names(source.answer_key)
    check_wanted(row, keys, f"{where}: answer_key")
    if len(keys) == 1 and is_turns(row.get(keys[0])):
        answer = only_turn(source, row, keys[0], "assistant", _ROLES)
    else:
        read = row.text if source.final_key is None else row.lines  # steps in a list have their result elsewhere
        answer = "\n".join(read(key, f"{where}: answer_key") for key in keys)
    answer = without_annotations(answer, source.annotations)
    if is_blank(answer):
        raise RecipeError(
            f"{where}: answer_key: {row.place}: the answer is empty after its calculator annotations are removed; set "
            "annotations: unwrap to learn what is in them"
        )
    return answer


def _conversation(source: Source, row: Row, left_out: Counter[str]) -> Example | None:
    """Return the conversation in a row, or none, and count why."""
    assert source.messages_key is not None
    where = f"source {source.name}: messages_key"
    turns: list[tuple[str, str]] = []
    system = ""  # said before the next question
    for turn in row.turns(source.messages_key, where):
        role, text = _ROLES.get(turn.role), without_annotations(turn.text, source.annotations)
        reason = turn.unusable or ("" if role else f"a turn of the role {turn.role!r}")
        if role == "system" and not turn.unusable:
            system += "" if is_blank(text) else f"{text.strip()}\n\n"
            continue
        if reason or role is None or is_blank(text):
            left_out[reason or "an empty turn"] += 1
            return None
        if role == "user":
            text, system = system + text, ""
        turns.append((role, text))
    if turns and turns[-1][0] == "user":
        turns.pop()  # nobody answers it
    if not turns or any(role != ("user", "assistant")[number % 2] for number, (role, _) in enumerate(turns)):
        left_out[_why_unusable(turns)] += 1
        return None
    texts = [text for _, text in turns]
    exchanges = tuple(map(Exchange._make, zip(texts[::2], texts[1::2], strict=True)))
    return Example(*exchanges[-1], exchanges[:-1], source.name, row.place, _id(row))


def _why_unusable(turns: Sequence[tuple[str, str]]) -> str:
    if not turns:
        return "no answer"
    return "the assistant speaks first" if turns[0][0] == "assistant" else "two turns of one side in a row"


def _number(row: Row, key: str, where: str) -> str:
    """Return the number in a column, which publishers write as text or as a number: 145.0 is 145."""
    value = row.get(key)
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        text = row.text(key, f"{where}: final_key").rpartition("####")[2].strip()
        check_no_option(text, row, f"{where}: final_key")
        return text.removesuffix(".0") if _WHOLE.fullmatch(text) else text
    if not math.isfinite(value):
        raise RecipeError(f"{where}: final_key: {row.place}: column {key!r}: expected a number, got {value}")
    return str(int(value)) if value == int(value) else str(value)


def _id(row: Row) -> str | None:
    value = row.get("id")
    return str(value) if isinstance(value, str | int) else None


def _label(row: Mapping[str, object], key: str) -> str | None:
    """Return what the generator says of a row; a column of this name in other data means something else."""
    value = row.get(key)
    return None if value is None else str(value)
