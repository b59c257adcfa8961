"""A trained base vocabulary: the same whatever the order of the texts, numbers given, and nothing fixed to GPT-2."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from domain_tokens.corpora.synthetic import texts
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.schema import MIN_TRAINED_IDS
from domain_tokens.tokenization import load_intervention
from domain_tokens.tokenization.bpe.base_vocabulary import gpt2_base, read_base, train_base
from domain_tokens.tokenization.builder import build_tokenizer, save_tokenizer
from domain_tokens.tokenization.contract import GPT2_SHA256, base_sha256, id_ranges, load_tokenizer
from domain_tokens.tokenization.facts import FACTS, GPT2_IDS, IdRanges

ROOT = Path(__file__).parents[2]
TEXTS = list(texts(1000, 0, "train"))
NUM_IDS = 1550
BASE = train_base(TEXTS, NUM_IDS)
NUMBERS = [f"{number:0{length}}" for length in (1, 2, 3) for number in range(10**length)]


@pytest.fixture(scope="module")
def folder(build_once: Callable[..., Path]) -> Path:
    """The tokenizer of `mul_tokens` on a trained base."""
    mul_tokens = load_intervention(ROOT / "recipes/interventions/mul_tokens.yaml")
    return build_once(
        "mul_tokens_on_trained_base", lambda path: save_tokenizer(build_tokenizer(mul_tokens, BASE), path)
    )


def test_ids_follow_from_the_size_of_the_base() -> None:
    assert (GPT2_IDS.end_of_text, GPT2_IDS.first_added, GPT2_IDS.total(45)) == (50256, 50304, 50349)
    assert (IdRanges(1536).first_added, IdRanges(1537).first_added, IdRanges(1537).total(45)) == (1536, 1600, 1645)


def test_gpt2s_base_is_gpt2s() -> None:
    base = gpt2_base()
    assert (base.ids, base.sha256) == (GPT2_IDS, GPT2_SHA256)


def test_bytes_come_in_gpt2s_order_and_the_end_of_a_text_last() -> None:
    assert list(BASE.vocabulary)[:256] == list(gpt2_base().vocabulary)[:256]
    assert list(BASE.vocabulary.values()) == list(range(NUM_IDS))
    assert BASE.vocabulary["<|endoftext|>"] == BASE.ids.end_of_text == NUM_IDS - 1


def test_training_again_in_another_order_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, base in (("a", BASE), ("b", train_base(TEXTS[::-1], NUM_IDS))):
        (tmp_path / name).mkdir()
        base.save(tmp_path / name)
    for file in ("vocab.json", "merges.txt"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert read_base(tmp_path / "a") == BASE
    assert train_base(TEXTS[:900], NUM_IDS) != BASE  # other texts, another base


def test_training_in_another_process_on_other_threads_gives_the_same(tmp_path: Path) -> None:
    program = (
        "from domain_tokens.corpora.synthetic import texts\n"
        "from domain_tokens.tokenization.bpe.base_vocabulary import train_base\n"
        f"print(*train_base(texts(1000, 0, 'train'), {NUM_IDS}).sha256)"
    )
    environment = {"PYTHONPATH": str(ROOT / "src"), "TOKENIZERS_PARALLELISM": "true", "RAYON_NUM_THREADS": "4"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert tuple(done.stdout.split()) == BASE.sha256


def test_every_number_of_up_to_three_digits_is_a_token(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    assert len(NUMBERS) == 1110
    for number in NUMBERS:
        assert tokenizer.tokenize(f"({number})") == ["(", number, ")"]
        spaced = [f"Ġ{number}"] if len(number) < 3 else ["Ġ", number]
        assert tokenizer.tokenize(f" {number}") == spaced


def test_no_merge_of_a_text_has_a_digit() -> None:
    learned = [token for token in list(BASE.vocabulary)[256 : NUM_IDS - 1211] if token]
    assert len(learned) == NUM_IDS - MIN_TRAINED_IDS > 0
    assert not any(character.isdecimal() for token in learned for character in token)


def test_the_smallest_base_has_no_merge_of_a_text_and_too_large_a_one_is_refused() -> None:
    assert train_base([], MIN_TRAINED_IDS).ids == IdRanges(MIN_TRAINED_IDS)
    with pytest.raises(RecipeError, match=r"base_vocabulary.num_ids: .* no more than \d+ ids, got 5000"):
        train_base(TEXTS, 5000)


def test_a_tokenizer_on_a_trained_base_keeps_the_contract(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    ids = id_ranges(tokenizer)
    assert (ids.num_base, ids.first_added, len(tokenizer)) == (NUM_IDS, 1600, 1645)
    assert tokenizer.encode("6*9=54") == [1600 + [fact.token for fact in FACTS].index("<MUL_6_9_54>")]
    assert tokenizer.eos_token_id == tokenizer.pad_token_id == NUM_IDS - 1
    assert base_sha256(tokenizer) == BASE.sha256
    certificate = json.loads((folder / "certificate.json").read_text())
    assert (certificate["vocabulary_sha256"], certificate["merges_sha256"]) == BASE.sha256


def test_the_base_of_a_tokenizer_cannot_be_exchanged(folder: Path, tmp_path: Path) -> None:
    other = train_base(TEXTS[:900], NUM_IDS)
    mul_tokens = load_intervention(ROOT / "recipes/interventions/mul_tokens.yaml")
    save_tokenizer(build_tokenizer(mul_tokens, other), tmp_path)
    saved, expected = (json.loads((path / "tokenizer.json").read_text()) for path in (tmp_path, folder))
    assert saved["model"] != expected["model"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(saved | {"model": expected["model"]}))
    with pytest.raises(RecipeError, match="the hash of its vocabulary is"):
        load_tokenizer(tmp_path)


@given(st.text(max_size=60))
def test_every_text_comes_back(text: str) -> None:
    core = build_without_rules()
    encoded = core.encode(text).ids
    assert core.decode(encoded) == text
    assert all(token_id < BASE.ids.end_of_text for token_id in encoded)


def build_without_rules() -> Tokenizer:

    core = Tokenizer(models.BPE(vocab=BASE.vocabulary, merges=BASE.merges))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return core
