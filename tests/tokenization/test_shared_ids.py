"""Ids that conditions share stand for the same text in each, and text without a fact has the same ids in each."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from domain_tokens.corpora import synthetic
from domain_tokens.tokenization import find, load_intervention
from domain_tokens.tokenization.bpe.base_vocabulary import gpt2_base
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.contract import id_ranges

FOLDER = Path(__file__).parents[2] / "recipes/interventions"
NUMBERS_CUT_OTHERWISE = ("r2l_3", "single_digit")
NAMES = (
    "literal", "mul_tokens_answers", "mul_tokens_no_x", "mul_tokens_permuted", "none_81", "none_210",
    "wrong_numbers", *NUMBERS_CUT_OTHERWISE,
)  # fmt: skip
TEXTS = [*synthetic.texts(60, 0, "train"), "Dr. Who, naïve ½ 漢字 \t x", "User: 12 + 30?\nAssistant: 42 #### 42"]


def built(name: str) -> PreTrainedTokenizerFast:
    return build_tokenizer(load_intervention(FOLDER / f"{name}.yaml"), gpt2_base())


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, PreTrainedTokenizerFast]:
    return {name: built(name) for name in ("none", *NAMES)}


@pytest.mark.parametrize("name", NAMES)
def test_a_shared_id_is_the_same_token(name: str, tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    plain, other = tokenizers["none"], tokenizers[name]
    shared = range(id_ranges(other).num_base)
    assert len(shared) == 50257
    assert other.convert_ids_to_tokens(shared) == plain.convert_ids_to_tokens(shared)
    assert (other.eos_token_id, other.pad_token_id) == (plain.eos_token_id, plain.pad_token_id)


@pytest.mark.parametrize("name", NAMES)
def test_text_without_a_site_has_the_baselines_ids(name: str, tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    intervention = load_intervention(FOLDER / f"{name}.yaml")
    lines = [line for text in TEXTS for line in text.split("\n")]
    if name in NUMBERS_CUT_OTHERWISE:
        lines = [re.sub("[0-9]", "n", line) for line in lines]
    lines = [line for line in lines if not any(site.replacement for site in find(line, intervention))]
    assert len(lines) > 20
    assert tokenizers[name](lines)["input_ids"] == tokenizers["none"](lines)["input_ids"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Nd", "Nl", "No"]), max_size=60), max_size=4))
def test_text_without_numbers_has_the_baselines_ids(
    tokenizers: dict[str, PreTrainedTokenizerFast], texts: list[str]
) -> None:
    expected = [tokenizers["none"].encode(text) for text in texts]
    for name in NAMES:
        assert [tokenizers[name].encode(text) for text in texts] == expected
