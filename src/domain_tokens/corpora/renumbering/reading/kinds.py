"""Of what a number is the number: money, a percentage, an age, how many times, or how many of which thing."""

import re

from domain_tokens.corpora.renumbering.reading.mentions import Mention

MONEY, PERCENT, AGE, TIMES, COUNT = "money", "percent", "age", "times", "count"
_DOLLARS = re.compile(r"[ -](?:dollars?|bucks|cents?)\b")
_TIMES = re.compile(r" times?\b(?! (?:a|an|per|each|every|daily|this|last|in) )")
_AGE = re.compile(r"[- ]years?[- ](?:old|of age)|\s?years? (?:older|younger)|[- ]months?[- ]old", re.IGNORECASE)
_IS = re.compile(r"\b(?:age|is|was|turned|turns)\s$")
_ENDS = re.compile(r"[.,]| and| now")
NO_THING = frozenset(
    re.split(
        r"\s+",
        """
    a across additional all also altogether an and apart are as at away b back because both but by can could
    did different divided do does down each earlier equal equals every extra faster fewer for from gave get
    gets had has have he her higher his if in is it its itself later left less long longer lower minus more
    much multiplied new not now of off old older on one only or other out over per plus remain remaining she
    short since slower so sold spent taller than that the their them then there they this those times to
    together total twice under until up use used was we went were when where which while who will with would
    x yields you younger your
    """.strip(),
    )
)
"""Words behind a number that do not say what it counts."""

_WORD = re.compile(
    r"[\s\-–]*(?:more |fewer |additional |extra |new |other |total |of the |of |different )*([A-Za-z]+)"
)


def kind_of(text: str, mention: Mention) -> str:
    """Return of what a number of a text is the number; of `3 red apples`, `count of red`."""
    behind = text[mention.end : mention.end + 24]
    if mention.percent:
        return PERCENT
    if mention.money or _DOLLARS.match(behind):
        return MONEY
    if mention.is_times or _TIMES.match(behind):
        return TIMES
    if _AGE.match(behind) or (
        _IS.search(text[: mention.start]) and _ENDS.match(behind) and re.search(r"\b(?:age|old)", text)
    ):
        return AGE
    thing = thing_of(text, mention)
    return COUNT if thing in NO_THING else f"{COUNT} of {thing}"


def are_comparable(one: str, other: str) -> bool:
    """Return whether two numbers may be amounts of the same; where it is not said of what, they may."""
    return one == other or (COUNT in (one, other) and one.startswith(COUNT) and other.startswith(COUNT))


def thing_of(text: str, mention: Mention) -> str:
    """Return the stem of the word behind a number, without words such as `more` between them."""
    match = _WORD.match(text, mention.end)
    return stem(match[1]) if match else "the"


def stem(word: str) -> str:
    """Return a word in lower case without the ending of a plural."""
    word = word.lower()
    for end, put in (
        ("ies", "y"),
        ("ves", "f"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("xes", "x"),
        ("sses", "ss"),
        ("oes", "o"),
    ):
        if word.endswith(end) and len(word) > 4:
            return word.removesuffix(end) + put
    return word.removesuffix("s") if len(word) > 3 and not word.endswith("ss") else word
