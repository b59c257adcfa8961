"""How a question with its solution becomes a document."""

from domain_tokens.corpora.lessons.draw import Draw
from domain_tokens.tokenization.prompts import render_prompt


def document(
    draw: Draw, question: str, lines: list[str], answer: int, conclusion: str, *, ends_in_sentence: bool = False
) -> tuple[str, str]:
    """Return the worked solution of a question, and a document with both.

    A solution that examples use ends in `#### <number>`, which their reader adds; a document may end in a sentence.

    Args:
        draw (`Draw`): decides on the form.
        question (`str`): the question.
        lines (`list[str]`): the worked lines.
        answer (`int`): the answer.
        conclusion (`str`): a sentence that says the answer.
        ends_in_sentence (`bool`, *optional*): whether the last line already is such a sentence.
    """
    solution = "\n".join(lines)
    form = draw.between(0, 3)
    if form <= 1:
        return solution, f"{render_prompt(question)} {solution}\n#### {answer}"
    if form == 2:
        return solution, f"Question: {question}\nSolution: {solution}\nAnswer: {conclusion}"
    ending = "" if ends_in_sentence else f"\n{conclusion}"
    return solution, f"{question}\n\n{solution}{ending}"
