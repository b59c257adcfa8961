"""What may stand around the digits of a number: the one table of signs, spaces and units.

It is read in the right answers of data sets and in a model's answers, by the scorer and by the rewards, and the same
units are read on both sides of a number: `54 USD` and `USD 54`.
"""

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache

from domain_tokens.tokenization.guards.currencies import CODE, NAME, SIGN
from domain_tokens.tokenization.numerals import ANY_ENGLISH

# Characters that look like the one they stand for, and are taken for it.
LOOK_ALIKES = {
    "-": "‐‑‒–—−➖",  # U+2010 to U+2014, U+2212, U+2796
    "+": "➕",
    "/": "⁄∕",  # U+2044, U+2215
    "'": "’ʼ′‘´",
    '"': "“”„«»″",
    "°": "º˚",  # the ordinal and the ring
}
# Characters that cannot be seen: soft hyphen, zero-width spaces and joiners, marks of direction, variation selectors.
# Overrides (U+202D, U+202E) are missing because they change the order in which digits are shown.
INVISIBLE = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202c\u2060\u2066-\u2069\ufeff\ufe0e\ufe0f"
# Characters whose plain form means something else: 10² is not 102, 1½ is not 11/2.
_NOT_FOLDED = ("<super>", "<sub>", "<fraction>", "<circle>")

# `/-` ends a price in India.
_UNIT = rf"""(?:
    {SIGN} | \\?% | °[CF]? | /- | {CODE} | {NAME} | [元円圆圓원]
    | (?i:dollars?|cents?|euros?|pounds?|rupees?|yen|yuan|pesos?|francs?)
)"""
_SEPARATOR = "[,' ]"  # of thousands; a space of any width is folded to this one
# A whole number, or one with decimals; a point before the first digit is not among them, for it may end `Rs.`.
NUMBER = rf"(?:[0-9]{{1,3}}(?P<by>{_SEPARATOR})[0-9]{{3}}(?:(?P=by)[0-9]{{3}})*(?![0-9])|[0-9]+)(?:\.[0-9]*)?"

# One sign and up to two units (`USD $54`), in any order.
_BEFORE = re.compile(
    rf"""(?:(?i:(?:the\s+)?(?:final\s+)?answer)\s*(?::|\bis\b:?|=))?\s*+
    (?P<sign>[+-])?\s*+(?:{_UNIT}\s*+){{0,2}}(?P<inner>[+-])?\s*+""",
    re.VERBOSE,
)
# A unit, punctuation, and words after a space. Words hold no number and no operator: `72 or 73` and `72 + x` are no
# answers, and 5! is 120.
_BEHIND = re.compile(
    rf"""(?!\s*!{{1,2}}(?!!)) (?:\s*{_UNIT})? (?:/[^\W\d_]{{2,}})? [.,;:!?)'"。]*
    (?:\s[^\d=+*×÷·⋅∙✕✖∗√±≠≈≤≥<>^#|\\¼-¾⅐-⅞⅟↉]*)?""",
    re.VERBOSE,
)
_MEASURE = r"""(?:hours?|hrs?|minutes?|mins?|days?|weeks?|months?|years?|feet|foot|ft|yards?|pounds?|lbs?|dollars?
    |gallons?|quarts?|met(?:er|re)s?|kilomet(?:er|re)s?|km|kilograms?|kg|lit(?:er|re)s?|miles?|degrees?)"""
