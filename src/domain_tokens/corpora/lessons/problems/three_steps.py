"""Word problems of three steps."""

from domain_tokens.corpora.lessons.problems.template import Template

THREE_STEPS = (
    Template(
        "legs", {"a": range(3, 25), "b": range(2, 13)},
        "A farmer has {a hen} and {b cow}. How many legs do the animals have altogether?",
        (("a*2", "The hens have {= leg}."), ("b*4", "The cows have {= leg}."),
         ("s1+s2", "Altogether there {is s3} {= leg}.")),
        "The animals have {s3 leg}.", "2*a+4*b",
    ),
    Template(
        "wheels", {"a": range(2, 16), "b": range(2, 13)},
        "There are {a bicycle} and {b car} in a parking lot. How many wheels do they have in all?",
        (("a*2", "The bicycles have {= wheel}."), ("b*4", "The cars have {= wheel}."),
         ("s1+s2", "In all there {is s3} {= wheel}.")),
        "They have {s3 wheel} in all.", "2*a+4*b",
    ),
    Template(
        "two_costs", {"a": range(2, 8), "p": "item", "b": range(2, 8), "q": "item2"},
        "{A} buys {a item} for {p dollar} each and {b item2} for {q dollar} each. How much does {she} pay in all?",
        (("a*p", "The {item+} cost {= dollar}."), ("b*q", "The {item2+} cost {= dollar}."),
         ("s1+s2", "In all {A} pays {= dollar}.")),
        "{A} pays {s3 dollar} in all.", "a*p+b*q",
    ),
    Template(
        "two_kinds", {"a": range(2, 10), "b": range(3, 13), "c": range(2, 10), "d": range(3, 13)},
        "{A} has {a box} with {b thing} in each and {c box2} with {d thing2} in each. How many {thing+} and {thing2+} "
        "does {she} have altogether?",
        (("a*b", "There {is s1} {= thing}."), ("c*d", "There {is s2} {= thing2}."),
         ("s1+s2", "Altogether that is {=}.")),
        "{A} has {s3} {thing+} and {thing2+} altogether.", "a*b+c*d",
    ),
    Template(
        "pocket_money", {"a": range(3, 11), "b": range(4, 13), "c": range(10, 51), "d": range(5, 40)},
        "{A} had {c dollar}. Then {she} saved {b dollar} a week for {a week} and spent {d dollar} on a present for "
        "{B}. How many dollars does {she} have now?",
        (("a*b", "{A} saved {= dollar}."), ("c+s1", "That made {= dollar} before the present."),
         ("s2-d", "Now {A} has {= dollar}.")),
        "{A} has {s3 dollar} now.", "c+a*b-d",
    ),
    Template(
        "pay_after_costs", {"a": range(3, 9), "w": range(9, 21), "c": range(4, 13), "d": range(2, 7)},
        "{A} works {a hour} for {w dollar} an hour. {She} spends {c dollar} on lunch and {d dollar} on the bus. How "
        "many dollars are left?",
        (("a*w", "{A} earns {= dollar}."), ("c+d", "{She} spends {= dollar}."),
         ("s1-s2", "There {is s3} {= dollar} left.")),
        "There {is s3} {s3 dollar} left.", "a*w-c-d",
    ),
    Template(
        "theater", {"a": range(8, 21), "b": range(8, 21), "c": range(20, 90), "d": range(20, 90)},
        "A theater has {a row} of {b seat}. On Monday {c seat} are sold and on Tuesday {d} more. How many seats can "
        "still be sold?",
        (("a*b", "The theater has {= seat}."), ("s1-c", "After Monday there {is s2} {= seat} left."),
         ("s2-d", "After Tuesday there {is s3} {= seat} left.")),
        "There {is s3} {s3 seat} left to sell.", "a*b-c-d",
    ),
    Template(
        "lawn", {"a": range(8, 21), "b": range(6, 16), "c": range(2, 7), "d": range(2, 6)},
        "A yard is {a meter} long and {b meter} wide. A flower bed in it is {c meter} long and {d meter} wide, and "
        "the rest is lawn. How many square meters of lawn are there?",
        (("a*b", "The yard has {= square meter}."), ("c*d", "The flower bed has {= square meter}."),
         ("s1-s2", "The lawn has {= square meter}.")),
        "There {is s3} {s3 square meter} of lawn.", "a*b-c*d",
    ),
    Template(
        "gives_and_shares", {"a": range(2, 9), "b": range(4, 13), "c": range(2, 16), "d": range(2, 7)},
        "{A} has {a box} with {b thing} in each. {She} keeps {c thing} and shares the others equally among {d "
        "friend}. How many {thing+} does each friend get?",
        (("a*b", "{A} has {= thing}."), ("s1-c", "{She} shares {= thing}."), ("s2/d", "Each friend gets {= thing}.")),
        "Each friend gets {s3 thing}.", "(a*b-c)//d",
    ),
    Template(
        "bags_of_rolls", {"a": range(3, 9), "b": range(8, 25), "c": range(5, 41), "d": range(3, 9)},
        "A bakery makes {a tray} of {food+}, {b} on each tray. It sells {c food} and packs the others in bags of {d}. "
        "How many bags does it need?",
        (("a*b", "The bakery makes {= food}."), ("s1-c", "There {is s2} {= food} to pack."),
         ("s2/d", "They need {= bag}.")),
        "It needs {s3 bag}.", "(a*b-c)//d",
    ),
    Template(
        "ages", {"a": range(4, 13), "k": range(2, 5), "c": range(2, 9)},
        "{A} is {a year} old. {Her} aunt is {times k} as old, and {her} uncle is {c year} younger than the aunt. How "
        "old are the three together?",
        (("a*k", "The aunt is {= year} old."), ("s1-c", "The uncle is {= year} old."),
         ("a+s1+s2", "Together they are {= year} old.")),
        "Together they are {s3 year} old.", "a+a*k+a*k-c",
    ),
    Template(
        "three_days", {"a": range(5, 31), "k": range(2, 5), "c": range(2, 20)},
        "{A} read {a page} on Monday, {times k} as many on Tuesday, and {c} fewer than that on Wednesday. How many "
        "pages did {she} read in the three days?",
        (("a*k", "On Tuesday {A} read {= page}."), ("s1-c", "On Wednesday {she} read {= page}."),
         ("a+s1+s2", "In all that is {= page}.")),
        "{A} read {s3 page}.", "a+a*k+a*k-c",
    ),
    Template(
        "journey", {"a": range(2, 6), "v": "vehicle", "b": range(2, 6), "w": "vehicle2"},
        "{A} travels {a hour} by {vehicle} at {v kilometer} an hour, and then {b hour} by {vehicle2} at "
        "{w kilometer} an hour. How many kilometers does {she} travel?",
        (("a*v", "By {vehicle} {A} travels {= kilometer}."), ("b*w", "By {vehicle2} {she} travels {= kilometer}."),
         ("s1+s2", "In all that is {= kilometer}.")),
        "{A} travels {s3 kilometer}.", "a*v+b*w",
    ),
    Template(
        "coupon", {"a": range(2, 8), "p": "item", "c": range(2, 11)},
        "{A} buys {a item} for {p dollar} each. A coupon takes {c dollar} off the total. {She} pays with {n dollar}. "
        "How much change does {she} get?",
        (("a*p", "The {item+} cost {= dollar}."), ("s1-c", "With the coupon {A} pays {= dollar}."),
         ("n-s2", "The change is {= dollar}.")),
        "{A} gets {s3 dollar} back.", "n-(a*p-c)", {"n": "(a*p//20+1)*20"},
    ),
    Template(
        "film", {"h": range(1, 4), "m": range(5, 56, 5), "c": range(15, 96, 5)},
        "A film lasts {h hour} and {m minute}. {A} has watched {c minute} of it. How many minutes are left?",
        (("h*60", "The hours are {= minute}."), ("s1+m", "The whole film lasts {= minute}."),
         ("s2-c", "There {is s3} {= minute} left.")),
        "There {is s3} {s3 minute} left.", "60*h+m-c",
    ),
    Template(
        "tank", {"a": range(4, 16), "b": range(5, 21), "c": range(3, 30), "d": range(10, 120)},
        "A tank holds {n liter}. A tap fills it with {a liter} a minute for {b minute}. Then {c liter} are used for "
        "the flowers. How many more liters fit into the tank?",
        (("a*b", "The tap gives {= liter}."), ("s1-c", "In the tank there {is s2} {= liter}."),
         ("n-s2", "So another {= liter} fit into it.")),
        "Another {s3 liter} fit into the tank.", "n-(a*b-c)", {"n": "(a*b+d)//10*10"},
    ),
    Template(
        "school_trip", {"a": range(2, 7), "b": range(15, 31), "c": range(3, 13), "d": range(20, 51)},
        "{a class/classes} of {b child/children} and {c teacher} go on a school trip. Each bus takes {d "
        "person/people}. How many buses do they fill?",
        (("a*b", "There {is s1} {= child/children}."), ("s1+c", "With the teachers that makes {= person/people}."),
         ("s2/d", "They fill {= bus/buses}.")),
        "They fill {s3 bus/buses}.", "(a*b+c)//d",
    ),
    Template(
        "dozens", {"a": range(3, 13), "b": range(2, 7), "c": range(2, 9)},
        "Each of {a hen} lays {b egg} a week. The eggs of {c week} are packed in cartons of 12. How many cartons do "
        "they fill?",
        (("a*b", "In a week the hens lay {= egg}."), ("s1*c", "In {c week} they lay {= egg}."),
         ("s2/12", "That fills {= carton}.")),
        "They fill {s3 carton}.", "a*b*c//12",
    ),
)  # fmt: skip
