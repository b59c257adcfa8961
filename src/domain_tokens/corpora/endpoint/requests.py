"""Requests: what is sent for a problem, and the key by which its answer is known."""

import json
from dataclasses import dataclass
from typing import Any

from domain_tokens.corpora.endpoint.prompts import messages, response_format
from domain_tokens.corpora.endpoint.settings import Endpoint
from domain_tokens.runs.files import sha256_json

# An assumption: what a server's chat template puts around two messages, also one with a system prompt of its own.
_TEMPLATE_TOKENS = 200


@dataclass(frozen=True)
class Problem:
    """A question with its solution in Python.

    Attributes:
        question, code: what is sent.
        executed: the number that the solution returned when it was executed.
        worked: its own worked solution, as the converter writes it; empty if that can't convert it.
    """

    question: str
    code: str
    executed: int | float
    worked: str = ""


@dataclass(frozen=True)
class Request:
    """What is sent.

    Attributes:
        key: the sha256 of the body. Equal problems have one key, so a repeated row is asked for once; and another
            model, prompt or setting is another request.
        body: the fields of `/chat/completions`, as JSON.
    """

    key: str
    body: str

    @property
    def fields(self) -> dict[str, Any]:
        """The body's fields."""
        return dict(json.loads(self.body))

    @property
    def most_tokens(self) -> int:
        """What the request can cost at most, in prompt and completion tokens.

        No tokenizer makes more tokens of a text than it has bytes, so the bound needs none. It is about four times
        what a prompt takes. What was not used is free again when the answer is there.
        """
        fields = self.fields
        return (
            len(self.body.encode())
            + _TEMPLATE_TOKENS
            + int(fields.get("max_tokens") or fields["max_completion_tokens"])
        )


def request_for(problem: Problem, endpoint: Endpoint) -> Request:
    """Return the request for a problem."""
    fields: dict[str, object] = {
        "model": endpoint.model,
        "messages": messages(problem.question, problem.code, endpoint.structured),
        endpoint.limit_name: endpoint.max_tokens,
    }
    if endpoint.temperature is not None:
        fields["temperature"] = endpoint.temperature
    if (form := response_format(endpoint.structured)) is not None:
        fields["response_format"] = form
    return Request(sha256_json(fields), json.dumps(fields, ensure_ascii=False))
