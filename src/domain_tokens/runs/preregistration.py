"""The frozen preregistration of an experiment, and the record of who looked at results when.

`preregistration.json` is written once, before the first step, and never changed: an amendment is added with its reason
and date, and the original stays. Every entry has a hash that covers the hash of the entry before it, so a change by
hand is noticed. `looks.json` lists the runs that were started, the evaluations and the comparisons, in order.

The order of entries is the order in which they were written. No decision rests on a clock.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from domain_tokens.recipe import RecipeError, flatten, read_resolved
from domain_tokens.recipe.values.effective import effective, is_without_effect
from domain_tokens.runs.files import exclusive, read_json, sha256_json, write_json
from domain_tokens.runs.layout import (
    EVALUATION,
    INPUTS,
    LOOKS,
    MANIFEST,
    MODELS,
    PREREGISTRATION,
    PREREGISTRATION_LOCK,
    RUN_CONFIG,
)
from domain_tokens.runs.provenance import git_commit, git_is_dirty
from domain_tokens.runs.records import Fields, PreregRecord, Record

# Names and folders, and files whose content is recorded by its hash.
_NOT_COMPARED = ("experiment", "output_dir", "seed", "prereg", "tokenizer", "canonical_table")


class FrozenTask(Record):
    """What one task asks in one mode, how answers are generated, and how they are scored."""

    data_sha256: str
    """Hash of the questions and correct answers, in order."""
    num_items: int
    max_samples: int | None
    generation: Fields | None
    outcomes: Mapping[str, str]
    task_version: int
    items_version: int = 1
    task_sha256: str | None = None
    canonical_table_sha256: str | None = None


class FrozenCondition(Record):
    """One condition: its recipe, its intervention, and the data that it is trained on and asked."""

    recipe: Fields
    """The whole recipe by dotted key, for the first seed, without names and folders."""
    by_seed: Mapping[str, Fields]
    """By seed, the keys whose values differ from `recipe`; a seed without any is listed too."""
    intervention: Fields
    """The content of the intervention's file."""
    sources: Mapping[str, str]
    """By name of a training source, a hash of its local files."""
    tasks: Mapping[str, FrozenTask]
    """By task, or task and mode: `gsm8k`, `gsm8k.facts_forbidden`."""

    def recipe_of(self, seed: int) -> dict[str, object] | None:
        """Return the recipe of a seed by dotted key; `None` for a seed that was not frozen."""
        own = self.by_seed.get(str(seed))
        return None if own is None else {**self.recipe, **own}


class FrozenContent(Record):
    """What is frozen."""

    prereg: PreregRecord
    """The declaration: endpoints, error rates, seeds, stopping rule, exclusions."""
    conditions: Mapping[str, FrozenCondition]
    scorer_sha256: str
    """Hash of the code that reads and scores answers."""
    code_sha256: str | None = None
    """Hash of the code that makes data, trains and evaluates; absent in records that were made before it was kept."""


class FrozenEntry(Record):
    """The original, or an amendment."""

    time_utc: str
    git_commit: str | None
    git_dirty: bool | None
    reason: str | None
    """Why it was amended; `None` for the original."""
    previous_sha256: str | None
    """Hash of the entry before; `None` for the original."""
    stages_before: tuple[str, ...]
    """The training stages that had begun when this was written."""
    evaluations_before: tuple[str, ...]
    """The runs that had been evaluated when this was written, by their folders or by `looks.json`."""
    other_experiments: tuple[str, ...]
    """The other experiments with results in the same outputs folder when this was written."""
    content: FrozenContent
    written_by: Literal["run"] | None = None
    """`run`: an experiment wrote it before its first step; absent if `scripts/preregister.py` did, or an earlier
    version. What a run wrote binds from its first stage on."""
    sha256: str
    """Hash of all other fields."""

    @property
    def code(self) -> str:
        """Which code wrote it, in words."""
        if self.git_commit is None:
            return "without git, so no commit"
        return f"commit {self.git_commit[:12]}{' with changes' if self.git_dirty else ''}"

    @property
    def is_intact(self) -> bool:
        """Whether the entry is as it was written."""
        return sha256_json({key: value for key, value in self.as_json().items() if key != "sha256"}) == self.sha256


