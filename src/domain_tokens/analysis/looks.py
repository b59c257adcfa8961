"""Whether results were looked at before all declared runs were trained."""

from collections.abc import Iterator, Sequence

from domain_tokens.runs.layout import LOOKS
from domain_tokens.runs.preregistration import FrozenPreregistration, Look
from domain_tokens.runs.results import Pair


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
