"""Why a program is not converted."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a program is not converted, as the record of a conversion counts it."""

    NO_TEXT = "the question or the program is empty"
    TOO_LONG = "the question or the program is too long"
    NOT_PYTHON = "the text is no Python"
    SYNTAX = "a statement or an expression that the converter does not know"
    CALL = "a call of a function that the converter does not know"
    NAME = "a name that has no value"
    NO_RESULT = "the program gives no result"
    NOT_A_NUMBER = "the result is text, a truth value, a list or nothing"
    SEVERAL_NUMBERS = "the result is several numbers"
    SHOWN_OTHERWISE = "the result is in a text that shows no number or another one"
    NO_STEPS = "nothing is computed"
    NEEDS_ARGUMENTS = "no call says what the arguments are"
    RAISES = "the program ends in an error"
    TYPES = "an operation on what is no number"
    IRRATIONAL = "a number that is no fraction, such as a square root or pi"
    NO_SHORT_NUMBER = "a number with too many digits or decimals"
    FLOAT_NOISE = "the noise of floats changes the result"
    NEGATIVE_DIVISION = "a remainder of negative numbers"
    TOO_MANY_STEPS = "too many steps"
    UNTRUE = "an equation that the reader of equations does not confirm"
    OTHER_RESULT = "plain execution gives another result"
    BROKEN = "the conversion did not end: too deep, too slow or too large"


class RefusedError(Exception):
    """Raised where a program cannot be converted.

    Attributes:
        reason: what is counted.
        detail: what was found, for a person.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
