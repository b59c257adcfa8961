"""Reads and checks the results of a condition: its seeds with their stages and evaluations.

Every number in a report comes from here. A missing, damaged or contradictory file stops the comparison before anything
is computed.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import (
    CHECKPOINT_RESULTS,
    DIFFERENT_VOCABULARIES,
    DOCUMENT_BITS,
    EVALUATION,
    ITEMS,
    MANIFEST,
    METRICS,
    MODELS,
    RESULTS,
    TOKENIZER,
    Mode,
    task_file,
)
from domain_tokens.runs.records import (
    CheckpointResult,
    CorpusAccount,
    DocumentBits,
    Item,
    Manifest,
    MetricsRow,
    StartRecord,
    TaskResult,
    read_items,
    read_record,
    read_rows,
)

logger = logging.getLogger(__name__)

ALL_ITEMS = "all"
_FIRST = ("gsm8k", "arithmetic", "hellaswag")  # tasks are shown in this order; others follow by name
_ROUNDING = 5e-4  # an accuracy in a result file may be rounded to three decimals


@dataclass(frozen=True)
class EvaluatedTask:
    """One task of one model, run in one mode.

    Attributes:
        path: the results file.
        result: its content.
        items: the items by id, sorted by id.
    """

    path: Path
    result: TaskResult
    items: Mapping[str, Item]

    @property
    def task(self) -> str:
        """The task's name."""
        return self.result.task

    @property
    def mode(self) -> Mode:
        """The mode in which the task was run."""
        return self.result.mode

    @property
    def outcome_keys(self) -> Mapping[str, str]:
        """For each metric, the item key that says whether an item is right; the main metric first."""
        return self.result.outcomes

    @property
    def main_metric(self) -> str:
        """The metric by which the task is judged."""
        return next(iter(self.outcome_keys))

    def outcomes(self, key: str, group: str) -> dict[str, bool]:
        """Return `{item id: whether it is right}` for the items of one group, sorted by id.

        Args:
            key (`str`): the item's key that says whether it is right, a value of `outcome_keys`.
            group (`str`): a name from `groups()`, or `ALL_ITEMS`.
        """
        return {id: item.is_right(key) for id, item in self.items.items() if group in (ALL_ITEMS, item.group)}

    def values(self, key: str, group: str) -> dict[str, float]:
        """Return `{item id: its value}` as `outcomes`; a right answer has the value 1, a wrong one 0."""
        return {item.id: item.value(key) for item in self.of_group(group)}

    def unit(self, metric: str) -> str | None:
        """Return the unit of a metric that is a mean of values, `None` if it is a share of right items."""
        return self.result.units.get(metric)

    def has_values(self, key: str) -> bool:
        """Return whether an item's key holds a value, and not whether it is right."""
        return any(self.outcome_keys[metric] == key for metric in self.result.units)

    def templates(self, group: str) -> list[str]:
        """Return the template of each item of one group, in the order of `outcomes`; without one it is its own."""
        return [f"item {item.id}" if item.template is None else item.template for item in self.of_group(group)]

    def of_group(self, group: str) -> list[Item]:
        """Return the items of one group, in the order of `outcomes`."""
        return [item for item in self.items.values() if group in (ALL_ITEMS, item.group)]

    def groups(self) -> list[str]:
        """Return `ALL_ITEMS` and the sorted names of the item groups: an endpoint may be declared for any of them."""
        return [ALL_ITEMS, *sorted({item.group for item in self.items.values() if item.group is not None})]


@dataclass(frozen=True)
class StageRun:
    """One stage's manifest and metrics; `log` is empty if there is no metrics file."""

    folder: Path
    manifest: Manifest
    log: Sequence[MetricsRow]


@dataclass(frozen=True)
class EvaluatedCheckpoint:
    """One point of a run's learning curves, the bits per document if they were kept, and the folder of its tasks."""

    result: CheckpointResult
    documents: Sequence[DocumentBits]
    folder: Path

    def task(self, name: str) -> EvaluatedTask:
        """Read what the checkpoint answered in one of its tasks.

        Raises:
            RecipeError: if the results are missing or damaged.
        """
        return _load_evaluation(self.folder, name)


