"""Numbers in words beside a sign of arithmetic: the `thirty` of `thirty - 12 = 18`, the `five` of `+ five pears`.

A number in words elsewhere stays a word: "one of the two" is none. `one` counts if it stands alone or behind a sign.
"""

import re
from fractions import Fraction

from domain_tokens.evaluation.equations.lexemes import (
    CLOSE,
    EQUALITY,
    HUNDREDTH,
    NUMBER,
    NUMBER_WORDS,
    ONE,
    OPEN,
    SHARE,
    SIGNS,
    STOP,
    WORD,
    Lexeme,
)

_PERCENT = re.compile(r"per ?cent\b")
# Looking at first letters first finds that prose has no number in words in a third of the time.
_ANY = re.compile(rf"\b(?=[zotfsenZOTFSEN])(?i:{'|'.join(word for word in NUMBER_WORDS if '-' not in word)})(?![a-z])")
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}


def with_spelled_numbers(text: str, lexemes: list[Lexeme]) -> list[Lexeme]:
    """Return lexemes in which the words of a number beside a sign are that number."""
    if not _ANY.search(text):
        return lexemes
    found: list[Lexeme] = []
    group: list[Lexeme] = []
    end = before = Lexeme(STOP, len(text), len(text))
    for lexeme in [*lexemes, end]:
        if lexeme.kind is WORD:
            group.append(lexeme)
            continue
        if group:
            found += _read(text, before, group, lexeme)
            group = []
        found.append(lexeme)
        before = lexeme
    return found[:-1]


def spelled_number(words: list[str]) -> tuple[int, int]:
    """Return the number that words begin with and how many of them spell it: 205 and 4 for "two hundred and five"."""
    total, last, count = 0, -1, 0  # `last` is what is behind the thousands
    for index, word in enumerate(words):
        value, scale = NUMBER_WORDS.get(word), SCALES.get(word)
        if value is not None and (last < 0 or _has_room(last, value)):
            last = max(last, 0) + value
        elif scale is not None and last > 0:
            total, last = (total, last * 100) if scale == 100 else (total + last * scale, 0)
        elif word == "and" and last >= 0 and last % 100 == 0 and NUMBER_WORDS.keys() & words[index + 1 : index + 2]:
            continue
        else:
            break
        count = index + 1
    return total + max(last, 0), count


def _has_room(last: int, value: int) -> bool:
    """Return whether a number may go on with a smaller one: two hundred five, twenty one, but not five six."""
    if last % 100 == 0:
        return value > 0
    return last % 10 == 0 and last % 100 >= 20 and 0 < value < 10


def _read(text: str, before: Lexeme, group: list[Lexeme], after: Lexeme) -> list[Lexeme]:
    """Return a group of words in which the number behind a sign and the one before a sign are numbers."""
    begins = before.kind in (*SIGNS, *EQUALITY, OPEN)
    if not begins and (after.kind not in (*SIGNS, *EQUALITY, SHARE) or before.kind in (NUMBER, CLOSE)):
        return group
    words = [text[word.start : word.end].lower() for word in group]
    numbers: list[tuple[int, int, Lexeme]] = []
    index = 0
    while index < len(words):
        value, count = spelled_number(words[index:]) if words[index] in NUMBER_WORDS else (0, 0)
        is_one = words[index : index + count] == ["one"] and len(words) > 1
        is_pronoun = is_one and (index > 0 or before.kind in (*EQUALITY, SHARE))
        if count and not is_pronoun:
            percent = _PERCENT.match(" ".join(words[index + count : index + count + 2]))
            end = index + count + (len(percent.group().split()) if percent else 0)
            scale = HUNDREDTH if percent else ONE
            number = Lexeme(NUMBER, group[index].start, group[end - 1].end, Fraction(value), scale=scale)
            numbers.append((index, end, number))
        index += max(count, 1)
    kept = [number for number in numbers[:1] if begins and number[0] == 0]
    if after.kind is SHARE:  # fifty percent of 24
        numbers = [number for number in numbers if number[2].percent and number[1] == len(words)]
    kept += [number for number in numbers[-1:] if after.kind in (*SIGNS, *EQUALITY, SHARE) and number not in kept]
    found: list[Lexeme] = []
    position = 0
    for first, last, number in kept:
        found += [*group[position:first], number]
        position = last
    return [*found, *group[position:]]
