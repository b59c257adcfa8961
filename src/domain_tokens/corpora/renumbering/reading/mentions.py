"""The numbers of a text, in digits and in words, and how another number is written in the place of one."""

import re
from dataclasses import dataclass
from fractions import Fraction

from domain_tokens.corpora.renumbering.reading.arithmetic import Value, decimals, number, simple
from domain_tokens.tokenization.numerals import english

TOO_LONG = re.compile(r"(?:\d,?){16,}")
"""More digits than a number of a problem has; Python itself refuses integers of more than 4,300."""

_UNITS = [english(value) for value in range(20)]
_TENS = {english(value): value for value in range(20, 100, 10)}
_WORDS = {word: value for value, word in enumerate(_UNITS)} | _TENS
_TIMES = {"twice": 2, "thrice": 3}
_ONE_TO_NINE = "|".join(_UNITS[1:10])
_SPELLED = rf"(?:{'|'.join(_TENS)})[- ](?:{_ONE_TO_NINE})|" + "|".join(
    sorted([*_WORDS, *_TIMES], key=len, reverse=True)
)
_NUMBER = re.compile(
    rf"(?P<digits>(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?|(?<![\d\w])\.\d+)|\b(?P<word>{_SPELLED})\b", re.IGNORECASE
)
_ARTICLE = re.compile(r"\b([Aa])(n?)(?= \$?$)")
_AN = re.compile(r"8|1[18](?:,\d{3})*(?:\.\d+)?$")
_LARGEST_WORD = 100


@dataclass(frozen=True, slots=True)
class Mention:
    """A number in a text.

    Attributes:
        start, end: its span.
        value: what it says; of `20%`, 20.
        written: its text.
        percent: whether a percent sign, or the word, follows it.
        money: whether a dollar sign stands before it.
    """

    start: int
    end: int
    value: Value
    written: str
    percent: bool
    money: bool

    @property
    def is_times(self) -> bool:
        """Whether it is `twice` or `thrice`."""
        return self.written.lower() in _TIMES

    @property
    def is_word(self) -> bool:
        """Whether it is spelled in letters."""
        return self.written[0].isalpha()


def mentions(text: str) -> list[Mention]:
    """Return the numbers of a text in their order; of `8:30` and `1/2` each number by itself."""
    found = []
    for match in _NUMBER.finditer(text):
        word = match["word"]
        value = _spelled(word) if word else number(match["digits"])
        behind = text[match.end() : match.end() + 9].lower()
        percent = behind.startswith("%") or behind.lstrip(" -").startswith("percent")
        money = text[: match.start()].rstrip().endswith("$")
        found.append(Mention(match.start(), match.end(), value, match.group(), percent, money))
    return found


def _spelled(word: str) -> int:
    if word.lower() in _TIMES:
        return _TIMES[word.lower()]
    tens, _, ones = word.lower().replace(" ", "-").partition("-")
    return _WORDS[tens] + (_WORDS[ones] if ones else 0)


def write(value: Value, mention: Mention, groups: bool) -> str:
    """Return a number as one is written: in words, with two decimals of money, with a comma before thousands.

    Args:
        value: the number.
        mention (`Mention`): in whose place it stands.
        groups (`bool`): whether the text writes a comma before thousands.

    Raises:
        ValueError: if its decimals do not end.
    """
    old = mention.written
    if mention.is_word and isinstance(value, int) and 0 <= value <= _LARGEST_WORD:
        spelled = english(value)
        if mention.is_times:
            spelled = "twice" if value == 2 else f"{spelled} times"
        if " " in old:
            spelled = spelled.replace("-", " ")
        return spelled.capitalize() if old[0].isupper() else spelled
    places = decimals(value)
    if places is None:
        raise ValueError(f"{value} has no last decimal")
    old_places = len(old.partition(".")[2])
    if old_places == 2 and (mention.money or old.endswith("0")) and places < 2 or places == 1 and mention.money:
        places = 2
    commas = "," in old or (groups and mention.value < 1000)
    text = f"{_fixed(value, places)}"
    whole, point, rest = text.partition(".")
    if commas:
        whole = f"{int(whole):,}"
    text = whole + point + rest
    return text.removeprefix("0") if old.startswith(".") and text.startswith("0.") else text


def _fixed(value: Value, places: int) -> str:
    scaled = simple(Fraction(value) * 10**places)
    assert isinstance(scaled, int)
    sign, digits = "-" if scaled < 0 else "", str(abs(scaled)).zfill(places + 1)
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def with_article(before: str, written: str) -> str:
    """Return the text before a number with the article that the number takes: `an 8-foot`, `a 9-foot`."""
    match = _ARTICLE.search(before)
    if match is None:
        return before
    takes_an = bool(_AN.match(written)) or written.lower().startswith(("eight", "eleven"))
    return before[: match.start()] + match[1] + ("n" if takes_an else "") + before[match.end() :]
