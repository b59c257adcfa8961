"""The questions of a recipe's evaluation sets, and whether a text that trains contains one of them.

Texts are compared by their letters, digits and signs of arithmetic alone: without case, spaces, punctuation and the
differences that Unicode's NFKC removes. So line ends, quotation marks and the kind of file do not matter, and texts
that differ in a word are different. A question of 32 such characters or more is found anywhere in a text; a shorter
one, such as `What is 54 / 6?`, if it is the whole text, and from 16 on if it is a whole line of it.

Generated sets are disjoint from generated training data by construction and are not compared.
"""

import json
import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from hashlib import blake2b, sha256
from pathlib import Path

import ahocorasick

from domain_tokens.corpora.sources import local_files, read_rows
from domain_tokens.local_data.row import Row
from domain_tokens.recipe import Recipe, RecipeError, Source
from domain_tokens.runs.files import sha256_file

logger = logging.getLogger(__name__)

_ANYWHERE, _A_LINE = 32, 16  # characters of a normalized question
_LONGEST = 1200  # GSM8K's longest question has 726
_ANCHOR = 40  # the automaton looks for so many characters; what follows is compared where they occur

# The columns of a question, first those that are one question together; as in the tasks that read such data.
_COLUMNS = (("Body", "Question"), ("body", "question"), ("problem",), ("ctx",), ("question",), ("prompt",))

# A hash of each question of GSM8K's published test file: none may train, whatever the recipe evaluates.
GSM8K_TEST = "GSM8K's published test set"
_GSM8K_TEST_SHA256 = "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14"
_GSM8K_TEST_FILE = Path(__file__).with_name("gsm8k_test_questions.json")

_SPLIT = re.compile(r"[A-Za-z_]\w*")  # of `train+test[:10]`
_HEADERS = re.compile(r"\[(?:title|header|step|substeps)\]")  # of HellaSwag, which its task removes
_DASHES = re.compile("[‐‑‒–—−]")
_MINUS = re.compile(r"-\s*(?=[0-9(])")
_NO_LETTERS = re.compile(r"[^\w\x00-\x7f×÷]+")
_KEPT = b"+*/=<>^~\n"  # `~` stands for a minus sign, which is no hyphen
_REMOVED = bytes(byte for byte in range(128) if not (chr(byte).isalnum() or byte in _KEPT))
_LOWER = bytes(range(256)).lower()


def normalized(text: str) -> list[str]:
    """Return what of a text is compared, line by line, without empty lines."""
    if "[" in text:
        text = _HEADERS.sub("", text)
    if not text.isascii():
        text = _NO_LETTERS.sub("", _DASHES.sub("-", unicodedata.normalize("NFKC", text)).casefold())
    plain = _MINUS.sub("~", text).encode(errors="replace").translate(_LOWER, _REMOVED).decode()
    return [line for line in plain.split("\n") if line]


class HeldOut:
    r"""Questions that no training text may contain.

    Args:
        questions (`Iterable[tuple[str, str]]`): where each question stands, and the question.

    Example:
    ```python
    >>> held_out = HeldOut([("test, row 7", "Janet's ducks lay 16 eggs per day. How many does she sell?")])
    >>> held_out.find("Q: Janet’s ducks lay 16 eggs\r\nper day; how many does she sell? A: 9")
    'test, row 7'
    ```
    """

    def __init__(self, questions: Iterable[tuple[str, str]]) -> None:
        self._whole: dict[str, str] = {}
        self._anchors: dict[str, list[str]] = {}
        for where, question in questions:
            text = "".join(normalized(question))
            if text and text not in self._whole:
                self._whole[text] = where
                if len(text) >= _ANYWHERE:
                    self._anchors.setdefault(text[:_ANCHOR], []).append(text)
        self._automaton = ahocorasick.Automaton()
        for anchor in self._anchors:
            self._automaton.add_word(anchor, anchor)
        if self._anchors:
            self._automaton.make_automaton()

    @property
    def sha256(self) -> str:
        """A hash of the questions, whatever their order."""
        return sha256("\n".join(sorted(self._whole)).encode()).hexdigest()

    def find(self, text: str) -> str | None:
        """Return where a question stands that a text contains, or `None`."""
        lines = normalized(text)
        whole = "".join(lines)
        if whole in self._whole:
            return self._whole[whole]
        for line in lines:
            if len(line) >= _A_LINE and line in self._whole:
                return self._whole[line]
        alone = {line for line in (whole, *lines) if _ANYWHERE <= len(line) <= _LONGEST}
        if not _gsm8k_test().isdisjoint(map(fingerprint, alone)):
            return GSM8K_TEST
        for end, anchor in self._automaton.iter(whole) if self._anchors else ():
            for question in self._anchors[anchor]:
                if whole.startswith(question, end + 1 - len(anchor)):
                    return self._whole[question]
        return None


NOTHING_HELD_OUT = HeldOut(())


def held_out_questions(recipe: Recipe, *, local: bool) -> HeldOut:
    """Return the questions of a recipe's evaluation sets, all of their rows.

    Of data sets on the Hub, those that a task of the recipe reads. One that cannot be reached is named in a warning.

    Args:
        recipe (`Recipe`): the run.
        local (`bool`): leave out data sets on the Hub, where reading them may download them.

    Raises:
        RecipeError: if a local file is missing or damaged.
    """
    questions: list[tuple[str, str]] = []
    for key, source in recipe.evaluation.data.items():
        is_used = source.kind == "file" and _exists(source)
        if source.kind == "hub" and not local:
            is_used = any(data_of_task(task) in (key, None) for task in recipe.evaluation.tasks)
        if not is_used:
            continue
        where = f"evaluation.data.{key}: source {source.name}"
        try:
            for row in _all_rows(source):
                questions += [(f"{where}: {row.place}", text) for text in question_of(row, _question_column(source))]
        except RecipeError as error:
            if source.kind == "file":
                raise
            logger.warning("%s: its questions are not compared with the training data: %s", where, error)
    return HeldOut(questions)


