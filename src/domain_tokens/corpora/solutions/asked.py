"""The route that asks a model behind an endpoint, and takes what agrees with the program."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from domain_tokens.corpora.endpoint.acceptance import NOT_ANSWERED, result_of
from domain_tokens.corpora.endpoint.answers import tally
from domain_tokens.corpora.endpoint.asking import Asked, ask
from domain_tokens.corpora.endpoint.batch import BatchOptions, ask_in_batches, open_batches
from domain_tokens.corpora.endpoint.checking.reaching import Reader
from domain_tokens.corpora.endpoint.ledger import Ledger
from domain_tokens.corpora.endpoint.prompts import PROMPTS_VERSION
from domain_tokens.corpora.endpoint.requests import Problem as Task
from domain_tokens.corpora.endpoint.requests import request_for
from domain_tokens.corpora.endpoint.settings import Endpoint, Key, Limits
from domain_tokens.corpora.programs.conversion import CONVERTER_VERSION, code_in
from domain_tokens.corpora.solutions.problems import Problem
from domain_tokens.corpora.solutions.route import Outcome, Rejected, Solved
from domain_tokens.corpora.solutions.rules import answer_in, conversions, executed, without_number
from domain_tokens.jail.client import Jail
from domain_tokens.jail.outcomes import Refusal
from domain_tokens.recipe import RecipeError

_GO_ON = "run the same command again to go on"
_OR_SKIP = "or with --skip-unanswered to leave out rows that still have no answer"


@dataclass(frozen=True)
class MakeModel:
    """Makes routes by a model.

    Attributes:
        endpoint, limits, key: where solutions are asked for, and within which limits.
        ledger: the folder of the ledger. It is not that of the solutions: what was paid for outlives them.
        read: reads equations and numbers; the reader lies in a higher layer.
        batches: how the Batch API is used; `None` asks directly.
        all_problems: with batches, returns all problems: they are submitted together before the first is solved.
        skip_unanswered: whether rows that had no answer are rejected, so that a shard is written without them.
        allow_without_seccomp: as of a `Jail`.
    """

    endpoint: Endpoint
    limits: Limits
    key: Key
    ledger: Path
    read: Reader
    batches: BatchOptions | None = None
    all_problems: Callable[[], Iterable[Problem]] | None = None
    skip_unanswered: bool = False
    allow_without_seccomp: bool = False
    settings: Mapping[str, str | int | bool] = field(init=False)

    def __post_init__(self) -> None:
        """Record what the solutions depend on. The address is recorded with each answer: the model may move."""
        endpoint = self.endpoint
        settings = {
            "route": "model",
            "version": PROMPTS_VERSION,
            "converter": CONVERTER_VERSION,
            "model": endpoint.model,
            "structured": endpoint.structured,
            "temperature": "none" if endpoint.temperature is None else str(endpoint.temperature),
            "max_tokens": endpoint.max_tokens,
        }
        object.__setattr__(self, "settings", settings)

    def __call__(self) -> "Model":
        """Make the route."""
        return Model(self)


class Model:
    """Asks a model for solutions. A program without a number in the jail is not asked for.

    Args:
        options (`MakeModel`): as given.

    Raises:
        JailError: if untrusted programs cannot be confined on this machine.
        RecipeError: if another process has the ledger, or batches are open and answers are asked for directly.
    """

    def __init__(self, options: MakeModel) -> None:
        if options.batches is None and (still_open := open_batches(options.ledger)):
            raise RecipeError(
                f"{options.ledger}: {len(still_open)} batches still have answers to fetch; run with --batch to do so"
            )
        self._options = options
        self._ledger = Ledger(options.ledger)
        self._submitted = False
        self._jail = Jail(allow_without_seccomp=options.allow_without_seccomp)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jail.close()

    def solve(self, problems: Sequence[Problem]) -> Iterator[Outcome]:
        """Ask for what has no answer yet, then yield the outcomes of problems in their order.

        Raises:
            RecipeError: if some have no answer, unless these are skipped. All answers that came are in the ledger.
            KeyboardInterrupt: if the user ended it.
        """
        options = self._options
        tasks = list(self._tasks(problems))
        if options.batches is not None:
            self._submit()
        else:
            asked = [task for task in tasks if isinstance(task, Task)]
            requests = (request_for(task, options.endpoint) for task in asked)
            self._check(ask(requests, len(asked), self._ledger, options.endpoint, options.limits, options.key))
        for task in tasks:
            yield self._outcome(task)

    def _submit(self) -> None:
        """Ask for all problems in batches, once, and wait for the answers."""
        options = self._options
        assert options.batches is not None
        assert options.all_problems is not None
        if self._submitted:
            return
        self._submitted = True
        tasks = (task for task in self._tasks(options.all_problems()) if isinstance(task, Task))
        requests = (request_for(task, options.endpoint) for task in tasks)
        self._check(
            ask_in_batches(requests, self._ledger, options.endpoint, options.limits, options.key, options.batches)
        )

    def _tasks(self, problems: Iterable[Problem]) -> Iterator[Task | Rejected]:
        """Yield what is asked for each problem, or why nothing is."""
        first, second, third = itertools.tee(((problem, code_in(problem.program)) for problem in problems), 3)
        numbers = executed(self._jail, (code for _, code in second))
        worked = conversions(self._jail, (problem for problem, _ in third))
        for (problem, code), number, answer in zip(first, numbers, worked, strict=True):
            if not problem.question or not problem.program:
                yield Rejected("no text")
            elif isinstance(number, Refusal):
                yield without_number(number)
            else:
                yield Task(problem.question, code, number, answer_in(answer))

    def _outcome(self, task: Task | Rejected) -> Outcome:
        if isinstance(task, Rejected):
            return task
        found = result_of(task, self._options.endpoint, self._ledger, self._options.read)
        if isinstance(found, str):
            return Solved(found)
        if found.reason == NOT_ANSWERED and not self._options.skip_unanswered:
            raise RecipeError(f"{self._options.ledger}: a row has no answer; {_GO_ON}, {_OR_SKIP}")
        return Rejected(found.reason)

    def _check(self, asked: Asked) -> None:
        if asked.interrupted:
            raise KeyboardInterrupt
        known = f"{self._ledger.num_settled:,} requests are settled in {self._options.ledger}"
        if asked.stopped:
            raise RecipeError(f"{asked.stopped}\n{known}; {_GO_ON}")
        if asked.failed and not self._options.skip_unanswered:
            reasons = ", ".join(f"{reason} {number:,}" for reason, number in tally(asked.failed.elements()))
            raise RecipeError(f"requests without an answer: {reasons}\n{known}; {_GO_ON}, {_OR_SKIP}")
