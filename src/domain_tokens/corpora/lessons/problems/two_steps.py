"""Word problems of two steps."""

from domain_tokens.corpora.lessons.problems.template import Template

TWO_STEPS = (
    Template(
        "packs_gives", {"a": range(2, 10), "b": range(2, 13), "c": range(2, 31)},
        "{A} has {a box} with {b thing} in each and gives {c thing} to {B}. How many {thing+} does {A} have left?",
        (("a*b", "At first {A} has {= thing}."), ("s1-c", "{She} has {= thing} left.")),
        "{A} has {s2 thing} left.", "a*b-c",
    ),
    Template(
        "packs_finds", {"a": range(2, 10), "b": range(2, 13), "c": range(2, 21)},
        "{A} has {a box} with {b thing} in each. {She} finds {c} more {thing+} at home. How many {thing+} does {she} "
        "have altogether?",
        (("a*b", "The {box+} hold {= thing}."), ("s1+c", "With the others that makes {= thing}.")),
        "{A} has {s2 thing} altogether.", "a*b+c",
    ),
    Template(
        "change", {"a": range(2, 7), "p": "item"},
        "{A} buys {a item} for {p dollar} each and pays with {n dollar}. How much change does {she} get?",
        (("a*p", "The {item+} cost {= dollar}."), ("n-s1", "The change is {= dollar}.")),
        "{A} gets {s2 dollar} back.", "n-a*p", {"n": "(a*p//20+1)*20"},
    ),
    Template(
        "two_items", {"p": "item", "q": "item2"},
        "{A} buys {an item} for {p dollar} and {an item2} for {q dollar}. {She} pays with {n dollar}. How much change "
        "does {she} get?",
        (("p+q", "Together they cost {= dollar}."), ("n-s1", "{A} gets {= dollar} back.")),
        "{A} gets {s2 dollar} back.", "n-p-q", {"n": "((p+q)//10+1)*10"},
    ),
    Template(
        "book", {"a": range(2, 10), "b": range(5, 31), "c": range(5, 120)},
        "{A} is reading a book of {n page}. {She} reads {b page} a day. How many pages are left after {a day}?",
        (("a*b", "In {a day} {A} reads {= page}."), ("n-s1", "There {is s2} {= page} left.")),
        "There {is s2} {s2 page} left.", "n-a*b", {"n": "a*b+c"},
    ),
    Template(
        "savings", {"a": range(3, 13), "b": range(3, 16), "c": range(5, 61)},
        "{A} has {c dollar} in {her} piggy bank and adds {b dollar} every week. How many dollars are in it after "
        "{a week}?",
        (("a*b", "In {a week} {A} adds {= dollar}."), ("c+s1", "Then there {is s2} {= dollar} in the piggy bank.")),
        "There {is s2} {s2 dollar} in it.", "c+a*b",
    ),
    Template(
        "weeks_to_save", {"n": "dream", "b": range(3, 21), "c": range(5, 61)},
        "{A} wants to buy {an dream} that costs {n dollar}. {She} already has {c dollar} and saves {b dollar} a week. "
        "In how many weeks can {she} buy it?",
        (("n-c", "{A} still needs {= dollar}."), ("s1/b", "That takes {= week}.")),
        "{A} can buy it in {s2 week}.", "(n-c)//b",
    ),
    Template(
        "good_fruit", {"a": range(2, 9), "b": range(3, 16), "c": range(2, 13)},
        "{A} picks {n fruit}. Of these, {c} are bad and are thrown away. The others are put into {a} baskets, with "
        "the same number in each. How many {fruit+} are in one basket?",
        (("n-c", "There {is s1} {= fruit} that are good."), ("s1/a", "In each basket there {is s2} {= fruit}.")),
        "There {is s2} {s2 fruit} in each basket.", "(n-c)//a", {"n": "a*b+c"},
    ),
    Template(
        "teams", {"t": range(3, 7), "k": range(3, 10), "a": range(5, 25)},
        "In a sports club, {a} girls and {b} boys form teams of {t}. How many teams are there?",
        (("a+b", "There {is s1} {= child/children}."), ("s1/t", "They form {= team}.")),
        "There {is s2} {s2 team}.", "(a+b)//t", {"b": "t*k-a"},
    ),
    Template(
        "times_as_many_together", {"a": range(3, 21), "b": range(2, 6)},
        "{A} has {a toy}, and {B} has {times b} as many. How many {toy+} do they have together?",
        (("a*b", "{B} has {= toy}."), ("a+s1", "Together they have {= toy}.")),
        "Together they have {s2 toy}.", "a+a*b",
    ),
    Template(
        "fewer_together", {"a": range(12, 60), "c": range(2, 20)},
        "{A} has {a toy}. {B} has {c} fewer than {A}. How many {toy+} do they have together?",
        (("a-c", "{B} has {= toy}."), ("a+s1", "Together they have {= toy}.")),
        "Together they have {s2 toy}.", "a+a-c",
    ),
    Template(
        "bus", {"n": range(15, 60), "c": range(3, 15), "d": range(2, 15)},
        "There are {n} people on a bus. At the next stop {c} of them get off and {d} others get on. How many people "
        "are on the bus now?",
        (("n-c", "After some got off, there {is s1} {= person/people} on the bus."),
         ("s1+d", "Now there {is s2} {= person/people} on the bus.")),
        "There {is s2} {s2 person/people} on the bus.", "n-c+d",
    ),
    Template(
        "baker_sells", {"a": range(3, 10), "b": range(6, 25), "c": range(5, 60)},
        "A baker bakes {a tray} of {food+}, {b} on each tray. By noon {c} of them have been sold. How many "
        "{food+} are left?",
        (("a*b", "The baker bakes {= food}."), ("s1-c", "There {is s2} {= food} left.")),
        "There {is s2} {s2 food} left.", "a*b-c",
    ),
    Template(
        "weekend_work", {"a": range(2, 9), "b": range(2, 7), "w": range(8, 21)},
        "{A} works {a hour} on Saturday and {b hour} on Sunday, and earns {w dollar} an hour. How much does {she} "
        "earn over the weekend?",
        (("a+b", "{A} works {= hour}."), ("s1*w", "{She} earns {= dollar}.")),
        "{A} earns {s2 dollar}.", "(a+b)*w",
    ),
    Template(
        "tickets", {"a": range(2, 7), "p": range(7, 16), "q": range(3, 7)},
        "A ticket for the zoo costs {p dollar} for an adult and {q dollar} for a child. How much do {a adult} and one "
        "child pay?",
        (("a*p", "The adults pay {= dollar}."), ("s1+q", "With the child that makes {= dollar}.")),
        "They pay {s2 dollar}.", "a*p+q",
    ),
    Template(
        "fence", {"a": range(8, 40), "b": range(4, 25)},
        "A rectangular garden is {a meter} long and {b meter} wide. How many meters of fence go around it?",
        (("a+b", "Length and width together are {= meter}."), ("2*s1", "All four sides are {= meter}.")),
        "The fence is {s2 meter} long.", "2*(a+b)",
    ),
    Template(
        "laps", {"a": range(2, 9), "b": range(200, 401, 50), "c": range(50, 300, 50)},
        "{A} runs {a lap} of {b meter} and then walks {c meter}. How many meters is that in all?",
        (("a*b", "{A} runs {= meter}."), ("s1+c", "In all that is {= meter}.")),
        "It is {s2 meter} in all.", "a*b+c",
    ),
    Template(
        "rope", {"a": range(2, 16), "b": (10, 20, 25, 40, 50)},
        "A rope is {a meter} long. It is cut into pieces of {b centimeter}. How many pieces are there?",
        (("a*100", "The rope is {= centimeter} long."), ("s1/b", "That makes {= piece}.")),
        "There {is s2} {s2 piece}.", "a*100//b",
    ),
    Template(
        "mean_of_two", {"a": range(50, 100), "d": range(1, 12)},
        "{A} scored {a} points on the first test and {b} points on the second. What is {her} average score?",
        (("a+b", "The sum of the scores is {=}."), ("s1/2", "The average is {=}.")),
        "The average is {s2 point}.", "(a+b)//2", {"b": "a-2*d"},
    ),
)  # fmt: skip