class FrozenPreregistration(Record):
    """`preregistration.json`."""

    original: FrozenEntry
    amendments: tuple[FrozenEntry, ...] = ()

    @property
    def entries(self) -> tuple[FrozenEntry, ...]:
        """The original and the amendments, in the order in which they were written."""
        return self.original, *self.amendments

    @property
    def blind(self) -> FrozenContent:
        """The content on which the verdict rests: of the last entry that was written before any evaluation."""
        blind = [entry for entry in self.amendments if not entry.evaluations_before]
        return (blind[-1] if blind else self.original).content

    @property
    def planned(self) -> frozenset[str]:
        """The conditions that were frozen before any evaluation. An amendment adds to them and takes none away."""
        return frozenset(self.original.content.conditions) | frozenset(self.blind.conditions)

    @property
    def latest(self) -> FrozenContent:
        """The content of the last entry, which the runs are expected to follow."""
        return self.entries[-1].content

    @property
    def is_intact(self) -> bool:
        """Whether every entry is as it was written and follows the one before."""
        before = (None, *(entry.sha256 for entry in self.entries))
        chained = all(entry.previous_sha256 == one for entry, one in zip(self.entries, before, strict=False))
        return chained and all(entry.is_intact for entry in self.entries)


class Look(Record):
    """Something that made results visible, or began to."""

    time_utc: str
    what: Literal["run", "evaluation", "comparison"]
    """`run`: an experiment was started; `evaluation`: a run was evaluated; `comparison`: a report was written."""
    conditions: tuple[str, ...]
    seeds: tuple[int, ...]
    trained: tuple[str, ...]
    """The folders of all runs whose last evaluated model was complete then: `exp_baseline/seed_0`."""


class Looks(Record):
    """`looks.json`: in order, the first of equal looks."""

    looks: tuple[Look, ...]


def read_frozen(experiment_dir: Path) -> FrozenPreregistration | None:
    """Return an experiment's frozen preregistration; `None` if nothing was frozen.

    Raises:
        RecipeError: if the file is damaged.
    """
    path = experiment_dir / PREREGISTRATION
    if not path.exists():
        return None
    try:
        return FrozenPreregistration.model_validate(read_json(path))
    except (OSError, RecipeError, ValidationError) as error:
        raise RecipeError(
            f"{path}: damaged, so it cannot be said what was frozen; restore it from a copy, or use another "
            "experiment name"
        ) from error


def freeze(
    experiment_dir: Path, content: FrozenContent, *, by_run: bool = False
) -> tuple[FrozenPreregistration, bool]:
    """Write an experiment's preregistration unless there is one.

    Args:
        experiment_dir (`Path`): the experiment's folder.
        content (`FrozenContent`): what is frozen.
        by_run (`bool`, *optional*): whether an experiment writes it that is about to start.

    Returns:
        `tuple[FrozenPreregistration, bool]`: what is frozen now, and whether this call wrote it.
    """
    with exclusive(experiment_dir / PREREGISTRATION_LOCK):
        found = read_frozen(experiment_dir)
        if found is not None:
            return found, False
        frozen = FrozenPreregistration(original=_entry(experiment_dir, content, None, None, by_run))
        write_json(experiment_dir / PREREGISTRATION, frozen.as_json())
        return frozen, True


def amend(experiment_dir: Path, content: FrozenContent, reason: str, *, by_run: bool = False) -> FrozenPreregistration:
    """Add an amendment to an experiment's preregistration; what was frozen before stays. Arguments as of `freeze`.

    Raises:
        RecipeError: if nothing is frozen, or the file is damaged.
    """
    with exclusive(experiment_dir / PREREGISTRATION_LOCK):
        found = read_frozen(experiment_dir)
        if found is None:
            raise RecipeError(f"{experiment_dir / PREREGISTRATION}: no such file; freeze first, without --amend")
        added = _entry(experiment_dir, content, reason, found.entries[-1].sha256, by_run)
        amended = FrozenPreregistration(original=found.original, amendments=(*found.amendments, added))
        write_json(experiment_dir / PREREGISTRATION, amended.as_json())
        return amended


