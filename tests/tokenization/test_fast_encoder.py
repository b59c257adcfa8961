"""The bulk encoder gives the tokenizer's ids, whatever the text, or says so."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from properties import examples
from real_data import Data, own_texts
from tokenizers import Tokenizer

from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.schema import MIN_TRAINED_IDS
from domain_tokens.tokenization import fast_encoder
from domain_tokens.tokenization.bpe.base_vocabulary import train_base
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.fast_encoder import BulkEncoder
from domain_tokens.tokenization.intervention import Facts, Intervention, Phrase, Rules

HARD = [
    "",
    "\0",
    " ",
    "6*9=54",
    "so 9 x 6, 3\u202f×\u00a04 = 12 and 16*9",
    "a<|endoftext|>b",
    "2*<|endoftext|>3*4",  # two texts to the rules
    "<|endoftext|>reserved_50257",  # fastokens 0.3.5 takes the reserved name for its token
    "<|endoftext|>reserved_50340 6*9",
    "<MUL_6_9_54><MUL_6_9_55>",
    "\U0003dc476*9",  # a letter to regex, nothing to Oniguruma
    "7*8\u200d",
    "\ufdd06*9 \ufdd16*9=54",
    "a<|endof\ufdd0text|>b",  # no marker, though it reads like one once the rules have taken out the mark
    "I'll don't it'S 'tis\u2028\u0085\ufeff\r\n \n\t x",
    "👩‍👩‍👧 e\u0301\u0301 \U000e0041 ½² ٣ ǅ ﬁ",
    "x" * 20_000,
    "12 " * 1000 + "7" * 5000,
]
CUSTOM = {
    "signs of several tokens": Intervention(name="a", facts=Facts(), rules=Rules(operators=["·", "\\times"])),
    "words and phrases": Intervention(
        name="b",
        num_ids=60,
        facts=Facts(),
        rules=Rules(words=True, chinese=True),
        tokens=[Phrase("<NEW_YORK>", "New York"), Phrase("<A_NUMBER>", "a number", r"\d{3}")],
    ),
    "tokens that are text": Intervention(
        name="c", num_ids=81, facts=Facts(token="{a}*{b}={c}", folded=False), rules=Rules(mode="strict")
    ),
}

plain = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
arithmetic = st.lists(
    st.sampled_from(
        [*"0123456789*×x·=+-., ()\n%", "\u00a0", "\u2009", "\u202f", "\\times", " * ", " = ", "12", "6*9=54", "9 x 6"]
        + ["six times nine", "六九五十四", "New York", "the", "<|endoftext|>", "<MUL_6_9_54>", "\ufdd0"]
    ),
    max_size=12,
).map("".join)
texts = st.lists(st.lists(plain | arithmetic, max_size=4).map("".join), max_size=4)


@pytest.fixture(scope="module")
def encoders(tokenizer_dirs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, BulkEncoder]:
    pytest.importorskip("fastokens", reason="the fast path needs fastokens")
    folders = dict(tokenizer_dirs)
    small = train_base([], MIN_TRAINED_IDS)
    for name, intervention in CUSTOM.items():
        base = None if name == "signs of several tokens" else small  # which are those of GPT-2's vocabulary
        folders[name] = tmp_path_factory.mktemp("custom")
        build_tokenizer(intervention, base).save_pretrained(folders[name])
    return {name: BulkEncoder(folder) for name, folder in folders.items()}


@pytest.fixture
def no_fastokens(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "fastokens", None)
    fast_encoder._fastokens.cache_clear()
    yield
    fast_encoder._fastokens.cache_clear()


def reference(encoder: BulkEncoder, texts: list[str]) -> list[list[int]]:
    return [encoder.reference.encode(text).ids for text in texts]


def fast(encoder: BulkEncoder, texts: list[str]) -> list[list[int]]:
    """What the engine gives, without the check that would raise."""
    return [ids.tolist() for ids in encoder._encode(texts)]


def real_texts(folder: Path) -> list[str]:
    gsm8k = [json.loads(line) for line in (folder / "gsm8k/train.jsonl").read_text().splitlines()[:400]]
    svamp = json.loads((folder / "svamp/SVAMP.json").read_text())[:200]
    tinygsm = [json.loads(line) for line in (folder / "tinygsm/sample_1000.jsonl").read_text().splitlines()[:200]]
    return [
        *(f"{row['question']}\n{row['answer']}" for row in gsm8k),
        *(f"{row['Body']} {row['Question']} {row['Equation']}" for row in svamp),
        *(f"{row['user']}\n{row['assistant']}" for row in tinygsm),
        *(folder / "wikitext2/valid.txt").read_text()[:300_000].split("\n\n"),
    ]


@pytest.mark.parametrize("condition", ["baseline", "mul_tokens"])
def test_ids_of_real_text(condition: str, encoders: dict[str, BulkEncoder], data: Data) -> None:
    documents = own_texts() if data.is_own else real_texts(data.folder)
    expected = reference(encoders[condition], documents)
    assert fast(encoders[condition], documents) == expected
    assert any(i >= 50304 for ids in expected for i in ids) == (condition == "mul_tokens")


@pytest.mark.parametrize("name", ["baseline", "mul_tokens", *CUSTOM])
def test_ids_of_hard_text(name: str, encoders: dict[str, BulkEncoder]) -> None:
    together = fast(encoders[name], HARD)
    for text, ids, expected in zip(HARD, together, reference(encoders[name], HARD), strict=True):
        assert ids == expected, text[:50]
        assert fast(encoders[name], [text]) == [expected]


@pytest.mark.parametrize("name", ["baseline", "mul_tokens", *CUSTOM])
@settings(max_examples=examples(150))
@given(texts)
@example([])
@example(["00¹", "0²0", "٣٣٣", "1½1"])  # numbers, and not all of them digits
def test_ids_of_any_text(name: str, encoders: dict[str, BulkEncoder], texts: list[str]) -> None:
    assert fast(encoders[name], texts) == reference(encoders[name], texts)


def test_arrays_are_what_is_stored(encoders: dict[str, BulkEncoder]) -> None:
    first, empty = encoders["mul_tokens"].encode_batch(["6 x 9 = 54 apples", ""])
    assert first.dtype == empty.dtype == np.uint16
    assert first.tolist() == [50342, 22514]
    assert len(empty) == 0


def test_few_documents_go_through_the_rules(encoders: dict[str, BulkEncoder], monkeypatch: pytest.MonkeyPatch) -> None:
    engine = encoders["mul_tokens"]._engine
    seen: list[str] = []
    written = engine._rewriter.written
    monkeypatch.setattr(engine, "_is_dense", False)
    monkeypatch.setattr(engine._rewriter, "written", lambda texts: seen.extend(texts) or written(texts))
    documents = ["Six boxes, 12 * stars", "x = 5", "the box 5 of 6", "16 * 123", "f(*args, x)", "6*9", "7 x 8"]
    assert fast(encoders["mul_tokens"], documents) == reference(encoders["mul_tokens"], documents)
    assert seen == ["6*9", "7 x 8"]


def test_a_command_of_tex_is_found_among_documents_without_one(
    encoders: dict[str, BulkEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = encoders["signs of several tokens"]
    monkeypatch.setattr(encoder._engine, "_is_dense", False)
    documents = ["so 7\\times8=56.", "it is 7 \\times 8 = 56", "no", "none", "nothing"]
    expected = reference(encoder, documents)
    assert [any(token_id >= 50304 for token_id in ids) for ids in expected] == [True, True, False, False, False]
    assert fast(encoder, documents) == expected


def test_a_batch_is_encoded_once_where_most_texts_are_rewritten(
    encoders: dict[str, BulkEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = encoders["mul_tokens"]._engine
    num_encoded = []
    flat = engine._flat
    monkeypatch.setattr(engine, "_is_dense", False)
    monkeypatch.setattr(engine, "_flat", lambda texts: num_encoded.append(len(texts)) or flat(texts))
    dense = ["6*9=54", "so 7 x 8 = 56", "3*4", "a<|endoftext|>b 6*9", "no"]
    sparse = ["no", "none", "6*9", "\ufdd06*9"]
    for documents, expected in ((dense, [5, 3]), (dense, [5]), (sparse, [4]), (sparse, [4, 2])):
        assert fast(encoders["mul_tokens"], documents) == reference(encoders["mul_tokens"], documents)
        assert num_encoded == expected
        num_encoded.clear()


def make_wrong(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine drop the last id of every document that holds a word."""
    encode = fast_encoder._Engine.encode

    def wrong(engine: fast_encoder._Engine, texts: list[str]) -> tuple[list[np.ndarray], list[int]]:
        encoded, for_reference = encode(engine, texts)
        cut = [ids[:-1] if word in text else ids for text, ids in zip(texts, encoded, strict=True)]
        return cut, for_reference

    monkeypatch.setattr(fast_encoder._Engine, "encode", wrong)


