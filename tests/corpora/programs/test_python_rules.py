"""Rules of Python that a program may rely on: a conversion follows them, or there is none."""

import contextlib
import io
import json
import re
import types

import pytest
from real_data import SAMPLES

from domain_tokens.corpora.programs import Conversion, Reason, Rejection, convert
from domain_tokens.corpora.programs.numbers import written
from domain_tokens.evaluation.equations import all_hold

QUESTION = "Ann has 3 bags of 25 pens, and each costs $2. How many pens does Ann have?"


def body(*lines: str) -> str:
    """Return a function with these lines."""
    return "\n".join(["def simple_math_problem():", *(f"    {line}" for line in lines)])


def python(program: str) -> float:
    """Return what CPython makes of a program of this file."""
    names: dict = {}
    exec(program, names)
    return names["simple_math_problem"]()


# Each of these had another result when the rule was not known.
FOLLOWED = {
    "a view of a dictionary": body("d = {'a': 1}", "seen = d.values()", "d['b'] = 4", "return sum(seen) * 2"),
    "a view in a condition": body("d = {}", "seen = d.items()", "return 6 * 9 if seen else 7 * 9"),
    "zip is used up": body("z = zip([1, 2], [3, 4])", "a = sum(x * y for x, y in z)", "return a + len(list(z))"),
    "reversed is used up": body("r = reversed([1, 2])", "return sum(r) * 2 + sum(r)"),
    "enumerate is used up": body("e = enumerate([5])", "a = sum(i for i, _ in e)", "return a + 6 * len(list(e))"),
    "sum with a start": body("return sum([6, 9], start=10)"),
    "sorted by a number": body("return sorted([6, 9], reverse=1)[0] * 2"),
    "a dictionary of another": body("d = dict({'a': 6})", "return sum(d.values()) * 9"),
    "a dictionary of pairs": body("d = dict([('a', 6), ('b', 9)], b=7)", "return d['a'] * d['b']"),
    "a name of the module": "total = 0\n" + body("global total", "total = 6 * 9", "return total"),
    "a name of the outer function": body(
        "total = 5", "def add(n):", "    nonlocal total", "    total += n * 9", "add(6)", "return total"
    ),
    "a walrus": body("if (total := 6 * 9) > 50:", "    return total - 4", "return total"),
    "finally": body("total = 1", "try:", "    total = 6 * 9", "finally:", "    total += 1", "return total"),
    "a return before finally": body("try:", "    return 6 * 9", "finally:", "    seen = 7 * 9"),
    "a call between a return and its end": body(
        "def seen():", "    return 7", "try:", "    return 6 * 9", "finally:", "    last = seen()"
    ),
    "a star in the middle": body("a, *b, c = [1, 2, 3, 6]", "return (a + c) * sum(b) * len(b)"),
    "a star in a call": body("def add(*n):", "    return sum(n) * 2", "return add(*[6, 9], 7)"),
    "map over two": body("return sum(map(lambda a, b: a * b, [6, 2], (9, 7)))"),
    "filter of nothing": body("return sum(filter(None, [6, 0, 9])) * 2"),
    "reduce": "from functools import reduce\n" + body("return reduce(lambda a, b: a * 2 + b, [6, 9], 3)"),
    "a key": body("d = {'a': 6, 'b': 9}", "return d[max(d, key=d.get)] * 7"),
    "sorted by a key": body("return sorted([6, 9, 7], key=lambda n: -n)[0] * 2 + 1"),
    "sort": body("n = [6, 9, 7]", "n.sort(reverse=True)", "return n[0] * 2 + n[-1]"),
    "pop": body("n = [6, 9, 7]", "a = n.pop(0)", "return a * n.pop() + len(n)"),
    "insert and remove": body("n = [6, 9]", "n.insert(0, 7)", "n.remove(9)", "return n[0] * n[1] + n.index(6)"),
    "a fraction of a float with an end": (
        "from fractions import Fraction\n" + body("return Fraction(0.5) * 9 + Fraction(1, 2).denominator")
    ),
    "a decimal of a float with an end": (
        "from decimal import Decimal\n" + body("return 6 * 9 if Decimal(0.5) == Decimal('0.5') else 7 * 9")
    ),
    "equal keys": body("d = {6: 0.3, 7: 0.3}", "return max(d, key=d.get) * 9 + sorted(d, key=d.get)[0]"),
    "a set": body("n = {6, 9, 6}", "return sum(n) * len(n) + sum({k % 2 for k in n})"),
    "a set whose order decides nothing": body(
        "n = {30, 1, 2}",
        "m = min(n) + sorted(n)[2] + len(set(n)) + (30 in n)",
        "return m * sum(k * 2 for k in n if k)",
    ),
    "a set of one": body("n = {6, 6}", "a, = n", "return a * 9 if n else 7"),
    "a dictionary of a comprehension": body("d = {k: k * 2 for k in (6, 9)}", "return d[9] + sum(d.values())"),
    "next": body("return next(n for n in range(1, 20) if n * 6 > 50) * 2"),
    "a list repeated": body("return sum([6] * 9) + len([0] * 3)"),
    "int of a text": body("return int(' 6 ') * float('9.5')"),
    "a cache": "import functools\n@functools.lru_cache(maxsize=None)\ndef g(n):\n    return n * 9\n"
    + body("return g(6)"),
    "setdefault and pop of a dictionary": body(
        "d = {'a': 6}", "b = d.setdefault('b', 9)", "return d.pop('a') * b + len(d)"
    ),
    "a square root that is whole": body("import math", "return sum(range(math.isqrt(16))) * 9"),
}