@dataclass(frozen=True)
class SeedRun:
    """One run: its stages and evaluations, in training order.

    Attributes:
        seed: the run's seed.
        folder: `seed_<n>`.
        stages: stages by model folder: pretraining, the last stage of fine-tuning, GRPO.
        evaluations: evaluations by model folder and name, which is the task, `gsm8k`, or the task and the mode,
            `gsm8k.facts_forbidden`.
        checkpoints: the points of its learning curves; empty if checkpoints were not evaluated.
        earlier: the stages of fine-tuning before the last one, by model folder. `sft_final` has their ledger too.
        start: with which other condition's model the run starts, if it does. Whatever led to that model is among the
            stages, evaluations and points, and lies in the other condition's folder.
    """

    seed: int
    folder: Path
    stages: Mapping[str, StageRun]
    evaluations: Mapping[tuple[str, str], EvaluatedTask]
    checkpoints: Sequence[EvaluatedCheckpoint]
    earlier: Mapping[str, StageRun] = field(default_factory=dict)
    start: StartRecord | None = None

    @property
    def evaluated_models(self) -> list[str]:
        """The folders of the evaluated models, in training order."""
        return list(dict.fromkeys(model for model, _ in self.evaluations))

    def plain(self) -> dict[tuple[str, str], EvaluatedTask]:
        """Return the evaluations in plain mode, from which accuracies are computed."""
        return {key: evaluation for key, evaluation in self.evaluations.items() if evaluation.mode == Mode.PLAIN}

    def last_checkpoints(self, model: str) -> list[EvaluatedCheckpoint]:
        """Return the evaluated checkpoints of the stage that ends in a model, in the order of training.

        Args:
            model (`str`): `pretrain_final`, `sft_<name>`, `sft_final` (the last fine-tuning stage) or `grpo_final`.
        """
        kind = model.removesuffix("_final")
        points = [one for one in self.checkpoints if model == one.result.stage]
        points = points or [one for one in self.checkpoints if one.result.stage.partition("_")[0] == kind]
        last = max((one.result.stage_number for one in points), default=0)
        return [one for one in points if one.result.stage_number == last]


@dataclass(frozen=True)
class Condition:
    """All runs of one condition.

    Attributes:
        name: the condition.
        folder: `exp_<condition>`.
        seeds: the runs by seed, in ascending order.
        corpus: the account of its corpus; `None` if no corpus folder was kept.
        about: what its intervention does, in the words of the intervention's file; `None` if no tokenizer was kept.
        start: with which other condition's model its runs start, as the first of them recorded it; `None` if they
            train all of their stages. The stages before that model, the corpus that they read and what was evaluated
            of them are the other condition's then, in the place of its own.
    """

    name: str
    folder: Path
    seeds: Mapping[int, SeedRun]
    corpus: CorpusAccount | None
    about: str | None = None
    start: StartRecord | None = None

    @property
    def first_run(self) -> SeedRun:
        """The run with the smallest seed."""
        return next(iter(self.seeds.values()))


@dataclass(frozen=True)
class Pair:
    """Two comparable conditions, with the same seeds, stages, evaluations and items.

    Attributes:
        reference: the condition that the other one is compared with.
        other: the other one.
        different_vocabularies: whether their base vocabularies differ, and all that follows from that.

    Raises:
        RecipeError: if something has no counterpart in the other condition; the message names it.
    """

    reference: Condition
    other: Condition
    different_vocabularies: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        _check_pair(self.reference, self.other)

    @property
    def sides(self) -> tuple[Condition, Condition]:
        """The reference, then the other condition."""
        return self.reference, self.other

    @property
    def seeds(self) -> list[int]:
        """The seeds of both, in ascending order."""
        return list(self.reference.seeds)

    @property
    def first_run(self) -> SeedRun:
        """The reference's first run. Every run of both conditions has the same evaluations."""
        return self.reference.first_run


