"""Draws continuations of validation text while a model is pretrained, and keeps them in `samples.jsonl`."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PreTrainedTokenizerFast,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.sections.monitoring import Monitoring
from domain_tokens.runs.layout import SAMPLES
from domain_tokens.runs.records import SampledText, read_rows, write_rows
from domain_tokens.tokenization.builder import base_encoder

_SEEDS = 2**32  # a step's draws are this far from those of the seed's neighbour


@dataclass(frozen=True)
class Beginning:
    """The text that a continuation goes on from.

    Attributes:
        document: the document's id.
        text: the same in every condition.
        ids: in the condition's tokenizer, behind the end of another document, as in training.
    """

    document: str
    text: str
    ids: tuple[int, ...]


class TextSamples(TrainerCallback):
    """Draws continuations at every evaluation. Training is not disturbed: the random numbers are its own.

    All processes draw, because each may hold a part of the weights; the first one writes.

    Args:
        folder (`Path`): the folder of the file.
        settings (`Monitoring`): how they are drawn.
        beginnings (`Sequence[Beginning]`): what from, at least one.
        tokenizer: the condition's.
    """

    def __init__(
        self,
        folder: Path,
        settings: Monitoring,
        beginnings: Sequence[Beginning],
        tokenizer: PreTrainedTokenizerFast,
    ) -> None:
        self.path = folder / SAMPLES
        self._settings = settings
        self._beginnings = beginnings
        self._tokenizer = tokenizer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Drop the rows of steps that a resumed run repeats."""
        if state.is_world_process_zero and self.path.is_file():
            rows = read_rows(self.path, SampledText)
            write_rows(self.path, [row for row in rows if row.step <= state.global_step and state.global_step > 0])

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Draw one continuation of each beginning, and write them in one piece."""
        model, settings, step = kwargs["model"], self._settings, state.global_step
        generator = torch.Generator().manual_seed(settings.seed * _SEEDS + step)
        drawn = continuations(
            model, [one.ids for one in self._beginnings], settings.max_new_tokens, settings.temperature, generator
        )
        if not state.is_world_process_zero:
            return
        earlier = read_rows(self.path, SampledText) if self.path.is_file() else ()
        rows = [row for row in earlier if row.step != step]
        for beginning, ids in zip(self._beginnings, drawn, strict=True):
            end = self._tokenizer.eos_token_id
            kept = ids[: ids.index(end)] if end in ids else ids
            rows.append(
                SampledText(
                    step=step,
                    document=beginning.document,
                    prompt=beginning.text,
                    text=self._tokenizer.decode(kept),
                    ended=end in ids,
                    temperature=settings.temperature,
                    seed=settings.seed,
                )
            )
        write_rows(self.path, rows)


def beginnings(
    documents: Path, settings: Monitoring, tokenizer: PreTrainedTokenizerFast, context: int
) -> list[Beginning]:
    """Return the beginnings of the first validation documents, the same text in every condition.

    Args:
        documents (`Path`): the folder of the validation documents, which all conditions share.
        settings (`Monitoring`): how many, and how long.
        tokenizer: the condition's.
        context (`int`): the model's context length.

    Raises:
        RecipeError: if there are fewer documents, or one's beginning leaves no room for its continuation.
    """
    plain = base_encoder(tokenizer.backend_tokenizer.to_str())
    found = []
    for name, text in itertools.islice(_texts(documents), settings.samples):
        places = plain.encode(text, add_special_tokens=False).offsets[: settings.prompt_tokens]
        cut = text[: places[-1][1]] if places else ""
        found.append(Beginning(name, cut, (tokenizer.eos_token_id, *tokenizer(cut)["input_ids"])))
    if len(found) < settings.samples:
        raise RecipeError(
            f"monitoring.samples: each continues another document, and {documents} has {len(found)}; expected at most "
            f"that many, got {settings.samples}"
        )
    longest = max(found, key=lambda one: len(one.ids))
    if (room := context - len(longest.ids)) < settings.max_new_tokens:
        raise RecipeError(
            f"monitoring.prompt_tokens: {longest.text!r} takes {len(longest.ids)} of {context} tokens "
            f"(model.n_positions) in this condition and leaves {room}; expected room for "
            f"monitoring.max_new_tokens={settings.max_new_tokens}"
        )
    return found


@torch.no_grad()
def continuations(
    model: torch.nn.Module,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    temperature: float,
    generator: torch.Generator,
) -> list[list[int]]:
    """Draw one continuation of each prompt with a model that has neither a cache nor a mask.

    Every step computes all rows up to the longest, padded behind: attention is causal, so padding changes nothing
    before it.

    Args:
        model (`torch.nn.Module`): returns logits for `input_ids` of shape `(rows, length)`.
        prompts (`Sequence[Sequence[int]]`): ids, at least one each; they and the new ones fit the context.
        max_new_tokens (`int`): how many ids are drawn.
        temperature (`float`): divides the logits.
        generator (`torch.Generator`): of the CPU, where all is drawn.

    Returns:
        The new ids of each prompt, `max_new_tokens` of them, whatever the model wrote.
    """
    was_training = model.training
    model.eval()
    rows, lengths = torch.arange(len(prompts)), torch.tensor([len(prompt) for prompt in prompts])
    ids = torch.zeros(len(prompts), int(lengths.max()) + max_new_tokens, dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(prompt)
    device = next(model.parameters()).device
    for place in lengths + torch.arange(max_new_tokens).unsqueeze(1):
        logits = model(input_ids=ids[:, : int(place.max())].to(device)).logits
        after = logits[rows.to(device), (place - 1).to(device)].float().cpu()
        ids[rows, place] = torch.multinomial((after / temperature).softmax(dim=-1), 1, generator=generator)[:, 0]
    model.train(was_training)
    return [ids[row, length : length + max_new_tokens].tolist() for row, length in enumerate(lengths.tolist())]


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the id and the text of each document of a split, in the order of its files, reading no further."""
    for file in sorted(folder.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                yield row["id"], row["text"]
