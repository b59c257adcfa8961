"""Every equation that an answer states: right or wrong, of what kind, written as a fact or in digits.

An accuracy has a few dozen right answers; equations are thousands of events.

An answer is read as the text that its tokens stand for. So an answer in tokens and the same text in digits state the
same equations, which differ in `form` alone. A token glued to digits is read as its text is.

Four questions about an equation are kept apart. Does it hold (`right`)? Was its result written at all (`has_result`)?
`6*9 apples` names a product and states none. Do its operands come from the item (`of_item`)? Does the answer go on
from its result (`used`)? A token for `6*9=54` always holds, so `right` says nothing about it; and a token of small
numbers, written again and again, has operands of many items by chance (2*2 of 54% of GSM8K's test questions, 2*5 of
14%), so `of_item` alone would pay it. An equation is right for the item if all four are so.
"""

import dataclasses
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import accumulate

from domain_tokens.evaluation.answers.answer import Answer, Span, is_correct, states_result
from domain_tokens.evaluation.answers.extraction import own_text
from domain_tokens.evaluation.equations.operands import come_from, numbers_of
from domain_tokens.evaluation.equations.statements import ANNOTATION, Statement, StatementReader
from domain_tokens.runs.records import EquationRecord
from domain_tokens.tokenization.edits import Edit
from domain_tokens.tokenization.intervention import Intervention, default_intervention, fact_pairs, result_of
from domain_tokens.tokenization.rewriter import canonical_rewriter

_MAX_CHARACTERS = 20_000  # of an answer; a thousand tokens are rarely more than five thousand characters
_ENTRY = re.compile(r"(\d+)([*+])(\d+)=(\d+)")


@dataclass(frozen=True)
class Equation:
    """An equation that a text states.

    Attributes:
        start, end: its span in the text as it was written, in characters.
        text: the text of the span.
        right: whether it holds, exactly or rounded.
        rounded: whether its result is the right one, rounded to as many decimals as it is written with.
        kind: `product` of two factors; `sum`, `difference` or `quotient`, of any length; `mixed`.
        pair: the operands, the smaller one first, if this is an equation of the table; else `None`.
        form: `fact` if a token states it alone, `mixed` if a token is a part of it, `digits`, or `named` if it is
            written in digits without its result.
        origin: `copied` if the same equation is in the question, or earlier in the answer; else `computed`.
        has_result: whether the text gives its result, by a token or in digits.
        of_item: whether each operand is a number of the question, or what an earlier right equation of such operands
            arrives at. An operand may be used more than once.
        used: whether the answer goes on from it: its result is an operand of a later equation that is not a copy, or
            the number that the answer gives and that is right, or it is a part of a longer equation. A trivial one
            such as `5+0=5` or `5-5=0` uses nothing, and only such a number uses it.
    """

    start: int
    end: int
    text: str
    right: bool
    rounded: bool
    kind: str
    pair: tuple[int, int] | None
    form: str
    origin: str
    has_result: bool
    of_item: bool
    used: bool
    operands: tuple[tuple[Fraction, ...], ...]
    reached: tuple[Fraction, ...]

    @property
    def right_for_item(self) -> bool:
        """Whether it states a right result of operands of the item, from which the answer goes on."""
        return self.right and self.has_result and self.of_item and self.used

    @property
    def in_table(self) -> bool:
        """Whether both operands lie in the measured table: a product of two factors from 1 to 9."""
        return self.pair is not None

    def as_record(self) -> EquationRecord:
        """Return the equation as the items file holds it."""
        return EquationRecord(
            start=self.start, end=self.end, text=self.text, right=self.right, rounded=self.rounded, kind=self.kind,
            pair=self.pair, form=self.form, origin=self.origin, in_table=self.in_table, has_result=self.has_result,
            of_item=self.of_item, used=self.used,
        )  # fmt: skip