def load_condition(folder: Path) -> Condition:
    """Read `outputs/<experiment>/exp_<condition>`.

    Raises:
        RecipeError: if a file or folder is missing, damaged or contradicts another; the message names it.
    """
    if not folder.is_dir():
        raise RecipeError(f"{folder}: no such folder; expected a condition's folder, e.g. outputs/demo/exp_baseline")
    numbered = {int(match[1]): path for path in folder.iterdir() if (match := re.fullmatch(r"seed_(\d+)", path.name))}
    if not numbered:
        raise RecipeError(f"{folder}: has no seed_<n> folder; expected a condition's folder with at least one run")
    seeds = {seed: _load_seed(seed, numbered[seed]) for seed in sorted(numbered)}
    names = {
        stage.manifest.condition: stage.folder
        for run in seeds.values()
        for stage in run.stages.values()
        if stage.folder.parent == run.folder
    }
    if len(names) > 1:
        shown = ", ".join(f"{name!r} in {path}" for name, path in names.items())
        raise RecipeError(
            f"{folder}: its manifests name several conditions: {shown}; expected one condition per folder"
        )
    (name,) = names
    start, about = next(iter(seeds.values())).start, _about(folder / TOKENIZER / MANIFEST)
    if start is not None:
        about = f"Begins with {start.model} of {start.condition}. {about or ''}".rstrip()
    read = folder if start is None else folder.parent / f"exp_{start.condition}"
    corpora = sorted(read.glob(f"corpus_*/{MANIFEST}"))
    corpus = CorpusAccount.parse(read_record(corpora[0], Manifest).reported, corpora[0]) if corpora else None
    return Condition(name, folder, seeds, corpus, about, start)


def _about(manifest: Path) -> str | None:
    """Return what a tokenizer's manifest says of its intervention."""
    found = read_json(manifest) if manifest.exists() else None
    for key in ("inputs", "intervention", "about"):  # a folder of an older version may lack any of them
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) and found else None


def load_training(folder: Path) -> Condition:
    """Read what the runs of a condition logged and their learning curves, whether or not they have been evaluated.

    Raises:
        RecipeError: if a file is damaged, or no stage of any run has ended.
    """
    runs = {}
    for path in sorted(folder.glob("seed_*")):
        seed = int(path.name.removeprefix("seed_"))
        if stages := _load_stages(path, seed):
            runs[seed] = SeedRun(seed, path, stages, {}, _load_checkpoints(path / CHECKPOINT_RESULTS))
    if not runs:
        raise RecipeError(f"{folder}: has no finished stage; run the condition first")
    first = next(iter(next(iter(runs.values())).stages.values()))
    return Condition(first.manifest.condition, folder, dict(sorted(runs.items())), None)


def read_training_manifest(path: Path) -> Manifest:
    """Read the manifest of a training stage. Raises `RecipeError`, naming the file and the key, if it is invalid."""
    manifest = read_record(path, Manifest)
    for key in ("matched", "reported"):
        if key not in manifest.model_fields_set:
            raise RecipeError(f"{path}: {key} is missing; run the stage again")
    return manifest


def _check_pair(reference: Condition, other: Condition) -> None:
    if reference.name == other.name:
        of_two = reference.folder.resolve().parent != other.folder.resolve().parent
        hint = f"; of two experiments with other base vocabularies, add {DIFFERENT_VOCABULARIES}" if of_two else ""
        raise RecipeError(f"{reference.folder} and {other.folder}: both hold the condition {reference.name!r}{hint}")
    folders = reference.folder, other.folder
    _same(folders, "the seeds", (list(reference.seeds), list(other.seeds)), "run the missing seeds")
    first = reference.first_run
    for condition in (reference, other):
        for run in condition.seeds.values():
            _check_runs(first, run)


