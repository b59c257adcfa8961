"""Checks field by field that two conditions differ only where the design allows it.

A difference between two conditions can be attributed to the tokenizer only if nothing else differs. Everything that a
stage records under `matched` must be equal. For its `ledger`, `domain_tokens.runs.ledger` says which fields must be
equal, which may differ, and by how much. Values under `reported` are shown, never compared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from pydantic import JsonValue

from domain_tokens.analysis.results_model import LedgerRow, SettingRow, StageEstimand
from domain_tokens.recipe import RecipeError, flatten
from domain_tokens.runs.layout import DIFFERENT_VOCABULARIES, MODELS
from domain_tokens.runs.ledger import (
    as_fields,
    differences,
    estimand,
    follows_from_base,
    follows_from_seed,
    measure_of,
    settings_that_differ,
    unexplained,
)
from domain_tokens.runs.records import Fields, Manifest, TaskResult
from domain_tokens.runs.results import Condition, Pair, SeedRun

EVALUATION_FIELDS = (
    "way",
    "task_version",
    "items_version",
    "task_sha256",
    "num_items",
    "max_samples",
    "generation",
    "data_sha256",
)


@dataclass(frozen=True)
class Recorded:
    """What one condition recorded.

    Attributes:
        name: the condition.
        stages: `{seed: {stage: manifest}}`, in training order.
        evaluations: `{seed: {"eval/<model>/<task>": result}}`.
    """

    name: str
    stages: Mapping[int, Mapping[str, Manifest]]
    evaluations: Mapping[int, Mapping[str, TaskResult]]


@dataclass(frozen=True)
class Mismatch:
    """A difference that the design does not allow, with the field's dotted path and a description of both values."""

    seed: int
    stage: str
    field: str
    text: str

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.stage}: {self.text}"


def match(pair: Pair) -> tuple[LedgerRow, ...]:
    """Return the fields that were compared and are equal in both conditions.

    Raises:
        RecipeError: naming every field that differs and must not: seed, stage, dotted path and both values.
    """
    left, right = recorded(pair.reference), recorded(pair.other)
    if pair.different_vocabularies and _base(left) == _base(right):
        raise RecipeError(
            f"{pair.reference.folder} and {pair.other.folder} have one base vocabulary; compare them without "
            f"{DIFFERENT_VOCABULARIES}"
        )
    if found := mismatches(left, right, pair.different_vocabularies):
        remedy = "run one of them again so that it is equal"
        if _base(left) != _base(right) and not pair.different_vocabularies:
            remedy = (
                f"their base vocabularies differ: scripts/compare.py {DIFFERENT_VOCABULARIES} compares them in bits "
                "per byte and accuracies, and says what is not matched"
            )
        listed = ";\n  ".join(map(str, found))
        raise RecipeError(f"the two runs are not compute-matched: {listed}; {remedy}")
    rows: dict[tuple[str, str], dict[str, JsonValue]] = {}
    for seed in left.stages:
        theirs = _shared(right, seed)
        for stage, fields in _shared(left, seed).items():
            equal = flatten(theirs[stage])
            for field, value in flatten(fields).items():
                if equal.get(field) == value and not (_other_seeds(left, right, seed) and follows_from_seed(field)):
                    rows.setdefault((stage, field), {})[str(seed)] = value
    return tuple(LedgerRow(stage=stage, field=field, values=values) for (stage, field), values in rows.items())


def estimands(pair: Pair) -> tuple[StageEstimand, ...]:
    """Return what is equal between the conditions, by stage."""
    rows = []
    for stages in zip(*(side.stages.values() for side in _first_runs(pair)), strict=True):
        measure = measure_of(*(stage.manifest.matched for stage in stages))
        rows += [
            StageEstimand(stage=one.stage, equal=estimand(one.kind, measure)) for one in stages[0].manifest.ledger
        ]
    return tuple(rows)


