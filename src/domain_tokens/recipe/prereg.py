"""What an experiment declares before it is run: endpoints, error rates, seeds, exclusions."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from domain_tokens.recipe.errors import RecipeError

TEST = (
    "paired by seed and item: a crossed random-effects test for several seeds, the exact McNemar test for one; "
    "equivalence by two one-sided tests"
)


@dataclass
class Endpoint:
    """One comparison: a task's metric of a model, over all items or one group of them."""

    model: str = "???"
    task: str = "???"
    metric: str = "accuracy"
    group: str | None = None


@dataclass
class Prereg:
    """The declaration.

    Attributes:
        endpoints: what is tested, the primary endpoint first; Holm's correction is taken over all of them.
        alpha: the rate of false positives over all endpoints.
        power: the chance with which the smallest detectable effect would be found.
        equivalence_margin: as a fraction of 1; a difference that is certainly smaller counts as none.
        seeds: the seeds that will be run.
        exclusions: in words, what is left out and why.
        contrasts: what pairs of conditions take apart, by name: the one with it and the one without.
    """

    endpoints: list[Endpoint] = field(default_factory=list)
    alpha: float = 0.05
    power: float = 0.8
    equivalence_margin: float = 0.01
    seeds: list[int] = field(default_factory=list)
    exclusions: list[str] = field(default_factory=list)
    contrasts: dict[str, list[str]] = field(default_factory=dict)


def check_prereg(declared: Prereg, path: Path) -> None:
    """Raise `RecipeError` naming the file and the key if a declaration cannot be meant as it stands."""
    if not declared.endpoints:
        raise RecipeError(f"{path}: endpoints: empty; expected at least one, the primary endpoint first")
    if len({tuple(asdict(endpoint).values()) for endpoint in declared.endpoints}) < len(declared.endpoints):
        raise RecipeError(f"{path}: endpoints: one stands there twice")
    for key in ("alpha", "power", "equivalence_margin"):
        if not 0 < getattr(declared, key) < 1:
            raise RecipeError(f"{path}: {key}: expected a number between 0 and 1, got {getattr(declared, key)}")
    for name, pair in declared.contrasts.items():
        if len(pair) != 2 or pair[0] == pair[1]:
            raise RecipeError(f"{path}: contrasts.{name}: expected two conditions, with it and without, got {pair}")
    if not declared.seeds or len(set(declared.seeds)) < len(declared.seeds) or min(declared.seeds) < 0:
        raise RecipeError(f"{path}: seeds: expected different whole numbers of at least 0, got {declared.seeds}")
