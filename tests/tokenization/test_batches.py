"""The rules for many texts at once write what the rules for one text write, and seldom ask the patterns."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from properties import examples
from real_data import own_texts

from domain_tokens.corpora import synthetic
from domain_tokens.corpora.lessons import making
from domain_tokens.tokenization.batches.rewriting import BatchRewriter, batch_rewriter_of
from domain_tokens.tokenization.guards import around, results, unstated
from domain_tokens.tokenization.intervention import Facts, Intervention, Rules, canonical_rules, default_intervention
from domain_tokens.tokenization.rewriter import rewriter_of

OWN = default_intervention()
INTERVENTIONS = {
    "mul_tokens": OWN,
    "strict": Intervention("s", facts=Facts(), rules=Rules(mode="strict")),
    "tight": Intervention("t", facts=Facts(), rules=Rules(spaces=False, bare_x=False)),
    "behind a space": Intervention("a", facts=Facts(replaces="expression"), rules=Rules(after_space=True)),
    "every sign": canonical_rules(OWN),
}
# All words that the guards name, so that none of them is forgotten, and signs.
WORDS = sorted(
    {
        word
        for one in (around, results, unstated)
        for word in re.findall("[A-Za-z]{2,}", Path(one.__file__).read_text())
    }
)
BESIDE = (
    [
        "",
        " ",
        "  ",
        "\n",
        "\n\n",
        ". ",
        ",",
        ", ",
        ": ",
        "? ",
        "?\n",
        "!\n",
        ":\n",
        "; ",
        ") ",
        "7) ",
        "\\) ",
        "\\!\n",
        "\\, ",
    ]
    + [
        "- ",
        "-",
        "+ ",
        "−",
        "– ",
        "—",
        "<<",
        ">>",
        "<",
        "$",
        "($",
        "(",
        "*",
        "** ",
        "/",
        "×",
        "x ",
        "= ",
        "=",
        "'",
        '"',
        "\0",
    ]
    + [
        "\u00a0",
        "·",
        "1 ",
        "2/",
        "3.",
        "4,",
        "5:",
        "^",
        "{",
        "}",
        "\\times ",
        "\\quad ",
        "_",
        "%",
        "½",
        "<MUL_6_9_54>",
        "日",
        "乘",
    ]
    + [
        "減",
        "#",
        "\n#### ",
        "- \n",
        "- Rs.\n",
        "\t",
        "kr ",
        "US$",
        "that's ",
        "so, ",
        "o'by ",
        " = <<3*4=12>>",
        " = $<<3*4=12>>",
        "=<<3+4=7>>",
    ]
    + ["<|endoftext|>", "\ufdd0", "User:", "\nAssistant:", "111\n", "1*1\n"]
)
number = st.integers(0, 12)
fact = st.builds(
    lambda a, b, sign, equals, error, behind: f"{a}{sign}{b}{equals}{a * b + error if equals else ''}{behind}",
    number, number, st.sampled_from(["*", "x", " x ", " * ", "×", " × ", "·", "\\times", "+", " + ", "* "]),
    st.sampled_from(["", "", "=", " = ", "= ", " ="]), st.sampled_from([0, 0, 0, 0, 1, -3, 100]),
    st.sampled_from(["", "", "", ">>", ".00>>", ".50", ".", ", ", " ", "\n"]),
)  # fmt: skip
word = st.builds(str.__add__, st.sampled_from(WORDS), st.sampled_from([" ", " ", ""]))
text = st.lists(fact | word | st.sampled_from(BESIDE), max_size=9).map("".join)


@pytest.mark.parametrize("name", INTERVENTIONS)
@settings(max_examples=examples(150))
@given(st.lists(text, min_size=1, max_size=5))
@example(["<<6*9=54>>54", "so 2 x 8 = <<2*8=16>>16 and", "a 7*8=56\n7*8=56 apples", "20 - 2*5 = 10", "the 3*4"])
@example(
    ["order of 3*4.", "a total of 3*4.", "added to 3*4=12.", "3*4\n111\n", "3*4\n1 a", "6*9=54 point 5", "grid: 3*4."]
)
def test_many_texts_are_rewritten_as_one_by_one(name: str, texts: list[str]) -> None:
    rewriter, batch = rewriter_of(INTERVENTIONS[name]), batch_rewriter_of(INTERVENTIONS[name])
    expected = [rewriter.written(one) for one in texts]
    assert batch.written(texts) == expected
    for one, written, may_change in zip(texts, expected, batch.may_rewrite(texts), strict=True):
        assert may_change or written == one


def dense_texts() -> dict[str, list[str]]:
    problems = [f"{one.question}\n{one.answer}" for one in synthetic.problems(300, 0, "train")]
    return {
        "annotations": [
            f"Each of {a} has {b}. and so {a} x {b} = <<{a}*{b}={a * b}>>{a * b}."
            for a in range(1, 10)
            for b in range(1, 10)
        ],
        "synthetic problems": problems,
        "synthetic text": list(synthetic.texts(500, 0, "train")),
        "lessons": [one for _, one in making.documents(500, 0, "train", None, 0, 1)],
    }


@pytest.mark.parametrize(
    ("name", "most"), [("annotations", 0.0), ("synthetic problems", 0.02), ("synthetic text", 0.02), ("lessons", 0.3)]
)
def test_most_sites_are_decided_by_what_is_beside_them(name: str, most: float) -> None:
    texts = dense_texts()[name]
    batch, rewriter = BatchRewriter(OWN), rewriter_of(OWN)
    written = batch.written(texts)
    assert written == [rewriter.written(one) for one in texts]
    assert written != texts
    assert batch.num_sites > len(texts) / 3
    assert batch.num_asked <= most * batch.num_sites


def test_what_a_neighbour_rules_out_is_no_site() -> None:
    texts = ["16*9, 6*2.5, a6*9, 6*90, 0.6*9, 6*9/2, 2)6*9, -6*9, 6*9*2", "the box 5 of 6, f(*args, x)"]
    batch = BatchRewriter(OWN)
    assert batch.written(texts) == texts
    assert batch.num_sites == 1  # 9*2: whether a star before it is a sign, the patterns say
    assert batch.may_rewrite([texts[1], "6*9"]) == [False, True]


def test_texts_of_the_samples_are_rewritten_as_one_by_one() -> None:
    texts = own_texts()
    for intervention in (OWN, INTERVENTIONS["every sign"]):
        rewriter = rewriter_of(intervention)
        written = BatchRewriter(intervention).written(texts)
        assert written == [rewriter.written(one) for one in texts]
        assert written != texts
