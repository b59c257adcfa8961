"""What the jail answers: a value, or a refusal with a reason from a closed list."""

from dataclasses import dataclass
from enum import StrEnum

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""A value that JSON can hold, the only kind that crosses the wall of the jail."""

MAX_DETAIL_CHARS = 200


class Reason(StrEnum):
    """Why there is no value."""

    TOO_LONG = "too_long"
    """The source has more than `MAX_SOURCE_CHARS` characters; it was not looked at."""
    NOT_PYTHON = "not_python"
    """The source is no Python, or nested too deeply to be parsed."""
    SYNTAX = "forbidden_syntax"
    """A kind of statement or expression that is not on the list, such as a class, `with`, `yield` or `await`."""
    NAME = "forbidden_name"
    """A name that the source does not bind and that is not on the list of built-ins, or any name with `__`."""
    ATTRIBUTE = "forbidden_attribute"
    """An attribute that is not on the list, or a format string that reads one."""
    IMPORT = "forbidden_import"
    """A module, or a name of a module, that is not on the list."""
    RAISED = "raised"
    """An exception ended the program."""
    RECURSION = "recursion"
    """The program called itself too deeply."""
    MEMORY = "memory"
    """More memory than allowed."""
    CPU_TIME = "cpu_time"
    """More processor time than allowed."""
    WALL_TIME = "wall_time"
    """No answer within the time on the clock, which an overloaded machine can do to an honest program too."""
    FORBIDDEN_CALL = "forbidden_call"
    """A system call that is not on the list; the kernel ended the child."""
    CRASHED = "crashed"
    """Another signal ended the child."""
    NO_RESULT = "no_result"
    """The child ended, or the program did, without a result."""
    MALFORMED = "malformed"
    """The child sent something other than one result."""
    NOT_A_NUMBER = "not_a_number"
    """The result is no `int` and no `float`: a truth value, text, `None`, `Decimal`, a complex number, ..."""
    SEVERAL_NUMBERS = "several_numbers"
    """The result is a text with several numbers, or one that can be read in several ways (`reads_texts`)."""
    NOT_FINITE = "not_finite"
    """The result is infinite, not a number, or a whole number beyond every `float`."""
    TOO_MUCH_OUTPUT = "too_much_output"
    """The program printed more than `MAX_OUTPUT_CHARS` characters."""
    TOO_LARGE = "too_large"
    """The result of a mapped function takes more than `MAX_RESULT_BYTES` bytes."""
    NOT_JSON = "not_json"
    """The result of a mapped function is no JSON, or has NaN or an infinity."""


@dataclass(frozen=True)
class Refusal:
    """No value, and why.

    Attributes:
        reason (`Reason`): the kind.
        detail (`str`): what was refused or raised, in one printable line of at most `MAX_DETAIL_CHARS`. It comes from
            the untrusted side: show it, decide nothing by it.
    """

    reason: Reason
    detail: str = ""


class JailError(RuntimeError):
    """The jail cannot work: the system lacks what confines a child, the clean parent ended, or it is used wrongly."""


class Refused(BaseException):
    """Raised inside a child to end the work with a refusal; no `except Exception` of a program catches it."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.refusal = Refusal(reason, detail)


def printable(detail: str) -> str:
    """Return a detail as one printable line of at most `MAX_DETAIL_CHARS` characters."""
    return "".join(char if char.isprintable() else "?" for char in detail[:MAX_DETAIL_CHARS])
