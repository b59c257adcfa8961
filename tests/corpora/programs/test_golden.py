"""Whole conversions, as they are read."""

import textwrap

import pytest

from domain_tokens.corpora.programs import Conversion, Rejection, convert
from domain_tokens.corpora.programs.wording.phrases import phrase_of
from domain_tokens.corpora.programs.wording.question import Question
from domain_tokens.evaluation.equations import all_hold

QUESTION = (
    "Tom buys 6 bags of apples at $1.25 each and 9 pears at $2 each for his mom. He pays 20% tax. "
    "How much does Tom pay?"
)


def prose(program: str, question: str = QUESTION, **options: bool) -> list[str]:
    """Return the lines of a conversion."""
    converted = convert(textwrap.dedent(program), question, **options)
    assert isinstance(converted, Conversion), converted
    assert all_hold(converted.answer)
    return converted.answer.splitlines()


CASES = {
    "steps": (
        """
        def simple_math_problem() -> float:
            '''Tom buys apples.'''
            bags_of_apples = 6
            price_per_bag = 1.25
            total_cost_of_apples = bags_of_apples * price_per_bag
            cost_pears = 9 * 2
            total_cost = total_cost_of_apples + cost_pears
            tax_rate = 0.2
            result = total_cost * (1 + tax_rate)
            return result
        """,
        [
            "The total cost of the apples is 6 × 1.25 = 7.50 dollars.",
            "The cost of the pears is 9 × 2 = 18 dollars.",
            "The total cost is 7.5 + 18 = 25.50 dollars.",
            "The tax rate is 20%, which is 0.2.",
            "Since 1 + 0.2 = 1.2, the answer is 25.5 × 1.2 = 30.6.",
            "#### 30.6",
        ],
    ),
    "a helper, defaults and print": (
        """
        def area(length: int, width: int = 7) -> int:
            return length * width

        def main():
            garden_area = area(12)
            fence_length = 2 * (12 + 7)  # in meters
            print(f"They need {garden_area + fence_length} in all.")

        main()
        """,
        [
            "The garden area is 12 × 7 = 84.",
            "Since 12 + 7 = 19, the fence length is 2 × 19 = 38 meters.",
            "The answer is 84 + 38 = 122.",
            "#### 122",
        ],
    ),
    "a loop over a dictionary": (
        """
        def solve():
            prices = {"apples": 1.25, "pears": 2}
            counts = {"apples": 6, "pears": 9}
            total = 0
            for fruit, price in prices.items():
                total += price * counts[fruit]
            return total
        """,
        [
            "Since 1.25 × 6 = 7.5, the total is now 0 + 7.5 = 7.5.",
            "Since 2 × 9 = 18, the total is now 7.5 + 18 = 25.5.",
            "#### 25.5",
        ],
    ),
    "remainders and rounding": (
        """
        import math
        def f():
            boxes = math.ceil(17 / 5)
            full_boxes = 17 // 5
            pens_left = 17 % 5
            share = round(20 / 3, 2)
            return boxes * 100 + full_boxes + pens_left - share
        """,
        [
            "Since 17 ÷ 5 = 3.4, the number of boxes is 4 after rounding up.",
            "Since 3 × 5 = 15 and 17 - 15 = 2, the number of full boxes is 3.",
            "Since 3 × 5 = 15, the number of pens left is 17 - 15 = 2.",
            "Since 20 ÷ 3 = 20/3 ≈ 6.67, the share is 6.67 after rounding to two decimals.",
            "Since 4 × 100 = 400, 400 + 3 = 403 and 403 + 2 = 405, the answer is 405 - 6.67 = 398.33.",
            "#### 398.33",
        ],
    ),
    "quotient and remainder at once": (
        """
        def f():
            hours, minutes = divmod(3 * 45, 60)
            _, pens_left = divmod(17, 5)
            boxes, _ = divmod(12, 5)
            return hours * 60 + minutes + pens_left + boxes
        """,
        [
            "Since 3 × 45 = 135, 2 × 60 = 120 and 135 - 120 = 15, the number of hours is 2.",
            "Since 2 × 60 = 120, the number of minutes is 135 - 120 = 15.",
            "Since 3 × 5 = 15, the number of pens left is 17 - 15 = 2.",
            "Since 2 × 5 = 10 and 12 - 10 = 2, the number of boxes is 2.",
            "Since 2 × 60 = 120, 120 + 15 = 135 and 135 + 2 = 137, the answer is 137 + 2 = 139.",
            "#### 139",
        ],
    ),
    "the index of a loop, and an answer on the way, in conditions": (
        """
        def f():
            x = 6
            answer = 0
            for i, v in enumerate([3, 4, 5]):
                if i == 1:
                    continue
                answer += v * 9
            if answer > 70:
                answer -= 2
            return answer if x > 5 else 6 * 9
        """,
        [
            "We have 3 × 9 = 27 and 0 + 27 = 27.",
            "We have 5 × 9 = 45 and 27 + 45 = 72.",
            "72 is more than 70.",
            "The answer is now 72 - 2 = 70.",
            "6 is more than 5.",
            "#### 70",
        ],
    ),
    "what is no equation begins a sentence": (
        """
        def f():
            x = 99
            for v in [3 * 4, 5 * 6]:
                x = min(x, v)
            y = 3 % 7
            return x + y
        """,
        [
            "We have 3 × 4 = 12 and 5 × 6 = 30.",
            "The smaller of 99 and 12 is just 12.",
            "The smaller of 12 and 30 is just 12.",
            "7 does not fit into 3.",
            "The answer is 12 + 3 = 15.",
            "#### 15",
        ],
    ),
    "another number that is the same": (
        """
        def f():
            return sum(1 for x in [4, 5] if x % 2 == 0)
        """,
        ["We have 2 × 2 = 4, 4 - 4 = 0, 2 × 2 = 4 and 5 - 4 = 1.", "The answer is 1.", "#### 1"],
    ),
    "conditions": (
        """
        hours_worked = 45
        if hours_worked > 40:
            overtime_hours = hours_worked - 40
        else:
            overtime_hours = 0
        result = overtime_hours * 1.5 if overtime_hours else 0
        print(result)
        """,
        [
            "The number of hours worked is 45.",
            "The number of hours worked, 45, is more than 40.",
            "The number of overtime hours is 45 - 40 = 5.",
            "The answer is 5 × 1.5 = 7.5.",
            "#### 7.5",
        ],
    ),
    "a condition of two equal numbers without names is not said": (
        """
        largest_number = 999
        while largest_number % 3 != 0:
            largest_number -= 1
        if 12 - 5 == 6:
            largest_number = 6
        print(largest_number)
        """,
        [
            "The largest number is 999.",
            "We have 333 × 3 = 999 and 999 - 999 = 0.",
            "We have 12 - 5 = 7.",
            "7 is not the same as 6.",
            "The answer is 999.",
            "#### 999",
        ],
    ),
    "fractions, lists and the largest": (
        """
        from fractions import Fraction
        def f():
            amount_eaten = Fraction(1, 3) * 12
            pieces = [amount_eaten, 5, 3]
            most_pieces = max(pieces)
            return sum(pieces) - most_pieces
        """,
        [
            "The amount eaten is 1/3 × 12 = 4.",
            "The number of most pieces is 5, the largest of 4, 5 and 3.",
            "Since 4 + 5 = 9 and 9 + 3 = 12, the answer is 12 - 5 = 7.",
            "#### 7",
        ],
    ),
    "a division without end": (
        (
            "def f():\n    time_per_mile = 20 / 6\n    miles = 5 / time_per_mile\n"
            "    return time_per_mile * 4 + miles - 1.5"
        ),
        [
            "The time per mile is 20 ÷ 6 = 10/3 ≈ 3.33.",
            "The number of miles is 5 ÷ (10/3) = 1.5.",
            "Since 10/3 × 4 = 40/3 ≈ 13.33 and 40/3 + 1.5 = 89/6 ≈ 14.83, the answer is 89/6 - 1.5 = 40/3 ≈ 13.33.",
            "#### 40/3",
        ],
    ),
    "rounding down and up": (
        "def f():\n    total_cost = round(2.041 * 3, 2)\n    return round(total_cost * 1.1, 1)",
        [
            "Since 2.041 × 3 = 6.123, the total cost is 6.12 after rounding to two decimals.",
            "Since 6.12 × 1.1 = 6.732, the answer is 6.7 after rounding to one decimal.",
            "#### 6.7",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_program_becomes_prose(name: str) -> None:
    program, expected = CASES[name]
    assert prose(program) == expected


def test_fences_line_ends_tabs_and_words_around_a_program_change_nothing() -> None:
    program = "def f():\n    total_cost = 6 * 9\n    return total_cost"
    expected = prose(program)
    assert expected == ["The total cost is 6 × 9 = 54 dollars.", "#### 54"]
    around = (
        f"```python\n{program}\n```",
        f"Here is the code:\n\n```py\n{program}\n```\nIt works.",
        program.replace("\n", "\r\n"),
        program.replace("    ", "\t"),
        f"Solution:\n{program}",
        f"\ufeff{program}\n\nif __name__ == '__main__':\n    print(f())",
        textwrap.indent(program, "    "),
    )
    for source in around:
        assert prose(source) == expected, source


def test_longer_products_are_worked_out_by_single_digits() -> None:
    program = "def f():\n    total_cost = 24 * 36\n    return total_cost"
    assert prose(program) == ["The total cost is 24 × 36 = 864 dollars.", "#### 864"]
    lines = prose(program, split_products=True)
    stated = [clause for clause in ("3 × 2 = 6", "6 × 2 = 12", "3 × 4 = 12", "6 × 4 = 24") if clause in lines[0]]
    assert len(stated) == 4
    assert lines[1:] == ["So the total cost is 24 × 36 = 864 dollars.", "#### 864"]


PHRASES = {
    "total_cost_of_apples": "the total cost of the apples",
    "totalCostOfApples": "the total cost of the apples",
    "bags_bought": "the number of bags bought",
    "num_bags": "the number of bags",
    "bag_count": "the number of bags",
    "total_bags": "the total number of bags",
    "max_bags": "the maximum number of bags",
    "price_per_bag": "the price per bag",
    "bags_per_day_week_1": "the number of bags per day in the first week",
    "cost_pears": "the cost of the pears",
    "bags_apples": "the number of bags of apples",
    "toms_share": "Tom's share",
    "percent_of_pears": "the percent of pears",
    "tom_age": "Tom's age",
    "age_tom": "Tom's age",
    "total_tom": "Tom's total",
    "pears_tom": "the number of Tom's pears",
    "tom_paid": "the amount Tom paid",
    "tom_after_sale": "Tom's amount after the sale",
    "pears_for_mom": "the number of pears for his mom",
    "monday_sales": "Monday's sales",
    "sales_on_monday": "the sales on Monday",
    "sister_age": "the sister's age",
    "total_earnings": "the total earnings",
    "time_in_hours": "the time",
    "distance_km": "the distance",
    "area_cm2": "the area",
    "height_in": "the height",
    "precio_café": "the precio café",
    "days_in_week": "the number of days in a week",
    "pears_after_15_days": "the number of pears after 15 days",
    "pages_day_2": "the number of pages on the second day",
    "after_discount": "the amount after the discount",
    "remaining": "the amount remaining",
    "new_total": "the new total",
    "cost_new": "the new cost",
    "big": "the big value",
    "previous": "the previous value",
    "cheapest": "the cheapest",
    "tuesday": "Tuesday's number",
    "april": "April's number",
    "ann": "Ann's number",
    "anns_share": "Ann's share",
    "bill": "the bill",
    "probability_red": "the probability of red",
    "words_learned_total": "the total number of words learned",
    "result": "the answer",
}


@pytest.mark.parametrize("name", PHRASES)
def test_a_name_becomes_a_phrase(name: str) -> None:
    phrase = phrase_of(name, Question(QUESTION))
    assert phrase is not None
    assert phrase.text == PHRASES[name]


def test_a_name_that_only_begins_sentences_is_somebodys() -> None:
    persons = "Yerin and Ziyu went to a shop. Yerin bought 3 books, and Ziyu bought 4."
    things = "Yerin costs $3. Yerin tastes good. How much is yerin?"
    once = "Yerin bought 3 books, and Ziyu bought 4."
    cases = [(persons, "the amount Yerin spent"), (things, "the yerin spent"), (once, "the yerin spent")]
    for question, text in cases:
        phrase = phrase_of("yerin_spent", Question(question))
        assert phrase is not None
        assert phrase.text == text


@pytest.mark.parametrize("name", ["x", "n", "a1", "val", "_"])
def test_a_name_that_says_nothing_has_no_phrase(name: str) -> None:
    assert phrase_of(name, Question(QUESTION)) is None
    converted = convert(f"def f():\n    {name} = 6 * 9\n    return {name}", QUESTION)
    assert isinstance(converted, Conversion)
    assert converted.answer == "We have 6 × 9 = 54.\n#### 54"


def test_a_comment_names_a_variable_only_if_it_says_what_the_name_says() -> None:
    program = "def f():\n    {comment}\n    wall_area = 6 * 9\n    return wall_area"
    full = prose(program.format(comment="# Calculate the total area of the wall"))
    assert full[0] == "The total area of the wall is 6 × 9 = 54."
    for other in ("# Calculate the cost", "# the area is 54", "# Multiply area of wall by 2", "# wall area = 6 * 9"):
        assert prose(program.format(comment=other))[0] == "The wall area is 6 × 9 = 54."


def test_the_numbers_of_a_question_are_not_repeated() -> None:
    program = "def f():\n    pears = 9\n    weeks = 52\n    return pears * weeks"
    assert prose(program)[0] == "The number of weeks is 52."
    assert prose(program, "How many are nine pears in 52 weeks?") == ["The answer is 9 × 52 = 468.", "#### 468"]


def test_a_program_without_a_question_is_refused() -> None:
    converted = convert("def f():\n    return 6 * 9", "  ")
    assert isinstance(converted, Rejection)
