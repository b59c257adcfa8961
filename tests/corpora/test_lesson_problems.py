"""The wording of word problems: numbers and nouns agree, pronouns belong to names, and what is needed is shown."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from domain_tokens.corpora.lessons import making
from domain_tokens.corpora.lessons.draw import Draw
from domain_tokens.corpora.lessons.lesson import Lesson
from domain_tokens.corpora.lessons.notation import SPACED
from domain_tokens.corpora.lessons.problems.filling import GROUPS, TEMPLATES, run
from domain_tokens.corpora.lessons.problems.nouns import PEOPLE, ROLES, noun
from domain_tokens.corpora.lessons.problems.template import Filling, Template, Wording, role_of
from domain_tokens.tokenization.numerals import english

BY_NAME = {person.name: person for person in PEOPLE}
WORDS = {english(number): number for number in range(13)}


def nouns() -> dict[str, str]:
    """Return the plural of every noun that is counted."""
    found = [one for role in ROLES.values() for each in role for one in (each, each.partner) if one is not None]
    for template in TEMPLATES:
        question, sentences, answer = template.wordings
        keys = [key for wording in (question, *sentences, answer) for key in wording.keys]
        counted = [key.split(" ", 1)[1] for key in keys if re.match(r"([a-z]|s\d|=) ", key)]
        found += [noun(name) for name in counted if role_of(name) is None]
    return {one.one: one.many for one in found}


PLURALS = nouns()
SINGULARS = {many: one for one, many in PLURALS.items()}
COUNTED = re.compile(
    rf"(?<![\w.])(\d+|{'|'.join(WORDS)}) "
    rf"({'|'.join(sorted([*PLURALS, *SINGULARS], key=len, reverse=True))})(?![\w'])",
    re.IGNORECASE,
)
DEFECTS = re.compile(r"[{}$]|  |\s[.,?]|\.\.|\b[Aa] [aeiou]|\b[Aa]n (?!hour)[^aeiou]|\b(\w+) \1\b|(?:^|[.?!] )[a-z]")


def wrong_agreement(text: str) -> list[str]:
    found = []
    for number, word in COUNTED.findall(text):
        value = WORDS[number.lower()] if number.lower() in WORDS else int(number)
        if (value == 1) != (word in PLURALS):
            found.append(f"{number} {word}")
    return found


def problem(seed: int, index: int, split: str = "train") -> Lesson:
    return making.lesson(seed, split, index, {"problems": 1.0})


@settings(max_examples=examples(100))
@given(st.integers(0, 2**32 - 1))
def test_numbers_and_nouns_agree_and_nothing_is_left_unfilled(seed: int) -> None:
    for index in range(5):
        lesson = problem(seed, index)
        assert wrong_agreement(lesson.text) == []
        prose = [lesson.question, *lesson.solution.split("\n")]
        assert [line for line in prose if DEFECTS.search(line)] == []


def test_no_article_is_written_before_a_noun_that_is_drawn() -> None:
    texts = [text for one in TEMPLATES for text in (one.question, one.answer, *(said for _, said in one.steps))]
    assert [text for text in texts if re.search(r"\b[Aa]n? {", text)] == []
    assert sum("{an " in text or "{An " in text for text in texts) > 5


def test_what_a_teacher_would_strike_out_is_found() -> None:
    assert wrong_agreement("She has 1 apples, one boxes and 11 apple, 3-2=1 pages.") == [
        "1 apples", "one boxes", "11 apple", "1 pages",
    ]  # fmt: skip
    assert wrong_agreement("She has 1 apple, one box and 11 apples; 3 - 2 = 1 page of 41 boxes of 2 bananas.") == []
    for line in ("a apple", "an pear", "the the cat", "two  spaces", "She left.he stays , too", "How many {thing}?"):
        assert DEFECTS.search(line), line
    assert len(PLURALS) > 90


def test_every_template_comes_evenly_and_there_are_many_of_each_length() -> None:
    assert len(TEMPLATES) >= 60
    assert len({template.name for template in TEMPLATES}) == len(TEMPLATES)
    assert len({template.question for template in TEMPLATES}) == len(TEMPLATES)
    lengths = Counter(len(template.steps) for template in TEMPLATES)
    assert set(lengths) == {1, 2, 3, 4}
    assert min(lengths.values()) >= 15
    made = [problem(0, index) for index in range(40 * len(TEMPLATES))]
    assert all(GROUPS[len(lesson.steps) - 1] == lesson.group for lesson in made)
    names = Counter(lesson.asked[0].template for lesson in made)
    assert set(names) == {template.name for template in TEMPLATES}
    assert min(names.values()) > 12  # 40 on average
    assert max(names.values()) < 80


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_what_the_answer_needs_is_in_the_question(template: Template) -> None:
    shown = {key.split(" ")[-1] if key.startswith("times") else key.split(" ")[0] for key in template.wordings[0].keys}
    # How many days a week has is known; the unit is in the question.
    assert [name for name in template.needed if name not in shown and template.numbers.get(name) != "unit"] == []
    for wording, (sign, _) in zip(template.wordings[1], template.program, strict=True):
        assert any(key.startswith("=") for key in wording.keys), (wording.text, sign)
    assert any(key.startswith(f"s{len(template.steps)}") for key in template.wordings[2].keys)
    assert template.question.endswith("?")
    assert all(sentence.endswith(".") for _, sentence in template.steps)
    assert template.answer.endswith(".")


def test_pronouns_belong_to_the_name_and_two_people_are_two() -> None:
    seen = set()
    for index in range(1500):
        lesson = problem(1, index)
        names = [name for name in re.findall(r"[A-Z]\w+", lesson.question) if name in BY_NAME]
        if not names:
            assert not re.search(r"\b([Ss]?[Hh]e|[Hh]er|[Hh]is|[Hh]im)\b", lesson.text)
            continue
        person = BY_NAME[names[0]]
        others = {"she", "her"} if person.she == "he" else {"he", "his", "him"}
        assert not re.search(rf"\b({'|'.join(others)})\b", lesson.text, re.IGNORECASE), lesson.text
        seen.add((person.she, len(set(names))))
    assert seen == {("she", 1), ("she", 2), ("he", 1), ("he", 2)}


def test_numbers_names_and_objects_vary() -> None:
    made = [problem(2, index) for index in range(2000)]
    texts = "\n".join(lesson.text for lesson in made)
    assert all(name in texts for name in BY_NAME)
    assert all(one in texts or many in texts for one, many in PLURALS.items())
    assert len({lesson.question for lesson in made}) > 1950
    answers = [lesson.answer for lesson in made]
    assert min(answers) >= 1
    assert max(answers) < 10_000
    assert max(Counter(answers).values()) < 100


def test_a_number_that_is_no_whole_number_above_zero_makes_no_problem() -> None:
    template = Template("t", {"a": range(5)}, "{a}?", (("a-5", "{=}."), ("s1/2", "{=}.")), "{s2}.", "(a-5)//2")
    assert run(template, {"a": 9}) == (("-", (9, 5), 4), ("/", (4, 2), 2))
    assert run(template, {"a": 8}) is None
    assert run(template, {"a": 5}) is None
    assert run(template, {"a": 3}) is None


def test_gaps_are_filled_as_their_names_say() -> None:
    people = {"A": BY_NAME["Ana"], "B": BY_NAME["Ben"]}
    values = {"a": 1, "b": 6, "c": 2, "s1": 1}
    drawn = {"box": ROLES["box"][0], "item": noun("umbrella")}
    filling = Filling(people, drawn, values)
    wording = Wording(
        "{A}, {B}, {she}, {Her}, {him}: {a box}, {b box}, {b thing}, {An item}, {an box}, {item+}, {box}, {is a}, "
        "{is b}, {times c} and {times b}, {b child/children}, {s1 page}, {= thing}, {=}"
    )
    equation = SPACED.equation(run_of_one())
    assert wording.fill(filling, equation, 1) == (
        "Ana, Ben, she, Her, her: 1 box, 6 boxes, 6 pencils, An umbrella, a box, umbrellas, box, is, "
        "are, twice and 6 times, 6 children, 1 page, 6 - 5 = 1 pencil, 6 - 5 = 1"
    )
    spelled = Filling(people, drawn, values, english)
    assert Wording("{a box}, {b}, {times b}").fill(spelled) == "one box, six, six times"


def run_of_one():
    template = Template("t", {"a": range(5)}, "{a}?", (("a-5", "{=}."),), "{s1}.", "a-5")
    steps = run(template, {"a": 6})
    assert steps is not None
    return steps[0]


def test_two_nouns_of_one_role_differ_and_numbers_are_sensible_for_them() -> None:
    for index in range(300):
        lesson = making.problems(Draw(index, "train", 0))
        kinds = re.findall(r"(\d+) (?:dollars?) each", lesson.question)
        assert all(1 <= int(price) <= 25 for price in kinds)
        if lesson.asked[0].template == "two_costs":
            bought = re.search(r"buys \w+ (.*?) for .* and \w+ (.*?) for", lesson.question)
            assert bought is not None
            assert SINGULARS.get(bought[1], bought[1]) != SINGULARS.get(bought[2], bought[2])
