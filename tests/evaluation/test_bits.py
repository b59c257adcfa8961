"""Bits per source byte, on models whose probabilities are known."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from domain_tokens.evaluation.models import bits_per_byte
from domain_tokens.evaluation.models.bits_per_byte import (
    Document,
    EncodedText,
    encode,
    measure,
    read_documents,
    summarize,
    text_identity,
)
from domain_tokens.evaluation.models.token_scores import score_tokens, windows
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.records import TextIdentity
from domain_tokens.tokenization import Intervention, Rewriting, fast_encoder, inject, load_intervention
from domain_tokens.tokenization.builder import build_tokenizer, save_tokenizer
from domain_tokens.tokenization.facts import VOCAB_SIZE
from domain_tokens.tokenization.intervention import Phrase, default_intervention
from domain_tokens.tokenization.side_record.code import SideCode
from domain_tokens.tokenization.side_record.record import Dropped, record, record_of

SHIPPED = sorted((Path(__file__).parents[2] / "recipes" / "interventions").glob("*.yaml"))
INTERVENTIONS = {path.stem: load_intervention(path) for path in SHIPPED}
OWN = default_intervention()
END = 50256
TEXTS = [
    "The quick brown fox.",
    "so 9 x 6 = 54.",
    "Ana has 6*9=54 pens, 7 * 8 cards and 12*3 = 36 shells; é 日.",
    "Nothing to see here, 16*9 = 144.",
]
TEXTS.append(" ".join(TEXTS))


def documents(texts: list[str]) -> list[Document]:
    return [Document(f"some/{number}", "some", text) for number, text in enumerate(texts)]


def gpt2(n_positions: int = 16, n_embd: int = 8) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCAB_SIZE, n_layer=2, n_head=2, n_embd=n_embd, n_positions=n_positions, bos_token_id=END,
        eos_token_id=END, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.5,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def uniform() -> GPT2LMHeadModel:
    """Return a model with every weight zero: each id has the probability 1 / 50,349."""
    model = gpt2()
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
    return model


def unigram(logits: torch.Tensor, n_positions: int = 16) -> GPT2LMHeadModel:
    """Return a model that gives each id the same probability wherever it stands."""
    model = gpt2(n_positions, n_embd=2)
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
        model.transformer.ln_f.bias[0] = 1  # what the head reads, whatever went in
        model.lm_head.weight[:, 0] = logits
    return model


@pytest.fixture(scope="module")
def pinned(tokenizer_dirs: dict[str, Path]) -> dict[str, EncodedText]:
    """The texts as each condition reads them."""
    return {
        condition: encode(documents(TEXTS), folder, OWN, SideCode()) for condition, folder in tokenizer_dirs.items()
    }


@pytest.fixture
def slow_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encode with the tokenizer itself, which gives the same ids: starting the fast engine takes a second."""
    monkeypatch.setattr(fast_encoder, "_fastokens", lambda: None)


def test_a_text_by_hand(pinned: dict[str, EncodedText]) -> None:
    """What `so 9 x 6 = 54.` costs if every id is equally likely."""
    row = measure(uniform(), pinned["baseline"]).documents[1]
    assert (row.bytes, row.tokens) == (14, 8)  # so|Ġ9|Ġx|Ġ6|Ġ=|Ġ54|. and the end
    assert (row.sites, row.dropped, row.side_bits) == (1, 0, 0)
    assert row.model_bits == pytest.approx(8 * math.log2(50349), rel=1e-6)
    assert summarize([row]).bits_per_byte == pytest.approx(8 * math.log2(50349) / 14, rel=1e-6)
    row = measure(uniform(), pinned["mul_tokens"]).documents[1]
    assert (row.bytes, row.tokens) == (14, 5)  # so|Ġ|<MUL_6_9_54>|. and the end
    assert (row.sites, row.dropped) == (1, 1)
    assert row.side_bits == 8 * len("{b} x {a} = {c}") + 8  # the first of its form, spelled out, and its end
    assert row.model_bits == pytest.approx(5 * math.log2(50349), rel=1e-6)
    assert summarize([row]).bits_per_byte == pytest.approx((5 * math.log2(50349) + 128) / 14, rel=1e-6)


@pytest.mark.usefixtures("slow_engine")
def test_both_bounds_and_a_code_that_was_taught(tokenizer_dirs: dict[str, Path]) -> None:
    """The model's bits alone and with the record; a code that knows the spelling from training takes fewer."""
    taught = SideCode()
    for _ in range(3):
        taught.learn("so <MUL_6_9_54>.", [Dropped("{b} x {a} = {c}", 3, 15)])
    texts = ["so 9 x 6 = 54."]
    found = measure(uniform(), encode(documents(texts), tokenizer_dirs["mul_tokens"], OWN, taught)).totals
    # Three of three at each of four levels, after 2 ** -128 for the spelling: 1 - 1 / 4 ** 4.
    assert found.all.side_bits == pytest.approx(-math.log2(1 - 1 / 256), rel=1e-9)
    assert found.all.model_bits_per_byte == pytest.approx(5 * math.log2(50349) / 14, rel=1e-6)
    assert found.all.bits_per_byte == pytest.approx(found.all.model_bits_per_byte - math.log2(1 - 1 / 256) / 14)
    assert found.with_sites == found.all
    assert found.without_sites.model_bits_per_byte is None


