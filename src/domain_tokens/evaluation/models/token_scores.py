"""How likely a model finds each token of documents, every token predicted exactly once.

A document is read from the end-of-text token on, as in training, and its own end is predicted too. One that is longer
than the model's positions is read in windows that overlap: each begins `stride` tokens after the one before and
predicts only what that one has not, so a predicted token has at least `positions - stride` tokens before it, or all
that the document has.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from domain_tokens.tokenization.facts import IdRanges

# Rows of logits at a time. On a CPU 64 rows (13 MB) took 20% longer than the product with the head alone, 1,024 rows
# twice as long; a GPU takes 2,048 (400 MB).
_ROWS_ON_CPU, _ROWS_ON_GPU = 64, 2048


@dataclass(frozen=True)
class TokenScores:
    """What a model gives to the tokens of one document; arrays of shape `(tokens + 1,)`, float32.

    Attributes:
        bits: `-log2` of the probability of each token and of the document's end.
        fact_mass: the probability of all ids of the intervention together, at each of these positions.
        reserved_mass: the probability of the reserved ids together, which no text produces.
    """

    bits: np.ndarray
    fact_mass: np.ndarray
    reserved_mass: np.ndarray


@dataclass(frozen=True)
class Window:
    """A part of one document's inputs: it reads `start` to before `stop` and predicts what follows from `first` on.

    Inputs are counted from the end-of-text token that stands before the document.
    """

    document: int
    start: int
    first: int
    stop: int


def windows(document: int, num_inputs: int, length: int, stride: int, given: int = 0) -> Iterator[Window]:
    """Cut a document into windows of at most `length` inputs, each `stride` after the one before.

    Nothing is predicted from the first `given` inputs, and windows that would only read them are left out.

    Example:

    ```python
    >>> [(w.start, w.first, w.stop) for w in windows(0, num_inputs=11, length=4, stride=3)]
    [(0, 0, 4), (3, 4, 7), (6, 7, 10), (9, 10, 11)]
    ```
    """
    start, done = 0, given
    while done < num_inputs:
        stop = min(start + length, num_inputs)
        if stop > done:
            yield Window(document, start, done, stop)
            done = stop
        start += stride


def ids_of(model: PreTrainedModel) -> IdRanges:
    """Return the id ranges of a model's tokenizer: its end-of-text token is the last id of the base vocabulary."""
    return IdRanges(model.config.eos_token_id + 1)


