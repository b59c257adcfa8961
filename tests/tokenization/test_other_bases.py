"""Bases other than BPE with merges: contract, certificate, rules, bulk encoder and numbers hold for them as well."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from domain_tokens.corpora.synthetic import texts
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.schema import MIN_TRAINED_IDS
from domain_tokens.tokenization import load_intervention
from domain_tokens.tokenization.bpe.base_vocabulary import (
    BaseVocabulary,
    bytes_base,
    gpt2_base,
    read_base,
    train_unigram,
)
from domain_tokens.tokenization.bpe.digits import GROUPINGS, GroupCounter
from domain_tokens.tokenization.bpe.unigram import learn_pieces
from domain_tokens.tokenization.builder import base_encoder, build_tokenizer, save_tokenizer, seal_tokenizer
from domain_tokens.tokenization.certificate import fixed_strings
from domain_tokens.tokenization.contract import base_sha256, id_ranges, load_tokenizer
from domain_tokens.tokenization.facts import END_OF_TEXT, FACTS
from domain_tokens.tokenization.fast_encoder import BulkEncoder

ROOT = Path(__file__).parents[2]
TEXTS = list(texts(200, 0, "train"))
NUM_IDS = 1550
BASES: dict[str, BaseVocabulary] = {"bytes": bytes_base(), "unigram": train_unigram(TEXTS, NUM_IDS)}
CONDITIONS = ("none", "mul_tokens", "r2l_3")
REAL = "Of 7 and  54, 1234567; \n x12y345z ½5 ٣٣ 0012 naïve 乘 6*9=54 9 x 6, so 7 × 8 = 56.\n#### 56"

each_base = pytest.mark.parametrize("kind", BASES)
documents = st.lists(st.text(max_size=8) | st.sampled_from(["6*9=54", " 7 × 8", "12345", REAL]), max_size=5).map(
    "".join
)


@pytest.fixture(scope="module")
def folders(build_once: Callable[..., Path]) -> dict[tuple[str, str], Path]:
    """Saved tokenizers by base and intervention; those of `mul_tokens` have a certificate."""

    def fill(folder: Path) -> None:
        for kind, base in BASES.items():
            for name in CONDITIONS:
                tokenizer = build_tokenizer(load_intervention(ROOT / f"recipes/interventions/{name}.yaml"), base)
                place = folder / f"{kind}_{name}"
                save_tokenizer(tokenizer, place) if name == "mul_tokens" else tokenizer.save_pretrained(place)

    folder = build_once("tokenizers_on_other_bases", fill)
    return {(kind, name): folder / f"{kind}_{name}" for kind in BASES for name in CONDITIONS}


@pytest.fixture(scope="module")
def cores(folders: dict[tuple[str, str], Path]) -> dict[tuple[str, str], Tokenizer]:
    return {key: Tokenizer.from_file(str(folder / "tokenizer.json")) for key, folder in folders.items()}


@pytest.fixture(scope="module")
def encoders(folders: dict[tuple[str, str], Path]) -> dict[tuple[str, str], BulkEncoder]:
    return {key: BulkEncoder(folder) for key, folder in folders.items()}


@each_base
def test_a_saved_tokenizer_keeps_the_contract(kind: str, folders: dict[tuple[str, str], Path]) -> None:
    tokenizer, base = load_tokenizer(folders[kind, "mul_tokens"]), BASES[kind]
    ids = id_ranges(tokenizer)
    assert (ids, tokenizer.eos_token_id, len(tokenizer)) == (base.ids, base.ids.end_of_text, ids.total(45))
    assert tokenizer.encode("6*9=54") == [ids.first_added + [fact.token for fact in FACTS].index("<MUL_6_9_54>")]
    assert base_sha256(tokenizer) == base.sha256 != gpt2_base().sha256
    certificate = json.loads((folders[kind, "mul_tokens"] / "certificate.json").read_text())
    assert (certificate["vocabulary_sha256"], certificate["merges_sha256"]) == base.sha256
    assert list(base.vocabulary)[:256] == list(gpt2_base().vocabulary)[:256]
    assert list(base.vocabulary)[-1] == END_OF_TEXT


@each_base
def test_what_anybody_loads_gives_the_same_ids(
    kind: str, folders: dict[tuple[str, str], Path], cores: dict[tuple[str, str], Tokenizer]
) -> None:
    texts = list(fixed_strings()[:300])
    for name in CONDITIONS:
        loaded = AutoTokenizer.from_pretrained(folders[kind, name])
        found = loaded(texts)["input_ids"]
        assert found == [one.ids for one in cores[kind, name].encode_batch(texts)]
        assert (loaded.batch_decode(found) == texts) == (name != "mul_tokens")


@each_base
@settings(max_examples=examples(60))
@given(text=documents)
def test_documents_are_encoded_in_bulk_as_one_by_one_and_come_back(
    kind: str, text: str, cores: dict[tuple[str, str], Tokenizer], encoders: dict[tuple[str, str], BulkEncoder]
) -> None:
    for name in CONDITIONS:
        expected = cores[kind, name].encode(text).ids
        encoders[kind, name]._engine._is_dense = False
        assert encoders[kind, name]._encode([text, "plain"])[0].tolist() == expected
        if name != "mul_tokens":
            assert cores[kind, name].decode(expected, skip_special_tokens=False) == text
    plain = cores[kind, "none"].encode(text).ids
    assert base_encoder(cores[kind, "mul_tokens"].to_str()).encode(text).ids == plain


def test_every_digit_is_a_token_of_a_base_of_bytes(cores: dict[tuple[str, str], Tokenizer]) -> None:
    assert cores["bytes", "none"].encode("é 123").tokens == ["Ã", "©", "Ġ", "1", "2", "3"]
    assert cores["bytes", "r2l_3"].encode(REAL).ids == cores["bytes", "none"].encode(REAL).ids
    assert len(cores["bytes", "none"].encode(REAL).ids) == len(REAL.encode())
    counter = GroupCounter(bytes_base().vocabulary, "r2l_3")
    groups = [group for run in re.findall("[0-9]+", REAL) for group in GROUPINGS["r2l_3"].cut(run)]
    count = counter.count(np.array([*cores["bytes", "r2l_3"].encode(REAL).ids, 256], dtype=np.uint16))
    assert (count.groups, count.fallen_apart) == (len(groups), sum(len(group) > 1 for group in groups))


def test_numbers_are_tokens_of_a_unigram(cores: dict[tuple[str, str], Tokenizer]) -> None:
    core = cores["unigram", "none"]
    for number in (f"{number:0{length}}" for length in (1, 2, 3) for number in range(10**length)):
        assert core.encode(f"({number})").tokens == ["(", number, ")"]
        assert core.encode(f" {number}").tokens == ([f"Ġ{number}"] if len(number) < 3 else ["Ġ", number])
    assert core.encode("1234567/12345").tokens == ["1", "234", "567", "/", "12", "345"]
    assert core.encode(" 1234567").tokens == ["Ġ1", "234", "567"]
    assert cores["unigram", "r2l_3"].encode(" 1234567").tokens == ["Ġ", "1", "234", "567"]


def test_a_unigram_depends_on_its_words_alone_and_is_read_back(tmp_path: Path) -> None:
    base = BASES["unigram"]
    learned = [token for token in list(base.vocabulary)[256 : NUM_IDS - 1211] if token]
    assert len(learned) == NUM_IDS - MIN_TRAINED_IDS > 0
    assert not any(character.isdecimal() for token in learned for character in token)
    assert "Ġtimes" in learned
    for name, again in (("a", base), ("b", train_unigram(["".join(TEXTS[100:]), *TEXTS[99::-1]], NUM_IDS))):
        (tmp_path / name).mkdir()
        again.save(tmp_path / name)
    assert (tmp_path / "a/unigram.json").read_bytes() == (tmp_path / "b/unigram.json").read_bytes()
    assert read_base(tmp_path / "a") == base
    assert train_unigram(TEXTS[:150], NUM_IDS).sha256 != base.sha256  # other texts, another base
    assert train_unigram([], MIN_TRAINED_IDS).ids.num_base == MIN_TRAINED_IDS
    with pytest.raises(RecipeError, match=r"base_vocabulary.num_ids: .* no more than \d+ ids, got 9000"):
        train_unigram(TEXTS, 9000)


def test_a_unigram_saved_by_transformers_is_the_same(folders: dict[tuple[str, str], Path], tmp_path: Path) -> None:
    AutoTokenizer.from_pretrained(folders["unigram", "mul_tokens"]).save_pretrained(tmp_path)
    seal_tokenizer(tmp_path)
    saved, again = (
        json.loads((one / "certificate.json").read_text()) for one in (folders["unigram", "mul_tokens"], tmp_path)
    )
    assert saved["vocabulary_sha256"] == again["vocabulary_sha256"]
    assert saved["ids_sha256"] == again["ids_sha256"]
    load_tokenizer(tmp_path)


def test_the_pieces_are_the_likeliest_parts_of_the_words() -> None:
    counts = {"abab": 100, "cdcd": 50, "ad": 3}
    found = learn_pieces(counts, ["a", "b", "c", "d"], 2)
    assert list(found) == ["abab", "cdcd", "a", "d", "b", "c"] or list(found)[:2] == ["abab", "cdcd"]
    assert all(score == round(score, 6) < 0 for score in found.values())
    assert list(learn_pieces(dict(reversed(counts.items())), ["a", "b", "c", "d"], 2).items()) == list(found.items())
    assert len(learn_pieces({"ab": 2}, ["a", "b"], 5)) == 3  # no more substrings
    assert len(learn_pieces({}, ["a"], 5)) == 1
