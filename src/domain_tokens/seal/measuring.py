"""What a model gives to answers and documents: sums of bits, and whether greedy decoding would write an answer."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.corpora.worlds.language import Question
from domain_tokens.recipe import RecipeError
from domain_tokens.seal.records import Measured
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.training.forward.full_sequences import hidden_states

_TOKENS_AT_A_TIME = 2048  # little padding in a batch of texts of about one length


@dataclass(frozen=True)
class Sums:
    """Sums over answers or documents, which add up.

    Attributes:
        bits: of all predicted tokens, ends included.
        num_bytes: UTF-8 bytes of answers or documents.
        exact: answers of which every token and the end is the likeliest one.
        number: answers or documents.
    """

    bits: float = 0.0
    num_bytes: int = 0
    exact: int = 0
    number: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.bits + other.bits,
            self.num_bytes + other.num_bytes,
            self.exact + other.exact,
            self.number + other.number,
        )

    def measured(self, *, are_answers: bool) -> Measured:
        """Return bits per byte, and of answers the share that is exact."""
        per_byte = round(self.bits / self.num_bytes, 9)
        return (
            Measured(bits_per_byte=per_byte, exact=self.exact / self.number)
            if are_answers
            else Measured(bits_per_byte=per_byte)
        )


@dataclass(frozen=True)
class _Sequence:
    """Token ids, how many of them are given, and the bytes of what is predicted."""

    ids: list[int]
    given: int
    num_bytes: int


class Probe:
    """Texts that a model is measured on, encoded once.

    Args:
        sequences: what is read and predicted.
        padding: the id that fills rows up; it stands behind the text, where causal attention does not see it.
    """

    def __init__(self, sequences: Sequence[_Sequence], padding: int) -> None:
        self._parts = list(_batches(sorted(sequences, key=lambda one: -len(one.ids)), padding))

    @torch.inference_mode()
    def measure(self, model: GPT2LMHeadModel) -> Sums:
        """Return the sums for a model for full sequences, in 32-bit precision. What fills a row up stands behind."""
        model.eval()
        return sum((part.measure(model) for part in self._parts), Sums())


def probe_of_answers(tokenizer: PreTrainedTokenizerFast, questions: Sequence[Question]) -> Probe:
    """Return the answers to questions as a probe: the model is given the question and predicts answer and end.

    Raises:
        RecipeError: if the tokenizer rewrites a question or an answer: bits of what it dropped would be missing.
    """
    prompts = [render_prompt(one.question) for one in questions]
    whole = [f"{prompt} {one.answer}" for prompt, one in zip(prompts, questions, strict=True)]
    given, ids = _encode(tokenizer, prompts), _encode(tokenizer, whole)
    for prompt, text, before, both in zip(prompts, whole, given, ids, strict=True):
        if both[: len(before)] != before or tokenizer.decode(both) != text:
            raise RecipeError(f"the tokenizer rewrites {text!r}, or its cut of {prompt!r} depends on the answer")
    end = tokenizer.eos_token_id
    sequences = [
        _Sequence([*both, end], len(before), len(one.answer.encode()))
        for one, before, both in zip(questions, given, ids, strict=True)
    ]
    return Probe(sequences, end)


def probe_of_documents(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], length: int) -> Probe:
    """Return documents as a probe. One that is longer than the model's positions is read in parts, each by itself.

    Args:
        tokenizer (`PreTrainedTokenizerFast`): the model's.
        texts (`Sequence[str]`): the documents.
        length (`int`): the model's positions.
    """
    end = tokenizer.eos_token_id
    sequences = []
    for text, ids in zip(texts, _encode(tokenizer, texts), strict=True):
        whole = [end, *ids, end]
        starts = range(0, len(whole) - 1, length)
        sequences += [
            _Sequence(whole[start : start + length + 1], 1, 0 if start else len(text.encode())) for start in starts
        ]
    return Probe(sequences, end)


@dataclass(frozen=True)
class _Part:
    """A padded batch: inputs and which of the next tokens are predicted, both of shape `(rows, length)`."""

    inputs: torch.Tensor
    targets: torch.Tensor
    predicted: torch.Tensor
    num_bytes: int

    def measure(self, model: GPT2LMHeadModel) -> Sums:
        device = model.device
        inputs, predicted = self.inputs.to(device), self.predicted.to(device)
        logits = model.lm_head(hidden_states(model, inputs)[predicted]).float()
        targets = self.targets.to(device)[predicted]
        bits = (logits.logsumexp(1) - logits.gather(1, targets[:, None])[:, 0]) / math.log(2)
        missed = torch.zeros_like(predicted)
        missed[predicted] = logits.argmax(1) != targets
        return Sums(
            float(bits.cpu().sum(dtype=torch.float64)),
            self.num_bytes,
            int((~missed.any(1)).sum()),
            len(inputs),
        )


def _batches(sequences: Sequence[_Sequence], padding: int) -> Iterator[_Part]:
    start = 0
    while start < len(sequences):
        stop = start + max(1, _TOKENS_AT_A_TIME // len(sequences[start].ids))
        part = sequences[start:stop]
        ids = pad_sequence([torch.tensor(one.ids) for one in part], batch_first=True, padding_value=padding)
        places = torch.arange(ids.shape[1] - 1)
        given = torch.tensor([one.given for one in part])[:, None]
        lengths = torch.tensor([len(one.ids) for one in part])[:, None]
        predicted = (places >= given - 1) & (places < lengths - 1)
        yield _Part(ids[:, :-1], ids[:, 1:], predicted, sum(one.num_bytes for one in part))
        start = stop


def _encode(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[list[int]]:
    found: list[list[int]] = tokenizer(list(texts))["input_ids"]
    return found
