"""What a variable is called in a sentence: `total_cost_of_apples` is "the total cost of the apples"."""

from typing import NamedTuple

from domain_tokens.corpora.programs.wording.nouns import (
    ARTICLES,
    BARE,
    HEADS,
    LONG_UNITS,
    MEASURES,
    MONEY,
    MONTHS,
    NAMELESS,
    NO_MONEY,
    OF,
    OFTEN_MONEY,
    ORDINALS,
    PERSONS,
    PHYSICAL,
    PLURAL_MASS,
    PREPOSITIONS,
    SHARES,
    SINGLE_UNITS,
    TIMES,
    TRAILING,
    UNIT_LETTERS,
    UNITS,
    VERBS,
    WEEKDAYS,
    WHOLES,
    is_participle,
    is_plural,
    pluralised,
    singular,
    words_of,
)
from domain_tokens.corpora.programs.wording.question import NUMBER_WORDS, Question

ANSWER = "the answer"


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


def phrase_of(name: str, question: Question) -> Phrase | None:
    """Return what a variable is called in a sentence on a question; `None` if its name says nothing."""
    words = list(words_of(name))
    if words[:2] == ["how", "many"]:
        words = ["number", "of", *words[2:]]
    if not question.is_english or not VERBS.isdisjoint(words):
        return None
    if not words or (len(words) == 1 and (words[0] in NAMELESS or len(words[0]) < 3 or words[0].isdigit())):
        return None
    if all(word in NAMELESS or word in ORDINALS or word.isdigit() for word in words):
        return None
    if words == ["answer"] or words in (["final", "answer"], ["answer", "value"]):
        return Phrase(ANSWER, False, "")
    if words[-1] == "total" and len(words) > 1:
        words = ["total", *words[:-1]]
    words, unit = _without_unit(_for_how_long(words))
    namer = _Namer(question)
    text, plural = namer.phrase(words)
    is_count = "number of" in text.split(" per ")[0]
    if not unit and question.unit_of_money and not is_count and _is_money(words, question):
        unit = question.unit_of_money
    if unit in words:
        unit = ""
    return Phrase(text, plural, unit)


def _is_money(words: list[str], question: Question) -> bool:
    """Return whether words name an amount of money. In doubt they do not: a number without a unit is not wrong."""
    head = words[: next((index for index, word in enumerate(words) if index and word in ("per", "for")), None)]
    money = MONEY.intersection(head)
    if not money or not NO_MONEY.isdisjoint(head) or (head[-1] in UNITS and head[-1] not in MONEY):
        return False
    if money <= OFTEN_MONEY and any(word in PHYSICAL or word in UNITS for word in head):
        return False  # time spent, weight loss
    if "charge" in money and "battery" in question.words:
        return False
    return not any(is_plural(word) and question.counts(word) for word in money)  # 40 sales


def _for_how_long(words: list[str]) -> list[str]:
    """Return words with `pay for 5 days` in place of `pay 5 days`."""
    if len(words) > 2 and words[-1] in UNITS and words[-2].isdigit() and words[-3] in MEASURES | MONEY | WHOLES:
        return [*words[:-2], "for", *words[-2:]]
    return words