def default_stride(model: PreTrainedModel) -> int:
    """Return half of the model's positions: behind the first window a token has at least as many before it."""
    return max(1, model.config.n_positions // 2)


def score_tokens(
    model: PreTrainedModel, documents: list[np.ndarray], stride: int | None = None, tokens_per_batch: int = 16384
) -> list[TokenScores]:
    """Score every token of every document.

    Windows of about one length are run together. What fills a batch up stands behind the text, where causal attention
    does not see it, and the head is computed for predicted positions alone, in 32-bit precision.

    Args:
        model (`PreTrainedModel`): any causal model whose base model gives last hidden states.
        documents (`list[np.ndarray]`): the token ids of each document, without an end-of-text token.
        stride (`int`, *optional*): how far apart windows begin, at most the model's positions; half of them if not
            given.
        tokens_per_batch (`int`, *optional*, defaults to 16384): tokens that are run at a time, at least one window.

    Raises:
        ValueError: if `stride` is out of range.
    """
    end = ids_of(model).end_of_text
    sequences = [np.concatenate([[end], ids, [end]]) for ids in documents]
    return score_sequences(model, sequences, [0] * len(sequences), stride, tokens_per_batch)


@torch.inference_mode()
def score_sequences(
    model: PreTrainedModel,
    sequences: Sequence[np.ndarray],
    given: Sequence[int],
    stride: int | None = None,
    tokens_per_batch: int = 16384,
) -> list[TokenScores]:
    """Score the tokens of sequences as they are: nothing is put before the first token or behind the last.

    Args:
        model (`PreTrainedModel`): as for `score_tokens`, also the other arguments.
        sequences (`Sequence[np.ndarray]`): token ids; all but the first token are predicted.
        given (`Sequence[int]`): how many of each sequence's inputs come with it: the scores of what follows them are
            NaN, and not computed.
    """
    length = model.config.n_positions
    stride = default_stride(model) if stride is None else stride
    if not 1 <= stride <= length:
        raise ValueError(f"stride: expected 1 to {length}, the model's positions, got {stride}")
    sequences = [ids.astype(np.int64) for ids in sequences]
    scores = [np.full((3, len(sequence) - 1), np.nan, dtype=np.float32) for sequence in sequences]
    todo = [
        window
        for index, (ids, skipped) in enumerate(zip(sequences, given, strict=True))
        for window in windows(index, len(ids) - 1, length, stride, skipped)
    ]
    todo.sort(key=lambda window: window.start - window.stop)  # longest first: what does not fit fails at once
    training = model.training
    model.eval()
    with tqdm(total=len(todo), desc="reading", unit=" windows", disable=not sys.stderr.isatty(), leave=False) as bar:
        for batch in _batches(todo, tokens_per_batch):
            found = _score_batch(model, [sequences[window.document] for window in batch], batch)
            for window, values in zip(batch, found, strict=True):
                scores[window.document][:, window.first : window.stop] = values
            bar.update(len(batch))
    model.train(training)
    return [TokenScores(*values) for values in scores]


def _batches(todo: list[Window], tokens_per_batch: int) -> Iterator[list[Window]]:
    begin = 0
    while begin < len(todo):
        longest = todo[begin].stop - todo[begin].start
        end = begin + max(1, tokens_per_batch // longest)
        yield todo[begin:end]
        begin = end


def _score_batch(model: PreTrainedModel, sequences: list[np.ndarray], batch: list[Window]) -> list[np.ndarray]:
    """Return the scores of each window's predicted positions, of shape `(3, positions)`."""
    longest = max(window.stop - window.start for window in batch)
    inputs = torch.full((len(batch), longest), ids_of(model).end_of_text)
    wanted = torch.zeros((len(batch), longest), dtype=torch.bool)
    for row, (window, ids) in enumerate(zip(batch, sequences, strict=True)):
        inputs[row, : window.stop - window.start] = torch.from_numpy(ids[window.start : window.stop])
        wanted[row, window.first - window.start : window.stop - window.start] = True
    pairs = zip(batch, sequences, strict=True)
    targets = torch.from_numpy(np.concatenate([ids[window.first + 1 : window.stop + 1] for window, ids in pairs]))
    inputs = inputs.to(model.device)
    # A mask of ones masks nothing; without one transformers warns, because a document begins with the padding token.
    hidden = model.base_model(inputs, attention_mask=torch.ones_like(inputs), use_cache=False).last_hidden_state
    rows = _ROWS_ON_CPU if model.device.type == "cpu" else _ROWS_ON_GPU
    parts = zip(hidden[wanted.to(model.device)].split(rows), targets.to(model.device).split(rows), strict=True)
    found = torch.cat([_score(model, *part) for part in parts], dim=1).cpu().numpy()
    ends = np.cumsum([window.stop - window.first for window in batch])
    return np.split(found, ends[:-1], axis=1)


def _score(model: PreTrainedModel, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    logits = model.get_output_embeddings()(states).float()
    total = logits.logsumexp(dim=1)
    bits = (total - logits.gather(1, targets[:, None])[:, 0]) / np.log(2)
    ids = ids_of(model)
    facts = (logits[:, ids.first_added :].logsumexp(dim=1) - total).exp()
    reserved = (logits[:, ids.num_base : ids.first_added].logsumexp(dim=1) - total).exp()
    return torch.stack([bits, facts, reserved])
