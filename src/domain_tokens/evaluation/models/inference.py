"""Runs a model on texts: what it writes after prompts, and how likely it finds continuations.

Texts are encoded in one call and run longest first, so that a batch holds texts of one length and the largest batch
comes first; if it does not fit into memory, batches are made smaller. Logits are computed only where they are needed:
with a vocabulary of 50,349 they are most of a small model's work.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from tqdm import tqdm
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
)

from domain_tokens.evaluation.models.repetition import NoRepeatedBytes, TokenTexts

_ROWS_OF_LOGITS = 1024  # at a time: 200 MB in fp32

T = TypeVar("T")


@dataclass(frozen=True)
class Decoding:
    """How answers are written.

    Attributes:
        max_new_tokens: the longest answer.
        stop: a text that ends an answer, beside the end-of-text token. Generation may run on behind it.
        num_samples: answers a prompt.
        temperature: 0 takes the likeliest token.
        forbidden_ids: tokens that are never written.
        no_repeat_bytes: no sequence of so many bytes of text stands twice in an answer (`models.repetition`).
        repetition_penalty: of tokens that the answer has, transformers' own; without the prompt's.
        seed: of the draws, if `temperature` is above 0.
    """

    max_new_tokens: int
    stop: str | None = None
    num_samples: int = 1
    temperature: float = 0.0
    forbidden_ids: tuple[int, ...] = ()
    seed: int = 0
    no_repeat_bytes: int | None = None
    repetition_penalty: float | None = None


@torch.inference_mode()  # beyond no_grad it saves what autograd keeps of every small tensor
def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: list[str],
    decoding: Decoding,
    batch_size: int,
    encode: Callable[[list[str]], list[list[int]]] | None = None,
    first: int = 0,
) -> list[list[list[int]]]:
    """Write answers to prompts.

    A drawn answer depends on the prompt's index, the sample's number and the seed alone, by adding Gumbel noise to the
    logits and taking the largest (Gumbel 1954; Maddison et al. 2014): the batch changes nothing, and two models that
    agree on the probabilities draw the same answer.

    Args:
        model (`PreTrainedModel`): the model.
        tokenizer (`PreTrainedTokenizerFast`): its tokenizer.
        prompts (`list[str]`): a prompt too long for the model loses its beginning.
        decoding (`Decoding`): how answers are written.
        batch_size (`int`): answers at a time, fewer as long as they do not fit into memory.
        encode (`Callable`, *optional*): how prompts are encoded, if not by the model's tokenizer.
        first (`int`, *optional*, defaults to 0): the index of the first prompt, if a list is answered in parts.

    Returns:
        `list[list[list[int]]]`: for each prompt `num_samples` answers as token ids, the end-of-text token included if
        it was written; what stands behind it or behind the stop text belongs to no answer.
    """
    room = model.config.n_positions - decoding.max_new_tokens
    end = tokenizer.eos_token_id
    # A prompt without tokens is the beginning of a document.
    found = tokenizer(prompts)["input_ids"] if encode is None else encode(prompts)
    encoded = [ids[-room:] or [end] for ids in found]
    order = [index for index in _longest_first(encoded) for _ in range(decoding.num_samples)]
    answers: list[list[list[int]]] = [[] for _ in prompts]
    stopping = [_StopIds(tokenizer, decoding.stop)] if decoding.stop else None
    texts = TokenTexts.of(tokenizer) if decoding.no_repeat_bytes else None
    begun = 0  # a batch that did not fit is taken again, those before it are not

    def run(batch_size: int) -> None:
        nonlocal begun
        for batch in _batches(order, begun, batch_size):
            drawn = [(first + one, len(answers[one]) + batch[:row].count(one)) for row, one in enumerate(batch)]
            written = _write(model, [encoded[index] for index in batch], end, decoding, drawn, texts, stopping)
            for index, ids in zip(batch, written, strict=True):
                answers[index].append(ids)
            begun += len(batch)

    _run_as_large_as_fits(run, batch_size)
    return answers


def _write(
    model: PreTrainedModel,
    prompts: list[list[int]],
    end: int,
    decoding: Decoding,
    drawn: list[tuple[int, int]],
    texts: TokenTexts | None,
    stopping: "list[_StopIds] | None",
) -> list[list[int]]:
    """Write one answer to each prompt of a batch, given as token ids; `drawn` has prompt and sample of each."""
    input_ids, mask = _pad(prompts, end, on_the_left=True)
    written = model.generate(
        input_ids=input_ids.to(model.device),
        attention_mask=mask.to(model.device),
        max_new_tokens=decoding.max_new_tokens,
        do_sample=False,
        suppress_tokens=list(decoding.forbidden_ids) or None,
        logits_processor=LogitsProcessorList(_processors(decoding, drawn, input_ids.shape[1], texts)),
        stopping_criteria=stopping,
        pad_token_id=end,
        eos_token_id=end,
        use_cache=True,
    )
    rows = written[:, input_ids.shape[1] :].tolist()
    return [row[: row.index(end) + 1] if end in row else row for row in rows]


def _processors(
    decoding: Decoding, drawn: list[tuple[int, int]], num_prompt: int, texts: TokenTexts | None
) -> list[LogitsProcessor]:
    """Return what changes the logits of a batch, in order: a penalty, the draw, the block."""
    found: list[LogitsProcessor] = []
    if decoding.repetition_penalty is not None:
        found.append(RepetitionPenaltyLogitsProcessor(float(decoding.repetition_penalty), num_prompt))
    if decoding.temperature > 0:
        found.append(GumbelNoise(drawn, decoding))
    if decoding.no_repeat_bytes and texts is not None:
        found.append(NoRepeatedBytes(texts, decoding.no_repeat_bytes))
    return found


@torch.no_grad()
def log_likelihoods(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    pairs: list[tuple[str, str]],
    batch_size: int,
) -> list[float]:
    """Return how likely a model finds each continuation after its context: the sum of its tokens' log-probabilities.

    Context and continuation are encoded apart, so that no token lies across the boundary and every continuation of a
    context is scored after the same tokens. Spaces at the context's end go to the continuation, as in
    lm-evaluation-harness.

    Args:
        model (`PreTrainedModel`): the model.
        tokenizer (`PreTrainedTokenizerFast`): its tokenizer.
        pairs (`list[tuple[str, str]]`): contexts and continuations; a pair too long for the model loses its beginning.
        batch_size (`int`): pairs at a time, fewer as long as they do not fit into memory.

    Returns:
        `list[float]`: in nats, 0 for a continuation without tokens.
    """
    encoded, lengths = _encode_pairs(tokenizer, pairs, model.config.n_positions)
    with_tail = [index for index, length in enumerate(lengths) if length]

    def run(batch: list[int]) -> list[float]:
        found = [with_tail[one] for one in batch]
        rows, tails = [encoded[index] for index in found], [lengths[index] for index in found]
        return _sum_tails(model, rows, tails, tokenizer.eos_token_id)

    sums = [0.0] * len(pairs)
    values = in_batches([encoded[index] for index in with_tail], batch_size, run)
    for index, value in zip(with_tail, values, strict=True):
        sums[index] = value
    return sums


def _encode_pairs(
    tokenizer: PreTrainedTokenizerFast, pairs: list[tuple[str, str]], num_positions: int
) -> tuple[list[list[int]], list[int]]:
    """Return the token ids of each context with its continuation, and how many of them are the continuation's."""
    contexts = [context.rstrip() for context, _ in pairs]
    tails = [context[len(kept) :] + tail for kept, (context, tail) in zip(contexts, pairs, strict=True)]
    distinct = list(dict.fromkeys((*contexts, *tails)))
    ids = dict(zip(distinct, tokenizer(distinct)["input_ids"], strict=True))
    # A context without tokens is the beginning of a document.
    encoded = [
        ((ids[context] or [tokenizer.eos_token_id]) + ids[tail])[-(num_positions + 1) :]
        for context, tail in zip(contexts, tails, strict=True)
    ]
    return encoded, [min(len(ids[tail]), len(whole) - 1) for tail, whole in zip(tails, encoded, strict=True)]