def test_every_id_equally_likely_costs_its_tokens_and_the_side_record(
    pinned: dict[str, EncodedText], condition: str
) -> None:
    found = measure(uniform(), pinned[condition])
    num_bytes = sum(len(one.encode()) for one in TEXTS)
    tokens = sum(len(ids) + 1 for ids in pinned[condition].ids)
    side = sum(row.side_bits for row in found.documents)
    everything = found.totals.all
    assert (everything.documents, everything.bytes, everything.tokens) == (5, num_bytes, tokens)
    assert (side > 0) == (condition == "mul_tokens")
    assert everything.bits_per_byte == pytest.approx((tokens * math.log2(VOCAB_SIZE) + side) / num_bytes, rel=1e-6)
    assert found.totals.without_sites.loss_nats == pytest.approx(math.log(VOCAB_SIZE), rel=1e-6)


def test_both_conditions_read_the_same_text_without_sites(pinned: dict[str, EncodedText]) -> None:
    found = {condition: measure(gpt2(), text) for condition, text in pinned.items()}
    one, two = (found[name].totals for name in ("baseline", "mul_tokens"))
    assert one.without_sites == two.without_sites
    assert one.without_sites.num_rewritten == 0
    assert [row.sites for row in found["baseline"].documents] == [row.sites for row in found["mul_tokens"].documents]
    assert [row.sites for row in found["baseline"].documents] == [0, 1, 2, 0, 3]
    assert one.with_sites.documents == two.with_sites.documents == 3
    assert one.with_sites.tokens > two.with_sites.tokens
    assert one.with_sites.bits_per_byte != two.with_sites.bits_per_byte


@pytest.mark.usefixtures("slow_engine")
def test_a_tokenizer_that_rewrites_there_is_found_out(tmp_path: Path, pinned: dict[str, EncodedText]) -> None:
    phrase = Phrase(None, " to look", r" to see\b")
    save_tokenizer(build_tokenizer(Intervention(name="see", tokens=[phrase])), tmp_path)
    there = measure(uniform(), encode(documents(TEXTS), tmp_path, OWN, SideCode())).totals.without_sites
    here = measure(uniform(), pinned["baseline"]).totals.without_sites
    assert there.documents == here.documents == 2
    assert there.num_rewritten == 1
    assert there.tokens_sha256 != here.tokens_sha256


@pytest.mark.usefixtures("slow_engine")
def test_which_documents_have_sites_is_up_to_measured_as(
    tokenizer_dirs: dict[str, Path], pinned: dict[str, EncodedText]
) -> None:
    found = encode(documents(TEXTS), tokenizer_dirs["mul_tokens"], INTERVENTIONS["mul_20"], SideCode())
    assert found.num_sites == [0, 1, 3, 1, 5]
    assert found.num_dropped == pinned["mul_tokens"].num_dropped == [0, 1, 2, 0, 3]


def test_no_documents_of_a_kind(pinned: dict[str, EncodedText]) -> None:
    totals = measure(uniform(), replace(pinned["mul_tokens"], num_sites=[1] * 5)).totals
    assert totals.without_sites.documents == 0
    assert totals.without_sites.bits_per_byte is None
    assert totals.without_sites.loss_nats is None


def test_a_unigram_model_over_several_windows(pinned: dict[str, EncodedText], condition: str) -> None:
    logits = torch.randn(VOCAB_SIZE, generator=torch.Generator().manual_seed(0)) * 3
    bits = -torch.log_softmax(logits.double(), dim=0).numpy() / math.log(2)
    text = pinned[condition]
    assert len(text.ids[-1]) > 4 * 8 > 8 > len(text.ids[0])
    for row, ids in zip(measure(unigram(logits, n_positions=8), text).documents, text.ids, strict=True):
        assert row.model_bits == pytest.approx(bits[ids].sum() + bits[END], rel=1e-5)


@pytest.mark.parametrize("stride", [1, 3, 8, None])
def test_windows_against_one_forward_pass_a_token(stride: int | None) -> None:
    model = gpt2(n_positions=8)
    tokens = np.random.default_rng(0)
    texts = [tokens.integers(0, 50256, size) for size in (0, 1, 6, 7, 8, 9, 21)]
    step = stride or 4
    for ids, found in zip(texts, score_tokens(model, texts, stride), strict=True):
        whole = [END, *ids.tolist(), END]
        for place in range(1, len(whole)):
            # The first window to reach a token predicts it: windows end at 8, 8 + step, 8 + 2 step, ...
            start = max(0, math.ceil((place - 8) / step)) * step
            with torch.no_grad():
                logits = model(torch.tensor([whole[start:place]])).logits[0, -1]
            expected = -torch.log_softmax(logits.double(), dim=0)[whole[place]] / math.log(2)
            assert found.bits[place - 1] == pytest.approx(float(expected), abs=1e-4)
        assert len(found.bits) == len(ids) + 1


