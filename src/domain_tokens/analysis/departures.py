"""How runs depart from what their experiment froze before its first step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from domain_tokens.analysis.looks import early_looks, find_tries, unrecorded
from domain_tokens.recipe import RecipeError, flatten, read_resolved
from domain_tokens.recipe.values.effective import effective
from domain_tokens.runs.files import read_json, sha256_json
from domain_tokens.runs.layout import LOOKS, MANIFEST, PREREGISTRATION, RUN_CONFIG, Mode
from domain_tokens.runs.preregistration import (
    FrozenCondition,
    FrozenContent,
    FrozenEntry,
    FrozenPreregistration,
    FrozenTask,
    code_differences,
    comparable,
    content_differences,
    declaration_differences,
    differences,
    read_frozen,
    read_looks,
)
from domain_tokens.runs.records import Fields, PreregRecord, TaskResult
from domain_tokens.runs.results import Condition, Pair, StageRun

_AT_THE_END = (
    "no frozen record: the declaration was recorded at the end of each stage, as versions before 0.4 did, so it may "
    "have been written with results in view"
)
_AT_THE_BEGINNING = (
    "no frozen record: each stage recorded the declaration when it began, but recipe, data, decoding and scorer were "
    "not frozen (run scripts/preregister.py before the first step)"
)


@dataclass(frozen=True)
class Binding:
    """What an experiment froze, and how the runs depart from it.

    Attributes:
        frozen: the record; `None` if there is none, or it cannot be read.
        departures: in words; each makes the verdict exploratory.
        notes: in words; what a reader should know and what demotes nothing.
    """

    frozen: FrozenPreregistration | None
    departures: tuple[str, ...]
    notes: tuple[str, ...] = ()


def find_departures(pair: Pair, records: Sequence[PreregRecord | None], now: Path | None) -> Binding:
    """Return what the experiment of a pair froze, and every departure from it.

    Args:
        pair (`Pair`): the conditions; the record lies in the folder above the reference's.
        records (`Sequence[PreregRecord | None]`): the declarations that the pair's stages recorded.
        now (`Path`, *optional*): the declaration's file as it is now.
    """
    experiment_dir = pair.reference.folder.parent
    try:
        frozen = read_frozen(experiment_dir)
    except RecipeError as error:
        return Binding(None, (f"no frozen record: {error}",))
    if frozen is None:
        return Binding(None, (_missing(records),))
    found = [*_broken_record(frozen, records), *_late(pair, frozen), *_changed(pair, frozen.latest)]
    notes = [*_amendments(frozen)]
    if now is not None and not now.is_file():
        notes.append(f"{now} is not here: the runs were compared with the frozen declaration alone")
    found += _looked(pair, frozen)
    tried, exempt = find_tries(pair, frozen)
    found += tried
    notes += exempt
    return Binding(frozen, tuple(dict.fromkeys(found)), tuple(notes))


def changed_file(now: Path, frozen: PreregRecord, current: PreregRecord) -> list[str]:
    """Return the departure of a declaration that was edited after it was frozen; the frozen one counts.

    Args:
        now (`Path`): the file as it is now.
        frozen, current (`PreregRecord`): its content then and now.
    """
    texts = declaration_differences(frozen, current)
    return (
        [f"changed later: {now.name} differs from the frozen declaration, which counts ({_shown(texts)})"]
        if texts
        else []
    )


def _looked(pair: Pair, frozen: FrozenPreregistration) -> Iterator[str]:
    """Yield what was looked at too early; without a record of every evaluation, that cannot be said."""
    try:
        looks = read_looks(pair.reference.folder.parent)
    except RecipeError as error:
        yield f"looked at earlier: unknown: {error}"
        return
    if looks is None:
        yield f"looked at earlier: unknown: {LOOKS} is missing, which every evaluation writes"
        return
    yield from unrecorded(pair, looks)
    yield from early_looks(pair, frozen, looks)


def _missing(records: Sequence[PreregRecord | None]) -> str:
    known = [record for record in records if record is not None]
    if any(record.frozen_sha256 for record in known):
        return f"no frozen record: {PREREGISTRATION} was removed; the manifests name its hash"
    return _AT_THE_BEGINNING if known and all(record.recorded_utc for record in known) else _AT_THE_END


def _broken_record(frozen: FrozenPreregistration, records: Sequence[PreregRecord | None]) -> Iterator[str]:
    if not frozen.is_intact:
        yield f"changed later: {PREREGISTRATION} was edited by hand: its hashes do not fit its content"
    hashes = [None if record is None else record.frozen_sha256 for record in records]
    before, others = hashes.count(None), [one for one in hashes if one not in (None, frozen.original.sha256)]
    if before:
        yield f"changed later: {before} of {len(hashes)} stages began before anything was frozen"
    if others:
        yield (
            f"changed later: {len(others)} of {len(hashes)} stages began under another frozen record "
            f"(sha256 {str(others[0])[:12]} then, {frozen.original.sha256[:12]} now)"
        )


def _late(pair: Pair, frozen: FrozenPreregistration) -> Iterator[str]:
    """Yield what was frozen, added or amended too late."""
    folders = tuple(f"{condition.folder.name}/" for condition in pair.sides)
    names = {condition.name for condition in pair.sides}
    begun = [stage for stage in frozen.original.stages_before if stage.startswith(folders)]
    if begun:
        time = frozen.original.time_utc
        yield f"changed later: frozen at {time}, when {len(begun)} stages had begun, for example {begun[0]}"
    elif shown := _evaluated_before(pair, frozen.original):
        yield f"changed later: frozen at {frozen.original.time_utc}, when {len(shown)} runs had been evaluated"
    for before, entry in zip(frozen.entries, frozen.amendments, strict=False):
        seen = _evaluated_before(pair, entry)
        changed = _of(names, before.content, entry.content)
        if changed and seen:
            yield (
                f"changed later: amended at {entry.time_utc} ({entry.reason}), when {len(seen)} runs had been "
                f"evaluated: {_shown(changed)}"
            )


def _evaluated_before(pair: Pair, entry: FrozenEntry) -> set[str]:
    """Return a pair's runs that had been evaluated when an entry was written, by `exp_<condition>/seed_<n>`.

    A folder that was renamed since has its condition's name in `looks.json` alone.
    """
    known = {one: side.name for side in pair.sides for one in (side.folder.name, f"exp_{side.name}")}
    runs = [run.partition("/") for run in entry.evaluations_before]
    return {f"exp_{known[folder]}/{seed}" for folder, _, seed in runs if folder in known}


def _of(names: set[str], before: FrozenContent, after: FrozenContent) -> list[str]:
    """Return what an amendment changed for some conditions."""
    old, new = (
        content.model_copy(
            update={"conditions": {name: one for name, one in content.conditions.items() if name in names}}
        )
        for content in (before, after)
    )
    changed = content_differences(old, new)
    changed += [f"the condition {name} was added" for name in sorted(new.conditions.keys() - old.conditions.keys())]
    return changed + code_differences(before, after)


def _amendments(frozen: FrozenPreregistration) -> Iterator[str]:
    for entry in frozen.amendments:
        when = f"when {len(entry.evaluations_before)} runs had been evaluated" if entry.evaluations_before else ""
        yield f"amended at {entry.time_utc}, {when or 'before any evaluation'}: {entry.reason}"


@dataclass
class _Found:
    """Differences by their words, each with where it was found first and how often."""

    texts: dict[str, list[str]] = field(default_factory=dict)

    def add(self, texts: Sequence[str], where: str) -> None:
        """Add differences that were found in one place."""
        for text in texts:
            self.texts.setdefault(text, []).append(where)

    def words(self) -> Iterator[str]:
        """Yield one departure for each difference."""
        for text, places in self.texts.items():
            more = f" and {len(places) - 1} more" if len(places) > 1 else ""
            yield f"changed later: {text} ({places[0]}{more})"


def _changed(pair: Pair, content: FrozenContent) -> Iterator[str]:
    """Yield where the runs used another recipe, other data, other decoding or another scorer than was frozen."""
    declared, code = _declared_tasks(content), content.code_sha256 or _first_code(pair)
    for condition in pair.sides:
        frozen = content.conditions.get(condition.name)
        if frozen is None:
            yield f"changed later: the condition {condition.name} is not among the frozen ones"
            continue
        found = _Found()
        found.add(_intervention(condition, frozen), f"{condition.name}, tokenizer")
        for run in condition.seeds.values():
            for name, stage in run.stages.items():
                where = f"{condition.name}, seed {run.seed}, {name}, {stage.manifest.environment.time_utc}"
                own = content.conditions.get(stage.manifest.condition)  # another's where the run starts with its model
                if own is None:
                    found.add([f"the condition {stage.manifest.condition} is not among the frozen ones"], where)
                else:
                    found.add(_stage(stage, run.seed, own, content.prereg), where)
                allowed = [text for change in stage.manifest.changes for text in change.differences]
                found.add([f"a stage went on with --allow-change: {text}" for text in allowed], where)
                found.add(differences({"the project's code": code}, {"the project's code": _code_of(stage)}), where)
            for (model, name), evaluation in run.evaluations.items():
                task, result = frozen.tasks.get(name), evaluation.result
                if evaluation.mode is not Mode.PLAIN or (model, name) not in declared:
                    continue
                time = result.environment.time_utc if result.environment else "at an unknown time"
                where = f"{condition.name}, seed {run.seed}, {model}, {time}"
                found.add(_evaluation(name, task, result, content.scorer_sha256), where)
        yield from found.words()


def _first_code(pair: Pair) -> str | None:
    """Return the hash of the code of the pair's first stage that recorded one: what the others are compared with."""
    stages = [stage for side in pair.sides for run in side.seeds.values() for stage in run.stages.values()]
    return next(filter(None, map(_code_of, stages)), None)


