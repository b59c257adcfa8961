"""Whether results were looked at before all declared runs were trained, and whether a comparison was tried again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from domain_tokens.recipe import RecipeError, read_resolved
from domain_tokens.runs.layout import EVALUATION, MODELS, RESULTS, RUN_CONFIG
from domain_tokens.runs.preregistration import FrozenPreregistration, Look, comparable
from domain_tokens.runs.records import TaskResult, read_record
from domain_tokens.runs.results import Condition, Pair

_PILOT = "pilot"


def looks_and_tries(pair: Pair, frozen: FrozenPreregistration, looks: Sequence[Look]) -> list[str]:
    """Return in words what was looked at before the declared runs were complete, and every further try.

    Args:
        pair (`Pair`): the conditions.
        frozen (`FrozenPreregistration`): what was frozen.
        looks (`Sequence[Look]`): what was run, evaluated and compared in the pair's experiment, in order.
    """
    return [*_early(pair, frozen, looks), *_tries(pair, frozen), *_in_the_same_experiment(pair, frozen)]


def _early(pair: Pair, frozen: FrozenPreregistration, looks: Sequence[Look]) -> Iterator[str]:
    """Yield the evaluations and comparisons that were made when declared runs of this pair were not yet trained.

    An evaluation within a run of all declared seeds is none: the number of seeds was fixed when it began.
    """
    declared = set(frozen.blind.prereg.seeds)
    used = declared & set(pair.seeds)
    if len(used) < 2:
        return  # a pilot of one seed decides nothing
    folders = {condition.name: condition.folder.name for condition in pair.sides}
    is_covered = False
    for look in looks:
        is_covered |= look.what == "run" and declared <= set(look.seeds)
        names = [name for name in look.conditions if name in folders]
        if look.what == "run" or not names or not declared & set(look.seeds):
            continue
        wanted = {f"{folders[name]}/seed_{seed}" for name in names for seed in used}
        own = {f"{folders[name]}/seed_{seed}" for name in names for seed in look.seeds}
        missing = sorted(wanted - own - set(look.trained))
        partial = look.what == "comparison" and len(names) == 2 and not used <= set(look.seeds)
        if (look.what == "evaluation" and missing and not is_covered) or partial:
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


def _tries(pair: Pair, frozen: FrozenPreregistration) -> Iterator[str]:
    """Yield the other runs of the same contrast in the same outputs folder that the declaration does not name."""
    experiment_dir = pair.reference.folder.resolve().parent
    declared = set(frozen.blind.prereg.seeds)
    for folder in sorted(path for path in experiment_dir.parent.iterdir() if path.is_dir()):
        if folder == experiment_dir:
            continue
        found = [one for path in sorted(folder.glob("exp_*")) if (one := _read(path)) is not None]
        sides = _counterparts(found, pair)
        if sides is None:
            continue
        seeds = sorted(sides[0].results.keys() & sides[1].results.keys())
        kind = _kind(folder.name, frozen)
        if kind == _PILOT and declared & set(seeds):
            shared = ", ".join(map(str, sorted(declared & set(seeds))))
            yield f"tried more than once: the pilot {folder.name} used declared seeds: {shared}"
        if kind is not None or not seeds:
            continue
        if not (sides[0].repeats(pair.reference) and sides[1].repeats(pair.other)):
            settings = _settings(sides[1], pair.other)
            yield (
                f"tried more than once: {folder.name} compared the same conditions, seeds "
                f"{', '.join(map(str, seeds))} ({settings}); evaluated {_time(sides[1])}"
            )
        elif not declared <= set(seeds) and folder.name in frozen.original.other_experiments:
            yield f"looked at earlier: {folder.name} held seeds {', '.join(map(str, seeds))} of the same runs before"


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
                f"({_settings(one, pair.other)}); evaluated {_time(one)}"
            )


def _kind(name: str, frozen: FrozenPreregistration) -> str | None:
    """Return what the declaration calls another experiment; `None` if it does not name it."""
    named = frozen.blind.prereg.declared.get("other_runs")
    for pattern, entry in named.items() if isinstance(named, dict) else ():
        if fnmatch(name, pattern) and isinstance(entry, dict):
            return str(entry.get("kind"))
    return None


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


def _settings(one: _Try, side: Condition) -> str:
    """Return in words which settings differ, from the resolved recipes."""
    recipes = []
    for folder in (side.folder, one.folder):
        path = next(iter(sorted(folder.glob(f"seed_*/*_final/{RUN_CONFIG}"))), None)
        if path is None:
            return "settings unknown"
        try:
            recipes.append(comparable(read_resolved(path)))
        except RecipeError:
            return "settings unknown"
    here, there = recipes
    changed = [key for key in sorted(here.keys() | there.keys()) if here.get(key) != there.get(key)]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f"other settings: {', '.join(changed[:3])}{more}" if changed else "the same settings, other weights"


def _time(one: _Try) -> str:
    result = next(iter(one.results.values()))
    return (result.environment.time_utc if result.environment else None) or "at an unknown time"
