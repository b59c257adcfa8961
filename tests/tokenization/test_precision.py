"""What looks like a product is left, kind by kind; and a text that was rewritten is rewritten no further."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from transformers import PreTrainedTokenizerFast

from domain_tokens.tokenization import find, inject, load_intervention
from domain_tokens.tokenization.audit.scoring import load_audit_set
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.intervention import Facts, Intervention

SHIPPED = Path(__file__).parents[2] / "recipes" / "interventions"
INTERVENTIONS = {
    name: load_intervention(SHIPPED / f"{name}.yaml")
    for name in ("mul_tokens", "mul_tokens_strict", "mul_tokens_answers", "mul_bare", "canon_bare", "canon_result")
} | {"mul_12": Intervention("mul_12", num_ids=78, facts=Facts(operands=(1, 12)))}
NAMES = tuple(INTERVENTIONS)
KINDS = (
    *("polynomial", "indexed variable", "training set", "postfix", "board", "implied product", "hexadecimal"),
    *("dimension", "vehicle", "timber", "knitting", "score"),
)


@pytest.fixture(scope="module")
def built() -> dict[str, PreTrainedTokenizerFast]:
    return {
        name: build_tokenizer(INTERVENTIONS[name]) for name in ("mul_tokens", "mul_tokens_answers", "canon_result")
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_only_looks_like_a_product_is_left(kind: str) -> None:
    sentences = [sentence.text for sentence in load_audit_set() if sentence.category == kind]
    assert len(sentences) >= 2
    assert sum(bool(find(text)) for text in sentences) >= len(sentences) / 2
    assert {text: inject(text) for text in sentences} == {text: text for text in sentences}


@pytest.mark.parametrize("sign", ["×", "*", " × ", " * "])
def test_the_guards_hold_for_both_signs(sign: str) -> None:
    product = f"3{sign}5"
    assert inject(f"so {product} of them") == (f"so {product} of them" if "×" in sign else "so <MUL_3_5_15> of them")
    for frame in (
        "a {} matrix", "a {} of them", "of order {}.", "{} cm", "{} metres wide", "(2){}", "[1]{}", "{}(2)",
        '"{}", "111"', "9 {}", "3 4 + {} -", "the {} board", "A tibble: {}", "{} convolutions", "{} lumber",
    ):  # fmt: skip
        text = frame.format(product)
        if not (frame.startswith('"') and " " in sign):  # a row of a board has no spaces
            assert inject(text) == text


def test_a_bare_times_sign_needs_a_calculation() -> None:
    for before, after in (
        *(
            ("What is ", "?"),
            ("24 = ", ""),
            ("n=", ", so"),
            ("", " = ?"),
            ("$", " each"),
            ("4 + ", ""),
            ("4+", ""),
            ("(", ") + 1"),
        ),
        *(("", " + 7"), ("(", ")^2"), ("(", ")(1 + 2)"), ("20 - (", ")"), ("so ", " > 14")),
    ):
        for sign in ("×", " × "):
            assert inject(f"{before}3{sign}5{after}") == f"{before}<MUL_3_5_15>{after}"
    for text in ("it is 3 × 5.", "24-well plate (3×5)", "| 3×5 |", "Lot 3×5 here", 'the "3×5" one', "3×5 @ 60 kg"):
        assert inject(text) == text
        assert [site.reason for site in find(text)][0] in ("a size", "nothing shows that it is no size")


def test_products_of_x_in_every_context_that_shows_the_sign() -> None:
    for before, after in (
        *(
            ("What is ", "?"),
            ("Compute ", " first"),
            ("the product ", ""),
            ("24 = ", ""),
            ("", " = ?"),
            ("$", " each"),
        ),
        *(
            ("4 + ", ""),
            ("(", ") + 1"),
            ("", " + 7"),
            ("", " - 7 = 1"),
            ("", " dogs = 15 dogs"),
            ("1. see\n", "\nthen"),
        ),
    ):
        assert inject(f"{before}3 x 5{after}") == f"{before}<MUL_3_5_15>{after}"
    for text in ("So 3 x 5.", "the 3 x 5 card", "Lot 2 - 3 x 5", "x2 + 3 x 5", "3x5 + 2 = y", "2x1 + 3x5 = 15"):
        assert inject(text) == text


def test_no_sentence_of_the_set_that_has_sizes_is_misread() -> None:
    categories = {"board", "film", "genetics", "matrix", "grid", "photo", "timber", "vehicle", "room", "network"}
    misread = {
        sentence.text
        for sentence in load_audit_set()
        if sentence.kind == "hard_negative"
        and sentence.category in categories
        and inject(sentence.text) != sentence.text
    }
    assert misread == set()


PIECES = [
    *"1234568912345689", *["10", "54", "6", "12"], *[" "] * 8, *["*", "×", "x", " * ", " × ", " x ", "*", "×", "x"],
    *["=", " = ", "+", " + ", "-", " - ", "−", "$", "€", ".", ",", "(", ")", "/", "^", "!", "%", "\n", '"', "<", ">"],
    *[" is ", "4*4", "2 x 8", "6*9=54", "2*3=6", "= 6", "a ", "the ", ".00", " dolls", "What is "],
]  # fmt: skip
written = st.lists(st.sampled_from(PIECES), min_size=2, max_size=12).map("".join)


@settings(max_examples=examples(800), deadline=None)
@given(st.sampled_from(NAMES), written)
def test_rewriting_twice_is_rewriting_once(built, name: str, text: str) -> None:
    once = inject(text, INTERVENTIONS[name])
    assert inject(once, INTERVENTIONS[name]) == once
    if name in built:
        assert built[name].encode(once) == built[name].encode(text)
        assert built[name].backend_tokenizer.normalizer.normalize_str(text) == once


def test_the_generated_texts_have_sites_to_rewrite() -> None:
    texts = ["2 × 8 = 4 × 4", "$5 * 2 = 2 * 5$", "2*3 6*1", "6*9=54/€2 x 8", "(2*3=6!4*4", "1 + 4*4", "4*4 + 2 x 8"]
    assert sum(bool([site for site in find(text) if site.verdict == "rewritten"]) for text in texts) >= 5
    for name in NAMES:
        for text in texts:
            once = inject(text, INTERVENTIONS[name])
            assert inject(once, INTERVENTIONS[name]) == once, json.dumps([name, text])