def binds(experiment_dir: Path, frozen: FrozenPreregistration) -> bool:
    """Return whether a command must agree with what is frozen.

    What a person wrote binds at once. What runs wrote by themselves binds once a training stage has begun or something
    was evaluated or compared: before that, there is nothing that could have suggested another plan.
    """
    if any(entry.written_by != "run" for entry in frozen.entries):
        return True
    has_results = evaluated_runs(experiment_dir) or looked_at(read_looks(experiment_dir) or ())
    return bool(begun_stages(experiment_dir) or has_results)


def record_look(
    experiment_dir: Path, what: Literal["run", "evaluation", "comparison"], conditions: list[str], seeds: list[int]
) -> None:
    """Add a look to `looks.json`; one that is there already is not added again.

    Args:
        experiment_dir (`Path`): the experiment's folder.
        what (`str`): as in `Look`.
        conditions (`list[str]`): the conditions that were looked at.
        seeds (`list[int]`): their seeds.
    """
    with exclusive(experiment_dir / PREREGISTRATION_LOCK):
        before = read_looks(experiment_dir) or ()
        look = Look(
            time_utc=_now(),
            what=what,
            conditions=tuple(sorted(conditions)),
            seeds=tuple(sorted(seeds)),
            trained=trained_runs(experiment_dir),
        )
        same = {"conditions", "seeds", "what", "trained"}
        if all(one.model_dump(include=same) != look.model_dump(include=same) for one in before):
            write_json(experiment_dir / LOOKS, Looks(looks=(*before, look)).as_json())


def read_looks(experiment_dir: Path) -> tuple[Look, ...] | None:
    """Return the looks in order; `None` if none were recorded.

    Raises:
        RecipeError: if the file is damaged.
    """
    path = experiment_dir / LOOKS
    if not path.exists():
        return None
    try:
        return Looks.model_validate(read_json(path)).looks
    except (OSError, RecipeError, ValidationError) as error:
        raise RecipeError(f"{path}: damaged; restore it from a copy, or use another experiment name") from error


def trained_runs(experiment_dir: Path) -> tuple[str, ...]:
    """Return the folders of the runs whose last stage is complete, as `exp_<condition>/seed_<n>`."""
    found = [run for run in experiment_dir.glob("exp_*/seed_*") if _is_trained(run)]
    return tuple(sorted(run.relative_to(experiment_dir).as_posix() for run in found))


def _is_trained(run: Path) -> bool:
    """Return whether the last stage of a run is complete: GRPO, or what comes before it if its recipe has no GRPO."""
    done = [model for model in reversed(MODELS) if (run / model / MANIFEST).is_file()]
    if not done or done[0] == MODELS[-1] or not (run / done[0] / RUN_CONFIG).is_file():
        return done[:1] == [MODELS[-1]]
    recipe = read_resolved(run / done[0] / RUN_CONFIG)
    has_grpo, has_sft = (any(key.startswith(f"{name}.") for key in recipe) for name in ("grpo_prompts", "sft_stages"))
    return not has_grpo and done[0] == (MODELS[1] if has_sft else MODELS[0])


def begun_stages(experiment_dir: Path) -> tuple[str, ...]:
    """Return the training stages that have begun, as folders of checkpoints or of finished models."""
    work = experiment_dir.glob(f"exp_*/seed_*/checkpoints/*/{INPUTS}")
    finals = experiment_dir.glob(f"exp_*/seed_*/*_final/{MANIFEST}")
    return tuple(sorted(path.parent.relative_to(experiment_dir).as_posix() for path in (*work, *finals)))


def evaluated_runs(experiment_dir: Path) -> tuple[str, ...]:
    """Return the runs that have results, of a checkpoint or of a model, as `exp_<condition>/seed_<n>`."""
    found = [run for run in experiment_dir.glob("exp_*/seed_*") if any((run / EVALUATION).rglob("*.json*"))]
    return tuple(sorted(run.relative_to(experiment_dir).as_posix() for run in found))


def looked_at(looks: Iterable[Look]) -> tuple[str, ...]:
    """Return the runs whose results were shown, as `exp_<condition>/seed_<n>`, whether they are still there or not."""
    shown = [look for look in looks if look.what != "run"]
    return tuple(sorted({f"exp_{name}/seed_{seed}" for one in shown for name in one.conditions for seed in one.seeds}))