def read_equations(answer: Answer, question: str = "", gold: str | None = None) -> list[Equation]:
    """Return the equations of an answer in order. Never raises on any text; reads its first 20,000 characters.

    An annotation of GSM8K and the equation that it is part of are one equation: `6*9=<<6*9=54>>54`. What follows the
    end-of-text token or the beginning of another question is not read.

    Args:
        answer (`Answer`): a model's answer. A token whose name is the text itself cannot be told from digits.
        question (`str`, *optional*): what the model was asked, in plain text. Without it no operand is of the item.
        gold (`str`, *optional*): the right number. A wrong number at the end of an answer uses no result, or any
            constant answer would be paid by chance. Without it the number counts as right.

    Example:
    ```python
    >>> answer = reader.read("<MUL_6_9_54> and 54 + 5 = 60")
    >>> [(e.text, e.form, e.of_item, e.right_for_item) for e in read_equations(answer, "6 rows of 9 pens and 5 more")]
    [('<MUL_6_9_54>', 'fact', True, True), ('54 + 5 = 60', 'digits', True, False)]
    ```
    """
    reader = _reader(answer.table)
    keys = {found.stated.key for found in reader.read(_plain(question, answer.table)) if found.has_result}
    numbers = set(numbers_of(question))
    read = reader.read(answer)
    is_wrong = gold is not None and not is_correct(answer, gold)
    later = _used_later(read, keys, None if is_wrong else answer.number)
    equations = []
    for found, used in zip(read, later, strict=True):
        stated, (start, end) = found.stated, found.span
        of_item = come_from(stated.operands, numbers)
        if stated.right and of_item:
            numbers.update(map(abs, stated.reached))
        origin = "copied" if stated.key in keys else "computed"
        keys.add(stated.key)
        text = answer.written[start:end]
        equations.append(
            Equation(
                start, end, text, stated.right, stated.rounded, stated.kind, stated.pair, found.form, origin,
                found.has_result, of_item, used, found.stated.operands, found.stated.reached,
            )
        )  # fmt: skip
    return equations


def all_hold(text: str) -> bool:
    """Return whether every equation that a text without tokens states is right, exactly or rounded."""
    return all(equation.right for equation in stated_in(text))


def stated_in(text: str) -> list[Equation]:
    """Return the equations of a text without tokens that answers no question, such as one that is to train."""
    return read_equations(_plain(text, default_intervention()))


def in_table_products(steps: str, table: Intervention) -> list[tuple[int, int]]:
    """Return the facts of the table that a gold solution needs, in order, each as its operands, the smaller one first.

    In a solution with GSM8K's annotations these are the annotations that state one fact and nothing else, such as
    `<<6*9=54>>`: 312 of the 1,319 test items have one. In any other solution they are the right equations of the
    table.

    Args:
        steps (`str`): a worked solution in plain text.
        table (`Intervention`): whose facts are meant.
    """
    annotations = ANNOTATION.findall(steps)
    if not annotations:
        equations = read_equations(_plain(steps, table))
        return [equation.pair for equation in equations if equation.right and equation.pair]
    entries = _reader(table).entries
    folded = [_ENTRY.sub(_fold, annotation) for annotation in annotations]
    return [entries[annotation] for annotation in folded if annotation in entries]


def _plain(text: str, table: Intervention) -> Answer:
    """Return a text of a data set, which holds no token, as an answer."""
    return Answer(text, text, (), (), table)


@dataclass(frozen=True)
class _Found:
    """A statement, its span in the text as it was written, its form, and whether its result is written."""

    stated: Statement
    span: Span
    form: str
    has_result: bool


