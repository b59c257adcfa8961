"""A model's answer: its raw form, its expanded text, and what rewards and evaluation read from it.

Every answer is made by an `AnswerReader`, which writes tokens as the text they stand for, once. Whatever measures an
answer takes an `Answer`, so nothing can read a text in which tokens were forgotten.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

from domain_tokens.evaluation.answers.extraction import extract_answer, read_number
from domain_tokens.tokenization.edits import Edit
from domain_tokens.tokenization.facts import TOKEN
from domain_tokens.tokenization.intervention import Intervention, default_intervention
from domain_tokens.tokenization.rewriter import canonical_rewriter

Span = tuple[int, int]

# The metric of a task and its items read the same answers, one after the other, as do the rewards of one batch.
_REMEMBERED = 10_000  # about 3 kB each


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model wrote. Made by an `AnswerReader`.

    Attributes:
        written: as the model wrote it, with tokens or without.
        text: the same with each token written as what it stands for.
        edits: the tokens, with their spans in `text`.
        facts: the spans in `text` of the tokens that stand for facts of the model's own intervention.
        table: the intervention whose facts are read in canonical form, the same in every condition.
    """

    written: str
    text: str
    edits: tuple[Edit, ...]
    facts: tuple[Span, ...]
    table: Intervention

    @cached_property
    def number(self) -> Fraction | None:
        """The number that the answer gives; `None` if it gives none or more than one."""
        return extract_answer(self.text)

    @cached_property
    def canonical(self) -> str:
        """The text with every fact of the table in one spelling: `9 x 6 = 54` as `6*9=54`, and `9 x 6` as `6*9`.

        Rewards measure lengths and find numbers in this form, so that they do not depend on spaces and signs. A result
        that the text does not give is not added.
        """
        rewriting = canonical_rewriter(self.table).rewrite(self.text)
        pieces, position = [], 0
        for edit in rewriting.edits:
            new = rewriting.text[edit.start : edit.end]
            shown = new if states_result(self.table, edit.source) else new.partition("=")[0]
            pieces += [rewriting.text[position : edit.start], shown]
            position = edit.end
        return "".join([*pieces, rewriting.text[position:]])


@lru_cache(maxsize=_REMEMBERED)
def states_result(table: Intervention, text: str) -> bool:
    """Return whether a spelling of a fact of a table gives its result: `6 x 9 = 54` does, `6 x 9` does not."""
    return any(site.stated is not None for site in canonical_rewriter(table).find(text))


class AnswerReader:
    r"""Makes answers of what the models of one condition write.

    Expanded are the tokens of three interventions: the model's own, the experiment's, and the table's. So a model that
    spells a token's name character by character earns the same in every condition.

    Args:
        written_by (`Intervention`): that of the model's tokenizer.
        table (`Intervention`): whose facts are read in canonical form, the same in every condition.

    Example:
    ```python
    >>> reader = AnswerReader(default_intervention(), default_intervention())
    >>> answer = reader.read("<MUL_6_9_54>\n#### 54")
    >>> answer.text, answer.number
    ('6*9=54\n#### 54', Fraction(54, 1))
    ```
    """

    def __init__(self, written_by: Intervention, table: Intervention) -> None:
        self.written_by = written_by
        self.table = table
        self._texts = texts_by_token(table) | texts_by_token(default_intervention()) | texts_by_token(written_by)
        self._facts = frozenset(entry.token for entry in written_by.entries() if entry.operands is not None)
        self.read = lru_cache(maxsize=_REMEMBERED)(self._read)

    def _read(self, written: str) -> Answer:
        # A lone surrogate has no bytes, which the rules need; a question mark is as long.
        written = written.encode(errors="replace").decode()
        text, edits = expand_tokens(written, self._texts)
        facts = tuple((edit.start, edit.end) for edit in edits if edit.source in self._facts)
        return Answer(written, text, edits, facts, self.table)


def expand_tokens(written: str, texts: Mapping[str, str]) -> tuple[str, tuple[Edit, ...]]:
    """Return a text with its tokens expanded, and what was replaced. Takes time linear in the length of the text.

    Args:
        written (`str`): the text.
        texts (`Mapping[str, str]`): what each token stands for, by its name.
    """
    pieces: list[str] = []
    edits, position, length = [], 0, 0
    for match in TOKEN.finditer(written):
        new = texts.get(match.group())
        if new is None:
            continue
        start = length + match.start() - position
        length = start + len(new)
        pieces += [written[position : match.start()], new]
        position = match.end()
        edits.append(Edit(start, length, match.group()))
    return "".join([*pieces, written[position:]]), tuple(edits)


def is_correct(answer: Answer, gold: str) -> bool:
    """Return whether an answer gives the right number: the one definition, of rewards and evaluation alike.

    Args:
        answer (`Answer`): a model's answer.
        gold (`str`): the right number, as a data set has it after `#### `; what is no number is not matched.
    """
    return answer.number is not None and answer.number == read_number(gold)


def majority(numbers: Iterable[Fraction | None]) -> Fraction | None:
    """Return the commonest number of several answers, the one that was given first among equals.

    Args:
        numbers (`Iterable[Fraction | None]`): the number of each; `None` for none, which does not count.
    """
    counts = Counter(number for number in numbers if number is not None)
    return counts.most_common(1)[0][0] if counts else None


def texts_by_token(intervention: Intervention) -> dict[str, str]:
    """Return what each token stands for, without those whose name is the text itself."""
    entries = intervention.entries()
    return {entry.token: entry.text for entry in entries if entry.token is not None and entry.token != entry.text}
