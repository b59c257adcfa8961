"""Keeps some of the completions that GRPO samples, with what they earned, in `completions.jsonl`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from domain_tokens.runs.layout import COMPLETIONS
from domain_tokens.runs.records import Completion, read_rows, write_rows


@dataclass(frozen=True)
class Generation:
    """What was sampled at once, over all processes, group by group.

    Attributes:
        questions, gold: of each completion.
        written: the completions.
        rewards: what each function gave each of them; NaN for none.
        advantages: of each completion.
    """

    questions: Sequence[str]
    gold: Sequence[str]
    written: Sequence[str]
    rewards: Mapping[str, Sequence[float]]
    advantages: Sequence[float]


class KeptCompletions(TrainerCallback):
    """Keeps the completions of the first prompts, at the first step and every so many steps.

    The prompts of a step are the same in every condition, so that files of two conditions can be read side by side.

    Args:
        folder (`Path`): the folder of the file.
        every (`int`): steps between; 0 keeps none.
        num_prompts (`int`): of how many prompts.
        group_size (`int`): completions to a prompt.
    """

    def __init__(self, folder: Path, every: int, num_prompts: int, group_size: int) -> None:
        self.path = folder / COMPLETIONS
        self.every = every
        self.num_kept = num_prompts * group_size
        self.group_size = group_size
        self._next = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Drop the completions of steps that a resumed run repeats."""
        kept = list(_whole_rows(self.path))
        kept = [row for row in kept if 0 < row.step <= state.global_step]
        if state.is_world_process_zero and self.every:
            write_rows(self.path, kept)
        # As an undisturbed run: the first generation at or behind each multiple.
        self._next = -(-state.global_step // self.every) * self.every if self.every else 0

    def add(self, steps_done: int, generation: Generation) -> None:
        """Keep a generation's first completions, if it is time to. Called in the first process alone.

        Args:
            steps_done (`int`): optimizer steps before it is trained on.
            generation (`Generation`): what was sampled.
        """
        if not self.every or steps_done < self._next:
            return
        self._next = (steps_done // self.every + 1) * self.every
        with self.path.open("a", encoding="utf-8") as file:
            for number in range(min(self.num_kept, len(generation.written))):
                file.write(self._row(steps_done, number, generation).model_dump_json() + "\n")

    def _row(self, steps_done: int, number: int, generation: Generation) -> Completion:
        earned = {name: values[number] for name, values in generation.rewards.items()}
        return Completion(
            step=steps_done + 1,
            prompt=number // self.group_size,
            question=generation.questions[number],
            gold=generation.gold[number],
            completion=generation.written[number],
            rewards={name: _or_none(value) for name, value in earned.items()},
            advantage=_or_none(generation.advantages[number]),
        )


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _whole_rows(path: Path) -> Iterator[Completion]:
    """Yield the rows of a file, without a last one that a killed process has not written to its end."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        written = file.read()
        file.truncate(written.rfind(b"\n") + 1)
    yield from read_rows(path, Completion)
