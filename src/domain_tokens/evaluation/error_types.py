"""What went wrong in an answer."""

from domain_tokens.evaluation.answers.answer import Answer, is_correct
from domain_tokens.evaluation.equations import Equation

OUTCOMES = ("right", "unfinished", "format", "operands", "arithmetic", "reasoning")


def classify(answer: Answer, gold: str, finished: bool, equations: list[Equation]) -> str:
    """Return the outcome of an answer: the first of these that applies.

    - `right`: it gives the right number (`is_correct`), whatever its steps say, finished or not;
    - `unfinished`: it gives no number that can be read, and did not end;
    - `format`: it ended without a number that can be read, or with two different ones;
    - `operands`: the first of its equations with a fault has operands that are not of the item;
    - `arithmetic`: the first of its equations with a fault has operands of the item and a wrong result;
    - `reasoning`: its equations have no fault, or it computed nothing, and the number is wrong.

    Equations that are copied do not count. Tokens and digits are judged alike by their operands. A token alone cannot
    be an arithmetic error, since its result is right by construction: a condition with tokens can only make this kind
    of error in digits, so its share of `arithmetic` is lower by definition and says nothing about the model.

    Args:
        answer (`Answer`): a model's answer.
        gold (`str`): the right number, as the data set has it after `#### `.
        finished (`bool`): whether the model ended its answer.
        equations (`list[Equation]`): those of the answer, from `read_equations` with the question.
    """
    if is_correct(answer, gold):
        return "right"
    if answer.number is None:
        return "format" if finished else "unfinished"
    for equation in equations:
        if equation.origin == "computed" and not equation.of_item:
            return "operands"
        if equation.origin == "computed" and not equation.right:
            return "arithmetic"
    return "reasoning"
