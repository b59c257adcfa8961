"""Marks facts and mistakes in texts that a model wrote, and chooses the pair of answers on the first screen."""

import re

from markupsafe import Markup, escape

from domain_tokens.analysis.results_model import AnswerSide, PairedAnswer, Results
from domain_tokens.tokenization.facts import TOKEN_NAME

_FACT = re.compile(TOKEN_NAME.replace("<", "&lt;").replace(">", "&gt;"))


def mark_facts(text: str | None) -> Markup:
    """Escape text, then highlight each fact token in it, such as `<MUL_6_9_54>`."""
    escaped = str(escape("" if text is None else text))
    return Markup(_FACT.sub(r"<mark>\g<0></mark>", escaped))


def mark_answer(side: AnswerSide) -> Markup:
    """Escape an answer, highlight its facts, and mark its mistake.

    The mark is `<mark class="fault">` around the first faulty equation or the wrong number. Positions that do not fit
    the text are ignored.
    """
    text = side.answer or ""
    start, end = side.fault or (0, 0)
    if not 0 <= start < end <= len(text):
        return mark_facts(text)
    before, fault, after = (mark_facts(part) for part in (text[:start], text[start:end], text[end:]))
    return before + Markup('<mark class="fault">') + fault + Markup("</mark>") + after


def example(results: Results) -> PairedAnswer | None:
    """Return the first pair of answers of which one is right and one is wrong, in the direction of the difference.

    If there is none in this direction, one in the other; if both conditions are right on the same items, the first
    pair; `None` if the task has no written answers.
    """
    if results.answers is None:
        return None
    split = [item for item in results.answers.items if item.reference.correct != item.other.correct]
    wanted = [item for item in split if item.other.correct == (results.primary.gain > 0)]
    return next(iter([*wanted, *split, *results.answers.items]), None)