def _code_of(stage: StageRun) -> str | None:
    return stage.manifest.environment.code_sha256


def _declared_tasks(content: FrozenContent) -> set[tuple[str, str]]:
    endpoints = content.prereg.declared.get("endpoints")
    rows = endpoints if isinstance(endpoints, list) else []
    return {(str(row["model"]), str(row["task"])) for row in rows if isinstance(row, dict)}


def _intervention(condition: Condition, frozen: FrozenCondition) -> list[str]:
    path = condition.folder / "tokenizer" / MANIFEST
    if not path.is_file():
        return []
    used = read_json(path).get("inputs", {}).get("intervention")
    return differences(flatten({"intervention": frozen.intervention}), flatten({"intervention": used}))


def _stage(stage: StageRun, seed: int, frozen: FrozenCondition, prereg: PreregRecord) -> list[str]:
    declared = stage.manifest.prereg
    texts = [] if declared is None else declaration_differences(prereg, declared)
    texts += _sources(stage.manifest.inputs, frozen.sources)
    expected = frozen.recipe_of(seed)
    if expected is None:
        return texts  # a seed that was not declared, which is a departure of its own
    try:
        used = comparable(read_resolved(stage.folder / RUN_CONFIG))
    except RecipeError as error:
        return [*texts, f"the recipe of a stage cannot be read: {error}"]
    return texts + differences(effective(expected), effective(used))


