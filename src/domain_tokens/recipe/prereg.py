"""What an experiment declares before it is run: endpoints, error rates, seeds, exclusions."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Literal

from omegaconf import MISSING

from domain_tokens.recipe.checks import (
    check_above_zero,
    check_among,
    check_at_least,
    check_filled,
    check_fraction,
    check_seeds,
    check_unique,
)
from domain_tokens.recipe.errors import RecipeError

_MODELS = ("pretrain_final", "sft_final", "grpo_final")

TEST = (
    "paired by seed and item: a crossed random-effects test for several seeds, the exact McNemar test for one; "
    "equivalence by two one-sided tests"
)


@dataclass
class SmallestEffect:
    """The smallest effect of interest, on a scale that follows the base rate.

    Attributes:
        scale: `relative`, a share of the reference's accuracy; `logit`, a shift of its log odds; or `points`, a
            difference of accuracies.
        value: the effect on that scale; points as a fraction of 1.
    """

    scale: Literal["relative", "logit", "points"] = MISSING
    value: float = MISSING


@dataclass
class Endpoint:
    """One comparison: a task's metric of a model, over all items or one group of them.

    Attributes:
        model: the folder of the model, for example `grpo_final`.
        task: the task's name.
        metric: the name of one of the task's metrics.
        group: the name of one of the task's groups of items; all items if not given.
        last_checkpoints: above 1, each item counts by its mean over that many last checkpoints of the stage that ends
            in the model, which varies less from run to run. The task must be among `evaluation.checkpoint_tasks`.
        smallest_effect: the smallest effect of interest at this endpoint; the declaration's if not given. Values, such
            as bits per byte, have no odds, so a declaration on the logit scale says nothing about them.
    """

    model: str = MISSING
    task: str = MISSING
    metric: str = "accuracy"
    group: str | None = None
    last_checkpoints: int = 1
    smallest_effect: SmallestEffect | None = None


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
        endpoints: what is tested, the primary endpoint first.
        alpha: the rate of false positives over the whole family of tests.
        power: the chance with which the assay must be able to find the smallest effect.
        smallest_effect: the smallest effect of interest. A difference that is certainly smaller counts as none, and an
            assay that could hardly have found it is not sensitive.
        equivalence_margin: as a fraction of 1, in declarations without `smallest_effect`; 0.01 if neither is given.
        seeds: the seeds that will be run.
        stopping_rule: in words, when the runs end. A run that ends earlier than its recipe says is no finished stage,
            and a declared seed that was not run is a departure.
        exclusions: in words, what is left out and why.
        tasks_with_exclusions: the tasks of which items are left out; items left out of another are a departure.
        other_runs: by experiment name (`*` stands for any end of a name), runs that are no second try.
        contrasts: pairs of conditions by what they isolate: the condition with it, and the one without.
        main: the names of the contrasts that are tested first, at the primary endpoint; everything else is tested only
            if these show a difference. Those count whose conditions are frozen. If not given, each condition against
            the reference.
        positive_control: the name of a contrast that is known to move the primary endpoint, or of an evaluation mode
            that is known to move it, such as `facts_forbidden`. An assay in which it does not is not sensitive.
    """

    endpoints: list[Endpoint] = field(default_factory=list)
    alpha: float = 0.05
    power: float = 0.8
    smallest_effect: SmallestEffect | None = None
    equivalence_margin: float | None = None
    seeds: list[int] = field(default_factory=list)
    stopping_rule: str = ""
    exclusions: list[str] = field(default_factory=list)
    tasks_with_exclusions: list[str] = field(default_factory=lambda: ["hellaswag"])
    other_runs: dict[str, OtherRun] = field(default_factory=dict)
    contrasts: dict[str, list[str]] = field(default_factory=dict)
    main: list[str] = field(default_factory=list)
    positive_control: str | None = None

    def deciding_alpha(self, planned: Collection[str] | None = None) -> float:
        """Return the level of the primary endpoint's test: Holm's first step over the main comparisons that count.

        Args:
            planned (*optional*): the conditions that the experiment will run; if not given, every comparison counts.
        """
        return self.alpha / max(len(counted_main(self.main, self.contrasts, planned)), 1)

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the file and the key.

        Args:
            where (`str`): the file.
        """
        check_filled(f"{where}: endpoints", self.endpoints)
        for endpoint in self.endpoints:
            check_at_least(f"{where}: endpoints: last_checkpoints", endpoint.last_checkpoints, 1)
            if endpoint.smallest_effect is not None:
                _check_effect(f"{where}: endpoints: smallest_effect.value", endpoint.smallest_effect)
        if len({astuple(replace(one, smallest_effect=None)) for one in self.endpoints}) < len(self.endpoints):
            raise RecipeError(f"{where}: endpoints: one occurs twice; expected different endpoints")
        for endpoint in self.endpoints:
            if endpoint.model not in _MODELS and not re.fullmatch(r"sft_[\w.+-]+", endpoint.model):
                check_among(f"{where}: endpoints: model", endpoint.model, (*_MODELS, "sft_<name of a stage>"))
        for key in ("alpha", "power"):
            check_fraction(f"{where}: {key}", getattr(self, key))
        self._check_smallest_effect(where)
        self._check_contrasts(where)
        for name, other in self.other_runs.items():
            if not re.fullmatch(r"\w[\w.+-]*\*?", name):
                raise RecipeError(
                    f"{where}: other_runs.{name}: expected the name of an experiment, or its beginning and a '*'"
                )
            check_filled(f"{where}: other_runs.{name}.why", other.why.strip())
        check_seeds(f"{where}: seeds", self.seeds)

    def _check_contrasts(self, where: str) -> None:
        known: dict[frozenset[str], str] = {}
        for name, pair in self.contrasts.items():
            if len(pair) != 2 or pair[0] == pair[1]:
                raise RecipeError(
                    f"{where}: contrasts.{name}: expected two conditions, with it and without, got {pair}"
                )
            if (first := known.setdefault(frozenset(pair), name)) != name:
                raise RecipeError(
                    f"{where}: contrasts.{name}: compares the same two as {first!r}; expected one of them"
                )
        check_unique(f"{where}: main", self.main)
        for name in self.main:
            check_among(f"{where}: main", name, self.contrasts)
        if self.positive_control in self.main:
            raise RecipeError(
                f"{where}: positive_control: {self.positive_control!r} is a main comparison; expected another contrast"
            )

    def _check_smallest_effect(self, where: str) -> None:
        if self.equivalence_margin is not None:
            check_fraction(f"{where}: equivalence_margin", self.equivalence_margin)
        if self.smallest_effect is None:
            return
        if self.equivalence_margin is not None:
            raise RecipeError(f"{where}: equivalence_margin: smallest_effect replaces it; expected one of the two")
        _check_effect(f"{where}: smallest_effect.value", self.smallest_effect)


def _check_effect(where: str, effect: SmallestEffect) -> None:
    if effect.scale == "logit":
        check_above_zero(where, effect.value)
    else:
        check_fraction(where, effect.value)


def counted_main(
    main: Sequence[str], contrasts: Mapping[str, Sequence[str]], planned: Collection[str] | None
) -> list[str]:
    """Return the main comparisons among which alpha is divided: those whose conditions are planned.

    What was frozen names the conditions that the experiment will run. A comparison of others can never be made, and
    would close the gate to every further test. One that was planned and not run counts.

    Args:
        main, contrasts: as declared.
        planned: the names of the conditions; `None` if nothing says which, so that all comparisons count.

    Returns:
        All of them, too, if none is planned: an experiment without its main comparisons tests nothing else.
    """
    named = [name for name in main if name in contrasts]
    kept = [name for name in named if planned is None or set(contrasts[name]) <= set(planned)]
    return kept or named
