"""Whether results were looked at before all declared runs were trained, and whether a comparison was tried again."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from domain_tokens.recipe import RecipeError, flatten, read_resolved
from domain_tokens.recipe.values.effective import effective
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import EVALUATION, LOOKS, MANIFEST, MODELS, RESULTS, RUN_CONFIG
from domain_tokens.runs.preregistration import FrozenPreregistration, Look, comparable, evaluated_runs
from domain_tokens.runs.records import TaskResult, read_record
from domain_tokens.runs.results import Condition, Pair

_PILOT = "pilot"
_FILE_HASH = re.compile(r"sources\.\d+\.sha256\.\d+\.1$")  # without the names of files


def unrecorded(pair: Pair, looks: Sequence[Look]) -> Iterator[str]:
    """Yield the evaluations that no look records: looks that were removed, by hand or with their file.

    Args:
        pair (`Pair`): the conditions.
        looks (`Sequence[Look]`): what was run, evaluated and compared in the pair's experiment, in order.
    """
    known = {
        (name, seed) for look in looks if look.what == "evaluation" for name in look.conditions for seed in look.seeds
    }
    runs = [(side.name, seed) for side in pair.sides for seed, run in side.seeds.items() if run.evaluations]
    if missing := [run for run in runs if run not in known]:
        name, seed = missing[0]
        yield (
            f"looked at earlier: unknown: {LOOKS} names no evaluation of {len(missing)} of {len(runs)} runs with "
            f"results, for example {name}, seed {seed}; every evaluation writes one"
        )


def early_looks(pair: Pair, frozen: FrozenPreregistration, looks: Sequence[Look]) -> Iterator[str]:
    """Yield the first evaluation or comparison that was made when declared runs of this pair were not yet trained.

    An evaluation within a run of all declared seeds of its conditions is none: the number of seeds was fixed when it
    began.

    Args:
        pair (`Pair`): the conditions.
        frozen (`FrozenPreregistration`): what was frozen.
        looks (`Sequence[Look]`): as in `unrecorded`.
    """
    declared = set(frozen.blind.prereg.seeds)
    used = declared & set(pair.seeds)
    if len(used) < 2:
        return  # a pilot of one seed decides nothing
    folders = {condition.name: condition.folder.name for condition in pair.sides}
    covered: set[str] = set()
    for look in looks:
        if look.what == "run" and declared <= set(look.seeds):
            covered |= set(look.conditions)
        names = [name for name in look.conditions if name in folders]
        if look.what == "run" or not names or not declared & set(look.seeds):
            continue
        wanted = {f"{folders[name]}/seed_{seed}" for name in names for seed in used}
        own = {f"{folders[name]}/seed_{seed}" for name in names for seed in look.seeds}
        missing = sorted(wanted - own - set(look.trained))
        partial = look.what == "comparison" and len(names) == 2 and not used <= set(look.seeds)
        if (look.what == "evaluation" and missing and not covered.issuperset(names)) or partial:
            seeds = ", ".join(map(str, look.seeds))
            yield (
                f"looked at earlier: {' and '.join(look.conditions)}, seed {seeds}: {look.what} at {look.time_utc}, "
                + (f"before {missing[0]} was trained" if missing else "before the other seeds were compared")
            )
            return  # the first one is enough: from then on the results were known


@dataclass(frozen=True)
class _Try:
    """One condition of another experiment: by seed, one result of its last evaluated model."""

    folder: Path
    condition: str
    results: dict[int, TaskResult]

    def has_tokenizer_of(self, side: Condition) -> bool:
        """Return whether it is another condition's tokenizer, whatever the condition is called here."""
        known = {one.result.tokenizer_sha256 for run in side.seeds.values() for one in run.evaluations.values()}
        return any(one.tokenizer_sha256 in known for one in self.results.values())

    def repeats(self, side: Condition) -> bool:
        """Return whether every seed of it ended, byte for byte, in the weights of the same seed of a condition."""
        known = {
            seed: {one.result.weights_sha256 for one in run.evaluations.values()} for seed, run in side.seeds.items()
        }
        return all(result.weights_sha256 in known.get(seed, ()) for seed, result in self.results.items())