def outside_tokenizer(pair: Pair) -> tuple[SettingRow, ...]:
    """Return the settings that differ and make the difference more than that of the tokenizers."""
    ours, theirs = (side.stages for side in _first_runs(pair))
    return (
        *_unmatched(pair),
        *(
            SettingRow(stage=stage, setting=name, reason=setting.reason)
            for stage in ours
            for name, setting in settings_that_differ(ours[stage].manifest.matched, theirs[stage].manifest.matched)
            if not setting.tokenizer_only
        ),
    )


def _unmatched(pair: Pair) -> Iterator[SettingRow]:
    """Yield what is not matched because the base vocabularies differ, with the numbers of both conditions."""
    if not pair.different_vocabularies:
        return
    names = f"{pair.reference.name} and {pair.other.name}"
    sizes, seen = zip(*map(_sizes, pair.sides), strict=True)
    for lead, sides in (("their base vocabularies and models", sizes), ("their pretraining", seen)):
        values = ", ".join(f"{what} {_shown(value)} and {_shown(sides[1][what])}" for what, value in sides[0].items())
        text = f"{names} differ in {lead}: {values}"
        yield SettingRow(stage=MODELS[0], setting="base_vocabulary", reason=text)
    text = "contexts and answers are limited in tokens, and so to different lengths of text"
    yield SettingRow(stage=MODELS[0], setting="base_vocabulary", reason=text)


def _sizes(condition: Condition) -> tuple[dict[str, float], dict[str, float]]:
    """Return the sizes of a condition's first model, and what its pretraining read: means over seeds."""
    runs = [next(iter(run.stages.values())).manifest for run in condition.seeds.values()]
    recorded = flatten(runs[0].matched)
    width, num_ids, last, parameters = (
        float(str(recorded[key]))
        for key in ("architecture.n_embd", "architecture.vocab_size", "architecture.eos_token_id", "num_parameters")
    )
    tokens, num_bytes, flops = (
        fmean(getattr(run.ledger[0], field) or 0 for run in runs) for field in ("tokens", "source_bytes", "flops")
    )
    embeddings = width * num_ids * (1 if recorded.get("architecture.tie_word_embeddings", True) else 2)
    sizes = {"ids of the base": last + 1, "embedding parameters": embeddings, "all parameters": parameters}
    per = {"bytes per token": num_bytes / max(tokens, 1), "FLOPs per byte": flops / max(num_bytes, 1)}
    return sizes, {"tokens": tokens, "bytes of text": num_bytes, **per}


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3f}"


def _base(condition: Recorded) -> JsonValue:
    """Return the hashes of the base vocabulary that a condition's first model was trained on; none for GPT-2's."""
    stages = next(iter(condition.stages.values()))
    return next(iter(stages.values())).matched.get("base_vocabulary_sha256")


def _first_runs(pair: Pair) -> list[SeedRun]:
    return [condition.seeds[pair.seeds[0]] for condition in pair.sides]


def recorded(condition: Condition) -> Recorded:
    """Return what the manifests and result files of a condition recorded."""
    return Recorded(
        condition.name,
        {seed: {name: stage.manifest for name, stage in run.stages.items()} for seed, run in condition.seeds.items()},
        {
            seed: {f"eval/{model}/{task}": evaluation.result for (model, task), evaluation in run.evaluations.items()}
            for seed, run in condition.seeds.items()
        },
    )


def mismatches(reference: Recorded, other: Recorded, other_base: bool = False) -> list[Mismatch]:
    """Return every difference that the design does not allow, none if the two are compute-matched.

    Runs of the same seed are compared stage by stage. A stage must have started from the weights that the previous
    stage ended with. All seeds must have been evaluated with the same settings.

    Args:
        reference (`Recorded`): what one condition recorded.
        other (`Recorded`): the same of the other.
        other_base (`bool`, *optional*, defaults to `False`): whether what follows from another base vocabulary may
            differ.

    Raises:
        RecipeError: if a stage has no ledger, or the stages of one run were trained with different `seed_offset`.
    """
    found = []
    for seed in dict.fromkeys((*reference.stages, *other.stages)):
        of_seed = _of_seed(reference, other, seed)
        found += [one for one in of_seed if not (other_base and follows_from_base(one.field, one.stage))]
    for condition in (reference, other):
        found += list(_over_seeds(condition))
    return found


