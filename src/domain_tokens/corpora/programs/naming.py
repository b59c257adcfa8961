"""What a variable is called in a sentence: `total_cost_of_apples` is "the total cost of the apples"."""

import re
from functools import lru_cache
from typing import NamedTuple

from domain_tokens.corpora.programs.question import NUMBER_WORDS, Question

_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_SHORT = {
    "num": "number", "cnt": "count", "qty": "quantity", "avg": "average", "amt": "amount",
    "pct": "percent", "perc": "percent", "tot": "total", "orig": "original", "prev": "previous", "max": "maximum",
    "init": "initial", "val": "value", "diff": "difference", "dist": "distance", "pcs": "pieces", "yr": "year",
    "yrs": "years", "wk": "week", "wks": "weeks", "mo": "month", "hr": "hour", "hrs": "hours", "mins": "minutes",
    "secs": "seconds", "ft": "feet", "lb": "pounds", "lbs": "pounds", "oz": "ounces", "km": "kilometers",
    "kms": "kilometers", "cm": "centimeters", "mm": "millimeters", "kg": "kilograms", "ml": "milliliters",
    "kgs": "kilograms", "jan": "january", "feb": "february", "apr": "april", "jun": "june", "jul": "july",
    "aug": "august", "sept": "september", "oct": "october", "nov": "november", "dec": "december", "mon": "monday",
    "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "thu": "thursday", "thurs": "thursday", "fri": "friday",
    "hw": "homework", "approx": "approximate", "misc": "other", "sqft": "square feet", "sqm": "square meters", "mph": "miles per hour",
    "kmh": "kilometers per hour", "kmph": "kilometers per hour", "kph": "kilometers per hour",
    "remainder": "remainder", "percentage": "percentage", "sq": "square", "rem": "remaining", "equiv": "equivalent",
    "temp": "temperature", "calc": "", "computed": "", "calculated": "", "result": "answer", "res": "answer",
    "ans": "answer", "pkg": "package", "curr": "current", "exp": "expected", "usd": "dollars", "info": "",
}  # fmt: skip
_UNITS = frozenset(
    "hours minutes seconds days weeks months years miles kilometers meters centimeters millimeters feet inches yards "
    "pounds ounces kilograms grams tons gallons liters litres milliliters quarts pints cups tablespoons teaspoons "
    "dollars cents degrees".split()
)
_LONG_UNITS = frozenset(
    {"square feet", "square meters", "miles per hour", "kilometers per hour", "square inches", "square centimeters"}
)
_MONEY = frozenset(
    "cost costs price prices money earnings revenue profit profits salary pay payment payments bill tip tips tax taxes "
    "discount fee fees savings spending expenses expense income wage wages interest investment budget rent commission "
    "dollars bonus refund allowance debt loan loss charge charges proceeds sales earning spent paid owed saved earned"
    .split()
)
_MEASURES = frozenset(
    "time distance length width height perimeter area volume speed weight depth radius diameter duration age rate "
    "interval circumference capacity thickness side size temperature mass base altitude hypotenuse amount water pace "
    "milk juice flour sugar".split()
)
_HEADS = (_MONEY | _MEASURES) - {"spent", "paid", "owed", "saved", "earned", "base", "side", "travel", "walk", "run",
    "flight", "drive", "rest", "break", "work", "sleep", "study", "water", "milk", "juice", "flour", "sugar", "total",
    "size"}  # fmt: skip