REFUSED = {
    "a name of its own": "pens = 6\n" + body("pens = pens * 9", "return pens"),
    "a name of its own, increased": "pens = 6\n" + body("pens += 6 * 9", "return pens"),
    "a name of its own, in a helper": body(
        "pens = 6", "def more():", "    pens = pens * 9", "    return pens", "return more()"
    ),
    "a generator that sees later values": body("k = 2", "g = (x * k for x in [6, 9])", "k = 5", "return sum(g)"),
    "a list that grows in its loop": body(
        "l = [6]", "for x in l:", "    if len(l) < 4:", "        l.append(x * 2)", "return sum(l)"
    ),
    "a list that a loop changes": body("l = [6, 9]", "for x in l:", "    l[1] = x * 2", "return sum(l)"),
    "a dictionary that grows in its loop": body("d = {'a': 6}", "for x in d:", "    d['b'] = 6 * 9", "return d['b']"),
    "range of a float": body("return sum(i * 6 for i in range(6 / 2))"),
    "an index that is a float": body("return [6, 9][2 / 2] * 6"),
    "a slice of a float": body("return sum([6, 9, 7][:4 / 2])"),
    "rounding to a float": body("return round(6.25 * 9, 1.0)"),
    "the factorial of a float": "import math\n" + body("return math.factorial(6.0) * 9"),
    "the length of zip": body("return len(zip([6], [9])) * 9"),
    "a power modulo": body("return pow(6, 9, 5) + 1"),
    "another base": body("return int('54', 6) * 9"),
    "a key that gives no number": body("return sorted([6, 9], key=str)[0] * 9"),
    "a default": body("return max([6, 9], default=5) * 9"),
    "too many arguments": "import math\n" + body("return math.floor(6.5 * 9, 2)"),
    "a fraction of two floats": "from fractions import Fraction\n" + body("return Fraction(0.5, 2) * 9"),
    # Python begins with 1, and with 30 where it is alone.
    "the first of a set": body("return list({30, 1, 2})[0] * 9"),
    "the last of a set": body("for x in {30, 1, 2}:", "    pass", "return x * 9"),
    "a set in names": body("a, b, c = {30, 1, 2}", "return a * 9"),
    "equal keys of a set": body("return max({30, 1, 2}, key=lambda n: 1) * 9"),
    "the next of a set": body("return next(n for n in {30, 1, 2} if n > 1) * 9"),
    "a list of a set": body("return [n * 2 for n in {30, 1, 2}][0] * 9"),
    "a list of what is made of a set": body("return list(n * 2 for n in {30, 1, 2})[0] * 9"),
    "a method of a dictionary of a set": body("return sum({6, 9}.keys()) * 9"),
    "an item of a set": body("n = {6: 9}", "return {6, 9}[6] or n"),
    "a slice of a dictionary": body("return len({'a': 6}[0:1]) * 9"),
    "a slice of a set": body("return {6}[0:1][0] * 9"),
    "a slice of zip": body("return zip([6], [9])[0:1][0][0] * 9"),
    "a named argument of a method": body("d = {}", "return d.get('a', default=6) * 9"),
}  # fmt: skip