def find_tries(pair: Pair, frozen: FrozenPreregistration) -> tuple[list[str], list[str]]:
    """Return in words every further try of a comparison, and what demotes nothing but must be known.

    Args:
        pair (`Pair`): the conditions.
        frozen (`FrozenPreregistration`): what was frozen.

    Returns:
        `tuple[list[str], list[str]]`: the departures, and the notes: experiments of the same conditions that the
        declaration exempts.
    """
    experiment_dir = pair.reference.folder.resolve().parent
    departures, notes = [*_in_the_same_experiment(pair, frozen)], []
    for folder in sorted(path for path in experiment_dir.parent.iterdir() if path.is_dir() and path != experiment_dir):
        found = [one for path in sorted(folder.glob("exp_*")) if (one := _read(path)) is not None]
        sides = _counterparts(found, pair)
        if sides is None:
            continue
        kind, why = _kind(folder.name, frozen)
        tried = _tried(folder.name, sides, pair, frozen, kind)
        departures += tried
        if kind is not None and not tried:
            seeds = ", ".join(map(str, _seeds(sides)))
            notes.append(
                f"the {kind} {folder.name} ran the same conditions, seeds {seeds} "
                f"({_settings(zip(sides, pair.sides, strict=True))}); declared as: {why}"
            )
    gone = [(name, *_kind(name, frozen)) for name in _gone(experiment_dir, frozen)]
    departures += [
        f"tried more than once: unknown: {name} had results when this was frozen and has none now; restore it"
        for name, kind, _ in gone
        if kind is None
    ]
    notes += [
        f"the {kind} {name} had results when this was frozen and has none now; declared as: {why}"
        for name, kind, why in gone
        if kind is not None
    ]
    return departures, notes


def _tried(
    name: str, sides: tuple[_Try, _Try], pair: Pair, frozen: FrozenPreregistration, kind: str | None
) -> list[str]:
    """Return the departure of an experiment that has results for both conditions; nothing if it is exempt."""
    declared, seeds = set(frozen.blind.prereg.seeds), _seeds(sides)
    shared, listed = sorted(declared & set(seeds)), ", ".join(map(str, seeds))
    both = tuple(zip(sides, pair.sides, strict=True))
    repeated = all(one.repeats(side) for one, side in both)
    if kind == _PILOT:
        used = ", ".join(map(str, shared))
        return [f"tried more than once: the pilot {name} used declared seeds: {used}"] if shared else []
    if not seeds or (kind is not None and not shared):
        return []
    if repeated:
        is_early = kind is None and not declared <= set(seeds) and name in frozen.original.other_experiments
        return [f"looked at earlier: {name} held seeds {listed} of the same runs before"] if is_early else []
    if kind is not None and _changed(both):
        return []
    exempt = "" if kind is None else f", and a {kind} must differ in its recipe"
    words = f"{_settings(both)}{exempt}); evaluated {_time(sides[1])}"
    return [f"tried more than once: {name} compared the same conditions, seeds {listed} ({words}"]


def _seeds(sides: tuple[_Try, _Try]) -> list[int]:
    return sorted(sides[0].results.keys() & sides[1].results.keys())


def _gone(experiment_dir: Path, frozen: FrozenPreregistration) -> list[str]:
    """Return the experiments that had results when an entry was written, and have none any more."""
    known = dict.fromkeys(name for entry in frozen.entries for name in entry.other_experiments)
    return [name for name in known if not evaluated_runs(experiment_dir.parent / name)]


