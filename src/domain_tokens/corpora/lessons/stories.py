"""The generator's word problems and scenes: their wording, and the numbers that each can have.

No question spells a product in a way that an intervention rewrites: what a tokenizer does to a question is no part of
the comparison.
"""

import string
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

NAMES = (
    "Ana",
    "Ben",
    "Cleo",
    "Dan",
    "Eva",
    "Finn",
    "Gita",
    "Hugo",
    "Ida",
    "Jon",
    "Kim",
    "Leo",
    "Mia",
    "Noor",
    "Otto",
)
THINGS = ("apples", "pens", "books", "coins", "cards", "shells", "stamps", "beads", "cookies", "marbles", "tickets")
BOXES = ("boxes", "bags", "baskets", "jars", "packs", "rows", "shelves", "trays")

ONE_PRODUCT, PRODUCT_AND_SUM, SUM_OR_DIFFERENCE = "one product", "product and sum", "sum or difference"

_FACTORS = range(2, 10)
_THIRD_NUMBERS = range(2, 21)

Steps = tuple[list[str], int]
"""The worked lines of a solution, and the answer."""


class Numbers(NamedTuple):
    """The numbers of a story: two factors and a third number."""

    a: int
    b: int
    c: int

    def fields(self) -> dict[str, int]:
        """Return what a question can show: the three numbers, `d` for the product and `e` for product and `c`."""
        product = self.a * self.b
        return {"a": self.a, "b": self.b, "c": self.c, "d": product, "e": product + self.c}


class Story(NamedTuple):
    """A word problem: a question with gaps for names and numbers, and the steps that answer it.

    Attributes:
        name: the template's name, part of the cluster of every problem made from it.
        question: the wording.
        steps: computes the worked lines and the answer from the three numbers.
    """

    name: str
    question: str
    steps: Callable[[int, int, int], Steps]

    @property
    def needs(self) -> str:
        """What the answer is computed by: `ONE_PRODUCT`, `PRODUCT_AND_SUM` or `SUM_OR_DIFFERENCE`."""
        return _NEEDS[self.steps]

    def shown(self, numbers: Numbers) -> tuple[int, ...]:
        """Return the numbers that the question shows: a number that a story does not use makes no other problem."""
        fields = numbers.fields()
        return tuple(fields[key] for key in _gaps_for_numbers(self.question))

    def needed(self, numbers: Numbers) -> tuple[int, ...]:
        """Return the numbers from which the answer is computed: of one product the factors alone."""
        return numbers[:2] if self.needs == ONE_PRODUCT else self.shown(numbers)

    def all_numbers(self) -> Iterator[Numbers]:
        """Yield every choice of numbers once, as far as the question shows them."""
        third = _THIRD_NUMBERS if any(f"{{{key}}}" in self.question for key in "ce") else _THIRD_NUMBERS[:1]
        found: dict[tuple[int, ...], Numbers] = {}
        for numbers in (Numbers(a, b, c) for a in _FACTORS for b in _FACTORS for c in third):
            found.setdefault(self.shown(numbers), numbers)
        yield from found.values()


@cache  # asked for each of a thousand choices of numbers
def _gaps_for_numbers(question: str) -> tuple[str, ...]:
    """Return the fields of `Numbers` that a question has gaps for, in the order of the first ones."""
    found = (key for _, key, _, _ in string.Formatter().parse(question) if key in Numbers(0, 0, 0).fields())
    return tuple(key for key in dict.fromkeys(found) if key is not None)


def times(a: int, b: int) -> str:
    """Return a product as solutions write it: `6*9=54`."""
    return f"{a}*{b}={a * b}"


def _product(a: int, b: int, c: int) -> Steps:
    return [times(a, b)], a * b


def _product_and_more(a: int, b: int, c: int) -> Steps:
    return [times(a, b), f"{a * b}+{c}={a * b + c}"], a * b + c


def _sum(a: int, b: int, c: int) -> Steps:
    return [f"{c}+{a * b}={c + a * b}"], c + a * b


def _difference(a: int, b: int, c: int) -> Steps:
    return [f"{a * b + c}-{c}={a * b}"], a * b


_NEEDS: dict[Callable[[int, int, int], Steps], str] = {
    _product: ONE_PRODUCT,
    _product_and_more: PRODUCT_AND_SUM,
    _sum: SUM_OR_DIFFERENCE,
    _difference: SUM_OR_DIFFERENCE,
}