@pytest.mark.parametrize("program", FOLLOWED.values(), ids=FOLLOWED)
def test_a_rule_is_followed(program: str) -> None:
    converted = convert(program, QUESTION)
    assert isinstance(converted, Conversion), converted
    assert converted.number == python(program)


@pytest.mark.parametrize("program", REFUSED.values(), ids=REFUSED)
def test_what_python_would_do_otherwise_is_refused(program: str) -> None:
    converted = convert(program, QUESTION)
    assert isinstance(converted, Rejection), converted
    assert converted.reason in (Reason.RAISES, Reason.SYNTAX, Reason.CALL, Reason.TYPES)


def test_what_ends_a_line_is_not_passed_over() -> None:
    """`print(54, end="0")` prints 540."""
    assert convert("print(6 * 9)", QUESTION).number == 54
    for end in ("end='0'", "sep='7'", "file=None", "end='\\n0'"):
        assert isinstance(convert(f"print(6 * 9, {end})", QUESTION), Rejection)
    assert convert("print(6 * 9, end='')\nprint(' pens')\nprint()", QUESTION).number == 54
    assert convert("print('There are', end=' ')\nprint(6 * 9)", QUESTION).number == 54
    assert convert("print(7, end='\\n')\nprint(6 * 9)", QUESTION).number == 54
    assert isinstance(convert("print(7, end='')\nprint(6 * 9)", QUESTION), Rejection)


def test_an_empty_line_does_not_join_what_is_printed_before_and_behind_it() -> None:
    """Python prints two lines, of which the last has no number."""
    assert isinstance(convert("print(6 * 9)\nprint('', end='')\nprint('pens')", QUESTION), Rejection)
    assert convert("print('', end='')\nprint(6 * 9)", QUESTION).number == 54


def test_a_function_named_as_a_result_is_called() -> None:
    assert convert("def answer():\n    return 6 * 9", QUESTION).number == 54


@pytest.mark.parametrize(
    ("shown", "number"),
    [
        ("'{} pens'.format(6 * 9)", "54"), ("'{0:.1f} of {name}'.format(6 * 9.25, name='pens')", "55.5"),
        ("'{n:,d}'.format(n=600 * 9)", "5400"), ("'%d pens' % (6 * 9)", "54"), ("'$%.2f, 100%%' % (1 / 3)", None),
        ("'$%.2f' % (6 * 9.125)", "54.75"), ("'%s and %s' % (6 * 9, 'more')", "54"), ("f'{6 * 9:>8}'", "54"),
        ("f'{6 * 9:+.0f}'", "54"), ("f'{6 * 9.125:.1f}'", "54.8"),
        ("f'{6 * 0.75:.0f}'", None), ("f'{2 / 3 * 9:.2f}'", "6"),
        ("'{}'.format()", None),
        ("'{:.1%}'.format(6 / 9)", None), ("f'{6 * 9:x}'", None), ("'{0!r}'.format(6 * 9)", None),
        ("'%d' % 5.5", None),
        ("'{'.format(6 * 9)", None), ("f'{6 * 9.5:d}'", None), ("'%d %d' % (6, 9)", None), ("'%d' % (6, 9)", None),
    ],
)  # fmt: skip
def test_a_formatted_number_is_what_is_shown(shown: str, number: str | None) -> None:
    converted = convert(f"a = 2 * 3\nprint({shown})", QUESTION)
    assert (written(converted.number) if isinstance(converted, Conversion) else None) == number


def test_programs_in_other_styles_convert_to_what_python_computes() -> None:
    rows = [json.loads(line) for line in (SAMPLES / "styles.jsonl").read_text(encoding="utf-8").splitlines()]
    found = {}
    for row in rows:
        converted = convert(row["code"], row["question"], check=all_hold)
        if isinstance(converted, Conversion):
            found[row["question"]] = converted
            assert float(converted.number) == pytest.approx(printed_or_returned(row["code"])), row["question"]
    assert len(rows) == 62
    assert len(found) == 59


