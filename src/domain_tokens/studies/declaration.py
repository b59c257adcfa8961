"""A study as a file declares it: a base recipe, a grid over its keys, the conditions and the seeds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from omegaconf import MISSING

from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.arguments import TrainerSection
from domain_tokens.recipe.checks import (
    check_among,
    check_at_least,
    check_filled,
    check_name,
    check_not_own,
    check_seeds,
    check_unique,
)
from domain_tokens.recipe.files import read_file
from domain_tokens.recipe.loading import load_section
from domain_tokens.recipe.values.types import EXPANDED

FitName = Literal["parameters", "tokens", "flops", "context", "joint"]
"""What a loss is fitted over: model size, tokens seen, compute, length of the context, or size and tokens together."""

Settings = Mapping[str, object]
"""Values by dotted keys of a recipe."""


@dataclass
class Slurm:
    """What `--slurm` asks of a cluster for every point. It changes no result.

    Attributes:
        partition: of the jobs.
        minutes: the limit of one point, all its runs.
        cpus, gpus, mem_gb: of one point; its runs are done one after the other, or as many at a time as cores allow.
        at_a_time: how many points run at a time.
        sbatch_args: further options of `sbatch`, without dashes: `{account: lab}`.
    """

    partition: str | None = None
    minutes: int = 24 * 60
    cpus: int = 8
    gpus: int = 0
    mem_gb: int = 32
    at_a_time: int = 16
    sbatch_args: dict[str, str] = field(default_factory=dict)

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        for key in ("minutes", "cpus", "mem_gb", "at_a_time"):
            check_at_least(f"{where}.{key}", getattr(self, key), 1)
        check_at_least(f"{where}.gpus", self.gpus, 0)


@dataclass
class Study:
    """What is varied, in which conditions, with which seeds.

    Attributes:
        study: names the folder under `output_dir`.
        question: what the study asks, in words; printed above its table.
        output_dir: where studies are written.
        recipes: one per condition, the reference first.
        overlays, overrides: applied to every recipe, as `scripts/run_experiment.py` takes them.
        seeds: of every point; the same seed gives the conditions of a point the same weights and documents.
        config_file: the accelerate configuration.
        grid: what is varied; a point is a combination of one value of each axis. An axis is a dotted key with a list
            of its values, or a name of its own with names of values, each of which sets one or several keys.
        held_out: values of grid keys by which points are kept out of every fit, to be predicted; a list names several.
        same_run: dotted keys along which points of one condition and seed count as one run, because they begin with
            the same steps: the annealed ends of one run under a warm-up, stable, decay schedule.
        fits: what the loss is fitted over.
        axis: the key that plots are drawn over; not given, the first of the grid.
        slurm: what is asked of a cluster.
    """

    study: str = MISSING
    question: str = ""
    output_dir: str = field(default="outputs/studies", metadata=EXPANDED)
    recipes: list[str] = field(default_factory=list, metadata=EXPANDED)
    overlays: list[str] = field(default_factory=list, metadata=EXPANDED)
    overrides: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=lambda: [0])
    config_file: str | None = field(default=None, metadata=EXPANDED)
    grid: TrainerSection = field(default_factory=dict)
    held_out: TrainerSection = field(default_factory=dict)
    same_run: list[str] = field(default_factory=list)
    fits: list[str] = field(default_factory=list)
    axis: str | None = None
    slurm: Slurm = field(default_factory=Slurm)

    @property
    def folder(self) -> Path:
        """`outputs/studies/<study>`: the table, and the experiment of every point."""
        return Path(self.output_dir) / self.study

    def axes(self, where: str) -> dict[str, dict[str, Settings]]:
        """Return for each axis its values by name, and what each of them sets.

        Args:
            where (`str`): the file, for messages.

        Raises:
            RecipeError: if an axis is neither a list of values nor named groups of settings.
        """
        return {axis: _values(f"{where}: grid.{axis}", axis, given) for axis, given in self.grid.items()}

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the file and the key."""
        check_name(f"{where}: study", self.study)
        check_not_own(f"{where}: study", self.study)
        check_filled(f"{where}: recipes", self.recipes)
        check_seeds(f"{where}: seeds", self.seeds)
        check_filled(f"{where}: grid", list(self.grid))
        for name in self.fits:
            check_among(f"{where}: fits", name, get_args(FitName))
        check_unique(f"{where}: fits", self.fits)
        axes = self.axes(where)
        keys = sorted({key for values in axes.values() for settings in values.values() for key in settings})
        for name, given in (("held_out", list(self.held_out)), ("same_run", self.same_run)):
            for key in given:
                check_among(f"{where}: {name}", key, keys)
        if self.axis is not None:
            check_among(f"{where}: axis", self.axis, [*axes, *keys])
        self.slurm.check(f"{where}: slurm")

    def is_held_out(self, settings: Settings) -> bool:
        """Return whether a point is kept out of every fit."""
        if not self.held_out:
            return False
        return all(any(is_value(settings.get(key), one) for one in (given if isinstance(given, list) else [given]))
                   for key, given in self.held_out.items())  # fmt: skip


def is_value(setting: object, value: object) -> bool:
    """Return whether a point's setting is a value; `true` is not 1, as it is to Python."""
    return setting == value and isinstance(setting, bool) == isinstance(value, bool)


def load_study(path: Path) -> Study:
    """Read a study.

    Args:
        path (`Path`): for example `recipes/studies/scaling_width.yaml`.

    Raises:
        RecipeError: with the file, the key and what was expected.
    """
    if path.is_file() and not {"study", "grid"} & read_file(path).keys():
        raise RecipeError(
            f"{path}: no study, for it has neither study nor grid; expected a file such as "
            "recipes/studies/scaling_width.yaml, which lists recipes and overlays"
        )
    study = load_section(Study, path)
    study.check(str(path))
    return study


def _values(where: str, axis: str, given: object) -> dict[str, Settings]:
    """Return the values of one axis by the names that they have in the name of a point."""
    if isinstance(given, list):
        values: dict[str, Settings] = {f"{axis.rpartition('.')[2]}-{_shown(value)}": {axis: value} for value in given}
        if len(values) < len(given):
            raise RecipeError(f"{where}: a value occurs twice; expected different ones, got {given}")
    elif isinstance(given, dict):
        values = given
        for name, settings in values.items():
            if not isinstance(settings, dict) or not settings:
                raise RecipeError(f"{where}.{name}: expected keys of a recipe with their values, got {settings!r}")
    else:
        raise RecipeError(f"{where}: expected a list of values, or names with the keys that each sets, got {given!r}")
    check_filled(where, list(values))
    for name in values:
        check_name(f"{where}: the name of a point", str(name))
    return values


def _shown(value: object) -> str:
    """Return a value as it stands in the name of a folder."""
    text = f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
    return Path(text).stem if "/" in text else text
