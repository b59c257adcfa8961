"""Which equations of an answer lie on the way from the question's numbers to the right number.

`Equation.used` looks one step ahead: any later equation uses a result. A chain that leads nowhere, such as `2*2=4,
2*4=8, 2*8=16`, is therefore used up to its last equation, and over a question with a 2 each is right for the item.
Here the way is followed backwards from the number after `####`, if that is right.
"""

from collections.abc import Sequence
from fractions import Fraction

from domain_tokens.evaluation.answers.answer import Answer, is_correct
from domain_tokens.evaluation.equations.operands import numbers_of
from domain_tokens.evaluation.equations.reading import Equation, read_equations


def on_the_way(answer: Answer, question: str, gold: str) -> list[Equation]:
    """Return the equations of an answer by which it reaches the right number, in order; none if its number is wrong.

    They are right for the item and no copies. Of a way, the last one arrives at the right number and each other one at
    an operand of a later one. Only the first equation that arrives at a value does so, and none arrives at a number of
    the question other than the right one: in `6*9=54, 54+8=62, 62-8=54, #### 54` the first alone is on the way. An
    equation that shares text with one on the way is on it too: `6*9=54 + 5 = 59` states two.

    A detour through new values, `3*(54+8)=186, 186-24=162` in place of `3*54=162`, is a way like any other.

    Args:
        answer (`Answer`): a model's answer.
        question (`str`): what the model was asked, in plain text.
        gold (`str`): the right number.
    """
    if answer.number is None or not is_correct(answer, gold):
        return []
    equations = read_equations(answer, question, gold)
    wanted = {abs(answer.number)}
    found: set[int] = set()
    new = _new_values(equations, set(numbers_of(question)) - wanted)
    for index in reversed(range(len(equations))):
        if not wanted.isdisjoint(new[index]):
            found.add(index)
            wanted |= {abs(value) for readings in equations[index].operands for value in readings}
    ways = [equations[index] for index in found]
    return [
        one
        for index, one in enumerate(equations)
        if index in found or (_is_step(one) and any(_overlap(one, way) for way in ways))
    ]


def _new_values(equations: Sequence[Equation], known: set[Fraction]) -> list[set[Fraction]]:
    """Return the values that each equation arrives at and that neither are known nor were arrived at before it."""
    known, new = set(known), []
    for one in equations:
        reached = {abs(value) for value in one.reached}
        new.append(reached - known if _is_step(one) else set())
        if one.right and one.of_item:
            known |= reached
    return new


def _is_step(one: Equation) -> bool:
    return one.right_for_item and one.origin == "computed"


def _overlap(one: Equation, other: Equation) -> bool:
    return one.start < other.end and other.start < one.end
