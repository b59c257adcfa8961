"""The names of repositories on the Hub, and what a repository says about the run that it is of."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from domain_tokens.publishing.allowed import PLACEMENT
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.checks import check_name, check_not_own, check_seed
from domain_tokens.runs.files import sha256_json
from domain_tokens.runs.records import Record, read_record

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.]+|-+|\.{2,}")
_LONGEST = 96  # the Hub's limit
_STAGE = re.compile(r"pretrain|sft_[\w.+-]+|grpo")
_MODEL = re.compile(r"pretrain_final|sft_[\w.+-]+|grpo_final")


class Placement(Record):
    """`published.json`: of what a repository, or a revision of it, is."""

    kind: Literal["stage", "checkpoint", "results"]
    experiment: str
    condition: str | None = None
    seed: int | None = None
    stage: str | None = None
    """`pretrain`, `sft_<name>` or `grpo`: the name of the folder of checkpoints."""
    model: str | None = None
    """The name of the stage's final folder: `sft_final`."""
    step: int | None = None
    """Of a checkpoint: optimizer steps of its stage."""
    files: Mapping[str, str] | None = None
    """The sha256 of each file that no other file lists: not what the manifest of a stage or the `verified.json` of a
    checkpoint does."""
    sha256: str | None = None
    """Of the other entries."""

    @property
    def identity(self) -> tuple[str | int | None, ...]:
        """What distinguishes it from whatever else is published."""
        return self.kind, self.experiment, self.condition, self.seed, self.stage, self.model, self.step

    @property
    def words(self) -> str:
        """What it is of, for a message."""
        if self.kind == "results":
            return f"the results of {self.experiment}"
        step = f", step {self.step}" if self.step else ""
        return f"{self.model} of {self.experiment}, {self.condition}, seed {self.seed}{step}"

    def sealed(self, files: Mapping[str, str]) -> "Placement":
        """Return the placement as it is published: with the hashes of files, and with its own."""
        whole = self.model_copy(update={"files": files})
        return whole.model_copy(update={"sha256": whole._hash()})

    def _hash(self) -> str:
        return sha256_json({key: value for key, value in self.as_json().items() if key != "sha256"})

    def check(self, where: Path | str) -> None:
        """Check that nobody changed it, and that folders can be made of it. Raises `RecipeError` if not."""
        if self.sha256 is None or self.files is None:
            raise RecipeError(
                f"{where}: was written by an earlier version, which hashed fewer files; push again, with this version"
            )
        if self.sha256 != self._hash():
            raise RecipeError(f"{where}: was changed after it was written; expected the file that was pushed")
        check_name(f"{where}: experiment", self.experiment)
        check_not_own(f"{where}: experiment", self.experiment)
        if self.kind == "results":
            return
        check_name(f"{where}: condition", self.condition or "")
        check_seed(f"{where}: seed", -1 if self.seed is None else self.seed)
        stage, model = self.stage or "", self.model or ""
        fits = _STAGE.fullmatch(stage) and _MODEL.fullmatch(model)
        if not fits or (self.kind == "checkpoint" and (self.step or 0) < 1):
            raise RecipeError(
                f"{where}: stage {self.stage!r}, model {self.model!r}, step {self.step!r}: not a stage of a run; "
                "expected what scripts/push_to_hub.py writes"
            )
        check_name(f"{where}: stage", stage.removeprefix("sft_"))
        check_name(f"{where}: model", model.removeprefix("sft_"))

    def run_dir(self, output_dir: Path) -> Path:
        """Return the folder of its run below an output folder."""
        return self.experiment_dir(output_dir) / f"exp_{self.condition}" / f"seed_{self.seed}"

    def experiment_dir(self, output_dir: Path) -> Path:
        """Return the folder of its experiment below an output folder."""
        return output_dir / self.experiment


def is_final_of(model: str, stage: str) -> bool:
    """Return whether a stage ends in a final folder of this name: the last of fine-tuning in `sft_final`."""
    return model == f"{stage}_final" or (stage.startswith("sft_") and model in (stage, "sft_final"))


def read_placement(folder: Path) -> Placement:
    """Return what a downloaded repository is of. Raises `RecipeError` if it does not say so in a way that fits."""
    if not (folder / PLACEMENT).is_file():
        raise RecipeError(f"it has no {PLACEMENT}; expected a repository that scripts/push_to_hub.py has made")
    placement = read_record(folder / PLACEMENT, Placement)
    placement.check(PLACEMENT)
    return placement


def check_repository(placement: Placement, repository: str, revision: str | None) -> None:
    """Check that a downloaded repository has the name under which its stage or its results are published.

    Args:
        placement (`Placement`): what it says that it is of.
        repository (`str`): `namespace/name`.
        revision (`str`, *optional*): what was asked for; a tag and a commit say nothing about the step.

    Raises:
        RecipeError: if it has another name.
    """
    namespace, _, _ = repository.partition("/")
    is_of_results = placement.kind == "results"
    expected = (
        results_repository(namespace, placement.experiment)
        if is_of_results
        else model_repository(namespace, placement)
    )
    if expected.casefold() != repository.casefold():
        raise RecipeError(
            f"{PLACEMENT} is of {placement.words}, which is published as {expected}; expected that name: rename the "
            "repository, or push again"
        )
    step = re.fullmatch(r"step-([0-9]+)", revision or "")
    is_branch = step is not None or revision in (None, "main")
    if is_branch and (None if step is None else int(step[1])) != placement.step:
        raise RecipeError(
            f"{PLACEMENT} is of {placement.words}; expected a checkpoint on the revision step-<n>, all else on main: "
            "push again"
        )


def model_repository(namespace: str, placement: Placement) -> str:
    """Return the name of the repository of a stage: `me/demo-mul_tokens-seed0-sft`."""
    stage = (placement.model or "").removesuffix("_final")
    return _name(namespace, placement.experiment, placement.condition or "", f"seed{placement.seed}", stage)


def results_repository(namespace: str, experiment: str) -> str:
    """Return the name of the data set repository of an experiment's results: `me/demo-results`."""
    return _name(namespace, experiment, "results")


def _name(namespace: str, *parts: str) -> str:
    """Join parts by `-`. What the Hub does not take in a name becomes a `-` too."""
    cleaned = [_NOT_IN_A_NAME.sub("-", part).strip("-.") for part in parts]
    name = "-".join(filter(None, cleaned))
    if len(name) > _LONGEST:
        raise RecipeError(
            f"{name}: a repository's name has at most {_LONGEST} characters on the Hub, this one has {len(name)}; "
            "use a shorter name of the experiment or the condition"
        )
    return f"{namespace}/{name}"