def _used_later(read: "list[_Found]", copied: set[str], number: Fraction | None) -> list[bool]:
    """Return of each statement whether its result is used: by a later one, by a longer one, or as the answer.

    Args:
        read: the statements of an answer in order.
        copied: the keys of statements of the question.
        number: what the answer gives, if that is right.
    """
    seen = set(copied)
    operands: list[set[Fraction]] = []  # of each statement that is neither a copy nor trivial, else empty
    for found in read:
        says_nothing = found.stated.key in seen or found.stated.is_trivial
        seen.add(found.stated.key)
        readings = () if says_nothing else found.stated.operands
        operands.append({abs(value) for values in readings for value in values})
    parts = {part for found in read for part in found.stated.parts}
    answered = set() if number is None else {abs(number)}
    wanted = set(answered)
    used = []
    for found, own in zip(reversed(read), reversed(operands), strict=True):
        is_part = found.stated.is_entry and (found.stated.start, found.stated.end) in parts
        # `6*1=6` may be all that is asked for; within a solution it moves nothing on.
        by = answered if found.stated.is_trivial else wanted
        used.append(is_part or not by.isdisjoint(map(abs, found.stated.reached)))
        wanted |= own
    return used[::-1]


class _Reader:
    """Reads equations in terms of one table, and finds where and how they were written."""

    def __init__(self, table: Intervention) -> None:
        facts = table.facts
        self._table = table
        self._canonical = canonical_rewriter(table)
        self.entries: dict[str, tuple[int, int]] = {}
        if facts is not None:
            pairs = fact_pairs(dataclasses.replace(facts, folded=True))
            self.entries = {f"{a}{facts.operation}{b}={result_of(facts, a, b)}": (a, b) for a, b in pairs}
        kind = "sum" if facts is not None and facts.operation == "+" else "product"
        self._statements = StatementReader(self.entries, kind)

    def read(self, answer: Answer) -> list[_Found]:
        """Return what an answer states, where in the text as it was written, and in which form."""
        # Lone surrogates have no bytes, which the rules need; a question mark is as long.
        kept = own_text(answer.text)[:_MAX_CHARACTERS].encode(errors="replace").decode()
        rewriting = self._canonical.rewrite(kept)
        in_text, in_written = _Positions(rewriting.edits), _Positions(answer.edits)
        found = []
        for stated in self._statements.read(rewriting.text):
            span = in_text.source_of(stated.start, stated.end)
            parts = [in_text.source_of(*part) for part in stated.parts]
            alone = stated.is_entry and not stated.has_result
            has_result = not alone or states_result(self._table, kept[slice(*span)])
            tokens = [fact for fact in _within(answer.facts, span) if not any(_overlap(fact, part) for part in parts)]
            form = "digits" if has_result else "named"
            if tokens:
                says_all = not has_result or any(states_result(self._table, kept[slice(*token)]) for token in tokens)
                form = "fact" if alone and says_all else "mixed"
            found.append(_Found(stated, in_written.source_of(*span), form, has_result))
        return found


class _Positions:
    """Maps spans of a rewritten text to its source."""

    def __init__(self, edits: tuple[Edit, ...]) -> None:
        self._starts = [edit.start for edit in edits]
        self._ends = [edit.end for edit in edits]
        growth = [len(edit.source) - (edit.end - edit.start) for edit in edits]
        self._shifts = list(accumulate(growth, initial=0))

    def source_of(self, start: int, end: int) -> Span:
        """Return the span of the source that a span comes from; a replacement that it touches belongs to it whole."""
        first = bisect_right(self._ends, start)  # edits that end before the span
        if first < len(self._starts) and self._starts[first] < start:
            start = self._starts[first]
        last = bisect_left(self._starts, end)  # edits that begin before its end
        if last and self._ends[last - 1] > end:
            end = self._ends[last - 1]
        return start + self._shifts[first], end + self._shifts[last]


def _within(facts: tuple[Span, ...], span: Span) -> list[Span]:
    """Return the facts that overlap a span."""
    first = max(0, bisect_right(facts, span) - 1)
    found = []
    for fact in facts[first:]:
        if fact[0] >= span[1]:
            break
        if _overlap(fact, span):
            found.append(fact)
    return found


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _fold(match: re.Match[str]) -> str:
    a, b = sorted((int(match[1]), int(match[3])))
    return f"{a}{match[2]}{b}={match[4]}"


@cache
def _reader(table: Intervention) -> _Reader:
    return _Reader(table)
