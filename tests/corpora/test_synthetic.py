"""The generator: every answer is right, the splits are apart, and a seed says everything."""

import re

import pytest
from answers import read

from domain_tokens.corpora import synthetic
from domain_tokens.evaluation.answers.answer import is_correct


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


@pytest.mark.parametrize("make", [synthetic.drills, synthetic.problems])
@pytest.mark.parametrize("split", synthetic.SPLITS)
def test_every_written_equation_is_right(make, split: str) -> None:
    for example in make(300, 0, split):
        lines = example.answer.split("\n")
        assert lines[-1].startswith("#### ")
        for line in lines[:-1]:
            left, right = line.split("=")
            assert eval(left) == int(right)
        assert numbers(lines[-2])[-1] == numbers(lines[-1])[0]
        assert is_correct(read(example.answer), lines[-1].removeprefix("#### "))


def test_every_number_of_a_story_is_in_its_question_or_its_steps() -> None:
    for example in synthetic.problems(300, 0, "train"):
        for line in example.answer.split("\n")[:-1]:
            a, b, _ = numbers(line)
            known = numbers(example.question) + numbers(example.answer.split("\n")[0])
            assert {a, b} <= set(known), (example.question, line)


def test_the_same_seed_gives_the_same_text_and_another_does_not() -> None:
    one, again, other = (list(synthetic.texts(50, seed, "train")) for seed in (0, 0, 1))
    assert one == again
    assert one != other


def questions(make, split: str) -> set[str]:
    return {example.question for example in make(4000, 0, split)}


def test_what_is_asked_in_one_split_is_asked_in_no_other() -> None:
    table = {f"What is {a} * {b}?" for a in range(1, 10) for b in range(1, 10)}
    train, validation, test = (questions(synthetic.drills, split) - table for split in synthetic.SPLITS)
    assert min(len(train), len(validation), len(test)) > 30
    assert not (train & validation) | (train & test) | (validation & test)
    # A mirrored product or sum is the same question.
    asked = {(*sorted(numbers(question)), "+" in question) for question in train}
    held = {(*sorted(numbers(question)), "+" in question) for question in validation | test}
    assert not asked & held


def test_stories_of_one_split_are_in_no_other_whatever_the_names() -> None:
    words = re.compile("|".join(synthetic._NAMES + synthetic._THINGS + synthetic._BOXES))

    def asked(split: str) -> set[str]:
        return {words.sub("_", example.question) for example in synthetic.problems(4000, 0, split)}

    train, validation, test = (asked(split) for split in synthetic.SPLITS)
    assert min(len(train), len(validation), len(test)) > 30
    assert not (train & validation) | (train & test) | (validation & test)


def test_the_table_is_drilled_in_every_split() -> None:
    for split in synthetic.SPLITS:
        table = [numbers(e.question) for e in synthetic.drills(3000, 0, split) if max(numbers(e.question)) < 10]
        assert {tuple(pair) for pair in table} == {(a, b) for a in range(1, 10) for b in range(1, 10)}


def test_a_corpus_holds_every_notation() -> None:
    corpus = "\n".join(synthetic.texts(500, 0, "train"))
    for form in (
        r"\d\*\d=\d",
        r"\d \* \d = \d",
        r"\d × \d = \d",
        r"\dx\d=\d",
        r"\d times \d is \d",
        "times nine is",
        "####",
    ):
        assert len(re.findall(form, corpus)) >= 5, form


def test_scenes_have_one_fitting_ending_and_no_numbers() -> None:
    items = list(synthetic.clozes(400, 0, "test"))
    for item in items:
        assert len(set(item["endings"])) == 4
        assert not re.search(r"\d", item["ctx"] + " ".join(item["endings"]))
        (fitting,) = [ending for context, ending in synthetic._SCENES if matches(context, item["ctx"])]
        assert matches(fitting, item["endings"][int(item["label"])])
    assert {item["label"] for item in items} == set("0123")


def test_nothing_but_the_context_tells_a_scenes_ending() -> None:
    items = list(synthetic.clozes(4000, 0, "test"))
    longest = sum(max(item["endings"], key=len) == item["endings"][int(item["label"])] for item in items)
    assert 0.2 < longest / len(items) < 0.3


def matches(template: str, text: str) -> bool:
    return re.fullmatch(re.escape(template).replace(re.escape("{name}"), r"\w+"), text) is not None
