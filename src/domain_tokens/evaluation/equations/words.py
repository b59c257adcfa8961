"""The words between the numbers of an equation: units, signs in words, and words that make it another equation."""

import re
from fractions import Fraction

from domain_tokens.evaluation.equations.labels import (
    begins_line,
    is_list_mark,
    is_name_with_dash,
    label_behind,
    may_label,
)
from domain_tokens.evaluation.equations.lexemes import (
    CLOSE,
    DASH,
    EQUALITY,
    EQUALS,
    EXACT,
    HUNDREDTH,
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
from domain_tokens.evaluation.equations.spelled import SCALES, with_spelled_numbers
from domain_tokens.evaluation.equations.units import CENT, DOLLAR, times_as_many, unit_of

_FRACTION = [NUMBER, OVER, NUMBER]
_MAX_UNIT_WORDS = 6  # "bottles of bleach per client"
# Words that change the number behind them: "twice 5 + 3", "3 times as many as 5 + 2".
_CHANGES = re.compile(
    "of|than|as|twice|thrice|half|double|triple|quarter|third|times|plus|minus|negative|over|squared|sqrt",
    re.IGNORECASE,
)
_BEGINS_CLAUSE = re.compile("because|so|then|and|but|if|when|that|which|since|is|was|are|were|has|had|have|will")
_RATE = re.compile("per|each|every|daily|weekly|monthly|yearly|in|on|at|during")
_ARTICLES = ("a", "an", "this", "last")
_AMOUNT = re.compile(
    "total|sum|product|difference|cost|distance|amount|addition|number|price|profit"
)  # "a total of 5 + 3", unlike "half of"
_BEFORE_AMOUNT = ("of", "the", "a", "an")
_CHANGES_BEHIND = re.compile("from|by|to|into|with|under|below|above|after|before|mod")  # 3 subtracted from 5
_LABEL = re.compile("(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|January|February|March|April|May|June|July|August"
                    "|September|October|November|December")  # fmt: skip
_WORD_BEHIND = re.compile("[ -]?([^\\W\\d_]+)")
_HAS_MONEY = re.compile("[$¢]|cent")
_MIXED = re.compile(r"[0-9]+ and [0-9]+/[0-9]+(?P<sign>\s*[-−–+*/×÷x=·])?")
_BEFORE_ODD = (NUMBER, *SIGNS)
_ENDS_CLAUSE = frozenset(".,;:!?()[]|#\"'<>`")
_SCALES = {
    f"{word}{end}": Fraction(scale)
    for word, scale in {**SCALES, "trillion": 10**12, "dozen": 12}.items()
    for end in ("", "s")
}
# Other arithmetic: 11*45 = 3 modulo 12, 11 AM + 4 = 3 PM.
_NO_UNIT = re.compile("mod|modulo|base|[AaPp]m|[AP]M")
_UNIT_LETTERS = "aAIgmlLhsCF"
_MEASURE = re.compile(r"\d\s?([A-Za-z]{2,})\b")
# A number that is "8 more than" something is not the result.
_COMPARES = "(?:more|less|fewer|greater|larger|smaller|times|of|out)"
_COMPARED = re.compile(rf"[\s$]*+(?:(?!{_COMPARES}\b)[^\W\d_]++\s++)?+{_COMPARES}\b", re.IGNORECASE)


def without_words(text: str, lexemes: list[Lexeme]) -> list[Lexeme]:
    """Return lexemes without words: units are dropped, other words end what can be read, or make it unreadable."""
    cursor = Cursor([*with_spelled_numbers(text, lexemes), Lexeme(STOP, len(text), len(text))])
    found = [Lexeme(STOP, 0, 0)]
    while cursor:
        lexeme = cursor.pop()
        if lexeme.kind is SHARE:
            lexeme = lexeme._replace(kind=TIMES, is_word=True) if _is_share(found) else lexeme._replace(kind=WORD)
        elif lexeme.kind is IS and _COMPARED.match(text, cursor.peek()[0].end):
            lexeme = lexeme._replace(kind=WORD)
        if lexeme.kind is WORD:
            group = [lexeme, *cursor.take_while(WORD, SHARE)]
            taken = _resolve(text, group, cursor.peek()[0], found)
            cursor.take(taken)
            if not taken and cursor.peek()[0].kind is NUMBER:
                label = label_behind(text, group[-1], cursor.peek(4))
                if label is not None:
                    cursor.pop()
                    found.append(label)
        elif lexeme.kind is UNREADABLE and is_name_with_dash(text, lexeme, cursor.peek()[0]):
            found += [lexeme._replace(kind=STOP), cursor.pop()._replace(kind=DASH, doubtful=True)]
        elif lexeme.kind in SIGNS and found[-1].kind not in (NUMBER, UNREADABLE, CLOSE):
            found += _leading_sign(text, lexeme, found)
        elif lexeme.kind is NUMBER and (_is_odd_stop(text, lexeme, found) or _is_split(text, lexeme, found)):
            found.append(lexeme._replace(doubtful=True))
        elif lexeme.kind is STOP and found[-1].kind is NUMBER and text[lexeme.start : lexeme.end] in ("?", "!"):
            found[-1] = found[-1]._replace(doubtful=True)  # is 27 = 1/2 * 23?
            found.append(lexeme)
        elif lexeme.kind is NUMBER and found[-1].kind is STOP and is_list_mark(text, lexeme):
            found.append(lexeme._replace(is_label=True))
        else:
            found.append(lexeme)
    return found


def _resolve(text: str, group: list[Lexeme], after: Lexeme, found: list[Lexeme]) -> int:
    """Add what a group of words means to what was found before it; return how many lexemes behind it it takes."""
    words = [text[word.start : word.end] for word in group]
    before, start, end = found[-1], group[0].start, group[-1].end
    if before.kind is NUMBER and words[0].lower() in _SCALES:
        found[-1] = before = before._replace(scale=_SCALES[words[0].lower()], doubtful=True)
        group, words = group[1:], words[1:]
        if not words:
            return 0
        start = group[0].start
    unreadable, stop = Lexeme(UNREADABLE, start, end), Lexeme(STOP, start, end)
    joins = after.kind in (*SIGNS, *EQUALITY, CLOSE)
    if words == ["in"] and (joins or after.kind is STOP):
        words = ["inch"]  # not of 15 in 2020
    taken = _measure(text, words, after, found) if before.kind is NUMBER else None
    if taken is not None:
        return taken
    if before.kind is OVER and _are_unit(words[:1]):
        found.pop()  # dollars/hour
        found += [] if joins and _are_unit(words) else [stop]
    elif before.kind in (NUMBER, CLOSE) and joins and (_are_unit(words) or _is_letter_of_measure(text, group)):
        if after.kind in EQUALITY and _is_fraction(found):
            found.append(unreadable)  # 1/4 cup = 2 ounces
        elif before.kind is NUMBER:
            found[-1] = _with_unit(before, words, is_glued=before.end == start)._replace(is_named=True)
    elif after.kind is MINUS and before.kind is STOP and may_label(words) and text[end].isspace():
        found.append(stop)
        if text[after.end : after.end + 1].isspace():  # Monday - 5*3, savings - 5*3
            found.append(after._replace(kind=DASH, doubtful=not _LABEL.fullmatch(words[-1])))
            return 1
    elif words == ["and"] and _is_mixed(text, found):
        pass  # 1 and 1/4
    elif after.kind in SIGNS or before.kind in SIGNS:
        found.append(unreadable)
    elif _is_variable(words[0]) and _is_glued(found, start):
        is_within = before.kind is OPEN or (after.kind is OPEN and after.start == end)
        found += [unreadable] if is_within else [unreadable, stop]  # 3x(5), 1(x), but = 3x
    elif after.kind in (NUMBER, UNREADABLE, OPEN) and _changes(words):
        found += [stop, unreadable]
    elif _makes_doubtful(words, before, after, end):
        found += [stop, after._replace(doubtful=True)]
        return 1
    else:
        if before.kind is NUMBER:
            found[-1] = _with_unit(before, words, is_glued=False)
        found.append(stop)
    return 0


def _measure(text: str, words: list[str], after: Lexeme, found: list[Lexeme]) -> int | None:
    """Read a number with words as cents or as a measure of two units; return how many lexemes behind them it takes."""
    number = found[-1]
    if after.kind is NUMBER:
        whole, length = _compound(text, number, words, after)
        if length:
            found[-1] = whole
            return length
    is_glued = words[0] == "c" and text.startswith("c", number.end)
    if not is_glued or not _HAS_MONEY.search(text, max(0, number.end - 30), number.end + 30):
        return None
    found[-1] = number._replace(unit=CENT, scale=HUNDREDTH, doubtful=True)  # 4 x 25c = $1.00
    if len(words) > 1 or after.kind not in (*SIGNS, *EQUALITY, CLOSE):
        found.append(Lexeme(STOP, number.end, number.end))
    return 0


def _compound(text: str, before: Lexeme, words: list[str], after: Lexeme) -> tuple[Lexeme, int]:
    """Return a measure of two units as one number, and how many lexemes it takes behind the words; 0 if it is none.

    `$3 and 50 cents`, `5 feet 3 inches`, `2 hours and 30 minutes`; the sum is in the larger unit.
    """
    unit = unit_of(words[0])
    joined = words[1:] if unit else words
    larger = unit or before.unit
    behind = _WORD_BEHIND.match(text, after.end)
    smaller = after.unit if after.unit == CENT else unit_of(behind[1]) if behind else ""
    if not larger or not smaller or joined not in ([], ["and"]) or (not unit and joined == []):
        return before, 0
    part = times_as_many(smaller, larger)
    if part is None or part >= 1 or after.value * part >= 1:
        return before, 0
    value = before.value + after.value * part
    is_money = larger == DOLLAR
    end = after.end if after.unit == CENT or behind is None else behind.end(1)
    whole = before._replace(
        end=end, value=value, decimals=2 if is_money else EXACT, unit=larger, doubtful=before.doubtful or not is_money
    )
    return whole, 1 if after.unit == CENT else 2


def _is_mixed(text: str, found: list[Lexeme]) -> bool:
    """Return whether the last number goes on with a fraction: `12 x 1 and 1/4`, but not `15 and 1/2*10`."""
    before, last = found[-2:][0], found[-1]
    match = _MIXED.match(text, last.start) if last.kind is NUMBER else None
    return match is not None and (
        before.kind in (PLUS, MINUS, TIMES) or (match["sign"] is None and before.kind is not OVER)
    )


def _is_variable(word: str) -> bool:
    return len(word) == 1


def _is_glued(found: list[Lexeme], start: int) -> bool:
    """Return whether what begins there is glued to a number, to a bracket, or to one that is glued to a number."""
    last, before = found[-1], found[-2:][0]
    if last.kind is OPEN:
        return before.kind in (NUMBER, CLOSE) and before.end == last.start
    return last.kind in (NUMBER, CLOSE) and last.end == start


def _makes_doubtful(words: list[str], before: Lexeme, after: Lexeme, end: int) -> bool:
    """Return whether words may change the number behind them: `3 subtracted from 5 + 2`, `abs(3 - 5)`."""
    if after.kind is OPEN:
        return after.start == end
    is_longer = len(words) == 1 and unit_of(words[0]) != ""  # 5 feet 3 inches
    is_changed = is_longer or _CHANGES_BEHIND.fullmatch(words[-1]) is not None
    return before.kind is NUMBER and after.kind is NUMBER and is_changed


def _with_unit(number: Lexeme, words: list[str], is_glued: bool) -> Lexeme:
    """Return a number with the unit behind it: a measure, or a word glued to it; doubtful if it is no unit."""
    word = words[0]
    unit = unit_of(word) or number.unit or (word.lower().removesuffix("s") if is_glued else "")
    is_name = is_glued and word[0].isupper() and not word.isupper()
    is_variable = _is_variable(word) and word not in _UNIT_LETTERS
    is_doubtful = number.doubtful or is_name or is_variable or any(map(_NO_UNIT.fullmatch, words))
    if unit == CENT and number.scale == 1:
        number = number._replace(scale=HUNDREDTH)
    return number._replace(unit=unit, doubtful=is_doubtful) if unit or is_doubtful else number


def _leading_sign(text: str, sign: Lexeme, found: list[Lexeme]) -> list[Lexeme]:
    """Return what a sign is that has no number on its left: the sign of a number, a bullet, or unreadable."""
    before = found[-1]
    is_glued = bool(text[sign.end : sign.end + 1].strip())
    if sign.kind is MINUS and (is_glued or before.kind in (*EQUALITY, OPEN, *SIGNS)):
        return [sign._replace(doubtful=_is_odd_stop(text, sign, found))]
    is_first = begins_line(text, sign)
    if is_glued and sign.kind is PLUS and (before.kind in (EQUALS, OPEN, *SIGNS) or is_first):
        return []
    if is_first and not is_glued and text[sign.start] in "-–*•":
        return [sign._replace(kind=DASH)] if sign.kind is MINUS else []
    return [sign._replace(doubtful=True) if sign.kind is MINUS else sign._replace(kind=UNREADABLE)]


def _is_odd_stop(text: str, lexeme: Lexeme, found: list[Lexeme]) -> bool:
    """Return whether a mark behind a number or a sign may be one that is not known: `10 — 3 + 2 = 9`, `.8 + . 84`."""
    before, stop = found[-2:][0], found[-1]
    if stop.kind is not STOP or before.kind not in _BEFORE_ODD:
        return False
    mark = text[stop.start : stop.start + 1]
    if not mark or mark.isalnum():
        return False
    return (before.kind in SIGNS or mark not in _ENDS_CLAUSE) and "\n" not in text[stop.start : lexeme.start]


def _is_split(text: str, lexeme: Lexeme, found: list[Lexeme]) -> bool:
    """Return whether a number may be the end of one that a comma and a space cut: 14, 400."""
    before, stop = found[-2:][0], found[-1]
    is_cut = stop.kind is STOP and text[stop.start : lexeme.start] == ", "
    return is_cut and before.kind is NUMBER and lexeme.end - lexeme.start == 3


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
    if words[0] == "times":  # 3 times a week, but not "3 times the first number"
        is_rate = len(words) == 1 or _RATE.fullmatch(words[1]) or (words[1] in _ARTICLES and unit_of(words[-1]))
        if not is_rate:
            return False
        words = words[1:]
    return all(word in ("a", "of") or not (_changes([word]) or _BEGINS_CLAUSE.fullmatch(word)) for word in words)


def _is_letter_of_measure(text: str, group: list[Lexeme]) -> bool:
    """Return whether a letter is a unit: 1 kg - 300 g. A variable has no other unit of its kind in its line."""
    word, *others = group
    unit = unit_of(text[word.start : word.end])
    if others or word.end - word.start > 1 or not unit:
        return False
    begin, end = text.rfind("\n", 0, word.start) + 1, text.find("\n", word.end)
    named = (unit_of(found) for found in _MEASURE.findall(text, begin, len(text) if end < 0 else end))
    return any(other and times_as_many(unit, other) is not None for other in named)


def _changes(words: list[str]) -> bool:
    """Return whether words change the number behind them, or end in a variable."""
    *others, last = words
    if last == "of" and others and _AMOUNT.fullmatch(others[-1]):
        before = [word for word in others[-4:-1] if word not in _BEFORE_AMOUNT]
        return bool(before) and _CHANGES.fullmatch(before[-1]) is not None  # half of the sum of 5 + 3
    return _CHANGES.fullmatch(last) is not None or (len(last) == 1 and last not in "aAI")