def _of_seed(reference: Recorded, other: Recorded, seed: int) -> Iterator[Mismatch]:
    for side, there in ((reference, other), (other, reference)):
        if seed not in side.stages:
            yield Mismatch(seed, "run", "seed", f"is missing in {side.name} and present in {there.name}")
            return
    other_seeds = _other_seeds(reference, other, seed)
    ours, theirs = _shared(reference, seed), _shared(other, seed)
    for stage in dict.fromkeys((*ours, *theirs)):
        found = differences(ours.get(stage, {}), theirs.get(stage, {}), other_seeds)
        if stage in reference.stages[seed] and stage in other.stages[seed]:
            one, two = (side.stages[seed][stage] for side in (reference, other))
            found += list(unexplained(one.ledger, two.ledger, other_seeds, measure_of(one.matched, two.matched)))
        for difference in found:
            yield Mismatch(seed, stage, difference.field, difference.describe(reference.name, other.name))
    for side in (reference, other):
        yield from _chain(side, seed)


def _chain(condition: Recorded, seed: int) -> Iterator[Mismatch]:
    """Yield the stages that did not start from the weights that the previous stage ended with."""
    names = list(condition.stages[seed])
    for before, stage in zip(names, names[1:], strict=False):
        ended = condition.stages[seed][before].weights_sha256
        entry = condition.stages[seed][stage].ledger[0]
        began = entry.initial_weights_sha256
        if ended is not None and began != ended:
            field = f"ledger.{entry.stage}.initial_weights_sha256"
            text = f"{field} is {began!r} in {condition.name}, but its {before} ended with {ended!r}"
            yield Mismatch(seed, stage, field, text)


def _over_seeds(condition: Recorded) -> Iterator[Mismatch]:
    """Yield the evaluation settings that differ between seeds."""
    (first, results), *others = condition.evaluations.items()
    for seed, evaluations in others:
        for stage in results.keys() & evaluations.keys():
            for difference in differences(_evaluation(results[stage]), _evaluation(evaluations[stage])):
                text = difference.describe(f"{condition.name}, seed {first}", f"seed {seed}")
                yield Mismatch(seed, stage, difference.field, f"{text}; evaluate all seeds in the same way")


def _shared(condition: Recorded, seed: int) -> dict[str, Fields]:
    """Return `{stage: fields}` of a run: nested dictionaries of what must be equal in both conditions."""
    fields: dict[str, Fields] = {}
    for stage, manifest in condition.stages[seed].items():
        if not manifest.ledger:
            raise RecipeError(
                f"{condition.name}, seed {seed}, {stage}: its manifest has no ledger: it was trained by an older "
                "version; remove the folder and train the stage again"
            )
        fields[stage] = {**manifest.matched, **as_fields(manifest.ledger)}
    for stage, result in condition.evaluations[seed].items():
        fields[stage] = _evaluation(result)
    return fields


def _evaluation(result: TaskResult) -> Fields:
    found = result.as_json()
    return {key: found[key] for key in EVALUATION_FIELDS if key in found}


def _other_seeds(reference: Recorded, other: Recorded, seed: int) -> bool:
    """Return whether one of two runs repeats the other with other seeds."""
    return _seed_offset(reference, seed) != _seed_offset(other, seed)


def _seed_offset(condition: Recorded, seed: int) -> int:
    """Return what the run's recipe adds to its seed; every stage of a run has the same."""
    offsets = {_offset(manifest) for manifest in condition.stages[seed].values()}
    if len(offsets) > 1:
        raise RecipeError(
            f"{condition.name}, seed {seed}: its stages were trained with different seed_offset; train them again"
        )
    return offsets.pop() if offsets else 0


def _offset(manifest: Manifest) -> int:
    found = manifest.reported.get("seed_offset")
    return found if isinstance(found, int) else 0
