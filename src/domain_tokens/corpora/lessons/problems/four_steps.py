"""Word problems of four steps."""

from domain_tokens.corpora.lessons.problems.template import Template

FOUR_STEPS = (
    Template(
        "shop_change", {"a": range(2, 7), "p": "item", "b": range(2, 7), "q": "item2"},
        "{A} buys {a item} for {p dollar} each and {b item2} for {q dollar} each. {She} pays with {n dollar}. How "
        "much change does {she} get?",
        (("a*p", "The {item+} cost {= dollar}."), ("b*q", "The {item2+} cost {= dollar}."),
         ("s1+s2", "Together that is {= dollar}."), ("n-s3", "{A} gets {= dollar} back.")),
        "{A} gets {s4 dollar} back.", "n-a*p-b*q", {"n": "((a*p+b*q)//50+1)*50"},
    ),
    Template(
        "bake_sale", {"a": range(2, 8), "b": range(6, 19), "c": range(2, 12), "p": range(2, 5), "d": range(8, 31)},
        "For a bake sale {A} makes {a tray} of {food+}, {b} on each tray. {Her} family eats {c food}, and the others "
        "are sold for {p dollar} each. The ingredients cost {d dollar}. How many dollars does {she} earn after "
        "paying for them?",
        (("a*b", "{A} makes {= food}."), ("s1-c", "{She} sells {= food}."),
         ("s2*p", "For these {she} gets {= dollar}."),
         ("s3-d", "After paying for the ingredients {she} has earned {= dollar}.")),
        "{A} earns {s4 dollar}.", "(a*b-c)*p-d",
    ),
    Template(
        "saving_up", {"w": range(9, 19), "a": range(2, 6), "b": range(3, 8), "c": range(5, 41), "n": "dream"},
        "{A} wants {an dream} that costs {n dollar}. {She} works {a hour} a day for {b day} and earns {w dollar} an "
        "hour. Of this {she} spends {c dollar}. How many dollars does {she} still need?",
        (("a*b", "{A} works {= hour}."), ("s1*w", "{She} earns {= dollar}."), ("s2-c", "{She} keeps {= dollar}."),
         ("n-s3", "{She} still needs {= dollar}.")),
        "{A} still needs {s4 dollar}.", "n-(a*b*w-c)",
    ),
    Template(
        "egg_farm", {"a": range(4, 26), "b": range(1, 3), "c": range(4, 26)},
        "{A} has {a hen}, and each of them lays {b egg} a day. {She} uses {c egg} a week and packs the others in "
        "cartons of 6. How many cartons does {she} fill in a week?",
        (("a*b", "The hens lay {= egg} a day."), ("s1*7", "In a week they lay {= egg}."),
         ("s2-c", "{A} packs {= egg}."), ("s3/6", "{She} fills {= carton}.")),
        "{A} fills {s4 carton} in a week.", "(a*b*7-c)//6",
    ),
    Template(
        "fence_cost", {"a": range(8, 31), "b": range(5, 21), "p": range(3, 13), "c": range(20, 81, 5)},
        "A rectangular garden is {a meter} long and {b meter} wide. A fence around it costs {p dollar} a meter, and "
        "the gate costs {c dollar} extra. What do the fence and the gate cost together?",
        (("a+b", "Length and width together are {= meter}."), ("2*s1", "All sides together are {= meter}."),
         ("s2*p", "The fence costs {= dollar}."), ("s3+c", "With the gate that is {= dollar}.")),
        "They cost {s4 dollar} together.", "2*(a+b)*p+c",
    ),
    Template(
        "after_gift", {"a": range(2, 9), "b": range(4, 13), "c": range(2, 21), "d": range(2, 21), "e": range(2, 7)},
        "{A} has {a box} with {b thing} in each and {c thing} more. {She} gives {d thing} to {B} and puts the others "
        "into {e} equal piles. How many {thing+} are in one pile?",
        (("a*b", "The {box+} hold {= thing}."), ("s1+c", "{A} has {= thing} in all."),
         ("s2-d", "After the gift {she} has {= thing}."), ("s3/e", "In one pile there {is s4} {= thing}.")),
        "There {is s4} {s4 thing} in one pile.", "(a*b+c-d)//e",
    ),
    Template(
        "long_journey", {"a": range(2, 6), "v": "vehicle", "b": range(2, 6), "w": "vehicle2", "c": range(20, 300, 10)},
        "{A} has to travel {n kilometer}. {She} goes {a hour} by {vehicle} at {v kilometer} an hour and {b hour} by "
        "{vehicle2} at {w kilometer} an hour. How many kilometers are left?",
        (("a*v", "By {vehicle} {A} travels {= kilometer}."), ("b*w", "By {vehicle2} {she} travels {= kilometer}."),
         ("s1+s2", "So far that is {= kilometer}."), ("n-s3", "There {is s4} {= kilometer} left.")),
        "There {is s4} {s4 kilometer} left.", "n-a*v-b*w", {"n": "a*v+b*w+c"},
    ),
    Template(
        "carpet", {"a": range(4, 9), "b": range(3, 7), "c": range(3, 6), "d": range(2, 5), "p": range(8, 26)},
        "{A} buys carpet for two rooms. One is {a meter} long and {b meter} wide, the other {c meter} long and "
        "{d meter} wide. A square meter costs {p dollar}. How much does the carpet cost?",
        (("a*b", "The first room has {= square meter}."), ("c*d", "The second room has {= square meter}."),
         ("s1+s2", "Together they have {= square meter}."), ("s3*p", "The carpet costs {= dollar}.")),
        "The carpet costs {s4 dollar}.", "(a*b+c*d)*p",
    ),
    Template(
        "reading_week", {"a": range(5, 21), "b": range(15, 46), "c": range(10, 150)},
        "{A} is reading a book of {n page}. {She} reads {a page} on each of the 5 school days and {b page} on each of "
        "the 2 days of the weekend. How many pages are left after the week?",
        (("a*5", "On school days {A} reads {= page}."), ("b*2", "On the weekend {she} reads {= page}."),
         ("s1+s2", "In the week that is {= page}."), ("n-s3", "There {is s4} {= page} left.")),
        "There {is s4} {s4 page} left.", "n-5*a-2*b", {"n": "5*a+2*b+c"},
    ),
    Template(
        "museum", {"a": range(2, 6), "p": range(9, 21), "b": range(5, 25), "q": range(4, 9), "c": range(60, 201, 10)},
        "{a adult} and {b child/children} visit a museum. An adult pays {p dollar} and a child {q dollar}. The bus "
        "there costs {c dollar}. What does the visit cost in all?",
        (("a*p", "The adults pay {= dollar}."), ("b*q", "The children pay {= dollar}."),
         ("s1+s2", "All tickets cost {= dollar}."), ("s3+c", "With the bus that is {= dollar}.")),
        "The visit costs {s4 dollar} in all.", "a*p+b*q+c",
    ),
    Template(
        "albums", {"a": range(5, 25), "k": range(2, 5), "c": range(2, 20), "d": range(4, 11)},
        "{A} has {a toy}, {B} has {times k} as many, and their friend has {c} more than {B}. They put all "
        "their {toy+} into boxes that hold {d} each. How many boxes do they fill?",
        (("a*k", "{B} has {= toy}."), ("s1+c", "The friend has {= toy}."), ("a+s1+s2", "Together they have {= toy}."),
         ("s3/d", "They fill {= box/boxes}.")),
        "They fill {s4 box/boxes}.", "(a+2*a*k+c)//d",
    ),
    Template(
        "orchard_sale", {"a": range(3, 11), "b": range(4, 13), "c": range(10, 41, 5), "d": (10, 15, 20, 25),
                         "p": range(8, 21)},
        "An orchard has {a row} of {b tree}, and every tree gives {c kilogram} of {fruit+}. They are sold in crates "
        "of {d kilogram}, for {p dollar} a crate. How many dollars does the harvest bring?",
        (("a*b", "There {is s1} {= tree}."), ("s1*c", "They give {= kilogram}."), ("s2/d", "That fills {= crate}."),
         ("s3*p", "The harvest brings {= dollar}.")),
        "The harvest brings {s4 dollar}.", "a*b*c//d*p",
    ),
    Template(
        "lemonade", {"a": range(8, 31), "k": range(2, 4), "p": range(1, 4), "c": range(5, 25)},
        "{A} sells {a glass/glasses} of lemonade on Saturday and {times k} as many on Sunday. A glass costs {p "
        "dollar}, and {A} paid {c dollar} for lemons and sugar. How many dollars does {she} earn after that?",
        (("a*k", "On Sunday {A} sells {= glass/glasses}."),
         ("a+s1", "On both days together {she} sells {= glass/glasses}."),
         ("s2*p", "{She} takes in {= dollar}."), ("s3-c", "{She} earns {= dollar}.")),
        "{A} earns {s4 dollar}.", "(a+a*k)*p-c",
    ),
    Template(
        "library", {"a": range(4, 13), "b": range(12, 36), "c": range(20, 90), "d": range(5, 40), "e": range(3, 9)},
        "A library has {a shelf/shelves} with {b book} on each. It lends {c book}, and {d} of them come back. The "
        "books in the library are then put on {e cart}, with the same number on each. How many books are on one cart?",
        (("a*b", "At first there {is s1} {= book}."), ("s1-c", "After lending there {is s2} {= book}."),
         ("s2+d", "With those that came back there {is s3} {= book}."),
         ("s3/e", "On each cart there {is s4} {= book}.")),
        "There {is s4} {s4 book} on one cart.", "(a*b-c+d)//e",
    ),
    Template(
        "order", {"a": range(4, 16), "b": range(4, 16), "h": range(2, 7), "k": range(2, 6)},
        "An order is for {n box}. {A} packs {a box} an hour and {B} packs {b}. They have worked together for {h "
        "hour}. How many more hours do they need?",
        (("a+b", "In an hour they pack {= box}."), ("s1*h", "So far they have packed {= box}."),
         ("n-s2", "There {is s3} {= box} left."), ("s3/s1", "So they need another {= hour}.")),
        "They need another {s4 hour}.", "(n-(a+b)*h)//(a+b)", {"n": "(a+b)*(h+k)"},
    ),
    Template(
        "pizza_party", {"b": range(2, 5), "p": range(9, 17), "c": range(3, 11), "q": range(2, 4), "a": range(3, 9)},
        "{a friend} buy {b pizza} for {p dollar} each and {c drink} for {q dollar} each, and share the cost equally. "
        "How much does each of them pay?",
        (("b*p", "The pizzas cost {= dollar}."), ("c*q", "The drinks cost {= dollar}."),
         ("s1+s2", "Together that is {= dollar}."), ("s3/a", "Each friend pays {= dollar}.")),
        "Each friend pays {s4 dollar}.", "(b*p+c*q)//a",
    ),
    Template(
        "party_bags", {"a": range(2, 7), "b": range(6, 13), "c": range(2, 6), "d": range(4, 11), "e": range(4, 11)},
        "{A} has {a box} with {b thing} in each and {c box} with {d thing} in each. {She} shares all {thing+} equally "
        "among {e child/children}. How many {thing+} does each child get?",
        (("a*b", "The first {box+} hold {= thing}."), ("c*d", "The others hold {= thing}."),
         ("s1+s2", "That is {= thing} in all."), ("s3/e", "Each child gets {= thing}.")),
        "Each child gets {s4 thing}.", "(a*b+c*d)//e",
    ),
)  # fmt: skip
