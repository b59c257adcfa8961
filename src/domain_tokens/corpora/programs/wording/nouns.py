"""English words as far as names of variables need them: units, nouns that are counted or measured, and small words."""

import re
from functools import lru_cache

from domain_tokens.corpora.programs.wording.lists import word_list, word_set

PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
PART_OF_ANY = re.compile(r"[^\W\d_]+|\d+")  # of a name with letters beyond ASCII
SHORT = {
    "num": "number", "cnt": "count", "qty": "quantity", "avg": "average", "amt": "amount",
    "pct": "percent", "perc": "percent", "tot": "total", "orig": "original", "prev": "previous", "max": "maximum",
    "init": "initial", "val": "value", "diff": "difference", "dist": "distance", "pcs": "pieces", "yr": "year",
    "yrs": "years", "wk": "week", "wks": "weeks", "mo": "month", "hr": "hour", "hrs": "hours", "mins": "minutes",
    "secs": "seconds", "ft": "feet", "lb": "pounds", "lbs": "pounds", "oz": "ounces", "km": "kilometers",
    "kms": "kilometers", "cm": "centimeters", "mm": "millimeters", "kg": "kilograms", "ml": "milliliters",
    "kgs": "kilograms", "jan": "january", "feb": "february", "apr": "april", "jun": "june", "jul": "july",
    "aug": "august", "sept": "september", "oct": "october", "nov": "november", "dec": "december", "mon": "monday",
    "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "thu": "thursday", "thurs": "thursday", "fri": "friday",
    "hw": "homework", "approx": "approximate", "misc": "other", "sqft": "square feet", "sqm": "square meters",
    "mph": "miles per hour", "kmh": "kilometers per hour", "kmph": "kilometers per hour", "kph": "kilometers per hour",
    "remainder": "remainder", "percentage": "percentage", "sq": "square", "rem": "remaining", "equiv": "equivalent",
    "temp": "temperature", "calc": "", "computed": "", "calculated": "", "result": "answer", "res": "answer",
    "ans": "answer", "pkg": "package", "curr": "current", "exp": "expected", "usd": "dollars", "info": "",
}  # fmt: skip
# What is counted or measured; a plural of these behind a measure is its unit: distance_miles.
UNITS = word_set(
    "hours minutes seconds days weeks months years miles kilometers meters centimeters millimeters feet inches yards "
    "pounds ounces kilograms grams tons gallons liters litres milliliters quarts pints cups tablespoons teaspoons "
    "dollars cents degrees watts"
)
LONG_UNITS = frozenset(
    {"square feet", "square meters", "miles per hour", "kilometers per hour", "square inches", "square centimeters"}
)
# Short for units behind a measure: height_in.
UNIT_LETTERS = {"in": "inches", "g": "grams", "m": "meters", "l": "liters", "h": "hours", "s": "seconds"}
# What is counted in money, if the question is about dollars.
MONEY = word_set(
    "cost costs price prices money earnings revenue profit profits salary pay payment payments bill tip tips tax "
    "taxes discount fee fees savings spending expenses expense income wage wages interest investment budget rent "
    "commission dollars bonus refund allowance debt loan loss charge charges proceeds sales earning spent paid owed "
    "saved earned"
)
# What has a unit and is not counted.
MEASURES = word_set(
    "time distance length width height perimeter area volume speed weight depth radius diameter duration age rate "
    "interval circumference capacity thickness side size temperature mass base altitude hypotenuse amount water pace "
    "milk juice flour sugar consumption jump reach"
)
PHYSICAL = MEASURES - {"rate", "amount", "base", "side", "size"}
# A name with one of these is no noun phrase: is_left, total_equals_5.
VERBS = word_set("is are was were equals how what why which who does")
# The head of a compound also where it stands first: cost_pears is the cost of the pears.
HEADS = (MONEY | MEASURES) - {"spent", "paid", "owed", "saved", "earned", "base", "side", "travel", "walk", "run",
    "flight", "drive", "rest", "break", "work", "sleep", "study", "water", "milk", "juice", "flour", "sugar", "total",
    "size"}  # fmt: skip