def _sum_tails(model: PreTrainedModel, rows: list[list[int]], lengths: list[int], padding: int) -> list[float]:
    """Return the summed log-probability of the last `lengths` tokens of each row of a batch."""
    # Padding stands behind what is read, where causal attention does not see it.
    input_ids, _ = _pad([row[:-1] for row in rows], padding, on_the_left=False)
    hidden = model.base_model(input_ids.to(model.device)).last_hidden_state
    row_of: list[int] = []
    position: list[int] = []
    target: list[int] = []
    for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        end = len(row) - 1
        row_of += [index] * length
        position += range(end - length, end)
        target += row[len(row) - length :]
    indices, positions, targets = (
        torch.tensor(values, device=model.device, dtype=torch.long) for values in (row_of, position, target)
    )
    total = torch.zeros(len(rows), dtype=torch.float64, device=model.device)
    total.index_add_(0, indices, token_log_probabilities(model, hidden[indices, positions], targets).double())
    return total.tolist()


def token_log_probabilities(model: PreTrainedModel, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the log-probability of each target token, in nats and in 32-bit precision.

    Args:
        model (`PreTrainedModel`): whose head is used.
        hidden (`torch.Tensor`): last hidden states of shape `(num_tokens, hidden_size)`.
        targets (`torch.Tensor`): token ids of shape `(num_tokens,)`.
    """
    head = model.get_output_embeddings()
    parts = [
        -torch.nn.functional.cross_entropy(head(states).float(), wanted, reduction="none")
        for states, wanted in zip(hidden.split(_ROWS_OF_LOGITS), targets.split(_ROWS_OF_LOGITS), strict=True)
    ]
    return torch.cat(parts) if parts else torch.zeros(0, device=hidden.device)


def in_batches(rows: list[list[int]], batch_size: int, run: Callable[[list[int]], list[T]]) -> list[T]:
    """Run a function over rows of token ids, the longest first, and return its results in the rows' order.

    Args:
        rows (`list[list[int]]`): the rows.
        batch_size (`int`): rows at a time, fewer as long as they do not fit into memory.
        run (`Callable`): returns a result for each row of a batch, given by their indices.
    """
    order, begun = _longest_first(rows), 0
    results: dict[int, T] = {}

    def run_from_there(batch_size: int) -> None:
        nonlocal begun
        for batch in _batches(order, begun, batch_size):
            results.update(zip(batch, run(batch), strict=True))
            begun += len(batch)

    _run_as_large_as_fits(run_from_there, batch_size)
    return [results[index] for index in range(len(rows))]


class _StopIds(StoppingCriteria):
    """Ends a sequence at a stop text that is written in its usual tokens.

    The text could be written in other tokens too; then generation runs on, and the answer is cut there all the same.
    transformers' own criterion for strings compares whole texts at every step.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, stop: str) -> None:
        self.end = tokenizer.encode(stop)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:
        if input_ids.shape[1] < len(self.end):
            return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
        return (input_ids[:, -len(self.end) :] == torch.tensor(self.end, device=input_ids.device)).all(dim=1)


class GumbelNoise(LogitsProcessor):
    """Adds to each row's logits, divided by the temperature, the noise of its own generator.

    Every step draws one number for each id of the vocabulary, so the noise of an id at a step depends on the row, the
    seed and the size of the vocabulary alone: not on what is written, likely or forbidden.

    Args:
        rows (`list[tuple[int, int]]`): prompt and sample of each row.
        decoding (`Decoding`): has temperature and seed.
    """

    def __init__(self, rows: list[tuple[int, int]], decoding: Decoding) -> None:
        self.temperature = decoding.temperature
        # Large odd factors keep the seeds of neighbouring prompts, samples and runs apart.
        seeds = [(decoding.seed * 1_000_003 + index) * 8_191 + number for index, number in rows]
        self.generators = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores of whose rows the largest is the draw; `scores` are logits of shape `(rows, ids)`."""
        uniform = torch.stack([torch.rand(scores.shape[1], generator=generator) for generator in self.generators])
        noise = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
        return scores.float() / self.temperature + noise.to(scores.device)


def _run_as_large_as_fits(run: Callable[[int], None], batch_size: int) -> None:
    # accelerate's find_executable_batch_size collects garbage before its first try: 0.5 s a call where nothing failed.
    while True:
        try:
            return run(batch_size)
        except Exception as error:
            if batch_size == 1 or not should_reduce_batch_size(error):
                raise
        clear_device_cache(garbage_collection=True)  # behind the handler, which holds on to what did not fit
        batch_size //= 2


def _longest_first(encoded: list[list[int]]) -> list[int]:
    return sorted(range(len(encoded)), key=lambda index: -len(encoded[index]))


def _batches(order: list[int], begun: int, batch_size: int) -> Iterator[list[int]]:
    with tqdm(total=len(order), initial=begun, disable=not sys.stderr.isatty(), leave=False) as bar:
        for start in range(begun, len(order), batch_size):
            batch = order[start : start + batch_size]
            yield batch
            bar.update(len(batch))


def _pad(rows: list[list[int]], padding: int, on_the_left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), padding)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for index, row in enumerate(rows):
        columns = slice(longest - len(row), None) if on_the_left else slice(0, len(row))
        ids[index, columns] = torch.tensor(row)
        mask[index, columns] = 1
    return ids, mask
