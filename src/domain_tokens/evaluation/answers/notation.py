"""What may stand around the digits of a number: the one table of signs, spaces and units.

It is read in the right answers of data sets and in a model's answers, by the scorer and by the rewards, and the same
units are read on both sides of a number: `54 USD` and `USD 54`.
"""

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache

from domain_tokens.tokenization.numerals import ANY_ENGLISH

# Characters that look like the one they stand for, and are taken for it.
LOOK_ALIKES = {
    "-": "‐‑‒–—−➖",  # U+2010 to U+2014, U+2212, U+2796
    "+": "➕",
    "/": "⁄∕",  # U+2044, U+2215
    "'": "’ʼ′‘´",
    '"': "“”„«»″",
}
# Characters that cannot be seen: soft hyphen, zero-width spaces and joiners, marks of direction, variation selectors.
# Overrides (U+202D, U+202E) are missing because they change the order in which digits are shown.
INVISIBLE = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202c\u2060\u2066-\u2069\ufeff\ufe0e\ufe0f"
# Characters whose plain form means something else: 10² is not 102, 1½ is not 11/2.
_NOT_FOLDED = ("<super>", "<sub>", "<fraction>", "<circle>")

CURRENCY_SIGNS = "$¢£¤¥֏؋߾߿৲৳৻૱௹฿៛₠-⃁꠸\U00011fdd-\U00011fe0\U0001e2ff\U0001ecb0"  # Unicode's category Sc
# ISO 4217, without the codes of metals, funds and tests; RMB is not in it and often written.
CURRENCY_CODES = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP
    CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR
    IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU
    MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RMB RON RSD RUB RWF SAR SBD SCR
    SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND
    VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
# US$, A$ and NT$ are `[A-Z]{1,3}\$`; `/-` ends a price in India. Codes are capitals, or `top 54` would be a price.
_UNIT = rf"""(?:
    \\?(?:[A-Z]{{1,3}})?[{CURRENCY_SIGNS}] | % | °[CF]? | /-
    | {"|".join(CURRENCY_CODES.split())} | usd | eur | gbp | inr
    | [Rr][sS]\.? | Rp\.? | RM | Tk\.? | [kK][rR]\.? | S?Fr\.? | Ksh\.? | zł | Kč | Ft | руб\.? | ریال | [元円圆圓원]
    | (?i:dollars?|cents?|euros?|pounds?|rupees?|yen|yuan|pesos?|francs?)
)"""
_SEPARATOR = "[,' ]"  # of thousands; a space of any width is folded to this one
# A whole number, or one with decimals; a point before the first digit is not among them, for it may end `Rs.`.
NUMBER = rf"(?:[0-9]{{1,3}}(?P<by>{_SEPARATOR})[0-9]{{3}}(?:(?P=by)[0-9]{{3}})*(?![0-9])|[0-9]+)(?:\.[0-9]*)?"

# One sign and up to two units (`USD $54`), in any order.
_BEFORE = re.compile(rf"(?P<sign>[+-])?\s*+(?:{_UNIT}\s*+){{0,2}}(?P<inner>[+-])?\s*+", re.VERBOSE)
# A unit, punctuation, and words after a space. Words hold no digit and no operator: `72 or 73` and `72 + x` are no
# answers.
_BEHIND = re.compile(
    rf"""(?:\s*{_UNIT})? (?P<signs>[.,;:!?)'"。]*)
    (?P<words>\s[^\d=+*×÷·⋅∙✕✖∗√±≠≈≤≥<>^#|\\¼-¾⅐-⅞⅟↉]*)?""",
    re.VERBOSE,
)
# Words that make another number of it: 12 dozen, 5 million; not the same words in a unit, as in `5 dollars per dozen`.
_SCALED = re.compile(
    r"(?:\b(?P<unit>per|an?|each|every|the)[\s-]+(?:one\s+)?)?\b"
    r"(?:dozens?|doz|tens|hundreds?|thousands?|lakhs?|crores?|[mb]n|[mbtr]+illions?)\b|[万亿萬億]",
    re.IGNORECASE,
)
_SCALE_LETTER = re.compile(r"\W*[kKMBT]\b(?!&)")  # `5 m` are metres
# Words that name a second number, or a part that is added: `72 or seventy-three`, `5 and a half`.
_SECOND = re.compile(
    rf"\b(?:and|or|plus|minus|times)\s+"
    rf"(?:{ANY_ENGLISH}|half|an?\s(?:half|third|quarter|fourth|fifth|sixth|eighth|tenth))\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.;!?。](?!\S)")
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
    match = _BEHIND.fullmatch(behind)
    if match is None:
        return False
    ends = not match["words"] or _SENTENCE_END.search(match["signs"])
    return bool(ends) or not _changes_number(_SENTENCE_END.split(match["words"])[0])


def _changes_number(words: str) -> bool:
    is_scaled = any(not match["unit"] for match in _SCALED.finditer(words)) or _SCALE_LETTER.match(words)
    return bool(is_scaled) or _SECOND.search(words) is not None


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
