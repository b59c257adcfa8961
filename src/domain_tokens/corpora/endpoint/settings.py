"""Where solutions are asked for, how, and within which limits; and the key, which is never shown."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

from domain_tokens.recipe import RecipeError

KEY_VARIABLE = "OPENAI_API_KEY"

Structured = Literal["schema", "json", "prompt"]


@dataclass(frozen=True)
class Endpoint:
    """A model behind an address, and what it is asked for.

    Attributes:
        base_url: the address up to and without `/chat/completions`, such as `http://localhost:8000/v1`.
        model: the model's name there.
        structured: how the form of an answer is asked for: `schema` sends a JSON schema (`response_format`), `json`
            asks for an object and describes it in the prompt, `prompt` only describes it. Never changed by itself.
        temperature: of sampling; `None` sends none, for models that take none.
        max_tokens: of one answer, at most.
        limit_name: what the endpoint calls that limit: `max_tokens`, or `max_completion_tokens` for newer models.
    """

    base_url: str
    model: str
    structured: Structured = "schema"
    temperature: float | None = 0.0
    max_tokens: int = 600
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"

    def __post_init__(self) -> None:
        """Check the address. Raises `RecipeError` if it cannot be one, or holds what must not be written down."""
        expected = "expected an address such as http://localhost:8000/v1, without a name, a password or a query"
        try:
            parts = urlsplit(self.base_url)
            parts.port  # noqa: B018 - raises for what is no port
        except ValueError as error:
            raise RecipeError(f"base URL: not an address ({error}); {expected}") from None
        # The address is recorded with every answer. One that may hold a secret is not shown here either.
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise RecipeError(f"base URL: it has a name, a password, a query or a fragment; {expected}")
        if parts.scheme not in ("http", "https") or not parts.hostname or not self.base_url.isprintable():
            raise RecipeError(f"base URL: got {self.base_url!r}; {expected}")
        if parts.path.rstrip("/").endswith("/chat/completions"):
            raise RecipeError(f"base URL: got {self.base_url!r}; expected it without /chat/completions")
        if not self.model.strip():
            raise RecipeError("model: got an empty name; expected the model's name at the endpoint")


@dataclass(frozen=True)
class Limits:
    """What a run may use.

    Attributes:
        token_cap: prompt and completion tokens of all runs with one ledger together. A request that could exceed it is
            not begun.
        at_once: requests under way at the same time.
        attempt_seconds: for one attempt, from the first byte sent to the last one received.
        budget_seconds: for one request with all its attempts and the waiting between them.
    """

    token_cap: int
    at_once: int = 8
    attempt_seconds: float = 120.0
    budget_seconds: float = 600.0


@dataclass(frozen=True)
class Prices:
    """Prices per million tokens, in the user's currency."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return what tokens cost."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


class Key:
    """The key of an endpoint: sent to it, and written nowhere.

    Args:
        value (`str`): the key.
    """

    def __init__(self, value: str) -> None:
        self._value = value
        # As JSON and an address would spell it.
        spellings = {value, json.dumps(value)[1:-1], value.replace("/", "\\/"), quote(value, safe="")}
        self._spellings = sorted(spellings, key=len, reverse=True) if len(value) >= _SHORTEST_SECRET else []

    def __repr__(self) -> str:
        return "Key(...)"

    def reveal(self) -> str:
        """Return the key itself, for the client alone."""
        return self._value

    def removed_from(self, text: str) -> str:
        """Return a text that came from the endpoint without the key, which some servers repeat in their errors."""
        for spelling in self._spellings:
            text = text.replace(spelling, "[key]")
        return text


# Servers without keys are given words such as `none`; those occur in answers and are no secrets.
_SHORTEST_SECRET = 8


def read_key(environment: Mapping[str, str] = os.environ) -> Key:
    """Read the key from the environment, the only place it is taken from. Raises `RecipeError` if there is none.

    Args:
        environment (`Mapping[str, str]`, *optional*, defaults to that of the process): its variables.
    """
    value = environment.get(KEY_VARIABLE, "").strip()
    if not value:
        raise RecipeError(
            f"{KEY_VARIABLE} is not set; expected the endpoint's key in this environment variable, and "
            f"{KEY_VARIABLE}=none for a server without keys"
        )
    # A header that cannot be sent would be shown with the error.
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise RecipeError(
            f"{KEY_VARIABLE}: it has spaces, line ends or characters outside ASCII; expected the key alone"
        )
    return Key(value)
