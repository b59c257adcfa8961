"""What went wrong in an answer."""

from domain_tokens.evaluation.answers.extraction import extract_answer, is_correct
from domain_tokens.evaluation.equations import Equation
from domain_tokens.tokenization.intervention import Intervention
from domain_tokens.tokenization.rewriter import expand

OUTCOMES = ("right", "unfinished", "format", "arithmetic", "reasoning")


def classify(
    answer: str, gold: str, finished: bool, equations: list[Equation], written_by: Intervention | None = None
) -> str:
    """Return the outcome of an answer: the first of these that applies.

    - `right`: it gives the right number (`answers.is_correct`), whatever its steps say, finished or not;
    - `unfinished`: it gives no number that can be read, and did not end;
    - `format`: it ended without a number that can be read, or with two different ones;
    - `arithmetic`: an equation that it computed, not copied, is wrong;
    - `reasoning`: all that it computed is right, or it computed nothing, and the number is wrong.

    Args:
        answer (`str`): what a model wrote, with tokens or without.
        gold (`str`): the right number, as it stands after `#### ` in the data set.
        finished (`bool`): whether the model ended its answer.
        equations (`list[Equation]`): those of the answer, from `read_equations`.
        written_by (`Intervention`, *optional*): the intervention of the model's tokenizer; the experiment's own if not
            given.
    """
    stated = expand(answer, written_by)
    if is_correct(stated, gold):
        return "right"
    if extract_answer(stated) is None:
        return "format" if finished else "unfinished"
    if any(equation.origin == "computed" and not equation.right for equation in equations):
        return "arithmetic"
    return "reasoning"
