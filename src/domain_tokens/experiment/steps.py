"""The stages of a run and how to tell whether each is complete."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain_tokens.recipe import Recipe, load_recipe
from domain_tokens.recipe.sections.hub import Hub
from domain_tokens.runs.files import sha256_file
from domain_tokens.runs.layout import MANIFEST, PUSHED, StagePaths, stage_paths
from domain_tokens.runs.records import PushedRecord, read_record
from domain_tokens.shipped import shipped

if TYPE_CHECKING:
    from domain_tokens.planning.preview import StageName, Verdict

_NAMES: "dict[str, StageName]" = {
    "prepare_data.py": "prepare_data",
    "run_pretrain.py": "pretrain",
    "run_sft.py": "sft",
    "run_grpo.py": "grpo",
    "run_eval.py": "evaluate",
    "eval_checkpoints.py": "evaluate_checkpoints",
}

SCRIPTS = shipped("scripts")


@dataclass(frozen=True)
class Step:
    """One stage of one run.

    Attributes:
        script: the script that runs it.
        recipe: the run.
        arguments: the recipe as the script reads it from its command line.
        distributed: whether the script runs under accelerate's launcher.
    """

    script: str
    recipe: Recipe
    arguments: tuple[str, ...]
    distributed: bool

    @property
    def stage(self) -> str:
        """The stage's name: `pretrain` for `run_pretrain.py`."""
        return self.script.removeprefix("run_").removesuffix(".py")

    def is_complete(self) -> bool:
        """Return whether the stage itself would skip all its folders: finished, with inputs that are unchanged.

        In every other case the stage decides: it runs, resumes, or refuses with an explanation. One that is finished
        and still has to be published is started too.
        """
        return all(verdict.action == "skip" for verdict in self._verdicts()) and self.is_published()

    def is_published(self) -> bool:
        """Return whether the stage is on the Hub as it is here, if its recipe asks for that."""
        kind = _NAMES[self.script]
        if not self.recipe.publishes or not self.distributed:
            return True
        stages = stage_paths(self.recipe).items()
        return all(_is_pushed(paths, self.recipe.hub) for stage, paths in stages if stage.partition("_")[0] == kind)

    def resumes(self) -> str:
        """Return in words which unfinished folder the stage goes on with, and from which step; nothing if none is."""
        unfinished = [verdict for verdict in self._verdicts() if verdict.action == "resume"]
        return "; ".join(f"{verdict.name}: {verdict.reason}" for verdict in unfinished)

    def _verdicts(self) -> "list[Verdict]":
        from domain_tokens.planning.preview import preview  # takes half a second

        return preview([self.recipe], [_NAMES[self.script]])


def _is_pushed(paths: StagePaths, hub: Hub) -> bool:
    """Return whether a stage is published as it is now, where the recipe says, with all that it asks for."""
    manifest, record = paths.final / MANIFEST, paths.work / PUSHED
    if not manifest.is_file() or not record.is_file():
        return False
    pushed = read_record(record, PushedRecord)
    is_there = pushed.repository.partition("/")[0] == hub.namespace and (pushed.checkpoints or not hub.checkpoints)
    return is_there and pushed.manifest_sha256 == sha256_file(manifest)


def steps_of(arguments: list[str]) -> Iterator[Step]:
    """Yield the stages of one run, in order: without fine-tuning or GRPO, if the recipe has none.

    Args:
        arguments (`list[str]`): the recipe, its overlays and overrides, the seed among them.
    """
    recipe = load_recipe(arguments)
    trained = {stage.partition("_")[0] for stage in recipe.model_folders}
    for script, name in _NAMES.items():
        trains = name in ("pretrain", "sft", "grpo")
        if not trains or name in trained:
            yield Step(script, recipe, tuple(arguments), trains)