HEADS |= word_set(
    "probability chance value number percentage percent fraction ratio difference sum average score count quantity"
)
NO_MONEY = word_set(
    "rate percent percentage fraction ratio number count factor multiplier times parts hours days weeks"
)
# Money, unless something else is named with it: time spent.
OFTEN_MONEY = word_set("spent paid owed saved earned loss charge charges interest saving savings")
PREPOSITIONS = word_set(
    "of for from in on at by with without after before to into during between among under over above below until "
    "since across through within along around near beyond off"
)
# Plurals of which there is no number: the earnings are 54.
PLURAL_MASS = word_set(
    "earnings savings expenses costs sales wages fees taxes profits winnings proceeds prices charges tips revenues "
    "payments"
)
IRREGULAR = {
    "people": "person", "children": "child", "men": "man", "women": "woman", "feet": "foot", "teeth": "tooth",
    "mice": "mouse", "geese": "goose", "fish": "fish", "sheep": "sheep", "dice": "die", "loaves": "loaf",
    "knives": "knife", "shelves": "shelf", "leaves": "leaf", "halves": "half", "wolves": "wolf", "lives": "life",
    "cookies": "cookie", "movies": "movie", "pies": "pie", "ties": "tie", "brownies": "brownie", "inches": "inch",
    "calories": "calorie", "shoes": "shoe", "smoothies": "smoothie", "hoodies": "hoodie", "selfies": "selfie",
    "buses": "bus", "lenses": "lens", "gases": "gas", "deer": "deer", "cds": "CD", "dvds": "DVD", "menus": "menu",
}  # fmt: skip
NOT_PLURAL = word_set(
    "bus gas plus less minus bonus surplus its this is was has address census canvas lens mass glass class chess "
    "across business access loss boss mess dress always news series grass"
)  # fmt: skip
# Words behind a noun that belong to it, beside participles in -ed.
TAILS = word_set(
    "left remaining needed available altogether combined each now today sold spent made bought given eaten lost paid "
    "won read sent kept taken driven drawn grown caught built found broken written done ran run possible together "
    "away again back out daily weekly monthly yearly annually originally initially extra overall later ago old older "
    "consumed required used owed tomorrow yesterday tonight grew ate drank gave took went came wrote drove"
)
NO_PARTICIPLES = word_set("bed seed speed need feed weed breed hundred red shed sled reed bleed creed indeed")
TIMES = word_set("day week month year hour minute morning afternoon evening night weekend half quarter")
WEEKDAYS = word_set("monday tuesday wednesday thursday friday saturday sunday")
MONTHS = word_set("january february april june july august september october november december")
# Heads without an article behind them: the percentage of girls.
SHARES = word_set("percent percentage fraction number amount sum probability chance")
# Whose: the sister's age.
PERSONS = word_set(
    "brother sister mother father mom dad grandmother grandfather grandma grandpa aunt uncle cousin friend neighbor "
    "teacher boy girl man woman farmer rival son daughter wife husband child baker worker driver student classmate "
    "sibling kid parent grandparent employee player customer guest adult chef nurse"
)
AREA = re.compile(r"(?<=_)(cm|mm|km|m|ft|in|inches|meters|feet)_?(2|3|squared|cubed)$")
ORDINALS = ["", *word_list("first second third fourth fifth sixth seventh eighth ninth tenth")]
ARTICLES = word_set("the a an each every one his her their its my all both own another other others")
# Adjectives of a number of things: the total number of pens.
WHOLES = word_set("total maximum minimum average initial original final expected")
# Adjectives that programs write behind their nouns: cost_new.
BARE = word_set(
    "outer inner good bad usual best worst old new first second third larger smaller final actual big bigger large "
    "small long longer short shorter tall taller high higher low lower wide narrow heavy heavier light lighter fast "
    "faster slow slower cheap cheaper expensive young younger older early earlier late later empty previous current "
    "expected regular normal full true correct"
)
"""Words that need a noun where they stand alone: the inner value."""

TRAILING = word_set("total new old actual original initial previous current final expected regular normal full")
SINGLE_UNITS = word_set(
    "hour minute second day week month year mile kilometer meter foot inch yard pound ounce kilogram gram ton gallon "
    "liter quart pint cup tablespoon teaspoon dollar dozen"
)
OF = "'s"
# Names that say nothing.
NAMELESS = word_set(
    "x y z a b c d e f g h i j k m n p q r s t u v w temp tmp value values var data num number step steps variable "
    "out output item items list lst arr"
)


def _area(match: re.Match[str]) -> str:
    """Return `m2` as it is spoken."""
    unit = {"m": "meters", "in": "inches"}.get(match[1], match[1])
    return f"{'square' if match[2] in ('2', 'squared') else 'cubic'}_{unit}"


@lru_cache(maxsize=20_000)
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name, abbreviations written out, in small letters."""
    found: list[str] = []
    pattern = PART if name.isascii() else PART_OF_ANY
    parts = [part.lower() for part in pattern.findall(AREA.sub(_area, name))]
    for index, part in enumerate(parts):
        word = SHORT.get(part, part)
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
        is_last = not is_plural(following) and following not in ("to", "percent") and following not in SINGLE_UNITS
        is_noun = bool(found) and not is_plural(found[-1]) and found[-1] not in PREPOSITIONS and found[-1] != "per"
        if is_noun and is_last and word.isdigit() and 1 <= int(word) <= 10:
            found.insert(len(found) - 1, ORDINALS[int(word)])
        else:
            found.append(word)
    return found


@lru_cache(maxsize=20_000)
def is_plural(word: str) -> bool:
    """Return whether a noun is a plural."""
    if word in IRREGULAR:
        return True
    return (
        len(word) > 3
        and word[-1] == "s"
        and word[-2] not in "su"
        and not word.endswith("ics")
        and word not in NOT_PLURAL
    )


def singular(word: str) -> str:
    """Return the singular of a noun."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if not is_plural(word):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")) else word[:-1]


def is_participle(word: str) -> bool:
    """Return whether a word behind a noun belongs to it: pens bought, pens left."""
    return word in TAILS or (word.endswith("ed") and len(word) > 4 and word not in NO_PARTICIPLES)


def pluralised(words: list[str]) -> list[str]:
    """Return words whose last noun is a plural: `apple_count` is a number of apples."""
    cut = next((index for index, word in enumerate(words) if index and word in PREPOSITIONS), len(words))
    noun = words[cut - 1]
    if is_plural(noun) or noun in TAILS or not noun.isalpha():
        return words
    many = (
        f"{noun[:-1]}ies"
        if noun[-1] == "y" and noun[-2:-1] not in tuple("aeiou")
        else (f"{noun}es" if noun.endswith(("s", "x", "z", "ch", "sh")) else f"{noun}s")
    )
    return [*words[: cut - 1], many, *words[cut:]]