_HEADS |= frozenset("value number percentage percent fraction ratio difference sum average score count quantity".split())
_NO_MONEY = frozenset("rate percent percentage fraction ratio number count factor multiplier hours days weeks".split())
_PREPOSITIONS = frozenset(
    "of for from in on at by with without after before to into during between among under over above below until "
    "since across through within along around near beyond off".split()
)
_PLURAL_MASS = frozenset(
    "earnings savings expenses costs sales wages fees taxes profits winnings proceeds prices charges tips revenues "
    "payments".split()
)
_IRREGULAR = {
    "people": "person", "children": "child", "men": "man", "women": "woman", "feet": "foot", "teeth": "tooth",
    "mice": "mouse", "geese": "goose", "fish": "fish", "sheep": "sheep", "dice": "die", "loaves": "loaf",
    "knives": "knife", "shelves": "shelf", "leaves": "leaf", "halves": "half", "wolves": "wolf", "lives": "life",
    "cookies": "cookie", "movies": "movie", "pies": "pie", "ties": "tie", "brownies": "brownie", "inches": "inch",
    "calories": "calorie", "shoes": "shoe", "smoothies": "smoothie", "hoodies": "hoodie", "selfies": "selfie",
    "buses": "bus", "lenses": "lens", "gases": "gas", "deer": "deer", "cds": "CD", "dvds": "DVD", "menus": "menu",
}  # fmt: skip
_NOT_PLURAL = frozenset("bus gas plus less minus bonus surplus its this is was has address census canvas lens mass "
    "glass class chess across business access loss boss mess dress always news series grass".split())  # fmt: skip
_TAILS = frozenset(
    "left remaining needed available altogether combined each now today sold spent made bought given eaten lost paid "
    "won read sent kept taken driven drawn grown caught built found broken written done ran run possible together away "
    "again back out daily weekly monthly yearly annually originally initially extra overall later ago old older "
    "consumed required used owed grew ate drank gave took went came wrote drove".split()
)
_NO_PARTICIPLES = frozenset("bed seed speed need feed weed breed hundred red shed sled reed bleed creed indeed".split())
_TIMES = frozenset("day week month year hour minute morning afternoon evening night weekend half quarter".split())
_WEEKDAYS = frozenset("monday tuesday wednesday thursday friday saturday sunday".split())
_MONTHS = frozenset(
    "january february april june july august september october november december".split()
)
_SHARES = frozenset("percent percentage fraction number amount sum".split())
_PERSONS = frozenset(
    "brother sister mother father mom dad grandmother grandfather grandma grandpa aunt uncle cousin friend neighbor "
    "teacher boy girl man woman farmer rival son daughter wife husband child baker worker driver student classmate sibling "
    "kid parent grandparent employee player customer guest adult chef nurse".split()
)
_AREA = re.compile(r"(?<=_)(cm|mm|km|m|ft|in|inches|meters|feet)_?(2|3|squared|cubed)$")
_ORDINALS = ["", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
_ARTICLES = frozenset("the a an each every one his her their its my all both own another other others".split())
_WHOLES = frozenset("total maximum minimum average initial original final expected".split())
_TRAILING = frozenset("total new old actual original initial previous current final expected regular normal full".split())
_SINGLE_UNITS = frozenset(
    "hour minute second day week month year mile kilometer meter foot inch yard pound ounce kilogram gram ton gallon liter "
    "quart pint cup tablespoon teaspoon dollar dozen".split()
)
_OF = "'s"
_NAMELESS = frozenset(
    "x y z a b c d e f g h i j k m n p q r s t u v w temp tmp value values var data num number step steps variable out "
    "output item items list lst arr".split()
)


class Phrase(NamedTuple):
    """What a variable is called.

    Attributes:
        text: with its article: `the total cost of the apples`.
        is_plural: whether a verb behind it is `are`.
        unit: what it is counted in, `hours`, if it says that and the phrase does not; else empty.
    """

    text: str
    is_plural: bool
    unit: str

    @property
    def verb(self) -> str:
        """Is or are."""
        return "are" if self.is_plural else "is"


def _area(match: re.Match[str]) -> str:
    """Return `m2` as it is spoken."""
    unit = {"m": "meters", "in": "inches"}.get(match[1], match[1])
    return f"{'square' if match[2] in ('2', 'squared') else 'cubic'}_{unit}"


@lru_cache(maxsize=20_000)
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name, abbreviations written out, in small letters."""
    found: list[str] = []
    parts = [part.lower() for part in _PART.findall(_AREA.sub(_area, name))]
    for index, part in enumerate(parts):
        word = _SHORT.get(part, part)
        if part == "temp" and len(parts) == 1:
            word = part
        if part == "no" and not index:
            word = "number"
        if part == "min":
            word = "minutes" if index and index == len(parts) - 1 else "minimum"
        elif part == "sec":
            word = "seconds" if index and index == len(parts) - 1 else "second"
        elif part == "rem" and index == len(parts) - 1 and len(parts) == 1:
            word = "remainder"
        if part == "last" and index and index == len(parts) - 1 and is_plural(parts[index - 1]):
            word = "lasted"
        if word:
            found.append(word)
    return tuple(_with_ordinals(found))


def _with_ordinals(words: list[str]) -> list[str]:
    """Return words with `week 1` as `first week`; `15 days` stays."""
    found: list[str] = []
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        is_last = not is_plural(following) and following not in ("to", "percent") and following not in _SINGLE_UNITS
        if word.isdigit() and found and 1 <= int(word) <= 10 and is_last and not is_plural(found[-1]):
            if found[-1] not in _PREPOSITIONS and found[-1] != "per":
                found.insert(len(found) - 1, _ORDINALS[int(word)])
                continue
        found.append(word)
    return found


@lru_cache(maxsize=20_000)
def is_plural(word: str) -> bool:
    """Return whether a noun is a plural."""
    if word in _IRREGULAR:
        return True
    return len(word) > 3 and word[-1] == "s" and word[-2] not in "su" and not word.endswith("ics") and word not in _NOT_PLURAL


def singular(word: str) -> str:
    """Return the singular of a noun."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if not is_plural(word):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")) else word[:-1]


