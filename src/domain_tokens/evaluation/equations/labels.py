"""Labels before equations, whose numbers are no operands: `Day 2 - 10 + 3 = 13`, `Q2 - 30 + 12 = 42`, `#2 - 7 + 8`."""

import re

from domain_tokens.evaluation.equations.lexemes import EQUALS, MINUS, NUMBER, Lexeme

# What is numbered: a step of a solution, or any name. A sentence begins with a capital too.
_NUMBERED = re.compile(
    "(?i:day|week|month|year|step|part|question|problem|chapter|round|box|bag|group|room|page|item|option|case|player"
    "|person|team|level|task|example|exercise|lesson|unit|stage|phase|trip|store|plan|number|line|game|test|class)s?"
    "|(?!(?:So|Then|Thus|Hence|Now|And|But|If|Since|He|She|It|They|We|You|This|That|There|Total|Left|Is|Are|Has|Have"
    "|Had|Only|Spent|Therefore|Finally|First|Next)$)[A-Z][a-z]+"
)
_NUMBER_SIGN = re.compile(r"(?:#|№|\b[Nn]o\. ?|\b[Nn]r\. ?|\bEx\. ?)$")
_NAMED = re.compile("[A-Z][A-Za-z]*[0-9]+")  # Q2


def may_label(words: list[str]) -> bool:
    """Return whether words before a dash may be a label, and not a variable: `savings - 5`, `Group A - 5`."""
    *others, last = words
    return len(last) > 1 or (last.isupper() and bool(others) and _NUMBERED.fullmatch(others[-1]) is not None)


def label_behind(text: str, word: Lexeme, behind: list[Lexeme]) -> Lexeme | None:
    """Return the first of the lexemes behind a word, a number, if both may be a label; `None` if not.

    `Day 2 - 10 + 3 = 13`, `Week 2 = 10 + 3`, `Weeks 1-2 = 10`. Before an equals sign it may still be arithmetic.
    """
    number, sign, *others = behind
    if sign.kind not in (MINUS, EQUALS) or word.end + 1 != number.start or number.decimals or number.pair:
        return None
    if not _NUMBERED.fullmatch(text, word.start, word.end):
        return None
    is_range = [one.kind for one in others] == [NUMBER, EQUALS] and number.end + 1 == others[0].start
    is_spaced = text[sign.end : sign.end + 1].isspace()
    return number._replace(is_label=is_spaced, doubtful=number.doubtful or sign.kind is EQUALS or is_range)


def is_name_with_dash(text: str, name: Lexeme, after: Lexeme) -> bool:
    """Return whether a name with a number, and a minus with spaces around it, are a label: `Q2 - 30 + 12 = 42`."""
    if after.kind is not MINUS or _NAMED.fullmatch(text, name.start, name.end) is None:
        return False
    return text[after.start - 1].isspace() and text[after.end : after.end + 1].isspace()


def is_list_mark(text: str, number: Lexeme) -> bool:
    """Return whether a number may be the mark of what follows: `1- 3 + 4 = 7`, `1 – 3 + 4 = 7`, `#2 - 3 + 4 = 7`."""
    if not text.startswith(("- ", "– ", " – ", " - "), number.end):
        return False
    if _NUMBER_SIGN.search(text, max(0, number.start - 4), number.start):
        return text[number.end].isspace()
    return not text.startswith(" - ", number.end) and begins_line(text, number)


def begins_line(text: str, lexeme: Lexeme) -> bool:
    """Return whether nothing but a few spaces is before a lexeme in its line."""
    line = text[max(0, lexeme.start - 9) : lexeme.start]
    return not line.rpartition("\n")[2].strip() and ("\n" in line or len(line) < 9)
