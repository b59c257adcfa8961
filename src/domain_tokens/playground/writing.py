"""Writes an answer token by token, each with its probability and its rivals.

Probabilities are the model's own: at temperature 1, with nothing forbidden. Temperature, seed and what is forbidden
only decide which token is taken.

**Shared chance.** A draw adds Gumbel noise to the logits divided by the temperature and takes the largest, as the
evaluation does (`GumbelNoise`). The noise of an id at a step depends on the seed, the step and the id, and on nothing
that a model writes. The ids of the base vocabulary are the same tokens in every condition, and so are the places of
the added ones, so models with one seed share their random numbers token by token: two that agree on the probabilities
draw the same, and forbidding a token changes a draw only where that token would have been drawn. One uniform number
against the cumulated probabilities would not do that: a little more for a token with a low id moves all behind it.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import torch

from domain_tokens.evaluation.models.inference import Decoding, GumbelNoise
from domain_tokens.evaluation.tasks._generative import STOP
from domain_tokens.playground.models import LoadedModel
from domain_tokens.playground.visible import visible
from domain_tokens.playground.vocabulary import Chip, Kind, swapped_ids
from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.tokenization.rewriter import rewriter_of

NUM_RIVALS = 5
LONGEST = 256


@dataclass(frozen=True)
class Settings:
    """How an answer is written. The same for all models.

    Attributes:
        temperature: 0 takes the likeliest token.
        seed: of the draws.
        forbid_facts: whether the added ids are never written, as in the evaluation's ablation.
        swap: two facts, such as `6*9` and `7*8`: where the model has written one of them, it reads the other. What it
            writes and the question are not touched, as in the evaluation's ablation.
        max_new_tokens: the longest answer.
    """

    temperature: float = 0.0
    seed: int = 0
    forbid_facts: bool = False
    swap: tuple[str, str] | None = None
    max_new_tokens: int = LONGEST


class End(StrEnum):
    """Why an answer ends."""

    END_OF_TEXT = "end of text"
    NEXT_QUESTION = "next question"
    LIMIT = "length limit"
    CONTEXT = "context full"


@dataclass(frozen=True)
class Rival:
    """A token that could have been taken.

    Attributes:
        chip: the token.
        probability: the model's own, from 0 to 1.
        forbidden: whether the settings forbid it.
    """

    chip: Chip
    probability: float
    forbidden: bool


@dataclass(frozen=True)
class Step:
    """A token of an answer.

    Attributes:
        chip: the token.
        probability: the model's own, from 0 to 1.
        rivals: the five likeliest others, the likeliest first.
        start, end: its span in the answer as the tokenizer writes it, in characters. A character whose bytes are
            several tokens belongs to the last of them.
    """

    chip: Chip
    probability: float
    rivals: tuple[Rival, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Prompt:
    """A question as a model reads it.

    Attributes:
        ids: its tokens.
        chips: the same to be shown.
        rewritten: what the tokenizer's rules replaced, in order: the text of the question, and what became of it.
    """

    ids: tuple[int, ...]
    chips: tuple[Chip, ...]
    rewritten: tuple[tuple[str, str], ...]


def read_prompt(model: LoadedModel, question: str) -> Prompt:
    """Encode a question in the format of training and evaluation.

    Args:
        model (`LoadedModel`): whose tokenizer reads it.
        question (`str`): any text; a lone surrogate, which has no bytes, is read as a question mark.

    Raises:
        RecipeError: if the context has no room for an answer behind it.
    """
    text = render_prompt(question.encode(errors="replace").decode())
    ids = model.tokenizer.encode(text)
    if len(ids) >= model.num_positions:
        raise RecipeError(
            f"{model.name}: the question is {len(ids):,} tokens with its frame, and the context has "
            f"{model.num_positions:,}: no room for an answer; shorten the question"
        )
    rewriting = rewriter_of(model.vocabulary.intervention).rewrite(text)
    changes = [(edit.source, rewriting.text[edit.start : edit.end]) for edit in rewriting.edits]
    rewritten = tuple((visible(source), visible(new)) for source, new in changes)
    return Prompt(tuple(ids), tuple(map(model.vocabulary.chip, ids)), rewritten)


class Writing:
    """An answer that is being written: iterating takes one token after another.

    Args:
        model (`LoadedModel`): the model.
        question (`str`): the question.
        settings (`Settings`): how it is answered.

    Attributes:
        prompt: the question as the model reads it.
        ids: the tokens so far, as they were written.
        steps: the same, as they are shown.
        end: why the answer ended; `None` while it has not.

    Raises:
        RecipeError: if the question leaves no room for an answer.
    """

    def __init__(self, model: LoadedModel, question: str, settings: Settings) -> None:
        self.model = model
        self.question = question
        self.settings = settings
        self.prompt = read_prompt(model, question)
        self.ids: list[int] = []
        self.steps: list[Step] = []
        self.end: End | None = None
        self.read_as = swapped_ids(model.vocabulary, settings.swap)
        self.forbidden = model.vocabulary.added if settings.forbid_facts else range(0)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._written = ""
        self._cache: object = None
        self._noise = None
        if settings.temperature > 0:
            decoding = Decoding(1, temperature=settings.temperature, seed=settings.seed)
            self._noise = GumbelNoise([(0, 0)], decoding)

    @property
    def written(self) -> str:
        """The answer so far, as the tokenizer writes it: facts by their names."""
        return b"".join(map(self.model.vocabulary.written, self.ids)).decode(errors="replace")

    def __iter__(self) -> Iterator[Step]:
        room = self.model.num_positions - len(self.prompt.ids)
        unread = list(self.prompt.ids)
        while self.end is None:
            logits = self._logits(unread)
            step = self._step(logits, self._choose(logits))
            self.ids.append(step.chip.id)
            self.steps.append(step)
            unread = [self.read_as.get(step.chip.id, step.chip.id)]
            self.end = self._end(step, room)
            yield step

    def read_ids(self, num: int) -> list[int]:
        """Return the prompt and the first tokens of the answer as the model reads them.

        Args:
            num (`int`): how many tokens of the answer.
        """
        return [*self.prompt.ids, *(self.read_as.get(one, one) for one in self.ids[:num])]

    def circumstances(self, num: int | None = None) -> list[str]:
        """Return what else an answer depends on than its text: that facts were forbidden, and which were swapped.

        Args:
            num (`int`, *optional*): of this many of its tokens; of all if not given.
        """
        vocabulary = self.model.vocabulary
        found = ["facts were forbidden"] if self.forbidden and vocabulary.fact_texts() else []
        # What is read behind the last token decides nothing.
        for one in dict.fromkeys(one for one in self.ids[:-1][:num] if one in self.read_as):
            wrote, read = vocabulary.chip(one).text, vocabulary.chip(self.read_as[one]).text
            found.append(f"it read {read} where it wrote {wrote}")
        return found

    @torch.inference_mode()
    def _logits(self, unread: list[int]) -> torch.Tensor:
        """Return the logits behind what the model has not read yet, of shape `(ids,)`."""
        model = self.model.model
        ids = torch.tensor([unread], device=model.device)
        output = model(input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self._cache = output.past_key_values
        return output.logits[0, -1].float().cpu()

    def _choose(self, logits: torch.Tensor) -> int:
        scores = logits.clone()
        scores[self.forbidden.start : self.forbidden.stop] = -torch.inf
        if self._noise is not None:
            scores = self._noise(torch.tensor([self.ids]), scores[None])[0]
        return int(scores.argmax())

    def _step(self, logits: torch.Tensor, chosen: int) -> Step:
        probabilities = logits.softmax(dim=0)
        values, likeliest = probabilities.topk(min(NUM_RIVALS + 1, len(probabilities)))
        vocabulary = self.model.vocabulary
        rivals = [
            Rival(vocabulary.chip(token_id), value, token_id in self.forbidden)
            for value, token_id in zip(values.tolist(), likeliest.tolist(), strict=True)
            if token_id != chosen
        ]
        start = len(self._written)
        self._written += self._decoder.decode(vocabulary.written(chosen))
        return Step(
            vocabulary.chip(chosen),
            float(probabilities[chosen]),
            tuple(rivals[:NUM_RIVALS]),
            start,
            len(self._written),
        )

    def _end(self, step: Step, room: int) -> End | None:
        # The name of a reserved id holds the end-of-text marker, at which evaluation ends an answer, too.
        if step.chip.kind in (Kind.END, Kind.RESERVED):
            return End.END_OF_TEXT
        if STOP in self._written:
            return End.NEXT_QUESTION
        if len(self.ids) >= room:
            return End.CONTEXT
        return End.LIMIT if len(self.ids) >= self.settings.max_new_tokens else None