def printed_or_returned(program: str) -> float:
    """Return the number on the last line that a program prints, or else what it arrives at."""
    names: dict = {"__name__": "__main__"}
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(program, names)
    if lines := output.getvalue().split("\n\n")[0].split():
        words = (word.strip("$,") for word in lines)
        return float(next(word for word in words if re.fullmatch(r"[-\d.,]+", word)))
    values = [names[name] for name in ("result", "answer", "ans") if name in names]
    functions = [value for value in names.values() if isinstance(value, types.FunctionType)]
    return values[0] if values else functions[-1]()


LOOPS = {
    "a sum until it is large": (
        body(
            "total = 0", "for x in [6, 9, 7]:", "    total = total + x", "    if total > 14:", "        break",
            "return total",
        ),
        ["0 + 6 = 6", "6 + 9 = 15"],
    ),
    "two names in turn": (
        body("a, b = 6, 9", "for _ in range(9):", "    a, b = b, a + b", "    if b > 20:", "        return b"),
        ["6 + 9 = 15", "9 + 15 = 24"],
    ),
    "a list that is filled": (
        body("l = []", "for x in [6, 9]:", "    l.append(x * 2)", "    if x == 9:", "        break", "return sum(l)"),
        ["6 × 2 = 12", "9 × 2 = 18", "12 + 18 = 30"],
    ),
    "a number of an earlier turn": (
        body("for x in range(6):", "    if x == 2:", "        y = x * 9", "    if x == 4:", "        return y + x"),
        ["2 × 9 = 18", "18 + 4 = 22"],
    ),
    "a search in vain": (
        body("for x in range(2, 4):", "    y = x * 9", "    if y == 5:", "        break", "return y + 1"),
        ["3 × 9 = 27", "27 + 1 = 28"],
    ),
    "a function with a name of the module": (
        "total = 0\ndef add(n):\n    global total\n    total = total + n * 2\n    return total\n"
        + body("for i in range(1, 6):", "    if add(i) > 11:", "        break", "return total"),
        ["1 × 2 = 2", "0 + 2 = 2", "2 + 4 = 6", "6 + 6 = 12"],
    ),
    "a function with a name of the outer one": (
        body(
            "total = 0", "def add(n):", "    nonlocal total", "    total += n * 2", "    return total",
            "for i in range(1, 6):", "    if add(i) > 11:", "        return i + total",
        ),
        ["0 + 2 = 2", "2 + 4 = 6", "6 + 6 = 12"],
    ),
    "a function that fills a list": (
        body(
            "def add(n, items=[]):", "    items.append(n * 2)", "    return sum(items)",
            "for i in range(1, 6):", "    if add(i) > 11:", "        return i * 9",
        ),
        ["1 × 2 = 2", "2 × 2 = 4", "2 + 4 = 6", "3 × 9 = 27"],
    ),
    "a function that fills a dictionary": (
        body(
            "def add(n, seen):", "    seen[n] = n * 2", "    return len(seen)",
            "seen = {}", "for i in range(1, 6):", "    if add(i, seen) == 3:", "        break",
            "return sum(seen.values())",
        ),
        ["1 × 2 = 2", "2 × 2 = 4", "2 + 4 = 6", "6 + 6 = 12"],
    ),
    "a method within an expression": (
        body(
            "l = []", "for x in [6, 9]:", "    y = l.append(x * 2)", "    if x == 9:", "        break",
            "return sum(l)",
        ),
        ["6 × 2 = 12", "9 × 2 = 18", "12 + 18 = 30"],
    ),
    "a search within a loop that a function changes": (
        body(
            "total = 0", "def add(n):", "    nonlocal total", "    total += n * 2", "    return total",
            "for i in range(1, 6):", "    for j in range(2):", "        if add(i) > 5:", "            return total",
        ),
        ["0 + 2 = 2", "2 + 2 = 4", "4 + 4 = 8"],
    ),
    "a loop around a search": (
        body(
            "total = 0", "for x in [6, 9]:", "    for y in [1, 2]:", "        if y == 2:", "            break",
            "    total = total + x", "return total",
        ),
        ["0 + 6 = 6", "6 + 9 = 15"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("program", "equations"), LOOPS.values(), ids=LOOPS)
def test_nothing_that_is_used_later_is_left_out_of_a_loop(program: str, equations: list[str]) -> None:
    converted = convert(program, QUESTION)
    assert isinstance(converted, Conversion), converted
    assert converted.number == python(program)
    for equation in equations:
        assert equation in converted.answer


def test_a_search_states_what_fits_and_nothing_else() -> None:
    lines = [
        "for hens in range(36):",
        "    if hens > 30:",
        "        continue",
        "    legs = 2 * hens + 4 * (35 - hens)",
    ]
    converted = convert(body(*lines, "    if legs == 94:", "        return hens"), QUESTION)
    assert isinstance(converted, Conversion)
    assert converted.number == 23
    assert "2 × 23 = 46" in converted.answer
    assert "2 × 22 = 44" not in converted.answer


WORDS = {
    "time spent": ("time_spent = 15 * 7", "The time spent is 15 × 7 = 105."),
    "weight loss": ("weight_loss = 3 * 4", "The weight loss is 3 × 4 = 12."),
    "hours paid": ("hours_paid = 3 * 4", "The number of hours paid is 3 × 4 = 12."),
    "money spent": ("total_spent = 3 * 4", "The total spent is 3 × 4 = 12 dollars."),
    "counted": ("total_sales = 40 + 60", "The total sales are 40 + 60 = 100."),
    "a number of persons": ("students_paid = 90 - 54", "The number of students paid is 90 - 54 = 36."),
    "for how long": ("pay_2_weeks = 54 + 56", "The pay for 2 weeks is 54 + 56 = 110 dollars."),
    "a statement": ("total_equals_55 = 6 * 9", "We have 6 × 9 = 54."),
    "how many": ("how_many_pens = 6 * 9", "The number of pens is 6 × 9 = 54."),
    "a result on the way": ("result = 6 * 9", "We have 6 × 9 = 54."),
}


@pytest.mark.parametrize(("line", "sentence"), WORDS.values(), ids=WORDS)
def test_a_unit_and_a_name_are_right_or_left_out(line: str, sentence: str) -> None:
    question = "Ann gets $12 for each of 40 sales. How much does she get?"
    name = line.split()[0]
    converted = convert(body(line, f"return {name} + 0 + 1"), question)
    assert isinstance(converted, Conversion)
    assert converted.answer.splitlines()[0] == sentence


def test_a_phrase_that_was_said_before_is_said_to_change() -> None:
    helper = "def more(value):\n    total = value + 1\n    return total\n"
    converted = convert(helper + body("return more(6) * more(9)"), QUESTION)
    assert isinstance(converted, Conversion)
    assert converted.answer.splitlines()[:2] == ["The total is 6 + 1 = 7.", "The total is now 9 + 1 = 10."]


def test_names_of_a_program_in_another_language_are_left_out() -> None:
    """In German every noun has a capital letter, so it would be somebody's name."""
    program = body("gesamt_eier = 12 * 5", "return gesamt_eier")
    german = "Jeder Karton hat 12 Eier, es gibt 5 Kartons und wie viele Eier sind es?"
    assert convert(program, german).answer == "We have 12 × 5 = 60.\n#### 60"
    assert "gesamt" in convert(program, "Every box has 12 gesamt Eier, and there are 5 of them.").answer


STATED = {
    "a number towards zero": (body("x = int(-7 / 2)", "return x * 9"), "-3.5 rounded towards zero becomes -3"),
    "a large choice of few": ("import math\n" + body("return math.comb(40, 38)"), "40 × 39 = 1560"),
    "an alias at the end": (body("pens = 6 * 9", "bags = pens + 1", "return pens"), "The answer is 54."),
    "a percentage of the question": (body("tax = 0.2", "return 50 * tax"), "The tax is 20%, which is 0.2."),
    "the count 3 is no percentage": (body("part = 0.03", "return 50 * part"), "The part is 0.03."),
    "split once": (body("return 6 * 90"), "Since 9 × 6 = 54, the answer is 6 × 90 = 540."),
}


@pytest.mark.parametrize(("program", "stated"), STATED.values(), ids=STATED)
def test_what_is_stated(program: str, stated: str) -> None:
    question = "Ann has 3 bags of 25 pens and pays 20% tax. How many pens does Ann have?"
    converted = convert(program, question, split_products="6 × 90" in stated)
    assert isinstance(converted, Conversion), converted
    assert stated in converted.answer


NOISE = {
    "a difference as a condition": body("if 0.1 + 0.2 - 0.3:", "    return 6 * 9", "return 7 * 9"),
    "not": body("x = 1.1 * 3", "n = 6 if not (x - 3.3) else 7", "return n * 9"),
    "or": body("return (1.1 * 3 - 3.3) * 10 or 6 * 9"),
    "while": body("x = 1.1 * 3 - 3.3", "n = 1", "while x:", "    n, x = n * 9, 0", "return n * 6"),
    "any": body("return 6 * 9 if any([1.1 * 3 - 3.3]) else 7 * 9"),
    "whether a float is whole": body("x = 0.1 * 3 / 0.3", "return 6 * 9 if x.is_integer() else 7 * 9"),
    "a fraction of a float": (
        "from fractions import Fraction\n" + body("return 6 * 9 if Fraction(0.1) == Fraction(1, 10) else 7 * 9")
    ),
    "a denominator": "from fractions import Fraction\n" + body("return Fraction(0.1).denominator * 9"),
    "a decimal of a float": (
        "from decimal import Decimal\n" + body("return 6 * 9 if Decimal(0.1) == Decimal('0.1') else 7 * 9")
    ),
    "keys of one number": body("d = {6: 0.3, 7: 0.1 + 0.2}", "return max(d, key=lambda n: d[n]) * 9"),
    "an order of keys": body("d = {6: 0.1 + 0.2, 7: 0.3}", "return sorted(d, key=d.get)[0] * 9"),
    "a comparison": body("return 6 * 9 if 0.1 + 0.2 > 0.3 else 7 * 9"),
    "a quotient that the result hides": body("n = 44.0 // 0.2", "return 6 * 9 + n * 0"),
    "a rounding that the result hides": body("n = round(2.5)", "return 6 * 9 + n * 0"),
    "a result": body("return (0.1 + 0.2 - 0.3) * 10.0 ** 14"),
    "a result that is near": body("return 1 + (0.1 + 0.2 - 0.3) * 10.0 ** 12"),
}


@pytest.mark.parametrize("program", NOISE.values(), ids=NOISE)
def test_the_noise_of_floats_decides_nothing(program: str) -> None:
    converted = convert(program, QUESTION)
    assert isinstance(converted, Rejection), converted
    assert converted.reason is Reason.FLOAT_NOISE


def test_a_program_that_gives_several_numbers_is_refused() -> None:
    main = "def simple_math_problem(n=3, price=2):\n    return n * price\n"
    needing = main.replace("=3, price=2", ", price")
    for_itself = "def simple_math_problem(n=5):\n    return 1 if n <= 1 else n * simple_math_problem(n - 1)\n"
    state = "total = 3\ndef simple_math_problem():\n    global total\n    total = total * 2\n    return total\n"
    fence = "```python\n" + body("return {}") + "\n```\n"
    for program, number in (
        (main, 6),
        (main + "print(simple_math_problem(3, price=2))", 6),
        (main + "print(simple_math_problem(4, 5))", None),
        (main + "simple_math_problem()\nprint(simple_math_problem(4, 5))", None),
        (needing + "print(simple_math_problem(4, 5))", 20),
        (needing + "print(simple_math_problem(4, 5))\nprint(simple_math_problem(2, 5))", None),
        (for_itself, 120),
        (state + "simple_math_problem()", 6),
        (state + "simple_math_problem()\nsimple_math_problem()", None),
        (fence.format("6 * 9") + "again:\n" + fence.format("6 * 9"), 54),
        (fence.format("6 * 9") + "no:\n" + fence.format("7 * 9"), None),
    ):
        converted = convert(program, QUESTION)
        if number is None:
            assert isinstance(converted, Rejection), program
            assert converted.reason is Reason.SEVERAL_NUMBERS
        else:
            assert isinstance(converted, Conversion), program
            assert converted.number == number


def test_of_two_fences_the_one_with_a_function_is_the_program() -> None:
    text = "```text\n7\n```\nand\n```python\n" + body("return 6 * 9") + "\n```\n"
    assert convert(text, QUESTION).number == 54
