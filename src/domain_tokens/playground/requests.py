"""What a page may ask for, checked: nothing that it sends is trusted."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from domain_tokens.playground.writing import LONGEST, Settings
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.checks import LOWEST_TEMPERATURE, MAX_SEED

MAX_QUESTION = 10_000
MAX_TEMPERATURE = 100.0
_MAX_NAME = 100


def _temperature(value: float) -> float:
    if 0 < value < LOWEST_TEMPERATURE:
        raise ValueError(f"expected 0, or at least {LOWEST_TEMPERATURE}")
    return value


def _question(value: str) -> str:
    if not value.strip():
        raise ValueError("empty; type a question")
    return value


Name = Annotated[str, Field(min_length=1, max_length=_MAX_NAME)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Ask(_Request):
    """A question to all models."""

    question: Annotated[str, Field(max_length=MAX_QUESTION), AfterValidator(_question)]
    temperature: Annotated[float, Field(ge=0, le=MAX_TEMPERATURE, strict=True), AfterValidator(_temperature)] = 0.0
    seed: Annotated[int, Field(ge=0, le=MAX_SEED, strict=True)] = 0
    forbid_facts: Annotated[bool, Field(strict=True)] = False
    swap: tuple[Name, Name] | None = None
    max_new_tokens: Annotated[int, Field(ge=1, le=4096, strict=True)] = LONGEST

    def settings(self) -> Settings:
        """Return how the answers are written."""
        return Settings(self.temperature, self.seed, self.forbid_facts, self.swap, self.max_new_tokens)


class Why(_Request):
    """Where the answers of two models part."""

    ask: Annotated[int, Field(ge=1, strict=True)]
    """The number of the question, as it was answered."""
    models: tuple[Annotated[int, Field(ge=0, strict=True)], Annotated[int, Field(ge=0, strict=True)]]
    """The two models, counted from 0."""


R = TypeVar("R", bound=_Request)


def parse(kind: type[R], values: Any) -> R:
    """Check the values of a request.

    Raises:
        RecipeError: naming the first value that is wrong.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise RecipeError(f"{where}: {message}" if where else message) from error