def comparable(recipe: Fields) -> dict[str, object]:
    """Return the part of a flat recipe that must not change: without names, folders and paths of hashed files.

    Args:
        recipe (`Fields`): a recipe by dotted key (`recipe.flatten`).
    """
    hashed = {key.removesuffix(".kind") for key, value in recipe.items() if key.endswith(".kind") and value == "file"}
    kept: dict[str, object] = {}
    for key, value in recipe.items():
        section = key.partition(".path")[0]
        if key in _NOT_COMPARED or is_without_effect(key) or (section != key and section in hashed):
            continue
        external = key.startswith("evaluation.tasks.") and isinstance(value, str) and value.endswith(".py")
        kept[key] = Path(str(value)).stem if external else value
    return kept


def differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """Return in words, by key, how values differ from frozen ones; a key that is absent counts as `None`."""
    return [
        f"{key}: {_short(old.get(key))} frozen, {_short(new.get(key))} used"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def content_differences(old: FrozenContent, new: FrozenContent) -> list[str]:
    """Return in words what differs between two contents: the declaration, and the conditions that are in both.

    The hashes of the code are not compared here: stages and results record them themselves.
    """
    found: dict[str, list[str]] = {}
    for name in sorted(old.conditions.keys() & new.conditions.keys()):
        for text in dict.fromkeys(_condition_differences(old.conditions[name], new.conditions[name])):
            found.setdefault(text, []).append(name)
    grouped = [f"{text} ({', '.join(names)})" for text, names in found.items()]
    return [*declaration_differences(old.prereg, new.prereg), *grouped]


def code_differences(old: FrozenContent, new: FrozenContent) -> list[str]:
    """Return in words which code differs between two contents. A hash that was not kept then is not compared."""
    trained = old.code_sha256 not in (None, new.code_sha256)
    scored = old.scorer_sha256 != new.scorer_sha256
    return ["the code that trains"] * trained + ["the code that reads and scores answers"] * scored


def _condition_differences(old: FrozenCondition, new: FrozenCondition) -> Iterator[str]:
    for seed in sorted(old.by_seed.keys() & new.by_seed.keys(), key=int):
        yield from differences(*(effective(one.recipe_of(int(seed)) or {}) for one in (old, new)))
    yield from differences(flatten({"intervention": old.intervention}), flatten({"intervention": new.intervention}))
    yield from differences(
        {f"source {name}": value for name, value in old.sources.items()},
        {f"source {name}": value for name, value in new.sources.items()},
    )
    yield from differences(_flat_tasks(old), _flat_tasks(new))


def declaration_differences(old: PreregRecord, new: PreregRecord) -> list[str]:
    """Return in words what differs between two declarations, but for comments and layout."""
    if old.sha256 == new.sha256:
        return []
    return [f"declaration: {text}" for text in differences(flatten(dict(old.declared)), flatten(dict(new.declared)))]


def _flat_tasks(condition: FrozenCondition) -> dict[str, object]:
    return flatten({f"task {name}": task.as_json() for name, task in condition.tasks.items()})


def _entry(
    experiment_dir: Path, content: FrozenContent, reason: str | None, previous: str | None, by_run: bool
) -> FrozenEntry:
    others = {path.parents[1] for path in experiment_dir.parent.glob("*/exp_*/seed_*") if path.is_dir()}
    looks = read_looks(experiment_dir) or ()
    entry = {
        "time_utc": _now(),
        "git_commit": git_commit(),
        "git_dirty": git_is_dirty(),
        "reason": reason,
        "previous_sha256": previous,
        "stages_before": begun_stages(experiment_dir),
        "evaluations_before": sorted({*evaluated_runs(experiment_dir), *looked_at(looks)}),
        "other_experiments": sorted(
            path.name for path in others if path.name != experiment_dir.name and evaluated_runs(path)
        ),
        "content": content.as_json(),
        **({"written_by": "run"} if by_run else {}),
    }
    written = FrozenEntry.model_validate(entry | {"sha256": ""}).as_json()
    del written["sha256"]
    return FrozenEntry.model_validate(written | {"sha256": sha256_json(written)})


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