def _is_participle(word: str) -> bool:
    return word in _TAILS or (word.endswith("ed") and len(word) > 4 and word not in _NO_PARTICIPLES)


def phrase_of(name: str, question: Question) -> Phrase | None:
    """Return what a variable is called in a sentence on a question; `None` if its name says nothing."""
    words = list(words_of(name))
    if not words or (len(words) == 1 and (words[0] in _NAMELESS or len(words[0]) < 3 or words[0].isdigit())):
        return None
    if all(word in _NAMELESS or word in _ORDINALS or word.isdigit() for word in words):
        return None
    if words == ["answer"] or words in (["final", "answer"], ["answer", "value"]):
        return Phrase("the answer", False, "")
    words, unit = _without_unit(words)
    namer = _Namer(question)
    text, plural = namer.phrase(words)
    if not unit and question.unit_of_money and _is_money(words):
        unit = question.unit_of_money
    if unit in words:
        unit = ""
    return Phrase(text, plural, unit)


def _is_money(words: list[str]) -> bool:
    head = words[: words.index("per")] if "per" in words else words
    if not any(word in _MONEY for word in head) or any(word in _NO_MONEY for word in head):
        return False
    return not any(is_plural(word) and word not in _MONEY for word in head[-1:] if head[0] != "total" or len(head) > 1) or any(
        word in _MONEY for word in head
    ) and head[-1] not in _UNITS


def _without_unit(words: list[str]) -> tuple[list[str], str]:
    """Return the words of a name without its unit, and the unit: of `time_in_hours` and `distance_miles`."""
    if len(words) < 2:
        return words, ""
    for index in range(1, len(words) - 2):  # time_minutes_for_trip
        if words[index] in _UNITS and words[index - 1] in _MEASURES and words[index + 1] in _PREPOSITIONS - {"of"}:
            return [*words[:index], *words[index + 1 :]], words[index]
    *rest, last = words
    if last in _LONG_UNITS:
        return rest, last
    if words[-2] == "per" and len(words) > 3 and words[-3] in _UNITS and words[-4] in _MEASURES:
        return words[:-3], " ".join(words[-3:])
    if last not in _UNITS:
        return words, ""
    if rest[-1] in ("square", "cubic") and len(rest) > 1:
        rest, last = rest[:-1], f"{rest[-1]} {last}"
        if rest[-1] != "in":
            return rest, last
    if rest[-1] == "in" and len(rest) > 1:
        return rest[:-1], last
    if rest[-1] == "per" or rest[-1] in _PREPOSITIONS:
        return words, ""
    if rest[-1] == last:  # water_for_15_gallons_gallons
        return rest, last
    cut = next((index for index, word in enumerate(rest) if index and word in _PREPOSITIONS), len(rest))
    is_far = cut < len(rest) and rest[cut - 1] in _MEASURES and not rest[-1].isdigit() and rest[-1] not in _ARTICLES | NUMBER_WORDS
    is_measure = any(word in _MEASURES or word in _MONEY for word in rest[-2:]) or is_far
    is_total = len(rest) > 1 and "total" in rest[-2:] and not _is_participle(rest[-1]) and not is_plural(rest[-1])
    if is_measure:
        return rest, last
    if is_total:
        return [*rest, "time"] if singular(last) in _TIMES | {"second"} and rest[-1] != "total" else rest, last
    return words, ""