def _counterparts(found: Sequence[_Try], pair: Pair) -> tuple[_Try, _Try] | None:
    """Return both conditions of a pair among those of another experiment: by name, or else by their tokenizers."""
    names = {side.name for side in pair.sides}
    by_name = {one.condition: one for one in found}
    others = [one for one in found if one.condition not in names]
    reference, other = (
        by_name.get(side.name) or next((one for one in others if one.has_tokenizer_of(side)), None)
        for side in pair.sides
    )
    return None if reference is None or other is None or reference is other else (reference, other)


def _in_the_same_experiment(pair: Pair, frozen: FrozenPreregistration) -> Iterator[str]:
    """Yield the conditions of the pair's experiment that were not frozen and have the other condition's tokenizer."""
    for path in sorted(pair.other.folder.parent.glob("exp_*")):
        one = None if path.name in {side.folder.name for side in pair.sides} else _read(path)
        if one is not None and one.condition not in frozen.latest.conditions and one.has_tokenizer_of(pair.other):
            yield (
                f"tried more than once: {path.name} has the tokenizer of {pair.other.name} and was not frozen "
                f"({_settings([(one, pair.other)])}); evaluated {_time(one)}"
            )


def _kind(name: str, frozen: FrozenPreregistration) -> tuple[str | None, str]:
    """Return what the declaration calls another experiment, and why; `None` if it does not name it."""
    named = frozen.blind.prereg.declared.get("other_runs")
    for pattern, entry in named.items() if isinstance(named, dict) else ():
        if fnmatch(name, pattern) and isinstance(entry, dict):
            return str(entry.get("kind")), str(entry.get("why"))
    return None, ""


def _read(folder: Path) -> _Try | None:
    """Return a condition's results, one for each seed; `None` if it has none that can be read."""
    found = [_last_result(run) for run in sorted(folder.glob("seed_*"))]
    results = {result.seed: result for result in found if result is not None}
    return _Try(folder, next(iter(results.values())).condition, results) if results else None


def _last_result(run: Path) -> TaskResult | None:
    for model in reversed(MODELS):
        for path in sorted((run / EVALUATION / model).glob(f"*{RESULTS}")):
            try:
                return read_record(path, TaskResult)
            except RecipeError:  # of another experiment, which this comparison does not depend on
                continue
    return None


def _settings(both: Iterable[tuple[_Try, Condition]]) -> str:
    """Return in words which settings of a try differ from those of its counterpart, over the conditions."""
    changed = _changed(both)
    if changed is None:
        return "settings unknown"
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f"other settings: {', '.join(changed[:3])}{more}" if changed else "the same settings, other weights"


def _changed(both: Iterable[tuple[_Try, Condition]]) -> list[str] | None:
    """Return what differs in recipe, tokenizer and training data; `None` if a record is missing."""
    changed: set[str] = set()
    for one, side in both:
        here, there = (_made_from(folder, one.results) for folder in (side.folder, one.folder))
        if here is None or there is None:
            return None
        changed |= set() if one.has_tokenizer_of(side) else {"tokenizer"}
        changed |= {key for key in here.keys() | there.keys() if here.get(key) != there.get(key)}
    return sorted(changed)


def _made_from(folder: Path, seeds: Iterable[int]) -> dict[str, object] | None:
    """Return a condition's recipe and the hashes of its training data, of one of some seeds if it has one of them."""
    runs = [folder / f"seed_{seed}" for seed in sorted(seeds)] + sorted(folder.glob("seed_*"))
    stages = [path.parent for run in runs for path in sorted(run.glob(f"*_final/{RUN_CONFIG}"))]
    if not stages:
        return None
    try:
        found = effective(comparable(read_resolved(stages[0] / RUN_CONFIG)))
        for path in sorted(stages[0].parent.glob(f"*_final/{MANIFEST}")):
            inputs = flatten(read_json(path).get("inputs"))
            found |= {key: value for key, value in inputs.items() if _FILE_HASH.search(key)}
    except RecipeError:
        return None
    return found


def _time(one: _Try) -> str:
    result = next(iter(one.results.values()))
    return (result.environment.time_utc if result.environment else None) or "at an unknown time"
