"""What an intervention file may say: whatever would be ignored, or fail later, is refused with its key."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.intervention import (
    Facts,
    Intervention,
    Phrase,
    Rules,
    check_intervention,
    default_intervention,
    load_intervention,
)

OWN = default_intervention()


@pytest.mark.parametrize("match", [r"cat\K", "(?=cat)", "(?<=cat)", "x*", r"\b", "(?r)cat", "(cat", "ca{1,3}+t"])
def test_an_expression_that_replaces_nothing_or_that_the_tokenizer_cannot_read_is_refused(match: str) -> None:
    for good in ("cat", r"cat(?=s)", r"a\\K", r"c\p{L}+", r"c\{1}+", r"(?>ca{1,3})t", "ca{1,3}?t"):
        check_intervention(Intervention("i", tokens=(Phrase("<A_CAT>", "cat", good),)), "f")
    with pytest.raises(RecipeError, match="^f: tokens: <A_CAT>: match: "):
        check_intervention(Intervention("i", tokens=(Phrase("<A_CAT>", "cat", match),)), "f")


@pytest.mark.parametrize(
    "text", ["{a.foo}*{b}", "{a[0]}*{b}", "{a:>999999}*{b}", "{a!r}*{b}", "{a}*{d}", "{a}*{b", "{}*{b}"]
)
def test_fields_of_a_text_are_plain(text: str) -> None:
    check_intervention(replace(OWN, facts=Facts(text="{a:02}*{b}={c}")), "f")
    with pytest.raises(RecipeError, match="^f: facts.text: expected a text with no other fields than {a}, {b}, {c}"):
        check_intervention(replace(OWN, facts=Facts(text=text)), "f")


@pytest.mark.parametrize(
    ("intervention", "key"),
    [
        (replace(OWN, permutation_seed=-1), "permutation_seed"),
        (Intervention("i", permutation_seed=1), "permutation_seed"),
        (Intervention("i", rules=Rules(mode="wek")), "rules.mode"),
        (Intervention("i", rules=Rules(operators=("?",))), "rules.operators"),
    ],
)
def test_what_would_have_no_effect_is_refused(intervention: Intervention, key: str) -> None:
    check_intervention(replace(OWN, permutation_seed=1), "f")
    with pytest.raises(RecipeError, match=f"^f: {key}: expected"):
        check_intervention(intervention, "f")


@pytest.mark.parametrize("name", ["the", "####", "<|endoftext|>"])
def test_a_token_of_the_base_vocabulary_is_named(name: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(f"i: tokens: {name!r} is a token of the base vocabulary already")):
        build_tokenizer(Intervention("i", tokens=(Phrase(name, name),)))


def test_a_number_that_does_not_fit_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "i.yaml"
    path.write_text("name: i\nfacts: {operands: [1.5, 9]}\n")
    with pytest.raises(RecipeError, match="facts.operands: .*1.5") as error:
        load_intervention(path)
    assert "$VALUE" not in str(error.value)
