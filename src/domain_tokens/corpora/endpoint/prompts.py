"""What a model is asked: the prompts, and the form of an answer."""

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from domain_tokens.corpora.endpoint.settings import Structured

PROMPTS_VERSION = 4
"""Rises with every change of what is asked or accepted."""

MAX_STEPS = 30
_TASK = """\
You turn a Python solution of a word problem into a worked solution for a pupil.

- Write one short sentence for each step, in the words of the problem. Do not mention Python, code or variable names.
- State every calculation as an equation with its result: "3 bags × 6 apples = 18 apples". Use ×, ÷, + and -.
- Each equation has to be true as it stands. Give decimals in full, without rounding.
- Follow the steps of the Python solution, and no others. End with the number that it returns, even if you would \
solve the problem otherwise.
"""
_FORM = """
Answer with one JSON object and nothing else: no text around it and no code fence. It has exactly two keys. "steps" \
is a list of sentences. "final_answer" is the final number as a JSON number, without a unit. For example:
{"steps": ["3 bags hold 3 × 6 = 18 apples.", "After 4 are eaten, 18 - 4 = 14 apples are left."], "final_answer": 14}
"""


class WorkedSolution(BaseModel):
    """The form of an answer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    steps: list[str] = Field(min_length=1, max_length=MAX_STEPS)
    final_answer: Decimal


def messages(question: str, code: str, structured: Structured) -> list[dict[str, str]]:
    """Return the messages of a request.

    Args:
        question (`str`): the word problem.
        code (`str`): its solution in Python.
        structured (`str`): as in `Endpoint`; without a schema the form is described.
    """
    system = _TASK if structured == "schema" else _TASK + _FORM
    user = f"Problem:\n{question.strip()}\n\nPython solution:\n{code.strip()}"
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def response_format(structured: Structured) -> dict[str, object] | None:
    """Return the field of the same name in a request, or `None` if nothing is sent."""
    if structured == "prompt":
        return None
    if structured == "json":
        return {"type": "json_object"}
    # Strict mode of the API knows no bounds on the length of a list; they are checked when the answer is read.
    properties = {"steps": {"type": "array", "items": {"type": "string"}}, "final_answer": {"type": "number"}}
    schema = {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip
    return {"type": "json_schema", "json_schema": {"name": "worked_solution", "strict": True, "schema": schema}}
