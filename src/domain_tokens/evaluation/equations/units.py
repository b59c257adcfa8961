"""Units of measure behind numbers, where another unit changes what an equation says: `2 weeks * 5 = 70 days`."""

from fractions import Fraction

# The units of each dimension in multiples of its smallest one: names in the singular, and abbreviations.
_DIMENSIONS = {
    "time": {"second sec s": 1, "minute min": 60, "hour hr h": 3600, "day": 86400, "week wk": 604800},
    "years": {"month mo": 1, "year yr": 12, "decade": 120, "century": 1200},
    "length": {"inch": 1, "foot ft": 12, "yard yd": 36, "mile mi": 63360},
    "metres": {
        "mm millimeter millimetre": 1, "cm centimeter centimetre": 10, "m meter metre": 1000,
        "km kilometer kilometre": 10**6,
    },
    "weight": {"ounce oz": 1, "pound lb": 16, "ton": 32000},
    "grams": {"mg milligram": 1, "g gram": 1000, "kg kilogram": 10**6},
    "volume": {"teaspoon tsp": 1, "tablespoon tbsp": 3, "cup": 48, "pint pt": 96, "quart qt": 192, "gallon gal": 768},
    "liters": {"ml milliliter millilitre": 1, "l liter litre": 1000},
    "money": {"cent": 1, "nickel": 5, "dime": 10, "quarter": 25, "dollar": 100},
}  # fmt: skip
_SIZES: dict[str, tuple[str, str, int]] = {
    name: (names.split()[0], dimension, size)
    for dimension, sizes in _DIMENSIONS.items()
    for names, size in sizes.items()
    for word in names.split()
    for name in (word, f"{word}s", f"{word}es")
} | {"feet": ("foot", "length", 12), "centuries": ("century", "years", 1200), "penny": ("cent", "money", 1),
     "pennies": ("cent", "money", 1)}  # fmt: skip
CENT, DOLLAR = "cent", "dollar"
# How many days or weeks a month or a year has, as word problems count them.
_CALENDAR = {
    ("year", "day"): (360, 364, 365, 366), ("year", "week"): (52,), ("month", "day"): (28, 29, 30, 31),
    ("month", "week"): (4,),
}  # fmt: skip


def unit_of(word: str) -> str:
    """Return the name of the unit that a word is, empty if it is none: `foot` for `feet` and for `ft.`."""
    found = _SIZES.get(word.lower().rstrip("."))
    return found[0] if found is not None else ""


def times_as_many(unit: str, other: str) -> Fraction | None:
    """Return how many of another unit one unit has: 7 for `week` and `day`; `None` if no number of them."""
    _, dimension, size = _SIZES[unit]
    _, other_dimension, other_size = _SIZES[other]
    return Fraction(size, other_size) if dimension == other_dimension else None


def is_conversion(number: Fraction, unit: str, other_number: Fraction, other_unit: str) -> bool:
    """Return whether so many of one unit are so many of another, as words name them: 2 hours and 120 minutes.

    A dozen is twelve of anything. What is in no table is no conversion, such as the price of a thing.
    """
    if unit.lower() in ("dozen", "dozens"):
        return other_number == 12 * number
    name, other = unit_of(unit), unit_of(other_unit)
    if not name or not other:
        return False
    factor = times_as_many(name, other)
    if factor is not None:
        return other_number == factor * number
    return any(other_number == many * number for many in _CALENDAR.get((name, other), ())) or any(
        number == many * other_number for many in _CALENDAR.get((other, name), ())
    )
