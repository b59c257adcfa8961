"""What the words of a question say about its numbers: which must stay, and which constants it implies."""

import re
from collections.abc import Iterable
from fractions import Fraction

from domain_tokens.corpora.renumbering.reading.arithmetic import Value, simple
from domain_tokens.corpora.renumbering.reading.mentions import Mention

_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
# A number that stays because of what stands directly before it.
_BEFORE = re.compile(
    rf"(?:[\d:/.#]|\d-|\d–|\b[A-Z]-?|[a-z]|\b(?:{_MONTHS}|day|week|month|year|chapter|level|grade|grades|room|"
    r"number|no\.|age group|"
    r"route|highway|size|class|period|phase|stage|round|apartment|house number|page|pages|question|step|row|team|group"
    r"|box|house|friend|store|bag|test|game|shelf|floor|quarter|student|person|lap|tier|zone|version|section|part|"
    r"at least one of|one of the|of the other|each of the|the last|the other|the remaining|remaining|another|first|"
    r"between|top|bottom|final)\s)$",
    re.IGNORECASE,
)
# Prices and times: `from 3 to 5`, `between 2 and 4`.
_BEHIND = re.compile(
    r"(?:st|nd|rd|th)\b|\s?[:/]\s?\d|\s?(?:am|pm|a\.m|p\.m|o'?clock)\b|\s?[-–x]\s?\d|[a-wyz]\b(?<![kg])|k\b|"
    r"[- ](?:million|thousand|billion|hundred|dozen(?=s? of)|half|halves|thirds?|fourths?|quarters?|fifths?|sixths?|"
    r"sevenths?|eighths?|ninths?|tenths?|twelfths?|and (?:a|one) (?:half|quarter|third)|and \d+/\d+)\b|"
    r"\s\d+/\d+|[- ](?:legs?|legged|wheels?|wheeled|wheelers?|eyes?|sides?|sided|paws?|arms?|ears?|wings?|fingers?|"
    r"toes?|tentacles?|faces?|corners?|strings?|stars?\b(?! are)|cylinders?|pointers?|"
    r"points? (?:shots?|baskets?|field|questions?)|seasons?|directions?|"
    r"digits?|planets?|states|players (?:on|in) (?:the|each|a) team|inning|innings|"
    r"(?:dollar )?bills?|(?:cent )?coins?|[kmg]b (?:in|per|to|of)|quarts? in|ounces in|feet in|inches in|"
    r"cups in|minutes in|hours in|days in|months in|weeks in|seconds in|cards in|letters? in)\b|"
    r"\s(?:(?-i:[A-Z]\w+, [A-Z]\w+)|of (?:them|these|those|which|whom)\b(?<!x))",
    re.IGNORECASE,
)
_LIST = re.compile(r"\s[\w' -]{1,40}(?::|, (?:named|[A-Z]\w+,? (?:and|[A-Z]\w+)))")
_YEAR = re.compile(r"\b(?:in|since|year|years|of|by|until|from|born|and|to|through|late|early)\s$", re.IGNORECASE)
_ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"]
_OTHERS = re.compile(
    r"\b(?:both|either|neither|couple|pair|pairs|each other|the other|one another|the latter|the former|twin|twins)\b",
    re.IGNORECASE,
)
# What a word of a question supplies to equations without a number. A number of the question that says the same stays.
_IMPLIED: tuple[tuple[str, tuple[Value, ...]], ...] = (
    (r"dozens?", (12,)),
    (r"half a dozen|half-dozen", (6,)),
    (r"weekdays?|work ?days?|school days?|work ?week|business days?|monday (?:to|through) friday", (5,)),
    (r"weekends?", (2,)),
    (r"half an hour|half[- ]hour", (30,)),
    (r"%|percent\w*|cents?|dimes?|pennies|penny|nickels?|centimeters?|cm|century", (100,)),
    (r"triple[ds]?|thirds?|triangles?", (3,)),
    (r"quarters?|fourths?|quadruple[ds]?|squares?", (4,)),
    (r"double[ds]?|half|halves|halved|pairs?|both|couple|twins?|round[- ]?trip|perimeter|diameter|two-\w+|biweekly",
     (2,)),
    (r"nickels?|fifths?", (5,)),
    (r"dimes?|tenths?|tenfold|decades?", (10,)),
    (r"quarters?", (25,)),
    (r"sixths?", (6,)),
    (r"eighths?", (8,)),
    (r"sevenths?", (7,)),
    (r"ninths?", (9,)),
)  # fmt: skip