class _Namer:
    """Writes noun phrases in the words of a question."""

    def __init__(self, question: Question) -> None:
        self._question = question

    def phrase(self, words: list[str]) -> tuple[str, bool]:
        """Return a noun phrase, and whether it is a plural."""
        if "per" in words[1:-1]:
            index = words.index("per", 1)
            text, plural = self.phrase(words[:index])
            return f"{text} per {self._rate(words[index + 1 :])}", plural
        if words[0] in _WHOLES and len(words) > 3 and words[1:3] == ["number", "of"]:
            return f"the {words[0]} number of {self._complement_bare(words[3:])}", False
        if words[:2] == ["number", "of"] and len(words) > 2:
            return f"the number of {self._complement_bare(words[2:])}", False
        if words[0] == "number" and len(words) > 1:
            return f"the number of {self._complement_bare(_pluralised(words[1:]))}", False
        if words[-1] in ("count", "quantity") and len(words) > 1:
            return f"the number of {self._complement_bare(_pluralised(words[:-1]))}", False
        return self._core(words)

    def _rate(self, words: list[str]) -> str:
        """Return what stands behind `per`: `day in the first week`, `kilogram of apples`, `apple`, `12 cookies`."""
        first, *rest = words
        if first.isdigit():
            link = ["of"] if len(rest) > 1 and rest[0] in _UNITS and rest[1] not in _PREPOSITIONS else []
            return self._spell([first, *rest[:1], *link, *rest[1:]])
        if rest and (time := self._time(rest)) is not None:
            return f"{self._spell([singular(first)])} {time}"
        if rest and rest[0] not in _PREPOSITIONS and singular(first) in _SINGLE_UNITS:
            link = "for the" if singular(first) in _TIMES or first == "dollar" else "of"
            return f"{self._spell([singular(first)])} {link} {self._spell(rest)}"
        return self._spell([*(singular(word) if word not in _PREPOSITIONS else word for word in words)])

    def _core(self, words: list[str]) -> tuple[str, bool]:
        if words[0] in _PREPOSITIONS:
            return f"the amount {self._behind(['amount'], words)}", False
        cut = next(
            (index for index, word in enumerate(words) if index and (word in _PREPOSITIONS or _ends(words, index))),
            len(words),
        )
        before, behind = words[:cut], words[cut:]
        while len(before) > 1 and before[-1] in _TRAILING:
            before = [before[-1], *before[:-1]]
        after = f" {self._behind(before, behind)}" if behind else ""
        if len(before) == 1 and _is_participle(before[0]):
            return f"the amount {before[0]}{after}", False
        owner, before = self._owner(before)
        if not before and behind and _is_participle(behind[0]):
            return f"the amount {owner.removesuffix(_OF)}{after}", False
        if not before or (len(before) == 1 and owner and before[0] in _WHOLES | _TRAILING and before[0] != "total"):
            return f"{' '.join([owner, *before])} {'amount' if before or behind else 'number'}{after}", False
        head, rest = self._head(before)
        link = f" {rest}" if rest else ""
        noun = head[-1]
        is_count = is_plural(noun) and noun not in _PLURAL_MASS
        article = owner or "the"
        if not is_count:
            return f"{article} {self._spell(head)}{link}{after}", noun in _PLURAL_MASS
        total = f"{head[0]} " if head[0] in _WHOLES and len(head) > 1 else ""
        counted = self._spell(head[1:] if total else head)
        of = f"{owner} " if owner else ""
        return f"the {total}number of {of}{counted}{link}{after}", False

    def _owner(self, words: list[str]) -> tuple[str, list[str]]:
        """Return whose a thing is, at the beginning or the end of its name, and the other words."""
        if len(words) < 2:
            return (f"{self._question.spelled(words[0])}{_OF}", []) if self._question.is_person(words[0]) else ("", words)
        if words[0][-1] == "s" and self._question.is_person(words[0][:-1]):
            return f"{self._question.spelled(words[0][:-1])}{_OF}", words[1:]  # toms_share
        first = 1 if words[0] in ("total", "initial", "original", "new") and len(words) > 2 else 0
        end = first
        while end < len(words) and self._question.is_person(words[end]):
            end += 1
        if end > first:
            return f"{self._spell(words[first:end])}{_OF}", [*words[:first], *words[end:]]
        start = len(words)
        while start > 1 and self._question.is_person(words[start - 1]):
            start -= 1
        if start < len(words):
            return f"{self._spell(words[start:])}{_OF}", words[:start]
        for index in range(1, len(words)):
            person = singular(words[index - 1])
            if person in _PERSONS and (words[index] in _HEADS or is_plural(words[index])):
                mark = "'" if is_plural(words[index - 1]) and words[index - 1][-1] == "s" else _OF
                first = 1 if words[0] == "total" and index > 1 else 0
                return f"the {self._spell(words[first:index])}{mark}", [*words[:first], *words[index:]]
        if words[0] in _WEEKDAYS or words[0] in _MONTHS:
            return f"{words[0].capitalize()}{_OF}", words[1:]
        return "", words

    def _head(self, words: list[str]) -> tuple[list[str], str]:
        """Return the words up to the head of a compound, and what follows it with a preposition."""
        last = len(words) - 1
        if words[-1] in _HEADS:
            return words, ""
        index = next((place for place in range(last) if words[place] in _HEADS - _WHOLES), None)
        if index is None and not is_plural(words[-1]):
            index = next((place for place in range(last) if is_plural(words[place])), None)
        if index is None:
            pair = [place for place in range(last) if is_plural(words[place])]
            index = pair[0] if pair else None
        if index is None or words[index + 1] in ("rate", "percentage"):
            return words, ""
        head, rest = words[: index + 1], words[index + 1 :]
        between = self._question.between(head[-1], rest[0])
        if between:
            return head, f"{' '.join(between)} {self._spell(rest)}"
        return head, self._linked(head[-1], rest)

    def _linked(self, head: str, words: list[str]) -> str:
        if (time := self._time(words)) is not None:
            return time
        if words[0] == "and":
            return self._spell(words)
        if head in ("discount", "tax", "interest"):
            link = "on"
        elif head in ("earnings", "revenue", "income", "money", "profit", "profits", "proceeds"):
            link = "from"
        else:
            link = "of" if (head in _HEADS and not words[0].endswith("ing")) or head in _UNITS else "for"
        if head in _UNITS and not words[0].isdigit():
            return f"{link} {self._spell(words)}"
        return f"{link} {self._complement(link, words)}"

    def _time(self, words: list[str]) -> str | None:
        """Return words that say when, with their preposition."""
        if words[0] in _WEEKDAYS:
            return f"on {self._spell(words)}"
        if words[0] in _MONTHS:
            return f"in {self._spell(words)}"
        if any(singular(word) in _TIMES for word in words[:2]) and not is_plural(words[-1]):
            return f"{'on' if 'day' in words else 'in'} the {self._spell(words)}"
        return None

    def _behind(self, before: list[str], words: list[str]) -> str:
        """Return what follows a noun: a participle, or a preposition with what belongs to it."""
        if words[0] not in _PREPOSITIONS:
            first, *rest = words
            if not rest:
                return first
            if rest[0] in _PREPOSITIONS or _is_participle(rest[0]):
                return f"{first} {self._behind([first], rest)}"
            if (time := self._time(rest)) is not None:
                return f"{first} {time}"
            if self._question.is_person(rest[0]):
                return f"{first} by {self._spell(rest)}"
            between = self._question.between(first, rest[0])
            return " ".join([first, *(between or []), self._spell(rest)])
        preposition, *rest = words
        if not rest:
            return preposition
        cut = next((index for index, word in enumerate(rest) if index and word in _PREPOSITIONS), len(rest))
        complement, more = rest[:cut], rest[cut:]
        counts = is_plural(before[-1]) and before[-1] not in _PLURAL_MASS
        if preposition == "of" and (counts or before[-1] in _SHARES):
            text = self._spell(complement)
        else:
            text = self._complement(preposition, complement)
        return f"{preposition} {text}{' ' + self._behind(complement, more) if more else ''}"

    def _complement(self, preposition: str, words: list[str]) -> str:
        """Return what stands behind a preposition, with the article or pronoun of the question, or `the`."""
        first = words[0]
        if first in _ARTICLES or first.isdigit() or self._question.spelled(first) != first or preposition == "to":
            between = self._question.between(preposition, first) if preposition == "to" else None
            if preposition == "to" and not between and (singular(first) in _PERSONS or is_plural(first)):
                between = ["the"]
            return " ".join([*(between or []), self._spell(words)])
        between = self._question.between(preposition, first)
        if between or (between is not None and preposition != "of"):
            return " ".join([*between, self._spell(words)])
        if first in _WEEKDAYS or first in _MONTHS or first.endswith("ing"):
            return self._spell(words)
        if preposition in ("in", "per") and len(words) == 1 and (first in _TIMES or first == "dozen"):
            return f"{'an' if first == 'hour' else 'a'} {first}"
        return f"the {self._spell(words)}"

    def _complement_bare(self, words: list[str]) -> str:
        """Return what is counted, without an article."""
        cut = next(
            (index for index, word in enumerate(words) if index and (word in _PREPOSITIONS or _ends(words, index))),
            len(words),
        )
        before, behind = words[:cut], words[cut:]
        owner, noun = self._owner(before)
        if not noun:
            owner, noun = "", before
        text = self._spell(noun)
        return " ".join(filter(None, [owner, text, self._behind(noun, behind) if behind else ""]))

    def _spell(self, words: list[str]) -> str:
        spelled = [self._question.spelled(word) for word in words]
        return " ".join(
            word.upper() if len(word) == 1 and index and word.isalpha() and words[index - 1] not in _PREPOSITIONS
            else word.capitalize() if word in _WEEKDAYS or word in _MONTHS
            else word
            for index, word in enumerate(spelled)
        )  # fmt: skip


def _ends(words: list[str], index: int) -> bool:
    """Return whether a noun ends before a word, which is a participle behind it."""
    if words[index] in ("not", "never", "already", "still") and index + 1 < len(words):
        return _is_participle(words[index + 1])
    if not _is_participle(words[index]):
        return False
    is_last = index == len(words) - 1
    return is_last or is_plural(words[index - 1]) or words[index - 1] in _HEADS


def _pluralised(words: list[str]) -> list[str]:
    """Return words whose last noun is a plural: `apple_count` is a number of apples."""
    cut = next((index for index, word in enumerate(words) if index and word in _PREPOSITIONS), len(words))
    noun = words[cut - 1]
    if is_plural(noun) or noun in _TAILS or not noun.isalpha():
        return words
    many = f"{noun[:-1]}ies" if noun[-1] == "y" and noun[-2:-1] not in tuple("aeiou") else (
        f"{noun}es" if noun.endswith(("s", "x", "z", "ch", "sh")) else f"{noun}s"
    )
    return [*words[: cut - 1], many, *words[cut:]]