_LENGTH = r"""(?:inch(?:es)?|in|feet|foot|ft|yards?|yd|miles?|mi|units?|(?:centi|milli|kilo)?met(?:er|re)s?|[cmk]?m)"""
_NUMERAL = rf"(?:{ANY_ENGLISH})".replace(" hundred", r"\ hundred")
_ORDINAL = "(?:third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|twelfth|twentieth)"
# What makes another number of the one before it: the one table, of scales, parts, operations and second numbers.
_ANYWHERE = re.compile(
    rf"""
    (?P<square>\b{_LENGTH}\s+(?:squared|cubed)\b)  # no power but a unit
    | (?:(?:\b(?P<unit>per|an?|each|every|the)[\s-]+(?:one\s+)?|(?P<slash>/)(?=doz|dz))?  # 5 dollars per dozen
    (?:\b(?:dozens?|doz|dz|tens|hundreds?|thousands?|lakhs?|lacs?|crores?|[mb]n|milliards?
        |(?:m|b|tr|quadr|quint|sext|sept|oct|non|dec|z|gaz|baz)illions?)\b | [十百千万亿萬億]))
    | (?:\b(?:and|or|plus|minus|times|x|over|by|less|point|remainder|to|out\s+of)|&)\s+
        (?:{_NUMERAL}|half|an?\s(?:half|quarter|dozen|thousand|million|{_ORDINAL}))\b
    # Any other number in words, but (fifty-four) in brackets and the unit of 5 six-packs; `one` is often a pronoun.
    | \b(?<!\()(?<!-)(?!one\b){_NUMERAL}\b(?!(?:-{_NUMERAL})?-(?!{_NUMERAL}\b)[a-z])
    | \b{_MEASURE}\b\.?,?\s+(?:and\s+)?one\s(?:minute|second|hour|day|inch|ounce|cent)\b
    | \b(?:squared|cubed|factorial|doubled|tripled|halved|twice|negative|below\s+zero
        |(?:raised\s+)?to\s+the\s+(?:power|{_ORDINAL}|second)|(?:divided|multiplied)\s+by)\b
    | \b(?:plus|minus)\W*$
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Right behind the number only: `54 second graders`, `54 B vitamins` and `3 quarters` are counted in units.
_RIGHT_BEHIND = re.compile(
    rf"""\W*(?:
    (?i:gross|score|thou|mio|mln|mil|mrd|bln|tsd|grand(?!\s+(?:piano|total|prize|slam)))\b
    | (?i:(?:repeating|recurring)(?:\s+decimals?)?\W*$|and\s+so\s+on\b)
    | (?i:half|halves|{_ORDINAL}s|(?:hundred|thousand|million|billion)ths?)\b(?!-)
    | (?i:{_ORDINAL}(?:\s+of\b|\W*$) | quarters?\s+of\b)
    | [kKM]\b(?!&|-\w) | [BT]\b(?!&|-\w|\s+(?!dollar|euro|pound|people|usd|year|in\b|of\b|per\b)[a-z])
    )""",
    re.VERBOSE,
)
_SENTENCE_END = re.compile(r"[.;!?。](?!\S)")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_LATEX_SPACES = re.compile(r"\\[,!;:()\[\] ]")
_LATEX_FRACTION = re.compile(
    r"\\[dtc]?frac *(?:\{ *([+-]?[0-9]+) *\}|([0-9])) *(?:\{ *([0-9]+) *\}|([0-9]))(?! *[0-9])"
)
_LATEX_WRAPPER = re.compile(r"\\(?:boxed|fbox|mbox|text|textbf|textit|mathrm|mathbf) *\{((?:[^{}\\]|\\[$%])*)\}")
_LATEX_DEGREE = re.compile(r"\^ *(?:\{ *\\circ *\}|\\circ(?![a-z]))|\\degree(?![a-z])")
_MAX_NESTED = 3  # \boxed{\textbf{54 \text{ apples}}}
_DISPLAYED = re.compile(r"\$\$([^$]*(?:\\\$[^$]*)?)\$\$([.,]?)")
_POWER_OF_UNIT = re.compile(rf"(\b{_LENGTH}) *\^ *(?:[23]|\{{ *[23] *\}})(?![\d.])")
_TAG = re.compile(r"</?(?:br|p|b|i|u|em|strong|span|div)\s*/?>", re.IGNORECASE)
# Words in bold behind a number; a name of one letter is a variable, as in 54 *x* 2.
_EMPHASIS = re.compile(r"(?<!\S)([*_`]{1,3})([^\W\d_][^*_`\d]*[^\s*_`\d])\1(?!\w)")
_MARKED = re.compile(r"([A-Za-z ]+: *)?([*_`]{1,3})([^*_`]+)\2((?!\s*\d)[^*_`]*)")  # `**54** cups`
_IS_INVISIBLE = re.compile(f"[{INVISIBLE}]")


class _Folding(dict[int, str]):
    """What each character is taken for, filled as characters occur; a table of `str.translate`."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _fold(chr(code))
        return folded


_FOLDING = _Folding()


def fold(text: str) -> str:
    """Return a text with its look-alikes and spaces as the characters that they stand for, without invisible ones.

    Full-width digits are digits, a thin or unbreakable space is a space, and a dash is a minus sign.
    """
    return text if text.isascii() else text.translate(_FOLDING)


def plain(text: str) -> str:
    r"""Return a folded text with fractions as digits and without markup: `1½` as `1 1/2`, `**54**.` as `54.`.

    Of LaTeX it knows what stands around a number: `\boxed{54}`, `54\text{ cm}`, `\frac{1}{2}`, `10\,000`, `1{,}234`.
    """
    if not text.isascii():
        text = _VULGAR.sub(lambda match: f" {fold(unicodedata.normalize('NFKC', match.group()))}", text)
    text = text.replace("{,}", ",")
    if "\\" in text:
        text = _LATEX_DEGREE.sub("°", _LATEX_SPACES.sub("", text))
        text = _LATEX_FRACTION.sub(lambda match: f" {match[1] or match[2]}/{match[3] or match[4]}", text)
        for _ in range(_MAX_NESTED):
            text = _LATEX_WRAPPER.sub(r" \1", text)
    # A tab, for a space may stand within a number.
    text = _EMPHASIS.sub(r"\2", _POWER_OF_UNIT.sub(r"\1", _TAG.sub("\t", text))).strip()
    displayed = _DISPLAYED.fullmatch(text)
    text = f"{displayed[1]}{displayed[2]}".strip() if displayed else text
    marked = _MARKED.fullmatch(text)
    return f"{marked[1] or ''}{marked[3]}{marked[4].lstrip('!')}" if marked else text.strip("*_`'\"").strip()


def value(number: str) -> Fraction:
    """Return what the pattern `NUMBER` matched, exactly."""
    return Fraction(re.sub(_SEPARATOR, "", number).rstrip("."))


@lru_cache(maxsize=1000)
def sign_of(before: str) -> str | None:
    """Return the sign in what stands before a number, or nothing; `None` if there is more than a sign and units."""
    match = _BEFORE.fullmatch(before)
    if match is None or (match["sign"] and match["inner"]):
        return None
    return match["sign"] or match["inner"] or ""


@lru_cache(maxsize=1000)
def is_unit(behind: str) -> bool:
    """Return whether what stands behind a number leaves it as it is: `$`, `cups.`, and not `dozen` or `and a half`.

    What follows the end of the sentence is not about the number: `12. That is a dozen.`
    """
    return _BEHIND.fullmatch(behind) is not None and not other_number(behind)


def other_number(behind: str) -> str:
    """Return what behind a number makes another number of it: the `dozen` of `12 dozen`; nothing if nothing does."""
    sentence = _SENTENCE_END.split(behind, maxsplit=1)[0]
    right_behind = _RIGHT_BEHIND.match(sentence)
    if right_behind is not None:
        return right_behind.group().strip()
    return next((match.group().strip() for match in _ANYWHERE.finditer(sentence) if _changes(match)), "")


def _changes(match: re.Match[str]) -> bool:
    return not (match["unit"] or match["slash"] or match["square"])


def _fold(character: str) -> str:
    for plain, look_alikes in LOOK_ALIKES.items():
        if character in look_alikes:
            return plain
    if _IS_INVISIBLE.match(character):
        return ""
    if character.isspace():
        return " "
    if character.isascii() or unicodedata.decomposition(character).startswith(_NOT_FOLDED):
        return character
    return unicodedata.normalize("NFKC", character)