def test_windows_cover_every_token_once() -> None:
    for num_inputs in range(1, 40):
        for length, stride in ((8, 8), (8, 3), (5, 1)):
            cut = list(windows(0, num_inputs, length, stride))
            assert [place for one in cut for place in range(one.first, one.stop)] == list(range(num_inputs))
            assert all(one.start <= one.first < one.stop <= one.start + length for one in cut)
            assert all(one.first - one.start >= length - stride for one in cut[1:])


def test_the_batch_changes_nothing() -> None:
    model = gpt2(n_positions=16)
    tokens = np.random.default_rng(0)
    texts = [tokens.integers(0, 50256, size) for size in (40, 3, 15, 8, 1, 30, 11, 2)]
    alone, together = (score_tokens(model, texts, tokens_per_batch=size) for size in (1, 8 * 16))
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.bits, two.bits, atol=1e-4)
        np.testing.assert_allclose(one.fact_mass, two.fact_mass, rtol=1e-3)
    # They depend on the text before, or an equal number would say nothing.
    assert abs(alone[0].bits[1:] - score_tokens(model, [texts[0][1:]])[0].bits).max() > 0.1


def test_a_stride_longer_than_the_window_would_skip_tokens() -> None:
    with pytest.raises(ValueError, match="expected 1 to 16"):
        score_tokens(gpt2(n_positions=16), [np.arange(3)], stride=17)


@pytest.mark.usefixtures("slow_engine")
def test_what_cannot_be_restored_is_refused(tokenizer_dirs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(rewriting: Rewriting, intervention: Intervention) -> list[Dropped]:
        return [replace(one, form="{a} x {b}") for one in record_of(rewriting, intervention)]

    monkeypatch.setattr(bits_per_byte, "record_of", forgetful)
    with pytest.raises(RuntimeError, match="some/1: tokens and side record"):
        encode(documents(TEXTS), tokenizer_dirs["mul_tokens"], OWN, SideCode())


def test_what_a_text_is_made_from(tokenizer_dirs: dict[str, Path]) -> None:
    def differing(other: TextIdentity) -> set[str]:
        found = other.as_json()
        return {key for key, value in identity.as_json().items() if found[key] != value}

    one, two = tokenizer_dirs["mul_tokens"], tokenizer_dirs["baseline"]
    identity = text_identity(documents(TEXTS), one, OWN, SideCode())
    assert differing(text_identity(documents(TEXTS), one, INTERVENTIONS["mul_20"], SideCode())) == {
        "measured_as_sha256"
    }
    assert differing(text_identity(documents(TEXTS), two, OWN, SideCode())) == {"tokenizer_sha256"}
    assert differing(text_identity(documents(TEXTS[1:]), one, OWN, SideCode())) == {"documents_sha256"}
    assert differing(text_identity(documents(TEXTS), one, OWN, SideCode())) == set()
    taught = SideCode()
    taught.learn(inject(TEXTS[1]), record(TEXTS[1]))
    assert differing(text_identity(documents(TEXTS), one, OWN, taught)) == {"side_code_sha256"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(2):
        rows = [{"id": f"s{n % 2}/{number}{n}", "source": f"s{n % 2}", "text": "x" * 10} for n in range(50)]
        (tmp_path / f"0000{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_documents_are_read_in_order(folder: Path) -> None:
    found = read_documents(folder)
    assert [one.id for one in found[:3]] == ["s0/00", "s1/01", "s0/02"]
    assert len(found) == 100
    assert found[50].id == "s0/10"


def test_a_part_of_the_documents_keeps_their_order_and_their_mixture(folder: Path) -> None:
    everything, part = read_documents(folder), read_documents(folder, max_bytes=409)
    assert len(part) == 40
    assert part == [one for one in everything if one in part]
    assert 10 < sum(one.source == "s0" for one in part) < 30
    assert {one.id[3] for one in part} == {"0", "1"}
    assert set(read_documents(folder, max_bytes=209)) < set(part)
    assert len(read_documents(folder, max_bytes=1)) == 1


def test_a_folder_without_documents(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="prepare_data.py"):
        read_documents(tmp_path)


def test_the_totals_are_those_of_the_rows(pinned: dict[str, EncodedText]) -> None:
    found = measure(gpt2(), pinned["mul_tokens"])
    for group, kept in (("all", lambda row: True), ("with_sites", lambda row: row.sites > 0)):
        rows = [row for row in found.documents if kept(row)]
        for key in ("bytes", "tokens", "sites", "dropped", "model_bits", "side_bits"):
            assert getattr(getattr(found.totals, group), key) == pytest.approx(sum(getattr(row, key) for row in rows))
    assert (found.totals.window, found.totals.stride) == (16, 8)