def _sources(inputs: Fields, frozen: Mapping[str, str]) -> list[str]:
    corpus = inputs.get("corpus")
    rows = (corpus if isinstance(corpus, dict) else inputs).get("sources")
    used = {
        str(row.get("name")): _content(row["sha256"], frozen.get(str(row.get("name"))))
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and row.get("sha256")
    }
    known = {name: value for name, value in frozen.items() if name in used}
    return differences(
        {f"data of {name}": value for name, value in known.items()},
        {f"data of {name}": value for name, value in used.items()},
    )


def _content(files: JsonValue, frozen: str | None) -> str:
    """Return the hash of a source's files as it was frozen: up to release 0.3, with the names of the files."""
    hashes = [file[1] for file in (files if isinstance(files, list) else []) if isinstance(file, list)]
    return frozen if frozen is not None and frozen == sha256_json(files) else sha256_json(hashes)


def _evaluation(name: str, task: FrozenTask | None, result: TaskResult, scorer: str) -> list[str]:
    if task is None:
        return [f"the task {name} is not among the frozen ones"]
    names = set(FrozenTask.model_fields) - {"num_items"}
    values = task.model_dump(mode="json"), result.model_dump(mode="json", by_alias=False)
    expected, used = (flatten({f"{name}, {key}": one.get(key) for key in sorted(names)}) for one in values)
    texts = differences(expected, used)
    num_items = result.num_items + (result.num_items_with_products or 0)
    texts += differences({f"{name}, items": task.num_items}, {f"{name}, items": num_items})
    return texts + differences({"scorer": scorer}, {"scorer": result.scorer_sha256})


def _shown(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - 3} more" if len(texts) > 3 else ""
    return "; ".join(texts[:3]) + more
