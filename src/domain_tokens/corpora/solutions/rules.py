"""The route that converts programs by rules, in a jail: parsing alone can crash a process."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from domain_tokens.corpora.programs import CONVERTER_VERSION, Reason
from domain_tokens.corpora.programs.conversion import convert_item
from domain_tokens.corpora.solutions.problems import Problem
from domain_tokens.corpora.solutions.route import Outcome, Rejected, Solved
from domain_tokens.jail.client import Jail
from domain_tokens.jail.outcomes import JailError, Json, Refusal
from domain_tokens.recipe import RecipeError

_BATCH = 250
_NEAR = 1e-9
_WARM_UP: tuple[Json, ...] = (
    ["def f():\n    total_cost = 6 * 1.5\n    return round(total_cost / 7, 2)", "6 pens at $1.50", False],
)


@dataclass(frozen=True)
class MakeRules:
    """Makes routes by rules.

    Attributes:
        check: whether every equation of a solution is true, as the reader of equations reads it, which lies in a
            higher layer.
        split_products: whether products of longer whole numbers are worked out by single digits.
        verify: whether each program is executed by Python, too, and the results are compared.
        allow_without_seccomp: as of a `Jail`.
    """

    check: Callable[[str], bool]
    split_products: bool = False
    verify: bool = False
    allow_without_seccomp: bool = False
    settings: Mapping[str, str | int | bool] = field(init=False)

    def __post_init__(self) -> None:
        """Record what the solutions depend on."""
        settings = {
            "route": "rules",
            "version": CONVERTER_VERSION,
            "split_products": self.split_products,
            "verify": self.verify,
        }
        object.__setattr__(self, "settings", settings)

    def __call__(self) -> "Rules":
        """Make the route."""
        return Rules(self)


def conversions(jail: Jail, problems: Iterable[Problem], split_products: bool = False) -> Iterator[Json | Refusal]:
    """Yield what `convert_item` makes of problems in a jail, in their order."""
    items: Iterator[Json] = ([problem.program, problem.question, split_products] for problem in problems)
    return jail.map(convert_item, items, batch_size=_BATCH, warm_up=_WARM_UP)


def executed(jail: Jail, programs: Iterable[str]) -> Iterator[int | float | Refusal]:
    """Yield what Python makes of programs in a jail. Their results are found and read by the converter's rules."""
    return jail.run_all(programs, reads_texts=True)


def without_number(refusal: Refusal) -> Rejected:
    """Return the rejection of a program that was executed and gave no number, counted by the jail's own reason."""
    return Rejected(f"plain execution gives no number: {refusal.reason}", refusal.detail)


def answer_in(answer: Json | Refusal) -> str:
    """Return the worked solution in what `convert_item` returned, empty if there is none."""
    return str(answer["answer"]) if isinstance(answer, dict) and _has_answer(answer) else ""


class Rules:
    """Converts programs by rules.

    Args:
        options (`MakeRules`): as given.

    Raises:
        RecipeError: if untrusted texts cannot be confined on this machine.
    """

    def __init__(self, options: MakeRules) -> None:
        self._options = options
        try:
            self._jail = Jail(allow_without_seccomp=options.allow_without_seccomp)
        except JailError as error:
            raise RecipeError(str(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jail.close()

    def solve(self, problems: Sequence[Problem]) -> Iterator[Outcome]:
        """Yield the outcomes of problems in their order."""
        answers = list(conversions(self._jail, problems, self._options.split_products))
        found = self._executed(answers) if self._options.verify else {}
        for index, answer in enumerate(answers):
            yield self._outcome(answer, found.get(index))

    def _executed(self, answers: Sequence[object]) -> dict[int, int | float | Refusal]:
        """Return what Python makes of the programs that were converted."""
        converted = {index: answer for index, answer in enumerate(answers) if _has_answer(answer)}
        programs = [str(answer["program"]) for answer in converted.values() if isinstance(answer, dict)]
        return dict(zip(converted, executed(self._jail, programs), strict=True))

    def _outcome(self, answer: object, number: int | float | Refusal | None) -> Outcome:
        if isinstance(answer, Refusal):
            return Rejected(f"the jail ended the conversion: {answer.reason}", answer.detail)
        if not isinstance(answer, dict):
            return Rejected(Reason.BROKEN, str(answer))
        if not _has_answer(answer):
            return Rejected(Reason(answer["reason"]), str(answer["detail"]))
        text = str(answer["answer"])
        if isinstance(number, Refusal):
            return without_number(number)
        if number is not None:
            upper, lower = int(answer["number"][0]), int(answer["number"][1])
            if abs(upper / lower - number) > _NEAR * max(1.0, abs(upper / lower)):
                return Rejected(Reason.OTHER_RESULT, f"{upper / lower} and {number}")
        return Solved(text) if self._options.check(text) else Rejected(Reason.UNTRUE, text)


def _has_answer(answer: object) -> bool:
    return isinstance(answer, dict) and "answer" in answer