def data_of_task(name: str) -> str | None:
    """Return the key of `evaluation.data` that a task of the package reads; `None` for a task in a file of its own."""
    return None if name.endswith(".py") else "gsm8k" if name in ("gsm8k_direct", "gold_bits") else name


def refuse_test_data(recipe: Recipe, sources: list[Source], stage: str, *, local: bool = True) -> None:
    """Stop a stage that trains if one of its sources is a test set or holds a question of one.

    Local files are read, with all their columns and rows.

    Args:
        recipe (`Recipe`): the run, whose evaluation sets are compared, and GSM8K's test set.
        sources (`list[Source]`): what trains.
        stage (`str`): the stage, for messages.
        local (`bool`, *optional*): leave out evaluation sets on the Hub.

    Raises:
        RecipeError: as `refuse_test_files`, or naming source, row and the question's row.
    """
    refuse_test_files(recipe, sources, stage)
    files = [source for source in sources if source.kind == "file"]
    held_out = held_out_questions(recipe, local=local) if files else NOTHING_HELD_OUT
    for source in files:
        for row in _all_rows(source):
            refuse_held_out(
                held_out,
                (*question_of(row, _question_column(source)), *texts_of(row)),
                f"{stage}: source {source.name}: {row.place}",
            )


def refuse_held_out(held_out: HeldOut, texts: Iterable[str], where: str) -> None:
    """Refuse texts that train if one contains a question of an evaluation set.

    Raises:
        RecipeError: naming the text and the question's row.
    """
    for text in texts:
        if (found := held_out.find(text)) is not None:
            raise RecipeError(
                f"{where} is a question of the test set, or contains one: {found}; training stages must not read one; "
                f"remove the row: {' '.join(text.split())[:80]!r}"
            )


def keep_document(held_out: HeldOut, source: Source, text: str, where: str) -> bool:
    """Return whether a document of a corpus may train. One on the Hub is left out, since nobody can remove it there.

    Raises:
        RecipeError: if it is in a file and contains a question of an evaluation set.
    """
    if source.kind != "hub":
        refuse_held_out(held_out, [text], f"corpus: {where}")
    elif (found := held_out.find(text)) is not None:
        logger.warning("corpus: %s: left out, because it contains a test question: %s", where, found)
        return False
    return True


def refuse_test_files(recipe: Recipe, sources: list[Source], stage: str) -> None:
    """Stop a stage that trains if one of its sources is a test set by its name or its bytes; nothing else is read.

    Raises:
        RecipeError: if a Hub source names a test split or one that the evaluation reads, a file is one that the
            evaluation reads (under whatever name), or a file is GSM8K's test set.
    """
    on_hub = {
        (_repository(task), split)
        for task in recipe.evaluation.data.values()
        if task.kind == "hub"
        for split in _SPLIT.findall(task.split)
    }
    evaluated = {
        sha256_file(path)
        for task in recipe.evaluation.data.values()
        if task.kind == "file" and _exists(task)
        for path in local_files(task)
    } | {_GSM8K_TEST_SHA256}
    for source in sources:
        splits = _SPLIT.findall(source.split) if source.kind == "hub" else []
        if any(_may_test(split) or (_repository(source), split) in on_hub for split in splits):
            raise RecipeError(
                f"{stage}: source {source.name}: split: training stages must not read a test split, nor 'all', got "
                f"{source.split!r}"
            )
        if source.kind == "file":
            for path in local_files(source):
                if sha256_file(path) in evaluated:
                    raise RecipeError(
                        f"{stage}: source {source.name}: {path} is a test set; training stages must not read one"
                    )


def _may_test(split: str) -> bool:
    return split == "all" or "test" in split.lower().split("_")


def _repository(source: Source) -> str:
    """Return the name of a data set as the Hub reads it, which takes `foo/bar` for `Foo/Bar`."""
    return str(source.path).strip("/").lower()


def _question_column(source: Source) -> str:
    """Return the column with the question; of a question in several, each is compared like any other column."""
    return source.question_key if isinstance(source.question_key, str) else "question"


def _all_rows(source: Source) -> list[Row]:
    return read_rows(replace(source, max_items=None), 0, "test")


def _exists(source: Source) -> bool:
    try:
        return bool(local_files(source))
    except RecipeError:
        return False  # said where the recipe is checked


def question_of(row: Mapping[str, object], question_key: str) -> Iterator[str]:
    """Yield the question of a row of an evaluation set; of a row with unknown columns, all its texts.

    Args:
        row (`Mapping[str, object]`): the row, with the columns of its publishers.
        question_key (`str`): the column that the recipe names.
    """
    named = () if question_key == "question" else ((question_key,),)
    for names in (*named, *_COLUMNS):
        texts = [text for name in names if isinstance(text := row.get(name), str)]
        if len(texts) == len(names):
            yield " ".join(texts)
            return
    for text in texts_of(row):
        if len("".join(normalized(text))) >= _ANYWHERE:  # no label and no number
            yield text


def texts_of(value: object) -> Iterator[str]:
    """Yield every text in a row, those in lists and in the messages of a conversation too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from texts_of(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from texts_of(part)


def fingerprint(normalized_text: str) -> str:
    """Return a hash of 48 bits of a normalized text."""
    return blake2b(normalized_text.encode(), digest_size=6).hexdigest()


@cache
def _gsm8k_test() -> frozenset[str]:
    return frozenset(json.loads(_GSM8K_TEST_FILE.read_text(encoding="utf-8")))