# Five of six turn on one product. A third of these show a number `c` that the answer does not need.
STORIES = (
    Story("boxes", "{name} has {a} {boxes} with {b} {things} in each. How many {things} does {name} have?", _product),
    Story("tickets", "A ticket costs {b} dollars. How much do {a} tickets cost?", _product),
    Story("pages", "{name} reads {a} pages a day for {b} days. How many pages does {name} read?", _product),
    Story("chairs", "A hall has {a} rows of {b} chairs. How many chairs are in the hall?", _product),
    Story("wages", "{name} earns {b} dollars an hour. How much does {name} earn in {a} hours?", _product),
    Story("miles", "{name} walks {b} miles every day. How many miles does {name} walk in {a} days?", _product),
    Story("eggs", "A hen lays {b} eggs a week. How many eggs do {a} hens lay in a week?", _product),
    Story("children", "Each of {a} children has {b} {things}. How many {things} do the children have?", _product),
    Story("stickers", "{name} gives {b} stickers to each of {a} friends. How many stickers does {name} give away?",
          _product),
    Story("letters", "{name} writes {a} letters a day. How many letters does {name} write in {b} days?", _product),
    Story("flowers", "There are {b} flowers in each of {a} vases. How many flowers are there?", _product),
    Story("wheels", "Each of {a} wagons has {b} wheels. How many wheels do the wagons have?", _product),
    Story("lessons", "A pupil has {b} lessons a day. How many lessons does the pupil have in {a} days?", _product),
    Story("bottles", "{name} buys {a} crates of {b} bottles. How many bottles does {name} buy?", _product),
    Story("songs", "{name} sings {b} songs at every concert. How many songs are sung at {a} concerts?", _product),
    Story("legs", "A table has {b} legs. How many legs do {a} tables have?", _product),
    Story("pots", "A potter makes {b} pots a day. How many pots are made in {a} days?", _product),
    Story("spiders", "{name} sees {a} spiders. Every spider has {b} spots. How many spots does {name} see?", _product),
    Story("calls", "A clerk takes {b} calls an hour. How many calls does the clerk take in {a} hours?", _product),
    Story("tiles", "A wall is {a} tiles wide and {b} tiles high. How many tiles are on the wall?", _product),
    Story("slices", "{name} cuts {a} pies into {b} slices each. How many slices are there?", _product),
    Story("cups", "{name} drinks {b} cups of tea a day. How many cups are that in {a} days?", _product),
    Story("trains", "A train has {a} wagons, and each wagon has {b} doors. How many doors does the train have?",
          _product),
    Story("nests", "In a wood there are {a} nests with {b} birds in each. How many birds live in the nests?",
          _product),
    Story("goals", "{name} scores {b} goals in every match. How many goals does {name} score in {a} matches?",
          _product),
    Story("shirts", "A shirt has {b} buttons. How many buttons do {a} shirts have?", _product),
    Story("ropes", "{name} needs {a} ropes of {b} meters. How many meters of rope does {name} need?", _product),
    Story("taxis", "A taxi carries {b} people. How many people do {a} taxis carry?", _product),
    Story("fields", "A farmer plants {a} fields with {b} trees each. How many trees does the farmer plant?", _product),
    Story("dishes", "Each of {a} cooks makes {b} dishes. How many dishes do the cooks make together?", _product),
    Story("albums", "{name} fills {a} pages of an album with {b} photos on each page. How many photos are in the "
          "album?", _product),
    Story("lamps", "A street has {a} houses, and every house has {b} lamps. How many lamps are in the street?",
          _product),
    Story("teams", "{a} teams play at school, and each team has {b} players. How many players are there?", _product),
    Story("bells", "A clock strikes {b} bells an hour. How many bells does it strike in {a} hours?", _product),
    Story("liters", "A tap gives {b} liters a minute. How many liters does it give in {a} minutes?", _product),
    Story("stones", "{name} carries {b} stones on every walk. After {a} walks, how many stones has {name} carried?",
          _product),
    Story("fish", "There are {a} ponds in the park. In every pond swim {b} fish. How many fish are in the park?",
          _product),
    Story("cats", "Each cat catches {b} mice. How many mice do {a} cats catch?", _product),
    Story("windows", "A house has {a} floors with {b} windows on each. How many windows does the house have?",
          _product),
    Story("drums", "In {a} villages there are {b} drums each. How many drums do the villages have?", _product),
    Story("pencils", "{name} has {a} {boxes} with {b} {things} in each and {c} pencils. How many {things} does {name} "
          "have?", _product),
    Story("hens", "A farmer has {c} cows and {a} hens. Each hen lays {b} eggs. How many eggs are there?", _product),
    Story("years", "{name} is {c} years old and saves {b} dollars a week. How many dollars are saved in {a} weeks?",
          _product),
    Story("plates", "There are {c} lamps and {a} tables with {b} plates on each. How many plates are there?",
          _product),
    Story("notebooks", "{name} has {c} dollars. A notebook costs {b} dollars. What do {a} notebooks cost?", _product),
    Story("classes", "A school has {c} teachers and {a} classes of {b} children. How many children are in the school?",
          _product),
    Story("tulips", "A garden has {a} beds of {b} tulips and {c} trees. How many tulips are in the garden?", _product),
    Story("cakes", "{name} sleeps {c} hours and bakes {b} cakes an hour. How many cakes are baked in {a} hours?",
          _product),
    Story("kites", "{name} is {c} years old and makes {b} kites a week. How many kites does {name} make in {a} weeks?",
          _product),
    Story("buckets", "{name} has {c} ducks and {a} buckets with {b} frogs in each. How many frogs does {name} have?",
          _product),
    Story("pears", "A pear costs {b} cents and a melon {c} cents. How many cents do {a} pears cost?", _product),
    Story("carts", "There are {c} horses and {a} carts. Every cart has {b} wheels. How many wheels do the carts have?",
          _product),
    Story("rooms", "A hotel has {a} floors, {b} rooms on each floor and {c} guests. How many rooms does the hotel "
          "have?", _product),
    Story("chapters", "A book of {c} pictures has {a} chapters of {b} pages. How many pages does the book have?",
          _product),
    Story("trips", "A boat with {c} seats makes {b} trips a day. How many trips does it make in {a} days?",
          _product),
    Story("ants", "{name} finds {c} worms and {a} leaves with {b} ants on each. How many ants does {name} find?",
          _product),
    Story("games", "{name} has {c} friends and plays {b} games a day. How many games does {name} play in {a} days?",
          _product),
    Story("hooks", "A room is {c} feet long and has {a} doors with {b} hooks on each. How many hooks are in the room?",
          _product),
    Story("poems", "In {c} minutes {name} reads {a} poems of {b} lines. How many lines does {name} read?", _product),
    Story("socks", "{name} owns {c} hats and {a} drawers with {b} socks in each. How many socks does {name} own?",
          _product),
    Story("finds", "{name} has {a} {boxes} of {b} {things} and finds {c} more. How many {things} are there now?",
          _product_and_more),
    Story("toys", "{name} buys {a} toys for {b} dollars each and pays {c} dollars for a bag. What is the total cost?",
          _product_and_more),
    Story("packs", "{name} fills {a} {boxes} with {b} {things} each, and {c} are left over. How many {things} did "
          "{name} have?", _product_and_more),
    Story("bus", "A bus takes {b} people on each of {a} trips and {c} people on the last trip. How many people ride "
          "the bus?", _product_and_more),
    Story("saves", "{name} had {c} dollars and saves {b} dollars a week. How many dollars does {name} have after {a} "
          "weeks?", _product_and_more),
    Story("guests", "At a party {a} tables seat {b} guests each, and {c} guests stand. How many guests are at the "
          "party?", _product_and_more),
    Story("gets", "{name} has {c} {things} and gets {d} more. How many {things} does {name} have?", _sum),
    Story("shop", "A shop sells {c} {things} in the morning and {d} in the afternoon. How many {things} does it sell?",
          _sum),
    Story("days", "{name} reads {c} pages on Monday and {d} pages on Tuesday. How many pages does {name} read?", _sum),
    Story("takes", "There are {e} {things} in a box. {name} takes {c}. How many {things} are left?", _difference),
    Story("spends", "{name} has {e} dollars and spends {c} dollars. How many dollars are left?", _difference),
    Story("stop", "There are {e} people on a train, and {c} get off. How many people are on it now?", _difference),
)  # fmt: skip

# Scenes and what happens next, without numbers: an ending that states a product would be shorter for one tokenizer.
# The wrong endings of a scene are the right ones of others, so nothing but the context tells them apart.
SCENES = (
    ("{name} fills a glass with water.", "{name} drinks the water."),
    ("{name} opens an umbrella in the rain.", "The umbrella keeps {name} dry."),
    ("{name} kicks the ball to a friend.", "The friend kicks the ball back."),
    ("{name} puts bread in the oven.", "Soon the bread smells good."),
    ("{name} plants a seed in the garden.", "After some weeks a flower grows."),
    ("{name} lights a candle at night.", "The room is bright now."),
    ("{name} throws a stone into the lake.", "The stone sinks to the ground."),
    ("{name} writes a letter to grandmother.", "Grandmother is glad to read it."),
    ("{name} calls the dog in the park.", "The dog runs to {name}."),
    ("{name} waits for the train at the station.", "The train arrives and {name} gets in."),
    ("{name} cuts the grass behind the house.", "The grass is short again."),
    ("{name} hides the key under the mat.", "Nobody finds the key there."),
)
