"""The words between the numbers of an equation: units, signs in words, and words that make it another equation."""

import re

from domain_tokens.evaluation.equations.lexemes import (
    CLOSE,
    EQUALITY,
    EQUALS,
    IS,
    MINUS,
    NUMBER,
    OPEN,
    OVER,
    PLUS,
    SHARE,
    SIGNS,
    STOP,
    TIMES,
    UNREADABLE,
    WORD,
    Cursor,
    Lexeme,
)

_FRACTION = [NUMBER, OVER, NUMBER]
_MAX_UNIT_WORDS = 6  # "bottles of bleach per client"
# Words that change the number behind them: "twice 5 + 3", "3 times as many as 5 + 2".
_CHANGES = re.compile(
    "of|than|as|twice|thrice|half|double|triple|quarter|third|times|plus|minus|negative|over|squared|sqrt",
    re.IGNORECASE,
)
_BEGINS_CLAUSE = re.compile("because|so|then|and|but|if|when|that|which|since|is|was|are|were|has|had|have|will")
_AMOUNT = re.compile("total|sum|product|difference|cost|distance|amount")  # "a total of 5 + 3", unlike "half of"
# A number that is "8 more than" something is not the result.
_COMPARES = "(?:more|less|fewer|greater|larger|smaller|times|of|out)"
_COMPARED = re.compile(rf"[\s$]*+(?:(?!{_COMPARES}\b)[^\W\d_]++\s++)?+{_COMPARES}\b", re.IGNORECASE)


def without_words(text: str, lexemes: list[Lexeme]) -> list[Lexeme]:
    """Return lexemes without words: units are dropped, other words end what can be read, or make it unreadable."""
    cursor = Cursor([*lexemes, Lexeme(STOP, len(text), len(text))])
    found = [Lexeme(STOP, 0, 0)]
    while cursor:
        (lexeme,) = cursor.take()
        if lexeme.kind is SHARE:
            lexeme = lexeme._replace(kind=TIMES if _is_share(found) else WORD)
        elif lexeme.kind is IS and _COMPARED.match(text, cursor.peek()[0].end):
            lexeme = lexeme._replace(kind=WORD)
        if lexeme.kind is WORD:
            group = [lexeme, *cursor.take_while(WORD, SHARE)]
            cursor.take(_resolve(text, group, cursor.peek()[0], found))
        elif lexeme.kind in SIGNS and found[-1].kind not in (NUMBER, UNREADABLE, CLOSE):
            found += _leading_sign(text, lexeme, found[-1])
        else:
            found.append(lexeme)
    return found


def _resolve(text: str, group: list[Lexeme], after: Lexeme, found: list[Lexeme]) -> int:
    """Add what a group of words means to what was found before it; return how many lexemes behind it it takes."""
    words = [text[word.start : word.end] for word in group]
    before, start, end = found[-1], group[0].start, group[-1].end
    unreadable, stop = Lexeme(UNREADABLE, start, end), Lexeme(STOP, start, end)
    joins = after.kind in (*SIGNS, *EQUALITY, CLOSE)
    if before.kind is OVER and _are_unit(words[:1]):
        found.pop()  # dollars/hour
        found += [] if joins and _are_unit(words) else [stop]
    elif before.kind in (NUMBER, CLOSE) and joins and _are_unit(words):
        if after.kind in EQUALITY and _is_fraction(found):
            found.append(unreadable)  # 1/4 cup = 2 ounces
    elif after.kind is MINUS and before.kind is STOP and len(words[-1]) > 1 and text[end].isspace():
        found.append(stop)
        return int(text[after.end : after.end + 1].isspace())  # Monday - 5*3
    elif after.kind in SIGNS or before.kind in SIGNS:
        found.append(unreadable)
    elif before.kind is NUMBER and before.end == start and len(words[0]) == 1:
        found += [unreadable, stop]  # = 3x
    elif after.kind in (NUMBER, UNREADABLE, OPEN) and _changes(words):
        found += [stop, unreadable]
    else:
        found.append(stop)
    return 0


def _leading_sign(text: str, sign: Lexeme, before: Lexeme) -> list[Lexeme]:
    """Return what a sign is that has no number on its left: the sign of a number, a bullet, or unreadable."""
    is_glued = bool(text[sign.end : sign.end + 1].strip())
    if is_glued and sign.kind is MINUS:
        return [sign]
    line = text[max(0, sign.start - 9) : sign.start]
    begins_line = not line.rpartition("\n")[2].strip() and ("\n" in line or len(line) < 9)
    if is_glued and sign.kind is PLUS and (before.kind in (EQUALS, OPEN, *SIGNS) or begins_line):
        return []
    is_bullet = begins_line and not is_glued and text[sign.start] in "-–*•"
    return [] if is_bullet else [sign._replace(kind=UNREADABLE)]


def _is_share(found: list[Lexeme]) -> bool:
    """Return whether a percentage or a fraction comes before `of`: 20% of 50, 1/4 of 20."""
    return found[-1].percent or [lexeme.kind for lexeme in found[-3:]] == _FRACTION


def _is_fraction(found: list[Lexeme]) -> bool:
    """Return whether a part is a fraction and nothing else: 1/4."""
    before, upper, over, lower = [*[Lexeme(STOP, 0, 0)] * 3, *found[-4:]][-4:]
    return (
        before.kind in (STOP, *EQUALITY)
        and [upper.kind, over.kind, lower.kind] == _FRACTION
        and upper.end == over.start
        and over.end == lower.start
    )


def _are_unit(words: list[str]) -> bool:
    """Return whether words behind a number can be its unit: "dollars a day", but not "of the rest" and not "x"."""
    if len(words) > _MAX_UNIT_WORDS or words[0] == "of" or len("".join(words)) == 1:
        return False
    return all(
        word in ("a", "of", "times") or not (_changes([word]) or _BEGINS_CLAUSE.fullmatch(word)) for word in words
    )


def _changes(words: list[str]) -> bool:
    """Return whether words change the number behind them, or end in a variable."""
    *others, last = words
    if last == "of" and others and _AMOUNT.fullmatch(others[-1]):
        return False
    return _CHANGES.fullmatch(last) is not None or (len(last) == 1 and last not in "aAI")
