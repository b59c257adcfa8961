"""What an experiment declares before it is run: endpoints, error rates, seeds, exclusions."""

from dataclasses import asdict, dataclass, field

from omegaconf import MISSING

from domain_tokens.recipe.checks import check_filled, check_fraction
from domain_tokens.recipe.errors import RecipeError

TEST = (
    "paired by seed and item: a crossed random-effects test for several seeds, the exact McNemar test for one; "
    "equivalence by two one-sided tests"
)


@dataclass
class Endpoint:
    """One comparison: a task's metric of a model, over all items or one group of them.

    Attributes:
        model: the folder of the model, for example `grpo_final`.
        task: the task's name.
        metric: the name of one of the task's metrics.
        group: the name of one of the task's groups of items; all items if not given.
    """

    model: str = MISSING
    task: str = MISSING
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
        contrasts: pairs of conditions by what they isolate: the condition with it, and the one without.
    """

    endpoints: list[Endpoint] = field(default_factory=list)
    alpha: float = 0.05
    power: float = 0.8
    equivalence_margin: float = 0.01
    seeds: list[int] = field(default_factory=list)
    exclusions: list[str] = field(default_factory=list)
    contrasts: dict[str, list[str]] = field(default_factory=dict)

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the file and the key.

        Args:
            where (`str`): the file.
        """
        check_filled(f"{where}: endpoints", self.endpoints)
        if len({tuple(asdict(endpoint).values()) for endpoint in self.endpoints}) < len(self.endpoints):
            raise RecipeError(f"{where}: endpoints: one occurs twice; expected different endpoints")
        for key in ("alpha", "power", "equivalence_margin"):
            check_fraction(f"{where}: {key}", getattr(self, key))
        for name, pair in self.contrasts.items():
            if len(pair) != 2 or pair[0] == pair[1]:
                raise RecipeError(
                    f"{where}: contrasts.{name}: expected two conditions, with it and without, got {pair}"
                )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise RecipeError(f"{where}: seeds: expected different whole numbers of at least 0, got {self.seeds}")
