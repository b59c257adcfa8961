"""What an experiment declares before it is run: endpoints, error rates, seeds, exclusions."""

import re
from dataclasses import asdict, dataclass, field
from typing import Literal

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
class OtherRun:
    """A further experiment in the same outputs folder that is no second try of the declared comparison.

    Attributes:
        kind: `pilot` (with other seeds than the declared ones), `robustness` (other settings, reported beside the
            verdict), `study` (other questions), or `learning_rate_search`.
        why: what it is for, in words.
    """

    kind: Literal["pilot", "robustness", "study", "learning_rate_search"] = MISSING
    why: str = MISSING


@dataclass
class Prereg:
    """The declaration.

    Attributes:
        endpoints: what is tested, the primary endpoint first; Holm's correction is taken over all of them.
        alpha: the rate of false positives over all endpoints.
        power: the chance with which the smallest detectable effect would be found.
        equivalence_margin: as a fraction of 1; a difference that is certainly smaller counts as none.
        seeds: the seeds that will be run.
        stopping_rule: in words, when the runs end. A run that ends earlier than its recipe says is no finished stage,
            and a declared seed that was not run is a departure.
        exclusions: in words, what is left out and why.
        tasks_with_exclusions: the tasks of which items are left out; items left out of another are a departure.
        other_runs: by experiment name (`*` stands for any end of a name), runs that are no second try.
        contrasts: pairs of conditions by what they isolate: the condition with it, and the one without.
    """

    endpoints: list[Endpoint] = field(default_factory=list)
    alpha: float = 0.05
    power: float = 0.8
    equivalence_margin: float = 0.01
    seeds: list[int] = field(default_factory=list)
    stopping_rule: str = ""
    exclusions: list[str] = field(default_factory=list)
    tasks_with_exclusions: list[str] = field(default_factory=lambda: ["hellaswag"])
    other_runs: dict[str, OtherRun] = field(default_factory=dict)
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
        for name in self.other_runs:
            if not re.fullmatch(r"\w[\w.+-]*\*?", name):
                raise RecipeError(
                    f"{where}: other_runs.{name}: expected the name of an experiment, or its beginning and a '*'"
                )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise RecipeError(f"{where}: seeds: expected different whole numbers of at least 0, got {self.seeds}")