@pytest.mark.parametrize("number", [0, 8, 4000])
def test_a_wrong_document_is_refused(
    number: int, encoders: dict[str, BulkEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = encoders["baseline"]
    make_wrong("wrong", monkeypatch)
    monkeypatch.setattr(encoder, "_num_seen", max(0, number - 3))
    with pytest.raises(RecipeError, match=r"begins 'this is wrong'; set corpus\.encoder: reference"):
        encoder.encode_batch(["this is right"] * min(3, number) + ["this is wrong"])


def test_hard_strings_are_checked_before_any_document(
    encoders: dict[str, BulkEncoder], tokenizer_dirs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wrong("\u00a0", monkeypatch)
    with pytest.raises(RecipeError, match=r"set corpus\.encoder: reference"):
        BulkEncoder(tokenizer_dirs["mul_tokens"])


def test_documents_are_checked_by_their_number(
    encoders: dict[str, BulkEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = encoders["baseline"]
    checked: list[str] = []
    monkeypatch.setattr(fast_encoder, "_CHECKED_ONE_IN", 10)
    monkeypatch.setattr(encoder, "_num_seen", 0)
    monkeypatch.setattr(encoder, "_check", lambda texts, encoded: checked.extend(texts))
    documents = [str(number) for number in range(45)]
    for start in range(0, len(documents), 7):
        encoder.encode_batch(documents[start : start + 7])
    assert checked == ["0", "1", "2", "4", "8", "10", "16", "20", "30", "32", "40"]


def test_without_the_package_the_tokenizer_encodes(
    no_fastokens: None, tokenizer_dirs: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_dirs["mul_tokens"] / "tokenizer.json"))
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            encoded = BulkEncoder(tokenizer_dirs["mul_tokens"]).encode_batch(HARD)
    assert [ids.tolist() for ids in encoded] == [tokenizer.encode(text).ids for text in HARD]
    assert [record.message for record in caplog.records if "fastokens" in record.message] == [
        "fastokens is not installed: falling back to the tokenizer itself, which is about 50 times slower"
    ]
