"""What a model gives to answers and documents, against the project's own scores and its own greedy decoding."""

import math
import random

import numpy as np
import pytest
import torch
from adaptable import measured, random_model
from torch.nn.utils.rnn import pad_sequence
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.corpora.worlds.language import Fact, Question
from domain_tokens.corpora.worlds.passages import documents, passages, questions_about
from domain_tokens.evaluation.models.inference import Decoding, generate
from domain_tokens.evaluation.models.token_scores import score_sequences
from domain_tokens.recipe import RecipeError
from domain_tokens.seal import measuring
from domain_tokens.seal.executor import Executor
from domain_tokens.seal.measuring import Sums, probe_of_answers, probe_of_documents
from domain_tokens.tokenization.prompts import render_prompt

LENGTH = 128
TEXTS = [*documents(6, 0, "validation"), "A"]


@pytest.fixture
def model(tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    return random_model(tokenizer, n_positions=LENGTH)


def questions() -> list[Question]:
    return [one for passage in passages("adapt", 2, 0) for one in questions_about(passage.facts, random.Random(0))]


def score(model: GPT2LMHeadModel, sequences: list[list[int]], given: list[int]) -> float:
    """Return the bits of what is not given; windows follow each other without overlap."""
    found = score_sequences(model, [np.array(one) for one in sequences], given, stride=model.config.n_positions)
    return sum(float(np.nansum(one.bits.astype(np.float64))) for one in found)


def loop(model: GPT2LMHeadModel, ids: list[int], given: int) -> float:
    """Return the same of one sequence, token by token, in 64-bit precision."""
    bits = 0.0
    with torch.no_grad():
        for place in range(given, len(ids)):
            probabilities = model(torch.tensor([ids[:place]])).logits[0, -1].double().log_softmax(0)
            bits -= float(probabilities[ids[place]]) / math.log(2)
    return bits


@pytest.fixture(scope="module")
def taught(tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    """A model that has learned the answers to some of the questions."""
    model, end = random_model(tokenizer, n_positions=LENGTH, scale=0.0), tokenizer.eos_token_id
    inputs, labels = [], []
    for one in questions()[:8]:
        prompt = render_prompt(one.question)
        given, ids = tokenizer([prompt, f"{prompt} {one.answer}"])["input_ids"]
        inputs.append(torch.tensor([*ids, end]))
        labels.append(torch.tensor([-100] * len(given) + [*ids, end][len(given) :]))
    batch = pad_sequence(inputs, batch_first=True, padding_value=end)
    wanted = pad_sequence(labels, batch_first=True, padding_value=-100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        model(input_ids=batch, labels=wanted).loss.backward()
        optimizer.step()
    return model.eval()


def test_bits_of_answers_are_those_of_the_projects_scores(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    asked = questions()
    prompts = [tokenizer(render_prompt(one.question))["input_ids"] for one in asked]
    whole = [
        [*tokenizer(f"{render_prompt(one.question)} {one.answer}")["input_ids"], tokenizer.eos_token_id]
        for one in asked
    ]
    found = measured(probe_of_answers(tokenizer, asked), model)
    expected = score(model, whole, [len(one) - 1 for one in prompts])
    assert expected > 100
    assert found.bits == pytest.approx(expected, rel=1e-6)
    assert found.num_bytes == sum(len(one.answer) for one in asked)
    assert found.number == len(asked) == 32
    some = loop(model, whole[0], len(prompts[0]))
    assert measured(probe_of_answers(tokenizer, asked[:1]), model).bits == pytest.approx(some, rel=1e-5)


def test_an_exact_answer_is_one_that_greedy_decoding_writes(
    taught: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    asked = questions()
    written = generate(taught, tokenizer, [render_prompt(one.question) for one in asked], Decoding(16), batch_size=8)
    right = [
        ids[-1] == tokenizer.eos_token_id and tokenizer.decode(ids[:-1]) == f" {one.answer}"
        for (ids,), one in zip(written, asked, strict=True)
    ]
    assert 2 < sum(right) < len(asked) - 2
    assert [measured(probe_of_answers(tokenizer, [one]), taught).exact for one in asked] == right
    assert measured(probe_of_answers(tokenizer, asked), taught).exact == sum(right)


@pytest.mark.parametrize("tokens", [1, 100, 10**6])
def test_batches_and_padding_change_nothing(
    taught: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch, tokens: int
) -> None:
    usual = [probe_of_answers(tokenizer, questions()), probe_of_documents(tokenizer, TEXTS, 50)]
    monkeypatch.setattr(measuring, "_TOKENS_AT_A_TIME", tokens)
    other = [probe_of_answers(tokenizer, questions()), probe_of_documents(tokenizer, TEXTS, 50)]
    num_parts = [len(probe._parts) for probe in other]
    assert measured(usual[0], taught).exact > 0
    assert num_parts == [1, 1] if tokens == 10**6 else min(num_parts) > 4
    for before, after in zip(usual, other, strict=True):
        one, two = measured(before, taught), measured(after, taught)
        assert two.bits == pytest.approx(one.bits, rel=1e-6)
        assert (two.num_bytes, two.exact, two.number) == (one.num_bytes, one.exact, one.number)


def test_the_order_of_questions_changes_nothing(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast) -> None:
    asked = questions()
    one, two = (measured(probe_of_answers(tokenizer, order), model) for order in (asked, asked[::-1]))
    assert two.bits == pytest.approx(one.bits, rel=1e-6)


def test_a_tokenizer_that_rewrites_a_question_is_refused(tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    asked = [Question("What is 6 * 7 of them?", "42 pets", Fact("Ann Bee", "pet", "cat"))]
    assert probe_of_answers(tokenizers["baseline"], asked)
    with pytest.raises(RecipeError, match=r"the tokenizer rewrites 'User: What is 6 \* 7"):
        probe_of_answers(tokenizers["mul_tokens"], asked)


@pytest.mark.parametrize("condition", ["baseline", "mul_tokens"])
def test_no_tokenizer_of_the_comparison_rewrites_what_is_asked(
    tokenizers: dict[str, PreTrainedTokenizerFast], condition: str
) -> None:
    assert probe_of_answers(tokenizers[condition], questions())


def test_a_prompt_whose_tokens_depend_on_the_answer_is_refused(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No tokenizer of the project does this: its words begin at a space.
    encode = measuring._encode
    monkeypatch.setattr(
        measuring,
        "_encode",
        lambda by, texts: [[*ids[:-1], ids[-1] + (not texts[0].endswith("cat"))] for ids in encode(by, texts)],
    )
    asked = [Question("Who?", "cat", Fact("Ann Bee", "pet", "cat"))]
    with pytest.raises(RecipeError, match="or its cut of 'User: Who.*depends on the answer"):
        probe_of_answers(tokenizer, asked)


@pytest.mark.parametrize("length", [8, 31, LENGTH])
def test_every_token_of_a_document_is_predicted_once(tokenizer: PreTrainedTokenizerFast, length: int) -> None:
    model = random_model(tokenizer, n_positions=length)
    end = tokenizer.eos_token_id
    whole = [[end, *tokenizer(text)["input_ids"], end] for text in TEXTS]
    assert any(len(one) > 2 * 31 for one in whole)
    probe = probe_of_documents(tokenizer, TEXTS, length)
    predicted = [part.targets[part.predicted].tolist() for part in probe._parts]
    assert sorted(sum(predicted, [])) == sorted(id for one in whole for id in one[1:])
    found = measured(probe, model)
    assert found.bits == pytest.approx(score(model, whole, [0] * len(whole)), rel=1e-6)
    assert found.num_bytes == sum(len(text.encode()) for text in TEXTS)


def test_a_long_document_is_read_in_parts_each_by_itself(tokenizer: PreTrainedTokenizerFast) -> None:
    model, end = random_model(tokenizer, n_positions=8), tokenizer.eos_token_id
    ids = [end, *tokenizer(TEXTS[0])["input_ids"], end]
    expected = sum(loop(model, ids[start : start + 9], 1) for start in range(0, len(ids) - 1, 8))
    assert len(ids) > 20
    assert measured(probe_of_documents(tokenizer, TEXTS[:1], 8), model).bits == pytest.approx(expected, rel=1e-5)


def test_bytes_are_those_of_utf8(tokenizer: PreTrainedTokenizerFast, model: GPT2LMHeadModel) -> None:
    assert measured(probe_of_documents(tokenizer, ["käse"], LENGTH), model).num_bytes == 5


def test_measuring_changes_nothing(tokenizer: PreTrainedTokenizerFast, model: GPT2LMHeadModel) -> None:
    executor = Executor(model, tokenizer, 32)
    before = executor.sha256()
    model.train()
    probe = probe_of_answers(tokenizer, questions()[:4])
    assert measured(probe, model) == measured(probe, model)
    assert executor.sha256() == before


def test_sums_add_up() -> None:
    total = Sums(8.0, 4, 1, 2) + Sums(4.0, 2, 2, 2)
    assert total == Sums(12.0, 6, 3, 4)
    assert total.measured(are_answers=True).model_dump() == {"bits_per_byte": 2.0, "exact": 0.75}
    assert total.measured(are_answers=False).exact is None