def _check_runs(first: SeedRun, run: SeedRun) -> None:
    folders = first.folder, run.folder
    _same(folders, "the stages", (list(first.stages), list(run.stages)), "run the missing stages")
    names, others = ([f"{model}/{name}" for model, name in side.evaluations] for side in (first, run))
    _same(folders, "the evaluations", (names, others), "run the missing evaluations")
    for key, evaluation in run.evaluations.items():
        pair = first.evaluations[key]
        for id in pair.items.keys() ^ evaluation.items.keys():
            there, missing = (pair, evaluation) if id in pair.items else (evaluation, pair)
            raise RecipeError(
                f"{missing.path}: item {id!r} of {there.path} is missing, but items are compared in pairs; "
                "evaluate both conditions on the same data"
            )


def load_trained(folder: Path, seed: int) -> SeedRun:
    """Read the stages of a run, whether or not it has been evaluated: all that led to its models, wherever they are.

    Args:
        folder (`Path`): `seed_<n>` of a condition.
        seed (`int`): the number in its name.

    Raises:
        RecipeError: if a file is damaged, or the run started with another condition's model that is missing or was
            trained again since.
    """
    stages, earlier = _load_stages(folder, seed), _load_earlier_stages(folder, seed)
    checkpoints = _load_checkpoints(folder / CHECKPOINT_RESULTS)
    start = next((one.manifest.start for one in (*earlier.values(), *stages.values()) if one.manifest.start), None)
    if start is not None:
        begun = _load_begun(folder.parent.parent / start.folder, start, seed)
        stages, earlier = {**begun.stages, **stages}, {**begun.earlier, **earlier}
        checkpoints = [*begun.checkpoints, *checkpoints]
    return SeedRun(seed, folder, stages, {}, checkpoints, earlier, start)


def _load_begun(model: Path, start: StartRecord, seed: int) -> SeedRun:
    """Return what led to another condition's model: its stages, and the points of their learning curves."""
    if not (model / MANIFEST).is_file():
        raise RecipeError(
            f"{model}: missing, but runs of another condition started with it; expected both conditions in one folder"
        )
    last = _load_stage(model, seed)
    if last.manifest.weights_sha256 != start.weights_sha256:
        raise RecipeError(
            f"{model}: has weights {str(last.manifest.weights_sha256)[:12]}, but runs of another condition started "
            f"with {start.weights_sha256[:12]}; it was trained again since; train those runs again"
        )
    run = load_trained(model.parent, seed)
    stages = {"pretrain", *(entry.stage.replace("/", "_", 1) for entry in last.manifest.ledger)}
    points = [one for one in run.checkpoints if one.result.stage in stages]
    if model.name in MODELS:
        before = MODELS[: MODELS.index(model.name)]
        kept = {name: stage for name, stage in run.stages.items() if name in before} | {model.name: last}
        return SeedRun(seed, run.folder, kept, {}, points, run.earlier if "sft_final" in kept else {})
    kept = {name: stage for name, stage in run.stages.items() if name in MODELS[:1]}
    earlier = {name: stage for name, stage in run.earlier.items() if name in stages} | {model.name: last}
    return SeedRun(seed, run.folder, kept, {}, points, earlier)


def _load_seed(seed: int, folder: Path) -> SeedRun:
    run = load_trained(folder, seed)
    if not run.stages:
        raise RecipeError(f"{folder}: has no finished stage; expected at least one of {', '.join(MODELS)}")
    evaluations = {}
    for model in (MODELS[0], *run.earlier, *MODELS[1:]):
        stage = run.stages.get(model) or run.earlier.get(model)
        results = (folder if stage is None else stage.folder.parent) / EVALUATION / model
        for name, evaluation in load_evaluations(results).items():
            evaluations[model, name] = evaluation
            _check_weights(evaluation, stage)
    run = replace(run, evaluations=evaluations)
    if not run.plain():
        raise RecipeError(f"{folder / EVALUATION}: has no results; evaluate the run first")
    return run


def load_evaluations(folder: Path) -> dict[str, EvaluatedTask]:
    """Read what a model was asked, in any mode: by task, or task and mode, in the order of tables.

    Args:
        folder (`Path`): `eval/<model>` of a run; there may be none.

    Raises:
        RecipeError: if a file is damaged or contradicts another.
    """
    names = [path.name.removesuffix(RESULTS) for path in folder.glob(f"*{RESULTS}")]
    return {name: _load_evaluation(folder, name) for name in sorted(names, key=_in_order)}