def _without_unit(words: list[str]) -> tuple[list[str], str]:
    """Return the words of a name without its unit, and the unit: of `time_in_hours` and `distance_miles`."""
    if len(words) < 2:
        return words, ""
    for index in range(1, len(words) - 2):  # time_minutes_for_trip
        if words[index] in UNITS and words[index - 1] in MEASURES and words[index + 1] in PREPOSITIONS - {"of"}:
            return [*words[:index], *words[index + 1 :]], words[index]
    *rest, last = words
    if last in LONG_UNITS:
        is_speed = last.endswith("per hour") and not MEASURES.intersection(rest)
        return [*rest, "speed"] if is_speed else rest, last
    if words[-2] == "per" and len(words) > 3 and words[-3] in UNITS and words[-4] in MEASURES:
        return words[:-3], " ".join(words[-3:])
    if last in UNIT_LETTERS and MEASURES.intersection(rest[-2:]):
        return rest, UNIT_LETTERS[last]
    if last not in UNITS:
        return words, ""
    if rest[-1] in ("square", "cubic") and len(rest) > 1:
        rest, last = rest[:-1], f"{rest[-1]} {last}"
        if rest[-1] != "in":
            return rest, last
    if rest[-1] == "in" and len(rest) > 1:
        return rest[:-1], last
    if rest[-1] == "per" or rest[-1] in PREPOSITIONS:
        return words, ""
    if rest[-1] == last:  # water_for_15_gallons_gallons
        return rest, last
    cut = next((index for index, word in enumerate(rest) if index and word in PREPOSITIONS), len(rest))
    is_far = (
        cut < len(rest)
        and rest[cut - 1] in MEASURES
        and not rest[-1].isdigit()
        and rest[-1] not in ARTICLES | NUMBER_WORDS
    )
    is_measure = any(word in MEASURES or word in MONEY for word in rest[-2:]) or is_far
    is_total = len(rest) > 1 and "total" in rest[-2:] and not is_participle(rest[-1]) and not is_plural(rest[-1])
    if is_measure:
        return rest, last
    if is_total:
        return [*rest, "time"] if singular(last) in TIMES | {"second"} and rest[-1] != "total" else rest, last
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
        if words[0] in WHOLES and len(words) > 3 and words[1:3] == ["number", "of"]:
            return f"the {words[0]} number of {self._complement_bare(words[3:])}", False
        if words[:2] == ["number", "of"] and len(words) > 2:
            return f"the number of {self._complement_bare(words[2:])}", False
        if words[0] == "number" and len(words) > 1:
            return f"the number of {self._complement_bare(pluralised(words[1:]))}", False
        if words[-1] in ("count", "quantity") and len(words) > 1:
            return f"the number of {self._complement_bare(pluralised(words[:-1]))}", False
        return self._core(words)

    def _rate(self, words: list[str]) -> str:
        """Return what stands behind `per`: `day in the first week`, `kilogram of apples`, `apple`, `12 cookies`."""
        first, *rest = words
        if first.isdigit():
            of = ["of"] if len(rest) > 1 and rest[0] in UNITS and rest[1] not in PREPOSITIONS else []
            return self._spell([first, *rest[:1], *of, *rest[1:]])
        if rest and (time := self._time(rest)) is not None:
            return f"{self._spell([singular(first)])} {time}"
        if rest and rest[0] not in PREPOSITIONS and singular(first) in SINGLE_UNITS:
            link = "for the" if singular(first) in TIMES or first == "dollar" else "of"
            return f"{self._spell([singular(first)])} {link} {self._spell(rest)}"
        return self._spell([*(singular(word) if word not in PREPOSITIONS else word for word in words)])

    def _core(self, words: list[str]) -> tuple[str, bool]:
        if words[0] in PREPOSITIONS:
            return f"the amount {self._behind(['amount'], words)}", False
        cut = next(
            (index for index, word in enumerate(words) if index and (word in PREPOSITIONS or _ends(words, index))),
            len(words),
        )
        before, behind = words[:cut], words[cut:]
        last = len(before)
        while last > 1 and before[last - 1] in TRAILING:
            last -= 1
        before = [*before[last:], *before[:last]]
        after = f" {self._behind(before, behind)}" if behind else ""
        if len(before) == 1 and is_participle(before[0]):
            return f"the amount {before[0]}{after}", False
        if len(before) == 1 and before[0] in BARE:
            return f"the {before[0]} value{after}", False
        owner, before = self._owner(before)
        if not before and behind and is_participle(behind[0]):
            return f"the amount {owner.removesuffix(OF)}{after}", False
        if not before or (len(before) == 1 and owner and before[0] in WHOLES | TRAILING and before[0] != "total"):
            return f"{' '.join([owner, *before])} {'amount' if before or behind else 'number'}{after}", False
        head, rest = self._head(before)
        link = f" {rest}" if rest else ""
        noun = head[-1]
        is_count = is_plural(noun) and noun not in PLURAL_MASS
        article = owner or "the"
        if not is_count:
            return f"{article} {self._spell(head)}{link}{after}", noun in PLURAL_MASS
        total = f"{head[0]} " if head[0] in WHOLES and len(head) > 1 else ""
        counted = self._spell(head[1:] if total else head)
        of = f"{owner} " if owner else ""
        return f"the {total}number of {of}{counted}{link}{after}", False

    def _owner(self, words: list[str]) -> tuple[str, list[str]]:
        """Return whose a thing is, at the beginning or the end of its name, and the other words."""
        if len(words) < 2:
            is_day = words[0] in WEEKDAYS or words[0] in MONTHS
            is_owner = is_day or self._question.is_person(words[0])
            return (f"{self._spell(words)}{OF}", []) if is_owner else ("", words)
        if words[0][-1] == "s" and self._question.is_person(words[0][:-1]):
            return f"{self._question.spelled(words[0][:-1])}{OF}", words[1:]  # toms_share
        first = 1 if words[0] in ("total", "initial", "original", "new") and len(words) > 2 else 0
        end = first
        while end < len(words) and self._question.is_person(words[end]):
            end += 1
        if end > first:
            return f"{self._spell(words[first:end])}{OF}", [*words[:first], *words[end:]]
        start = len(words)
        while start > 1 and self._question.is_person(words[start - 1]):
            start -= 1
        if start < len(words):
            return f"{self._spell(words[start:])}{OF}", words[:start]
        for index in range(1, len(words)):
            person = singular(words[index - 1])
            if person in PERSONS and (words[index] in HEADS or is_plural(words[index])):
                mark = "'" if is_plural(words[index - 1]) and words[index - 1][-1] == "s" else OF
                first = 1 if words[0] == "total" and index > 1 else 0
                return f"the {self._spell(words[first:index])}{mark}", [*words[:first], *words[index:]]
        if words[0] in WEEKDAYS or words[0] in MONTHS:
            return f"{words[0].capitalize()}{OF}", words[1:]
        return "", words

    def _head(self, words: list[str]) -> tuple[list[str], str]:
        """Return the words up to the head of a compound, and what follows it with a preposition."""
        last = len(words) - 1
        if words[-1] in HEADS:
            return words, ""
        index = next((place for place in range(last) if words[place] in HEADS - WHOLES), None)
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
            link = "of" if (head in HEADS and not words[0].endswith("ing")) or head in UNITS else "for"
        if (head in UNITS and not words[0].isdigit()) or head in SHARES:
            return f"{link} {self._spell(words)}"
        return f"{link} {self._complement(link, words)}"

    def _time(self, words: list[str]) -> str | None:
        """Return words that say when, with their preposition."""
        if words[0] in WEEKDAYS:
            return f"on {self._spell(words)}"
        if words[0] in MONTHS:
            return f"in {self._spell(words)}"
        if any(singular(word) in TIMES for word in words[:2]) and not is_plural(words[-1]):
            return f"{'on' if 'day' in words else 'in'} the {self._spell(words)}"
        return None

    def _behind(self, before: list[str], words: list[str]) -> str:
        """Return what follows a noun: a participle, or a preposition with what belongs to it."""
        if words[0] not in PREPOSITIONS:
            first, *rest = words
            if not rest:
                return first
            if rest[0] in PREPOSITIONS or is_participle(rest[0]):
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
        cut = next((index for index, word in enumerate(rest) if index and word in PREPOSITIONS), len(rest))
        complement, more = rest[:cut], rest[cut:]
        counts = is_plural(before[-1]) and before[-1] not in PLURAL_MASS
        if preposition == "of" and (counts or before[-1] in SHARES):
            text = self._spell(complement)
        else:
            text = self._complement(preposition, complement)
        return f"{preposition} {text}{' ' + self._behind(complement, more) if more else ''}"

    def _complement(self, preposition: str, words: list[str]) -> str:
        """Return what stands behind a preposition, with the article or pronoun of the question, or `the`."""
        first = words[0]
        if first in ARTICLES or first.isdigit() or self._question.spelled(first) != first or preposition == "to":
            between = self._question.between(preposition, first) if preposition == "to" else None
            if preposition == "to" and not between and (singular(first) in PERSONS or is_plural(first)):
                between = ["the"]
            return " ".join([*(between or []), self._spell(words)])
        between = self._question.between(preposition, first)
        if between or (between is not None and preposition != "of"):
            return " ".join([*between, self._spell(words)])
        if first in WEEKDAYS or first in MONTHS or first.endswith("ing"):
            return self._spell(words)
        if preposition in ("in", "per") and len(words) == 1 and (first in TIMES or first == "dozen"):
            return f"{'an' if first == 'hour' else 'a'} {first}"
        return f"the {self._spell(words)}"

    def _complement_bare(self, words: list[str]) -> str:
        """Return what is counted, without an article."""
        cut = next(
            (index for index, word in enumerate(words) if index and (word in PREPOSITIONS or _ends(words, index))),
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
            word.upper() if len(word) == 1 and index and word.isalpha() and words[index - 1] not in PREPOSITIONS
            else word.capitalize() if word in WEEKDAYS or word in MONTHS
            else word
            for index, word in enumerate(spelled)
        )  # fmt: skip


def _ends(words: list[str], index: int) -> bool:
    """Return whether a noun ends before a word, which is a participle behind it."""
    if words[index] in ("not", "never", "already", "still") and index + 1 < len(words):
        return is_participle(words[index + 1])
    if not is_participle(words[index]):
        return False
    is_last = index == len(words) - 1
    return is_last or is_plural(words[index - 1]) or words[index - 1] in HEADS