def _word(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z])(?:{words})(?![a-z])", re.IGNORECASE)


# Two units that stand in one problem, and how many of one the other has.
_PAIRED_UNITS = [
    (_word(large), _word(small), value)
    for large, small, value in (
        ("weeks?|weekly", "days?|daily|nights?|nightly|mornings?|evenings?|[a-z]+days?", 7),
        ("years?|yearly|annual(?:ly)?", "months?|monthly", 12),
        ("f[oe]et|foot", "inch(?:es)?", 12), ("days?|daily", "hours?|hourly", 24), ("hours?|hourly", "minutes?", 60),
        ("minutes?", "seconds?", 60),
    )
]  # fmt: skip
# The same for what is rarely meant: a number of the question that says the same is the likelier one.
_POSSIBLE: tuple[tuple[str, tuple[Value, ...]], ...] = (
    (r"weeks?|weekly|weekends?|weekdays?|days?", (7, 5, 2)),
    (r"months?|monthly|inch(?:es)?", (12,)),
    (r"hours?|hourly|minutes?|seconds?|days?", (60, 3600, 24, 30, 15)),
    (r"dollars?|meters?|m|\$", (100,)),
    (r"years?|yearly|annual(?:ly)?", (365, 52, 12, 4)),
    (rf"months?|monthly|{_MONTHS}", (30, 31, 28, 29, 4)),
    (r"kilo\w*|kgs?|kms?|liters?|litres?|grams?|meters?|tons?|ml|thousand", (1000,)),
    (r"tons?", (2000,)),
    (r"pounds?|ounces?|cups?|gallons?|pints?", (16, 8)),
    (r"miles?", (5280,)),
    (r"yards?|feet|foot", (3, 36, 12)),
    (r"gallons?|quarts?|cows?|dogs?|cats?|horses?|tires?|sheep|goats?|pigs?|cars?|lions?|tables?|chairs?", (4,)),
    (r"average|rectang\w+|each|back|bicycles?|bikes?|shoes|socks|sandwich\w*|evenly|mean|median", (2,)),
    (r"chickens?|birds?|ducks?", (2,)),
    (r"pentagon\w*|hands?", (5,)),
    (r"hexagon\w*|insects?", (6,)),
    (r"octopus\w*|spiders?|octagon\w*", (8,)),
    (r"angles?|triangles?|degrees", (90, 180, 360)),
    (r"half", (50,)),
)  # fmt: skip


# `1 pound is 16 ounces`, `April, which has 30 days`: what a unit has of a smaller one.
_CONVERTS = re.compile(r"(?:\bequals?|\bis|\bare|\bhas|\bhave|\bcontains?|\bwith|=|\babout|\bto)\s$", re.IGNORECASE)
_UNITS = re.compile(
    r"[- ](?:ounces?|inch(?:es)?|feet|pints?|quarts?|cups?|minutes?|seconds?|hours?|days?|weeks?|months?|centimeters?|"
    r"cm|meters?|grams?|pounds?|yards?|pennies|cents?|oz|ml|kg)\b",
    re.IGNORECASE,
)
_CONVERSIONS = {2, 3, 4, 7, 8, 12, 16, 24, 28, 29, 30, 31, 32, 36, 52, 60, 100, 128, 365, 366, 1000, 2000, 5280}
_OF_A_MONTH = re.compile(rf"\bmonth|\b(?:{_MONTHS})\b", re.IGNORECASE)


