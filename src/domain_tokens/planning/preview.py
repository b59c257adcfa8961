"""Lists the folders that a stage or an experiment would create, skip, resume or refuse, with reasons."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from domain_tokens.corpora.pipeline.texts import documents_stage, work_of
from domain_tokens.corpora.prepare import base_stage, corpus_stage, tokenizer_stage
from domain_tokens.corpora.sources import local_files
from domain_tokens.planning.decisions import Action, decide_evaluation, decide_stage
from domain_tokens.planning.recorded_inputs import training_stage
from domain_tokens.recipe import Recipe, RecipeError, Source
from domain_tokens.runs.layout import MANIFEST, made_by, stage_paths, start_folder
from domain_tokens.training.inputs import predecessor_folder, training_sources

StageName = Literal["prepare_data", "pretrain", "sft", "grpo", "evaluate", "evaluate_checkpoints"]

STAGES: tuple[StageName, ...] = ("prepare_data", "pretrain", "sft", "grpo", "evaluate", "evaluate_checkpoints")
"""The stages of a run, in order."""

_PREPARE = "scripts/prepare_data.py with the same recipe"


@dataclass(frozen=True)
class Verdict:
    """What would be done with one folder.

    Attributes:
        recipe: the run.
        name: the name of the output, for example `documents` or `sft/drills`.
        folder: its path.
        action: `run`, `resume` (unfinished), `skip` (complete), `refuse` (made from other inputs) or `wait` (a
            prerequisite is missing).
        reason: the explanation shown to the user.
    """

    recipe: Recipe
    name: str
    folder: Path
    action: Action
    reason: str


@dataclass(frozen=True)
class _Part:
    """One output folder of a stage.

    Attributes:
        name: the name of the output.
        folder: its path.
        needs: the folders that must be complete first, each with the script that creates it and whose it is.
        decide: returns what would be done; called once everything in `needs` is complete.
        sources: the data sets that are read.
    """

    name: str
    folder: Path
    needs: tuple[tuple[Path, str], ...]
    decide: Callable[[], tuple[Action, str]]
    sources: tuple[Source, ...] = ()


def preview(recipes: Iterable[Recipe], stages: Iterable[StageName]) -> list[Verdict]:
    """Return what would be done, in order. A folder shared by several runs is listed once.

    Args:
        recipes (`Iterable[Recipe]`): the runs.
        stages (`Iterable[str]`): the stages of each run.
    """
    verdicts: dict[Path, Verdict] = {}
    made: set[Path] = set()
    names = tuple(stages)
    for recipe in recipes:
        for part in (part for name in names for part in _parts(recipe, name)):
            if part.folder in verdicts:
                continue
            action, reason = _judge(part, made)
            verdicts[part.folder] = Verdict(recipe, part.name, part.folder, action, reason)
            if action in ("run", "resume"):
                made.add(part.folder)
    return list(verdicts.values())


def _judge(part: _Part, made: set[Path]) -> tuple[Action, str]:
    try:
        for source in part.sources:
            if source.kind == "file":
                local_files(source)
    except RecipeError as error:
        return "refuse", str(error)
    for folder, script in part.needs:
        if folder not in made and not (folder / MANIFEST).is_file():
            return "wait", f"{folder} is missing; run {script} first"
    before = [folder for folder, _ in part.needs if folder in made]
    if before and (part.folder / MANIFEST).is_file():
        return "wait", f"complete, but {before[-1].name} would be rebuilt; kept if the result is the same"
    if before:
        return "run", f"after {before[-1].name}"
    try:
        return part.decide()
    except RecipeError as error:
        return "refuse", str(error)


def _parts(recipe: Recipe, name: StageName) -> Iterator[_Part]:
    if name == "prepare_data":
        yield from _parts_of_data(recipe)
    elif name in ("evaluate", "evaluate_checkpoints"):
        yield _part_of_evaluation(recipe, name)
    else:
        yield from _parts_of_training(recipe, name)


def _parts_of_data(recipe: Recipe) -> Iterator[_Part]:
    tokenizer, documents, corpus = recipe.tokenizer_dir, recipe.documents_dir, recipe.corpus_dir
    make = partial(documents_stage, recipe)
    text = _Part("documents", documents, (), partial(decide_stage, make, work_of(documents)))
    make = partial(tokenizer_stage, recipe)
    if recipe.base_vocabulary.is_trained:
        base = recipe.base_vocabulary_dir
        yield text
        needs: tuple[tuple[Path, str], ...] = ((documents, _PREPARE),)
        yield _Part("base vocabulary", base, needs, partial(decide_stage, partial(base_stage, recipe)))
        yield _Part("tokenizer", tokenizer, ((base, _PREPARE),), partial(decide_stage, make))
    else:
        yield _Part("tokenizer", tokenizer, (), partial(decide_stage, make))
        yield text
    make, needs = partial(corpus_stage, recipe), ((tokenizer, _PREPARE), (documents, _PREPARE))
    yield _Part("corpus", corpus, needs, partial(decide_stage, make, work_of(corpus)))


def _parts_of_training(recipe: Recipe, name: StageName) -> Iterator[_Part]:
    for stage, paths in stage_paths(recipe).items():
        if stage.partition("_")[0] == name:
            before = (recipe.corpus_dir, _PREPARE) if name == "pretrain" else _model_before(recipe, stage)
            decide = partial(decide_stage, partial(training_stage, recipe, stage), paths.work)
            sources = () if name == "pretrain" else tuple(training_sources(recipe, stage))
            needs = (*_other_runs(recipe), (recipe.tokenizer_dir, _PREPARE), before)
            yield _Part(stage.replace("_", "/", 1), paths.final, needs, decide, sources)


def _model_before(recipe: Recipe, stage: str) -> tuple[Path, str]:
    """Return the folder of the model from which a stage starts, and how it is made."""
    folder, script = predecessor_folder(recipe, stage)
    if recipe.start_from is None or folder != start_folder(recipe):
        return folder, _same_recipe(script)
    return folder, f"{script} of the condition {recipe.start_from.condition}"


def _same_recipe(script: str) -> str:
    return f"{script} with the same recipe"


def _other_runs(recipe: Recipe) -> tuple[tuple[Path, str], ...]:
    """Return the runs from which `budget.equal_to` derives steps, by their last folder."""
    equal_to = recipe.budget.equal_to
    names = () if equal_to is None else (equal_to.reference, equal_to.measured_on)
    last = list(recipe.model_folders.values())[-1]
    return tuple((recipe.run_dir_of(name) / last, _same_recipe(made_by(last))) for name in names)


def _part_of_evaluation(recipe: Recipe, name: StageName) -> _Part:
    folder = recipe.run_dir / "eval"
    if name == "evaluate":
        models = recipe.evaluation.models
        needs = tuple((recipe.run_dir / model, _same_recipe(made_by(model))) for model in models)
        return _Part("evaluation", folder, needs, partial(decide_evaluation, recipe, folder))
    # The curves have a point for every saved model, so all training stages come first.
    trained = [(paths.final, _same_recipe(made_by(paths.final.name))) for paths in stage_paths(recipe).values()]
    folder = folder / "checkpoints"
    needs = ((recipe.documents_dir, _PREPARE), (recipe.tokenizer_dir, _PREPARE), *trained)
    return _Part("learning curves", folder, needs, partial(decide_evaluation, recipe, folder))
