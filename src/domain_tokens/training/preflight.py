"""Checks six invariants of the comparison before the first step of a stage.

1. vocabulary: tokenizer, model and intervention have the same number of ids, and each fact has its own id
2. architecture: the model is the one in the recipe and in the other conditions
3. compute: tokens, examples, steps and FLOPs equal those of the other conditions
4. optimizer: optimizer, schedule and precision equal those of the other conditions
5. seeds: seeds and initial weights equal those of the other conditions, unless `seed_offset` says otherwise
6. data: no training source is used for evaluation, and documents and their order equal those of the other conditions

The other conditions are those of the same experiment and seed with the same vocabulary size; others are not compared.
A finished condition is read from its manifest of this stage, a running one from the plan that it wrote when it
started. Every run writes its plan before it reads those of others, so if two start at the same time, at least one sees
the other. A run never waits for another; if there is no other, nothing is compared.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from accelerate import PartialState
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from domain_tokens.corpora.sources import describe
from domain_tokens.recipe import Recipe, RecipeError, flatten
from domain_tokens.runs.layout import MANIFEST, PLAN, StagePaths
from domain_tokens.runs.ledger import ABSENT, Difference, differences, settings_of
from domain_tokens.runs.records import Fields, Manifest, Record, SourceRecord, read_record, write_record
from domain_tokens.tokenization.contract import id_ranges, intervention_of
from domain_tokens.tokenization.facts import IdRanges
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.patterns import SENTINEL
from domain_tokens.training.model import has_biases

logger = logging.getLogger(__name__)

_ORDER = ("vocabulary", "architecture", "compute", "optimizer", "seeds", "data")
# The invariant to which a field of `matched` belongs: the first pattern that matches.
_INVARIANTS = {
    "vocabulary": r"architecture\.vocab_size|base_vocabulary_sha256.*",
    "architecture": r"architecture\..+|num_parameters",
    "seeds": r"seed|seeds\..+|.*\btrainer\.(data_)?seed|(.*\.)?(other_)?initial_weights_sha256",
    "data": r"generator|rules|documents.*"
    r"|(.*\.)?\w+_order_sha256|(.*\.)?examples(_too_long|_held_out|_contaminated|_decided)?|(.*\.)?neutralized_markers",
    "optimizer": r".*\btrainer\.(optim|learning_rate|adam_|weight_decay|max_grad_norm|lr_|warmup|bf16|fp16|tf32).*",
    "compute": r".*",
}


class Plan(Record):
    """`plan.json` in the folder of checkpoints: what a running stage will record."""

    matched: Fields
    seed_offset: int


def preflight(
    recipe: Recipe,
    paths: StagePaths,
    tokenizer: PreTrainedTokenizerBase,
    config: PretrainedConfig,
    matched: Fields,
    sources: Sequence[SourceRecord],
) -> None:
    """Check the six invariants, in seconds. Only the first process compares with other conditions.

    Args:
        recipe (`Recipe`): the run.
        paths (`StagePaths`): the stage's folders. Its plan is written to the folder of checkpoints.
        tokenizer: the condition's tokenizer.
        config: the configuration of the model to train.
        matched (`Fields`): what the stage will record under `matched`.
        sources (`Sequence[SourceRecord]`): the training data, as described by `corpora.sources.describe`.

    Raises:
        RecipeError: if an invariant is violated; the message names it, the field, both values and both folders.
    """
    check_vocabulary(recipe, tokenizer, config)
    check_architecture(recipe, config)
    check_no_leak(recipe, paths.final, sources)
    if PartialState().is_main_process:
        check_others(recipe, paths, matched)


def check_vocabulary(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    """Check that tokenizer, model and intervention agree. Raises `RecipeError`, naming the difference, if not."""
    declared = load_intervention(Path(recipe.tokenizer))
    ranges = IdRanges(recipe.base_vocabulary.num_ids)
    ids = range(ranges.first_added, ranges.first_added + len(declared.token_names()))
    tokens = [token.removeprefix(SENTINEL) for token in tokenizer.convert_ids_to_tokens(list(ids))]
    found: Fields = {
        "intervention": intervention_of(tokenizer).as_json(),
        "base_vocabulary.num_ids": id_ranges(tokenizer).num_base,
        "len(tokenizer)": len(tokenizer),
        "model.config.vocab_size": config.vocab_size,
        "id": dict(zip(map(str, ids), tokens, strict=True)),
    }
    expected: Fields = {
        "intervention": declared.as_json(),
        "base_vocabulary.num_ids": ranges.num_base,
        "len(tokenizer)": ranges.total(declared.num_ids),
        "model.config.vocab_size": ranges.total(declared.num_ids),
        "id": dict(zip(map(str, ids), declared.token_contents(), strict=True)),
    }
    for difference in differences(found, expected):
        raise _violation(
            "vocabulary", difference, str(recipe.tokenizer_dir), recipe.tokenizer,
            "rebuild the tokenizer and the corpus with scripts/prepare_data.py, and retrain every stage",
        )  # fmt: skip


def check_architecture(recipe: Recipe, config: PretrainedConfig) -> None:
    """Check that the model matches the recipe. Raises `RecipeError`, naming the difference, if not."""
    arguments = {"n_inner": None, **recipe.model_arguments}
    both = {f"model.{key}": (getattr(config, key), value) for key, value in arguments.items()}
    for key, (found, expected) in (both | {"variant.bias": (has_biases(config), recipe.variant.bias)}).items():
        if found != expected:
            raise _violation(
                "architecture", Difference(key, (found, expected)), str(recipe.run_dir), "the recipe",
                "use the same recipe for every stage of a run, or another experiment name",
            )  # fmt: skip


def check_no_leak(recipe: Recipe, folder: Path, sources: Sequence[SourceRecord]) -> None:
    """Check that no evaluation data is used for training.

    Files are compared by their content when they were read, which also finds a file that was added to the evaluation
    after the corpus was prepared. Hub data sets are compared by name and split. Generated questions are held out when
    they are generated.

    Raises:
        RecipeError: if a source is used for both; the message names both uses.
    """
    evaluated: dict[str, str] = {}
    for name, source in recipe.evaluation.data.items():
        try:
            description = SourceRecord.model_validate(describe(source))
        except RecipeError:  # a missing file matters only when the model is evaluated
            continue
        evaluated |= dict.fromkeys(_identities(description), f"evaluation.data.{name}")
    for trained in sources:
        for identity in _identities(trained):
            if identity in evaluated:
                raise _violation(
                    "data", Difference(f"source {trained.name}", (identity, identity)), str(folder),
                    evaluated[identity], "evaluation data must not be used for training; choose other data",
                )  # fmt: skip


def check_others(recipe: Recipe, paths: StagePaths, matched: Fields) -> None:
    """Compare a stage with the same stage of the other conditions, for the same experiment and seed.

    Raises:
        RecipeError: if a field differs; the message names the invariant, the field, both values and both folders.
    """
    file = paths.work / PLAN
    write_record(file, Plan(matched=matched, seed_offset=recipe.seed_offset))
    ours = read_record(file, Plan)  # as it reads back from the file
    for folder, theirs in _others(recipe, paths):
        sizes = [flatten(plan.matched).get("architecture.vocab_size", ABSENT) for plan in (ours, theirs)]
        if ABSENT != sizes[1] != sizes[0]:
            logger.info(
                "%s: not compared, because its vocabulary size is %s and this run's is %s", folder, sizes[1], sizes[0]
            )
            continue
        others = _with_one_budget(ours.matched, theirs.matched)
        found = differences(ours.matched, others, ours.seed_offset != theirs.seed_offset)
        if found:
            file.unlink()  # a run that did not start must not block another
            first, *more = sorted(found, key=lambda difference: _ORDER.index(invariant(difference.field)))
            named = f" (also different: {', '.join(difference.field for difference in more)})" if more else ""
            raise _violation(
                invariant(first.field), first, str(paths.final), str(folder),
                f"the two runs would not be comparable{named}; use the same recipe for both; to train the other one "
                f"again, remove {folder} first; if they do not belong together, use another experiment name",
            )  # fmt: skip


def _with_one_budget(ours: Fields, theirs: Fields) -> Fields:
    """Return the other run's fields without its own declared budget if both runs declare one.

    Two sensitivity conditions, of equal text and of equal FLOPs, are each compared with their reference; beside each
    other they may differ in all that follows from their budgets, and in nothing else.
    """
    settings = settings_of(theirs)
    if "equal_to" not in settings or "equal_to" not in settings_of(ours):
        return theirs
    return {**theirs, "settings": {name: value for name, value in settings.items() if name != "equal_to"}}


def invariant(field: str) -> str:
    """Return the name of the invariant to which a field of `matched` belongs."""
    return next(name for name, pattern in _INVARIANTS.items() if re.fullmatch(pattern, field))


def _others(recipe: Recipe, paths: StagePaths) -> Iterator[tuple[Path, Plan]]:
    """Yield the folder and the plan of this stage in the other conditions."""
    for run in sorted(recipe.experiment_dir.glob(f"exp_*/{recipe.run_dir.name}")):
        if run == recipe.run_dir:
            continue
        final, work = (run / path.relative_to(recipe.run_dir) for path in (paths.final, paths.work))
        if (final / MANIFEST).is_file():
            manifest = read_record(final / MANIFEST, Manifest)
            recorded = {"matched": manifest.matched, "seed_offset": manifest.reported.get("seed_offset")}
            yield final, Plan.parse(recorded, final / MANIFEST)
        elif (work / PLAN).is_file():
            yield work, read_record(work / PLAN, Plan)


def _identities(source: SourceRecord) -> list[str]:
    """Return identifiers of a source's content: file hashes, or data set, configuration and split."""
    if source.kind == "file":
        return [f"sha256 {digest}" for _, digest in source.sha256]
    if source.kind == "hub":
        return [f"{source.path} {source.config or ABSENT} {source.split}"]
    return []


def _violation(name: str, difference: Difference, ours: str, theirs: str, todo: str) -> RecipeError:
    return RecipeError(f"preflight, {name}: {difference.describe(ours, theirs)}; {todo}")