def _in_order(name: str) -> tuple[int, str]:
    task = name.partition(".")[0]
    return (_FIRST.index(task) if task in _FIRST else len(_FIRST), name)


def _load_checkpoints(folder: Path) -> list[EvaluatedCheckpoint]:
    found = []
    for path in folder.glob("*-*.json"):
        documents = folder / path.stem / DOCUMENT_BITS
        rows = list(read_rows(documents, DocumentBits)) if documents.is_file() else []
        found.append(EvaluatedCheckpoint(read_record(path, CheckpointResult), rows, folder / path.stem))
    return sorted(found, key=lambda one: (one.result.stage_number, one.result.step))


def _load_stages(folder: Path, seed: int) -> dict[str, StageRun]:
    return {name: _load_stage(folder / name, seed) for name in MODELS if (folder / name).is_dir()}


def _load_earlier_stages(folder: Path, seed: int) -> dict[str, StageRun]:
    """Return the stages of fine-tuning before the last one, in training order.

    Those are read that `sft_final` continues: a folder of an earlier recipe may be left beside them.
    """
    last = folder / "sft_final" / MANIFEST
    if not last.is_file():
        return {}
    names = [entry.stage.replace("/", "_", 1) for entry in read_training_manifest(last).ledger[:-1]]
    return {name: _load_stage(folder / name, seed) for name in names if (folder / name / MANIFEST).is_file()}


def _load_stage(folder: Path, seed: int) -> StageRun:
    manifest = read_training_manifest(folder / MANIFEST)
    if manifest.seed != seed:
        raise RecipeError(
            f"{folder / MANIFEST}: seed: expected {seed}, as in the folder's name, got {manifest.seed!r}"
        )
    log = folder / METRICS
    return StageRun(folder, manifest, list(read_rows(log, MetricsRow)) if log.is_file() else [])


def _load_evaluation(folder: Path, name: str) -> EvaluatedTask:
    path, items_path = task_file(folder, name, RESULTS), task_file(folder, name, ITEMS)
    result = read_record(path, TaskResult)
    if not items_path.is_file():
        raise RecipeError(f"{items_path}: no such file, but items are compared in pairs; evaluate again")
    items: dict[str, Item] = {}
    for where, item in read_items(items_path):
        for key in result.outcomes.values():
            if getattr(item, key, None) is None:
                raise RecipeError(f"{where}: {key} is missing; run the stage again")
        if item.id in items:
            raise RecipeError(f"{where}: id {item.id!r} appears twice; evaluate again")
        items[item.id] = item
    if len(items) != result.num_items or not items:
        raise RecipeError(
            f"{items_path}: found {len(items)} items, but {path.name} reports {result.num_items}; evaluate again"
        )
    evaluation = EvaluatedTask(path, result, dict(sorted(items.items())))
    for metric, key in result.outcomes.items():
        share = sum(evaluation.values(key, ALL_ITEMS).values()) / len(items)
        stated = result.metrics.get(metric)
        if stated is not None and abs(stated - share) > _ROUNDING:
            raise RecipeError(f"{path}: {metric} is {stated:.4f}, but its items give {share:.4f}; evaluate again")
    return evaluation


def _check_weights(evaluation: EvaluatedTask, stage: StageRun | None) -> None:
    trained = stage.manifest.weights_sha256 if stage else None
    evaluated = evaluation.result.weights_sha256
    if trained and trained != evaluated:
        raise RecipeError(
            f"{evaluation.path}: evaluated weights {evaluated[:12]}, but the model folder has {trained[:12]}; "
            "the model was trained again since; evaluate again"
        )


def _same(
    folders: tuple[Path, Path], what: str, names: tuple[Sequence[int | str], Sequence[int | str]], todo: str
) -> None:
    if names[0] != names[1]:
        shown = " and ".join(f"{folder} has {found or 'none'}" for folder, found in zip(folders, names, strict=True))
        raise RecipeError(f"{what} do not pair: {shown}; {todo}")
