"""The ledger: everything that must be equal between two conditions, compared field by field.

A difference between two conditions can be laid to the tokenizer only if nothing else differs. Each stage records what
must be equal under `matched` in its manifest; what may differ (source bytes, facts, losses) stands under `reported`
and is shown, never compared.
"""

import re
from typing import Any

from domain_tokens.analysis.results import Condition, SeedRun
from domain_tokens.recipe import RecipeError, flatten

# What follows from the seed, and differs by design in a control that repeats a condition with other seeds.
_SEEDED = re.compile(r"initial_weights_sha256|(?:.*\.)?trainer\.(?:data_)?seed")
EVALUATION_FIELDS = ("num_items", "max_samples", "generation", "data_sha256")
_ABSENT = "(absent)"


def match(reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return the ledger of matched fields: rows of `stage`, `field` and `values` (`{seed: value}`).

    Stages are compared pair by pair of the same seed. How a task was evaluated must be equal over all seeds too.

    Raises:
        RecipeError: at the first field that differs, naming seed, stage, dotted field and both values.
    """
    ledger: dict[tuple[str, str], dict[str, Any]] = {}
    for seed, run in reference.seeds.items():
        ours, theirs = _fields(run), _fields(other.seeds[seed])
        other_seeds = _seed_offset(run) != _seed_offset(other.seeds[seed])
        for stage, field in dict.fromkeys((*ours, *theirs)):
            if other_seeds and _SEEDED.fullmatch(field):
                continue
            values = ours.get((stage, field), _ABSENT), theirs.get((stage, field), _ABSENT)
            if values[0] != values[1]:
                raise RecipeError(
                    f"the two runs are not compute-matched: seed {seed}, {stage}: {field} is {values[0]!r} in "
                    f"{reference.name} and {values[1]!r} in {other.name}; run one of them again so that it is equal"
                )
            ledger.setdefault((stage, field), {})[str(seed)] = values[0]
    for (stage, field), by_seed in ledger.items():
        (first, expected), *rest = by_seed.items()
        for later, value in rest:
            if stage.startswith("eval/") and value != expected:
                raise RecipeError(
                    f"{stage}: {field} is {expected!r} for seed {first} and {value!r} for seed {later}; "
                    "evaluate all seeds in the same way"
                )
    return [{"stage": stage, "field": field, "values": by_seed} for (stage, field), by_seed in ledger.items()]


def _seed_offset(run: SeedRun) -> int:
    """Return what the run's recipe adds to its seed; every stage of a run has the same."""
    offsets = {stage.manifest["reported"].get("seed_offset", 0) for stage in run.stages.values()}
    if len(offsets) > 1:
        raise RecipeError(f"{run.folder}: its stages were trained with different seed_offset; train them again")
    return offsets.pop() if offsets else 0


def _stages(run: SeedRun) -> dict[str, dict[str, Any]]:
    stages = {name: stage.manifest["matched"] for name, stage in run.stages.items()}
    for (model, task), evaluation in run.evaluations.items():
        stages[f"eval/{model}/{task}"] = {key: evaluation.result[key] for key in EVALUATION_FIELDS}
    return stages


def _fields(run: SeedRun) -> dict[tuple[str, str], Any]:
    return {
        (stage, field): value for stage, fields in _stages(run).items() for field, value in flatten(fields).items()
    }
