"""What went wrong in an answer."""

from domain_tokens.evaluation.answers.answer import Answer, is_correct
from domain_tokens.evaluation.equations import Equation

OUTCOMES = ("right", "unfinished", "format", "arithmetic", "reasoning")


def classify(answer: Answer, gold: str, finished: bool, equations: list[Equation]) -> str:
    """Return the outcome of an answer: the first of these that applies.

    - `right`: it gives the right number (`is_correct`), whatever its steps say, finished or not;
    - `unfinished`: it gives no number that can be read, and did not end;
    - `format`: it ended without a number that can be read, or with two different ones;
    - `arithmetic`: an equation that it computed, not copied, is wrong;
    - `reasoning`: all that it computed is right, or it computed nothing, and the number is wrong.

    Args:
        answer (`Answer`): a model's answer.
        gold (`str`): the right number, as the data set has it after `#### `.
        finished (`bool`): whether the model ended its answer.
        equations (`list[Equation]`): those of the answer, from `read_equations`.
    """
    if is_correct(answer, gold):
        return "right"
    if answer.number is None:
        return "format" if finished else "unfinished"
    if any(equation.origin == "computed" and not equation.right for equation in equations):
        return "arithmetic"
    return "reasoning"
