"""A session: models that answer questions, and the answers to the last of them."""

import threading
from collections.abc import Generator
from dataclasses import asdict
from itertools import count

from domain_tokens.playground.difference import REASONS, first_difference
from domain_tokens.playground.models import LoadedModel
from domain_tokens.playground.reading import read
from domain_tokens.playground.requests import Ask, Why
from domain_tokens.playground.visible import visible
from domain_tokens.playground.vocabulary import check_swap
from domain_tokens.playground.writing import Writing
from domain_tokens.recipe import RecipeError

_REMEMBERED = 32  # questions

Event = dict[str, object]
"""What happened, as a line of JSON. Its `event` is `prompt`, `token`, `done` or `error` of one `model`, or `end`."""


class Session:
    """Models that are asked the same questions, one question at a time.

    Args:
        models (`list[LoadedModel]`): the models.
    """

    def __init__(self, models: list[LoadedModel]) -> None:
        self._models = models
        self._busy = threading.Lock()
        self._numbers = count(1)
        self._answered: dict[int, dict[int, Writing]] = {}

    def describe(self) -> dict[str, object]:
        """Return what a page shows before any question: the models, and all facts that one of them has a token for."""
        facts = {text for model in self._models for text in model.vocabulary.fact_texts()}
        models = [
            {
                "name": visible(model.name),
                "num_ids": len(model.vocabulary),
                "num_facts": len(model.vocabulary.fact_texts()),
                "num_positions": model.num_positions,
            }
            for model in self._models
        ]
        return {"models": models, "facts": sorted(map(visible, facts))}

    def check(self, ask: Ask) -> None:
        """Check a question before any model begins. Raises `RecipeError` if its swap names no facts."""
        try:
            check_swap([model.vocabulary for model in self._models], ask.swap)
        except RecipeError as error:
            raise RecipeError(f"swap: {error}") from error

    def answer(self, ask: Ask) -> Generator[Event]:
        """Let all models answer, a token of each in turn, and yield what happens.

        Another question waits until this one is answered or its iterator closed.
        """
        with self._busy:
            writings: dict[int, Writing] = {}
            for index, model in enumerate(self._models):
                try:
                    writings[index] = Writing(model, ask.question, ask.settings())
                except RecipeError as error:
                    yield {"event": "error", "model": index, "message": visible(str(error))}
                else:
                    yield _begun(index, writings[index], ask)
            running = {index: iter(writing) for index, writing in writings.items()}
            while running:
                for index in list(running):
                    step = next(running[index], None)
                    if step is not None:
                        yield {"event": "token", "model": index, "step": asdict(step)}
                    else:
                        del running[index]
                        yield {"event": "done", "model": index, "read": asdict(read(writings[index]))}
            number = next(self._numbers)
            self._answered[number] = writings
            self._answered.pop(number - _REMEMBERED, None)
            yield {"event": "end", "ask": number}

    def why(self, request: Why) -> dict[str, object]:
        """Return where the answers of two models part.

        Raises:
            RecipeError: if the question is not remembered, or one of them did not answer it.
        """
        writings = self._answered.get(request.ask)
        if writings is None:
            raise RecipeError(f"question {request.ask} is not remembered; ask it again")
        first, second = request.models
        for index in request.models:
            if index not in writings:
                raise RecipeError(f"model {index + 1} has not answered this question; choose two that have")
        if first == second:
            raise RecipeError("models: expected two different ones")
        with self._busy:
            found = first_difference(writings[first], writings[second])
        return {"reason": REASONS[found.part], **asdict(found)}


def _begun(index: int, writing: Writing, ask: Ask) -> Event:
    prompt = writing.prompt
    return {
        "event": "prompt",
        "model": index,
        "chips": [asdict(chip) for chip in prompt.chips],
        "rewritten": prompt.rewritten,
        "swapped": bool(writing.read_as) if ask.swap else None,
    }
