"""The people and objects of word problems."""

from typing import NamedTuple


class Noun(NamedTuple):
    """A noun that is counted, and what belongs to it.

    Attributes:
        one, many: its singular and plural.
        partner: the noun that goes with it: what is in a box, or an hour's minutes.
        low, high, by: the numbers that are sensible for it, such as a price in dollars or a speed; with their step.
    """

    one: str
    many: str
    partner: "Noun | None" = None
    low: int = 0
    high: int = 0
    by: int = 1

    def of(self, number: int) -> str:
        """Return the form that agrees with a number."""
        return self.one if number == 1 else self.many


class Person(NamedTuple):
    """A name, and the pronouns that go with it."""

    name: str
    she: str
    her: str
    him: str


def noun(spelled: str) -> Noun:
    """Return a noun from `box/boxes`, or from `apple`, whose plural ends in s."""
    one, _, many = spelled.partition("/")
    return Noun(one, many or f"{one}s")


def _people(names: str, she: str, her: str, him: str) -> list[Person]:
    return [Person(name, she, her, him) for name in names.split()]


PEOPLE = [
    *_people(
        "Ana Aisha Beth Carla Chloe Dina Elena Emma Fatima Grace Hana Isabel Julia Keiko Lena Lucy Maria Mei Nadia "
        "Nora Olivia Paula Priya Rosa Sara Sofia Tara Yasmin Zoe",
        "she", "her", "her",
    ),
    *_people(
        "Adam Ahmed Ben Carlo Daniel David Emil Felix George Hugo Ivan Jamal Jonah Kenji Leo Liam Malik Marco Mateo "
        "Noah Omar Oscar Paul Ravi Samuel Tom Victor Wei Yusuf",
        "he", "his", "him",
    ),
]  # fmt: skip


def _packed(container: str, things: str) -> list[Noun]:
    box = noun(container)
    return [box._replace(partner=noun(thing)) for thing in things.split(", ")]


def _valued(spelled: str) -> list[Noun]:
    """Return nouns with their sensible numbers from `pen 1 4, car 50 110 10`."""
    found = []
    for entry in spelled.split(", "):
        numbers = [int(word) for word in entry.split() if word.isdecimal()]
        words = " ".join(word for word in entry.split() if not word.isdecimal())
        low, high, by = (*numbers, 1)[:3]
        found.append(noun(words)._replace(low=low, high=high, by=by))
    return found


def _containing(whole: str, part: str, number: int) -> Noun:
    return noun(whole)._replace(partner=noun(part), low=number, high=number)


DOLLAR = noun("dollar")

ROLES: dict[str, list[Noun]] = {
    # What is packed and carried: the partner is in it.
    "box": [
        *_packed("box/boxes", "pencil, crayon, candle, chocolate, golf ball, light bulb"),
        *_packed("bag", "apple, orange, marble, potato/potatoes, walnut, tangerine"),
        *_packed("basket", "egg, peach/peaches, pear, lemon, plum"),
        *_packed("jar", "button, bead, olive, cookie"),
        *_packed("pack", "sticker, card, battery/batteries, balloon"),
        *_packed("crate", "bottle, mango/mangoes, melon, pineapple"),
        *_packed("carton", "egg, juice box/juice boxes, yogurt"),
    ],
    # What has rows: the partner is in them.
    "place": [
        noun("hall")._replace(partner=noun("chair")),
        noun("theater")._replace(partner=noun("seat")),
        noun("orchard")._replace(partner=noun("apple tree")),
        noun("garden")._replace(partner=noun("cabbage")),
        noun("vineyard")._replace(partner=noun("vine")),
        noun("parking lot")._replace(partner=noun("space")),
    ],
    # What has a price in dollars.
    "item": _valued(
        "pen 1 4, notebook 2 6, sandwich/sandwiches 4 9, book 6 15, T-shirt 8 20, mug 4 12, toy car 3 9, poster 5 "
        "12, potted plant 4 15, cap 6 14, ball 4 12, puzzle 8 18, scarf/scarves 9 20, kite 6 18, "
        "paintbrush/paintbrushes 2 7, movie ticket 7 14, umbrella 9 20, lunch box/lunch boxes 6 16"
    ),
    # What a person collects and gives away.
    "toy": [
        noun(word)
        for word in (
            "sticker", "marble", "trading card", "seashell", "stamp", "coin", "bead", "button", "postcard", "badge",
            "comic book", "toy car", "pebble",
        )
    ],
    "food": [
        noun(word) for word in ("cookie", "muffin", "cupcake", "bread roll", "pancake", "scone", "tart", "bagel")
    ],
    # What grows on trees.
    "fruit": [
        noun(word)
        for word in ("apple", "pear", "plum", "peach/peaches", "orange", "apricot", "cherry/cherries")
    ],
    # What travels, with its speed in kilometers an hour.
    "vehicle": _valued(
        "train 60 150 10, car 50 110 10, bus/buses 40 90 10, ship 20 40 5, ferry/ferries 20 40 5, truck 50 90 10"
    ),
    # What has many smaller ones, with their number.
    "unit": [
        _containing("week", "day", 7), _containing("hour", "minute", 60), _containing("foot/feet", "inch/inches", 12),
        _containing("yard", "foot/feet", 3), _containing("minute", "second", 60), _containing("day", "hour", 24),
        _containing("gallon", "quart", 4), _containing("meter", "centimeter", 100), _containing("year", "month", 12),
    ],
    # What somebody saves for, with its price in dollars.
    "dream": _valued(
        "bicycle 90 300 5, skateboard 40 120 5, guitar 80 250 5, tent 60 200 5, camera 100 300 5, drone 60 240 5"
    ),
}  # fmt: skip

PARTNERS = {"thing": "box", "placed": "place", "part": "unit"}
"""The names of what belongs to a role's noun, and the role."""
