"""What asking would take, before anything is asked: requests, tokens and their cost."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean

from tokenizers import Tokenizer, models, pre_tokenizers

from domain_tokens.corpora.endpoint.ledger import LEDGER, entry_of
from domain_tokens.corpora.endpoint.requests import Problem, Request, request_for
from domain_tokens.corpora.endpoint.settings import Endpoint, Prices
from domain_tokens.tokenization.bpe.base_vocabulary import gpt2_base

_SAMPLE = 500  # prompts whose tokens are counted
_ENOUGH_ANSWERS = 20  # to know how long the model's answers are
_TOKENS_PER_MESSAGE = 7  # an assumption: what a chat template adds to each, and to the beginning of the answer


@dataclass(frozen=True)
class Estimate:
    """What is left to ask.

    Attributes:
        rows: rows in all.
        repeated: rows that ask what an earlier one asks.
        answered: requests with an answer.
        requests: requests that would be sent.
        prompt_tokens: of these requests, from a sample, in GPT-2's tokens.
        completion_tokens: expected of them.
        most_completion_tokens: if every answer were as long as it may be.
        basis: what the expected completion is taken from.
    """

    rows: int
    repeated: int
    answered: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    most_completion_tokens: int
    basis: str

    def lines(self, prices: Prices | None) -> list[str]:
        """Return the estimate in words, with its cost if prices are given."""
        most = self.prompt_tokens + self.most_completion_tokens
        completion = f"about {self.completion_tokens:,} ({self.basis}), at most {self.most_completion_tokens:,}"
        lines = [
            f"rows: {self.rows:,}; {self.repeated:,} repeated, {self.answered:,} answered already",
            f"requests: {self.requests:,}",
            f"prompt tokens: about {self.prompt_tokens:,} (GPT-2's tokens; the endpoint counts its own)",
            f"completion tokens: {completion}",
            f"tokens: about {self.prompt_tokens + self.completion_tokens:,}, at most about {most:,}",
        ]
        if prices is None:
            return [*lines, "cost: not known without prices per million tokens"]
        expected = prices.of(self.prompt_tokens, self.completion_tokens)
        highest = prices.of(self.prompt_tokens, self.most_completion_tokens)
        return [*lines, f"cost: about {expected:,.2f}, at most about {highest:,.2f}"]


def estimate(problems: Iterable[Problem], endpoint: Endpoint, folder: Path, solutions: Sequence[str] = ()) -> Estimate:
    """Estimate what is left to ask. Reads the ledger of a folder if there is one, and writes nothing.

    Args:
        problems (`Iterable[Problem]`): the rows, read one at a time.
        endpoint (`Endpoint`): as it would be asked.
        folder (`Path`): where the ledger lies.
        solutions (`Sequence[str]`, *optional*): worked solutions such as are expected, for the length of an answer.
            Used until the ledger has 20 answers; without them an answer is taken to be as long as its program.
    """
    answers, lengths = _answers(folder / LEDGER)
    keys: set[bytes] = set()
    sample: list[tuple[Request, Problem]] = []
    rows = left = answered = 0
    draw = random.Random(0)
    for problem in problems:
        rows += 1
        request = request_for(problem, endpoint)
        key = bytes.fromhex(request.key)[:16]
        if key in keys:
            continue
        keys.add(key)
        if request.key in answers:
            answered += 1
            continue
        left += 1
        if len(sample) < _SAMPLE:
            sample.append((request, problem))
        elif (place := draw.randrange(left)) < _SAMPLE:
            sample[place] = (request, problem)
    tokenizer = _gpt2()
    prompt = _mean_tokens(tokenizer, [_sent(request) for request, _ in sample]) + 3 * _TOKENS_PER_MESSAGE
    if len(lengths) >= _ENOUGH_ANSWERS:
        completion, basis = fmean(lengths), f"as in {len(lengths):,} answers"
    elif solutions:
        completion, basis = _mean_tokens(tokenizer, solutions), f"as long as {len(solutions):,} worked solutions"
    else:
        programs = [problem.code for _, problem in sample]
        completion, basis = _mean_tokens(tokenizer, programs), "taken to be as long as the programs"
    completion = min(completion, endpoint.max_tokens)
    return Estimate(
        rows=rows,
        repeated=rows - len(keys),
        answered=answered,
        requests=left,
        prompt_tokens=round(prompt * left),
        completion_tokens=round(completion * left),
        most_completion_tokens=endpoint.max_tokens * left,
        basis=basis,
    )


def _sent(request: Request) -> str:
    fields = request.fields
    return "\n".join([*(message["content"] for message in fields["messages"]), str(fields.get("response_format", ""))])


def _mean_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> float:
    return fmean(len(found.ids) for found in tokenizer.encode_batch(list(texts))) if texts else 0.0


def _answers(path: Path) -> tuple[set[str], list[int]]:
    """Return the requests that have an answer, and how many tokens the reported answers took."""
    keys: set[str] = set()
    lengths = []
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                entry = entry_of(line)
                if entry is not None and entry.kind in ("answer", "denied") and entry.key not in keys:
                    keys.add(entry.key)
                    if entry.used is not None:
                        lengths.append(entry.used[1])
    return keys, lengths


@cache
def _gpt2() -> Tokenizer:
    base = gpt2_base()
    tokenizer = Tokenizer(models.BPE(vocab=base.vocabulary, merges=base.merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer
