"""The result files of one condition: its seeds, their stages and their evaluations.

Everything a number of the report rests on is read here once, and what is missing, damaged or contradictory stops the
comparison before anything is computed.
"""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import MANIFEST, METRICS, MODELS

logger = logging.getLogger(__name__)

PLAIN = "plain"  # the way of running a task that its accuracy is taken from; others are ablations and drawn answers
ALL_ITEMS = "all"
_FIRST = ("gsm8k", "arithmetic", "hellaswag")  # the order in which tasks are shown; others follow by name
_ROUNDING = 5e-4  # an accuracy in a result file may be rounded to three decimals
_STAGE_KEYS = ("condition", "seed", "matched", "reported")
_EVALUATION_KEYS = ("task", "way", "outcomes", "num_items", "max_samples", "generation", "data_sha256", "metrics")


@dataclass(frozen=True)
class Evaluation:
    """One task of one model, run in one way: the result file, and its items in order of their ids."""

    path: Path
    result: dict[str, Any]
    items: dict[str, dict[str, Any]]

    @property
    def task(self) -> str:
        return str(self.result["task"])

    @property
    def way(self) -> str:
        return str(self.result["way"])

    @property
    def metrics(self) -> dict[str, str]:
        """For each metric the key of an item that says whether it counts as right; the main metric first."""
        return dict(self.result["outcomes"])

    def outcomes(self, key: str, group: str) -> dict[str, bool]:
        """Return `{item id: right or wrong}` of one group's items, in order of their ids.

        Args:
            key (`str`): the item's key that says whether it is right, a value of `metrics`.
            group (`str`): a name from `groups()`, or `ALL_ITEMS`.
        """
        return {id: bool(item[key]) for id, item in self.items.items() if group in (ALL_ITEMS, group_of(item))}

    def groups(self) -> list[str]:
        """Return the names of the item groups, sorted, after `ALL_ITEMS`. A single group is no group."""
        names = sorted({name for item in self.items.values() if (name := group_of(item)) is not None})
        return [ALL_ITEMS, *names] if len(names) > 1 else [ALL_ITEMS]


@dataclass(frozen=True)
class StageRun:
    """One stage's manifest and what it logged; `log` is empty where the stage kept none."""

    folder: Path
    manifest: dict[str, Any]
    log: list[dict[str, Any]]


@dataclass(frozen=True)
class SeedRun:
    """One run: its stages by model folder, its evaluations by model folder and file, both in training order.

    The file of an evaluation is named as its task, `gsm8k`, or as task and way, `gsm8k.facts_forbidden`. `checkpoints`
    are the points of its learning curves in training order, none where checkpoints were not evaluated.
    """

    seed: int
    folder: Path
    stages: dict[str, StageRun]
    evaluations: dict[tuple[str, str], Evaluation]
    checkpoints: list[dict[str, Any]]

    def plain(self) -> dict[tuple[str, str], Evaluation]:
        """Return the evaluations that accuracies are taken from."""
        return {key: evaluation for key, evaluation in self.evaluations.items() if evaluation.way == PLAIN}


@dataclass(frozen=True)
class Condition:
    """All runs of one condition by seed, and what its corpus consists of (`None` where no corpus folder is kept)."""

    name: str
    folder: Path
    seeds: dict[int, SeedRun]
    corpus: dict[str, Any] | None


def load_condition(folder: Path) -> Condition:
    """Read `outputs/<experiment>/exp_<condition>`.

    Raises:
        RecipeError: naming the file or folder that is missing, damaged or contradicts another.
    """
    if not folder.is_dir():
        raise RecipeError(f"{folder}: no such folder; expected a condition's runs, like outputs/demo/exp_baseline")
    numbered = {int(match[1]): path for path in folder.iterdir() if (match := re.fullmatch(r"seed_(\d+)", path.name))}
    if not numbered:
        raise RecipeError(f"{folder}: holds no seed_<n> folder; expected a condition's folder, with at least one run")
    seeds = {seed: _load_seed(seed, numbered[seed]) for seed in sorted(numbered)}
    names = {stage.manifest["condition"]: stage.folder for run in seeds.values() for stage in run.stages.values()}
    if len(names) > 1:
        shown = ", ".join(f"{name!r} in {path}" for name, path in names.items())
        raise RecipeError(f"{folder}: its manifests name several conditions: {shown}; a folder holds one condition")
    (name,) = names
    corpora = sorted(folder.glob(f"corpus_*/{MANIFEST}"))
    return Condition(name, folder, seeds, _mapping(corpora[0]).get("reported") if corpora else None)


def check_pairs(reference: Condition, other: Condition) -> None:
    """Check that every run of one condition has its partner: seeds, stages, evaluations and items.

    Raises:
        RecipeError: naming what has no partner.
    """
    if reference.name == other.name:
        raise RecipeError(f"{reference.folder} and {other.folder}: both hold the condition {reference.name!r}")
    _same(reference, other, "the seeds", list(reference.seeds), list(other.seeds), "run the missing seeds")
    first = next(iter(reference.seeds.values()))
    for condition in (reference, other):
        for run in condition.seeds.values():
            where = (first.folder, run.folder)
            _same(*where, "the stages", list(first.stages), list(run.stages), "run the missing stages")
            names, others = ([f"{model}/{name}" for model, name in r.evaluations] for r in (first, run))
            _same(*where, "the evaluations", names, others, "run the missing evaluations")
            for key, evaluation in run.evaluations.items():
                pair = first.evaluations[key]
                for id in pair.items.keys() ^ evaluation.items.keys():
                    there, missing = (pair, evaluation) if id in pair.items else (evaluation, pair)
                    raise RecipeError(
                        f"{missing.path}: the item {id!r} of {there.path} is missing; items are compared in pairs: "
                        "evaluate both conditions on the same data"
                    )


def group_of(item: dict[str, Any]) -> str | None:
    """Return the name of an item's group, if it belongs to one."""
    if "has_product" in item:
        return "with a product" if item["has_product"] else "without a product"
    return None if item.get("group") is None else str(item["group"])


def _load_seed(seed: int, folder: Path) -> SeedRun:
    stages = {name: _load_stage(folder / name, seed) for name in MODELS if (folder / name).is_dir()}
    if not stages:
        raise RecipeError(f"{folder}: holds no finished stage; expected at least one of {', '.join(MODELS)}")
    evaluations = {}
    for model in MODELS:
        names = [path.name.removesuffix("_results.json") for path in (folder / "eval" / model).glob("*_results.json")]
        for name in sorted(names, key=_place):
            evaluations[model, name] = _load_evaluation(folder / "eval" / model / f"{name}_results.json", name)
            _check_weights(evaluations[model, name], stages.get(model))
    run = SeedRun(seed, folder, stages, evaluations, _load_checkpoints(folder / "eval" / "checkpoints"))
    if not run.plain():
        raise RecipeError(f"{folder / 'eval'}: holds no results; evaluate the run first")
    return run


def _place(name: str) -> tuple[int, str]:
    task = name.partition(".")[0]
    return (_FIRST.index(task) if task in _FIRST else len(_FIRST), name)


def _load_checkpoints(folder: Path) -> list[dict[str, Any]]:
    points = []
    for path in folder.glob("*-*.json"):
        documents = folder / path.stem / "documents.jsonl"
        points.append(_mapping(path) | {"documents": list(_rows(documents)) if documents.is_file() else []})
    return sorted(points, key=lambda point: (point["stage_number"], point["step"]))


def _load_stage(folder: Path, seed: int) -> StageRun:
    manifest = _mapping(folder / MANIFEST)
    _require_keys(folder / MANIFEST, manifest, _STAGE_KEYS)
    if manifest["seed"] != seed:
        raise RecipeError(f"{folder / MANIFEST}: seed: expected {seed} as the folder says, got {manifest['seed']!r}")
    log = folder / METRICS
    return StageRun(folder, manifest, list(_rows(log)) if log.is_file() else [])


def _load_evaluation(path: Path, name: str) -> Evaluation:
    result = _mapping(path)
    _require_keys(path, result, _EVALUATION_KEYS)
    items_path = path.with_name(f"{name}_items.jsonl")
    if not items_path.is_file():
        raise RecipeError(f"{items_path}: no such file; evaluate again, items are compared in pairs")
    items: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(_rows(items_path), start=1):
        _require_keys(f"{items_path}, line {number}", row, ("id", *result["outcomes"].values()))
        if str(row["id"]) in items:
            raise RecipeError(f"{items_path}, line {number}: the id {row['id']!r} stands there twice")
        items[str(row["id"])] = row
    if len(items) != result["num_items"] or not items:
        raise RecipeError(
            f"{items_path}: {len(items)} items, but {path.name} counts {result['num_items']}; evaluate again"
        )
    evaluation = Evaluation(path, result, dict(sorted(items.items())))
    for metric, key in evaluation.metrics.items():
        counted = sum(evaluation.outcomes(key, ALL_ITEMS).values()) / len(items)
        stated = result["metrics"].get(metric)
        if stated is not None and abs(stated - counted) > _ROUNDING:
            raise RecipeError(f"{path}: {metric} is {stated:.4f}, but its items give {counted:.4f}; evaluate again")
    return evaluation


def _check_weights(evaluation: Evaluation, stage: StageRun | None) -> None:
    trained = stage.manifest["reported"].get("weights_sha256") if stage else None
    evaluated = evaluation.result.get("weights_sha256")
    if trained and evaluated and trained != evaluated:
        raise RecipeError(
            f"{evaluation.path}: evaluated weights {evaluated[:12]}, but the model folder holds {trained[:12]}; "
            "the model was trained again since: evaluate again"
        )


def _mapping(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise RecipeError(f"{path}: damaged (expected a JSON object); remove it and run its stage again")
    return value


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise RecipeError(f"{path}, line {number}: damaged ({error}); run the stage again") from error
            if not isinstance(row, dict):
                raise RecipeError(f"{path}, line {number}: damaged (expected a JSON object); run the stage again")
            yield row


def _require_keys(where: Path | str, value: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        if key not in value:
            raise RecipeError(f"{where}: {key} is missing; run the stage that writes it again")


def _same(left: Any, right: Any, what: str, ours: list[Any], theirs: list[Any], todo: str) -> None:
    if ours != theirs:
        shown = [
            f"{getattr(side, 'folder', side)} has {names or 'none'}" for side, names in ((left, ours), (right, theirs))
        ]
        raise RecipeError(f"{what} do not pair: {' and '.join(shown)}; {todo}")
