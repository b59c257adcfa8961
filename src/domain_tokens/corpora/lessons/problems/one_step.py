"""Word problems of one step."""

from domain_tokens.corpora.lessons.problems.template import Template

ONE_STEP = (
    Template(
        "packs", {"a": range(2, 13), "b": range(2, 13)},
        "{A} has {a box} with {b thing} in each. How many {thing+} does {she} have altogether?",
        (("a*b", "{A} has {= thing}."),),
        "{A} has {s1 thing} altogether.", "a*b",
    ),
    Template(
        "rows", {"a": range(3, 13), "b": range(3, 16)},
        "{An place} has {a row} with {b placed} in every row. How many {placed+} are there in the {place}?",
        (("a*b", "There {is s1} {= placed} in the {place}."),),
        "There {is s1} {s1 placed} in the {place}.", "a*b",
    ),
    Template(
        "cost", {"a": range(2, 10), "p": "item"},
        "{An item} costs {p dollar}. How much do {a item} cost?",
        (("a*p", "{a item} cost {= dollar}."),),
        "They cost {s1 dollar}.", "a*p",
    ),
    Template(
        "reading", {"a": range(3, 10), "b": range(4, 26)},
        "{A} reads {b page} of {her} book every evening. How many pages does {she} read in {a evening}?",
        (("a*b", "In {a evening} {A} reads {= page}."),),
        "{A} reads {s1 page}.", "a*b",
    ),
    Template(
        "wages", {"a": range(2, 10), "w": range(8, 26)},
        "{A} earns {w dollar} an hour. How much does {she} earn in {a hour}?",
        (("a*w", "{A} earns {= dollar}."),),
        "{A} earns {s1 dollar}.", "a*w",
    ),
    Template(
        "speed", {"a": range(2, 8), "v": "vehicle"},
        "{An vehicle} travels {v kilometer} an hour. How far does it travel in {a hour}?",
        (("a*v", "In {a hour} the {vehicle} travels {= kilometer}."),),
        "It travels {s1 kilometer}.", "a*v",
    ),
    Template(
        "together", {"a": range(5, 80), "b": range(5, 80)},
        "{A} has {a toy} and {B} has {b toy}. How many {toy+} do they have together?",
        (("a+b", "Together they have {= toy}."),),
        "They have {s1 toy} together.", "a+b",
    ),
    Template(
        "gets", {"a": range(6, 90), "b": range(3, 40)},
        "{A} had {a toy}. Then {B} gave {him} {b} more. How many {toy+} does {A} have now?",
        (("a+b", "Now {A} has {= toy}."),),
        "{A} has {s1 toy} now.", "a+b",
    ),
    Template(
        "gives", {"a": range(12, 90), "b": range(2, 60)},
        "{A} had {a toy} and gave {b} of them to {B}. How many {toy+} does {A} have left?",
        (("a-b", "{A} has {= toy} left."),),
        "{A} has {s1 toy} left.", "a-b",
    ),
    Template(
        "more_than", {"a": range(12, 90), "b": range(5, 80)},
        "{A} has {a toy}, and {B} has {b}. How many more {toy+} does {A} have than {B}?",
        (("a-b", "{A} has {=} more than {B}."),),
        "{A} has {s1} more.", "a-b",
    ),
    Template(
        "mother", {"a": range(4, 16), "y": range(21, 40)},
        "{A} is {a year} old, and {her} mother is {m year} old. How much older than {A} is {her} mother?",
        (("m-a", "{Her} mother is {= year} older."),),
        "{A}'s mother is {s1 year} older.", "m-a", {"m": "a+y"},
    ),
    Template(
        "shares", {"a": range(2, 10), "b": range(2, 13)},
        "{A} shares {n food} equally among {a friend}. How many {food+} does each friend get?",
        (("n/a", "Each friend gets {= food}."),),
        "Each friend gets {s1 food}.", "n//a", {"n": "a*b"},
    ),
    Template(
        "fills", {"a": range(3, 16), "b": range(3, 13)},
        "A shop puts {n thing} into {box+}, with {b thing} in each. How many {box+} does it fill?",
        (("n/b", "The shop fills {= box}."),),
        "It fills {s1 box}.", "n//b", {"n": "a*b"},
    ),
    Template(
        "tiles", {"a": range(4, 21), "b": range(3, 13)},
        "A floor is {a tile} long and {b tile} wide. How many tiles cover the floor?",
        (("a*b", "It takes {= tile} to cover the floor."),),
        "It takes {s1 tile}.", "a*b",
    ),
    Template(
        "area", {"a": range(5, 31), "b": range(3, 13)},
        "A rectangular field is {a meter} long and {b meter} wide. What is its area in square meters?",
        (("a*b", "The area is {= square meter}."),),
        "The area is {s1 square meter}.", "a*b",
    ),
    Template(
        "units", {"a": range(2, 13), "k": "unit"},
        "How many {part+} are there in {a unit}?",
        (("a*k", "One {unit} has {k part}, so there {is s1} {= part}."),),
        "There {is s1} {s1 part} in {a unit}.", "a*k",
    ),
    Template(
        "spends", {"c": range(3, 60), "p": "item"},
        "{A} had {n dollar} and spent {p dollar} on {an item}. How many dollars does {she} have left?",
        (("n-p", "{A} has {= dollar} left."),),
        "{A} has {s1 dollar} left.", "n-p", {"n": "p+c"},
    ),
    Template(
        "times_as_many", {"a": range(3, 21), "b": range(2, 7)},
        "{A} has {a toy}. {B} has {times b} as many. How many {toy+} does {B} have?",
        (("a*b", "{B} has {= toy}."),),
        "{B} has {s1 toy}.", "a*b",
    ),
    Template(
        "price_of_one", {"a": range(2, 10), "p": "item"},
        "{A} paid {n dollar} for {a item}. Every {item} cost the same. How many dollars did one {item} cost?",
        (("n/a", "One {item} cost {= dollar}."),),
        "One {item} cost {s1 dollar}.", "n//a", {"n": "a*p"},
    ),
)  # fmt: skip