def _compiled(table: tuple[tuple[str, tuple[Value, ...]], ...]) -> list[tuple[re.Pattern[str], tuple[Value, ...]]]:
    return [
        (re.compile(rf"(?<![a-z])(?:{words})(?![a-z])|{'%' if '%' in words else '(?!)'}", re.IGNORECASE), values)
        for words, values in table
    ]


_LIKELY_WORDS, _POSSIBLE_WORDS = _compiled(_IMPLIED), _compiled(_POSSIBLE)


def implied(question: str, answer: str) -> set[Value]:
    """Return the constants that the words of a problem supply: 7 of weeks and days, 12 of a dozen, 2 of `half`."""
    both = f"{question} {answer}"
    return {value for words, values in _LIKELY_WORDS if words.search(question) for value in values} | {
        value for large, small, value in _PAIRED_UNITS if large.search(both) and small.search(both)
    }


def possible(question: str) -> set[Value]:
    """Return the constants that a solution may take from what everybody knows: 30 days, 16 ounces."""
    return {value for words, values in _POSSIBLE_WORDS if words.search(question) for value in values} | {
        share
        for words, share in (("half|one and a half|half times|half as much", Fraction(1, 2)), ("half", Fraction(3, 2)),
                             ("cent|dime|penn|nickel|\\$|%", Fraction(1, 100)), ("dime", Fraction(1, 10)),
                             ("nickel", Fraction(1, 20)), ("quarter", Fraction(1, 4)))
        if re.search(words, question, re.IGNORECASE)
    }  # fmt: skip


def stays(text: str, mention: Mention) -> bool:
    """Return whether a number of a question is no amount, or one that other words of the question repeat."""
    before, behind = text[max(0, mention.start - 20) : mention.start], text[mention.end : mention.end + 60]
    value = mention.value
    if mention.is_times:
        return bool(re.match(r" (?:more|over|in|that old)\b", behind))
    if value in (0, 1) or _BEHIND.match(behind) or (not mention.money and _BEFORE.search(before)):
        return True
    if isinstance(value, int) and 1700 <= value <= 2100 and "," not in mention.written and _YEAR.search(before):
        return True
    if mention.percent and value >= 100:
        return True
    if value in _CONVERSIONS and _UNITS.match(behind) and _CONVERTS.search(before):
        return True
    if value in (28, 29, 30, 31) and behind.startswith((" days", "-day")) and _OF_A_MONTH.search(text):
        return True
    if isinstance(value, int) and value <= len(_ORDINALS) and not mention.money:
        if re.search(rf"\b{_ORDINALS[value - 1]}\b", text, re.IGNORECASE) or _LIST.match(behind):
            return True
        if value == 2 and _OTHERS.search(text):
            return True
    return False


def fraction_constants(text: str) -> set[Value]:
    """Return what the fractions of a text supply: of `2/3` 2, 3, the fraction, and what is left of 1."""
    found: set[Value] = set()
    for upper, lower in re.findall(r"(\d+)\s?/\s?(\d+)", text):
        found |= _parts(int(upper), int(lower))
    names = "half|halves|third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth|twelfth"
    lowers = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
              "eighth": 8,
              "ninth": 9, "tenth": 10, "twelfth": 12}  # fmt: skip
    uppers = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
    for upper, name in re.findall(rf"(?:\b({'|'.join(uppers)})[- ])?\b({names})s?\b", text, re.IGNORECASE):
        found |= _parts(uppers.get(upper.lower(), 1), lowers[name.lower()])
    return found


def _parts(upper: int, lower: int) -> set[Value]:
    if not lower or not upper:
        return set()
    share = Fraction(upper, lower)
    return {upper, lower, simple(share), lower - upper, simple(1 - share)}


def kept_values(text: str, found: Iterable[Mention]) -> set[Value]:
    """Return the values of the numbers of a question that stay."""
    return {one.value for one in found if stays(text, one)}
