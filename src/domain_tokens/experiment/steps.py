"""The stages of a run and how to tell whether each is complete."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from domain_tokens.corpora.sources import describe
from domain_tokens.evaluation.modes import tasks_sha256
from domain_tokens.recipe import Recipe, Source, load_recipe, to_yaml
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import MANIFEST, RUN_CONFIG
from domain_tokens.tokenization.intervention import load_intervention

_EVALUATE = ("run_eval.py", "eval_checkpoints.py")  # the scripts that run the recipe's tasks

SCRIPTS = Path(__file__).parents[3] / "scripts"


@dataclass(frozen=True)
class Step:
    """One stage of one run: its script, its output folder, and the data sets that it reads."""

    script: str
    recipe: Recipe
    arguments: tuple[str, ...]
    distributed: bool
    folder: Path
    sources: tuple[Source, ...]

    @property
    def stage(self) -> str:
        """The stage's name: `pretrain` for `run_pretrain.py`."""
        return self.script.removeprefix("run_").removesuffix(".py")

    def is_complete(self) -> bool:
        """Return whether the output was made from this recipe, intervention, weights, data files and task files.

        In any other case the stage itself decides: it skips, resumes, or refuses with a message.
        """
        tokenizer = self.recipe.tokenizer_dir / MANIFEST
        intervention = load_intervention(Path(self.recipe.tokenizer)).as_json()
        if not tokenizer.is_file() or read_json(tokenizer)["inputs"] != {"intervention": intervention}:
            return False
        folder = self.folder
        if not (folder / MANIFEST).is_file() or (folder / RUN_CONFIG).read_text(encoding="utf-8") != to_yaml(
            self.recipe
        ):
            return False
        inputs = read_json(folder / MANIFEST)["inputs"]
        weights = {name: _weights(self.recipe.run_dir / name) for name in inputs.get("weights", {})}
        sources = [describe(source) for source in self.sources]
        tasks = tasks_sha256(self.recipe) if self.script in _EVALUATE else {}
        recorded = (inputs.get("weights", {}), inputs.get("sources", []), inputs.get("tasks", {}))
        return recorded == (weights, sources, tasks)


def steps_of(arguments: list[str]) -> Iterator[Step]:
    """Yield the stages of one run, in order.

    Args:
        arguments (`list[str]`): the recipe, its overlays and overrides, the seed among them.
    """
    recipe = load_recipe(arguments)
    given, run = tuple(arguments), recipe.run_dir
    sft_sources = [source for stage in recipe.sft_stages for source in stage.sources]
    evaluated = tuple(recipe.evaluation.data.values())
    yield Step("prepare_data.py", recipe, given, False, recipe.corpus_dir, tuple(recipe.corpus.sources))
    yield Step("run_pretrain.py", recipe, given, True, run / "pretrain_final", ())
    yield Step("run_sft.py", recipe, given, True, run / "sft_final", tuple(sft_sources))
    yield Step("run_grpo.py", recipe, given, True, run / "grpo_final", tuple(recipe.grpo_prompts))
    yield Step("run_eval.py", recipe, given, False, run / "eval", evaluated)
    yield Step("eval_checkpoints.py", recipe, given, False, run / "eval" / "checkpoints", evaluated)


def _weights(folder: Path) -> str | None:
    return read_json(folder / MANIFEST)["reported"]["weights_sha256"] if (folder / MANIFEST).is_file() else None
