"""Six invariants of the comparison, checked before a stage's first step and not after its last.

1. vocabulary: tokenizer, model and intervention have the same number of ids, and the facts stand where they belong
2. architecture: the model is the recipe's, and that of the other conditions
3. compute: tokens, examples, steps and FLOPs are those of the other conditions
4. optimizer: optimizer, schedule and precision are those of the other conditions
5. seeds: seeds and initial weights are those of the other conditions, or `seed_offset` says that they are not
6. data: no training source is one that is evaluated on, and documents and their order are the others'

The other conditions are those of the same experiment and seed whose vocabulary has the same size, others being never
compared: what their manifest of this stage records, or, while they are under way, what they wrote down when they
began. Every run writes its own down before it looks for others, so of two that begin at once at least one sees the
other. A run never waits for another; where there is none, nothing is compared.
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from domain_tokens.corpora.sources import describe
from domain_tokens.recipe import Recipe, RecipeError, flatten
from domain_tokens.runs.files import read_json, write_json
from domain_tokens.runs.layout import MANIFEST
from domain_tokens.runs.ledger import ABSENT, Difference, differences
from domain_tokens.runs.records import Fields
from domain_tokens.tokenization.contract import intervention_of
from domain_tokens.tokenization.facts import FIRST_FACT_ID
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.patterns import SENTINEL

logger = logging.getLogger(__name__)

PLAN = "plan.json"
"""What a run under way wrote down, in the folder of its checkpoints; its content is the manifest's `matched`."""

_ORDER = ("vocabulary", "architecture", "compute", "optimizer", "seeds", "data")
# To which invariant a field of `matched` belongs; the first that fits.
_INVARIANTS = {
    "vocabulary": r"architecture\.vocab_size",
    "architecture": r"architecture\..+|num_parameters",
    "seeds": r"seed|.*\btrainer\.(data_)?seed|(.*\.)?initial_weights_sha256",
    "data": r"documents.*|(.*\.)?\w+_order_sha256|(.*\.)?examples(_too_long)?|(.*\.)?neutralized_markers",
    "optimizer": r".*\btrainer\.(optim|learning_rate|adam_|weight_decay|max_grad_norm|lr_|warmup|bf16|fp16|tf32).*",
    "compute": r".*",
}


def preflight(
    recipe: Recipe,
    folder: Path,
    work: Path,
    tokenizer: PreTrainedTokenizerBase,
    config: PretrainedConfig,
    matched: dict[str, Any],
    sources: list[dict[str, Any]],
) -> None:
    """Check the six invariants, in seconds; the first process alone compares with other conditions.

    Args:
        recipe (`Recipe`): the run.
        folder (`Path`): where the stage's result will stand, `<run>/sft_final`.
        work (`Path`): where its checkpoints stand, in which this run's plan is written.
        tokenizer: the condition's.
        config: of the model that is about to be trained.
        matched (`dict[str, Any]`): what the stage will record under `matched`.
        sources (`list[dict]`): what is trained on, as `corpora.sources.describe` describes it.

    Raises:
        RecipeError: naming the invariant, the field, both values and both folders.
    """
    check_vocabulary(recipe, tokenizer, config)
    check_architecture(recipe, config)
    check_no_leak(recipe, folder, sources)
    if PartialState().is_main_process:
        check_others(recipe, folder, work, matched)


def check_vocabulary(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    """Check that tokenizer, model and the recipe's intervention agree. Raises `RecipeError` naming what differs."""
    declared = load_intervention(Path(recipe.tokenizer))
    ids = range(FIRST_FACT_ID, FIRST_FACT_ID + len(declared.token_names()))
    tokens = [token.removeprefix(SENTINEL) for token in tokenizer.convert_ids_to_tokens(list(ids))]
    found = {
        "intervention": intervention_of(tokenizer).as_json(),
        "len(tokenizer)": len(tokenizer),
        "model.config.vocab_size": config.vocab_size,
        "id": dict(zip(map(str, ids), tokens, strict=True)),
    }
    expected: Fields = {
        "intervention": declared.as_json(),
        "len(tokenizer)": declared.vocabulary_size,
        "model.config.vocab_size": declared.vocabulary_size,
        "id": dict(zip(map(str, ids), declared.token_names(), strict=True)),
    }
    for difference in differences(found, expected):
        raise _violation(
            "vocabulary", difference, str(recipe.tokenizer_dir), recipe.tokenizer,
            "build tokenizer and corpus again with scripts/prepare_data.py, and train every stage anew",
        )  # fmt: skip


def check_architecture(recipe: Recipe, config: PretrainedConfig) -> None:
    """Check that the model is the one that the recipe describes. Raises `RecipeError` naming what differs."""
    for key, expected in recipe.model.items():
        if (found := getattr(config, key)) != expected:
            raise _violation(
                "architecture", Difference(f"model.{key}", (found, expected)), str(recipe.run_dir), "the recipe",
                "train every stage of a run by the same recipe, or give the run another experiment name",
            )  # fmt: skip


def check_no_leak(recipe: Recipe, folder: Path, sources: list[dict[str, Any]]) -> None:
    """Check that nothing is trained on that is evaluated on.

    Files are compared by content as it was when they were read, so a file that the recipe began to evaluate on after
    its corpus was prepared is found too; data sets on the Hub by name and split. Generated questions are held out from
    each other where they are generated.

    Raises:
        RecipeError: naming both sources.
    """
    evaluated: dict[str, str] = {}
    for name, source in recipe.evaluation.data.items():
        try:
            description = describe(source)
        except RecipeError:  # a file that is needed only when the model is evaluated
            continue
        evaluated |= dict.fromkeys(_identities(description), f"evaluation.data.{name}")
    for description in sources:
        for identity in _identities(description):
            if identity in evaluated:
                raise _violation(
                    "data", Difference(f"source {description['name']}", (identity, identity)), str(folder),
                    evaluated[identity], "a stage that trains never reads what is evaluated: name other data",
                )  # fmt: skip


def check_others(recipe: Recipe, folder: Path, work: Path, matched: dict[str, Any]) -> None:
    """Check a stage against the other conditions' of the same experiment and seed.

    Raises:
        RecipeError: naming the invariant, the field, both values and both folders.
    """
    plan = {"matched": matched, "seed_offset": recipe.seed_offset}
    write_json(work / PLAN, plan)
    plan = read_json(work / PLAN)  # as it reads after a round trip through the file
    for place, other in _others(recipe, folder, work):
        ours, theirs = (flatten(side["matched"]).get("architecture.vocab_size", ABSENT) for side in (plan, other))
        if ABSENT != theirs != ours:
            logger.info("%s: its vocabulary is %s, here %s: not compared", place, theirs, ours)
            continue
        found = differences(plan["matched"], other["matched"], plan["seed_offset"] != other["seed_offset"])
        if found:
            (work / PLAN).unlink()  # a run that did not begin must not stand in another's way
            first, *more = sorted(found, key=lambda difference: _ORDER.index(invariant(difference.field)))
            named = f" (also different: {', '.join(difference.field for difference in more)})" if more else ""
            raise _violation(
                invariant(first.field), first, str(folder), str(place),
                f"the two could not be compared{named}: give both the same recipe; if the other one is to be made "
                f"anew, remove {place} first; if they do not belong together, give this run another experiment name",
            )  # fmt: skip


def invariant(field: str) -> str:
    """Return the name of the invariant that a field of `matched` belongs to."""
    return next(name for name, pattern in _INVARIANTS.items() if re.fullmatch(pattern, field))


def _others(recipe: Recipe, folder: Path, work: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the same stage of the other conditions: its place and its `matched` and `seed_offset`."""
    for run in sorted(recipe.experiment_dir.glob(f"exp_*/{recipe.run_dir.name}")):
        if run == recipe.run_dir:
            continue
        finished, begun = run / folder.name, run / work.relative_to(recipe.run_dir)
        if (finished / MANIFEST).is_file():
            manifest = read_json(finished / MANIFEST)
            yield finished, {"matched": manifest["matched"], "seed_offset": manifest["reported"]["seed_offset"]}
        elif (begun / PLAN).is_file():
            yield begun, read_json(begun / PLAN)


def _identities(description: dict[str, Any]) -> list[str]:
    """Return what names a source's content: its files' hashes, or data set, configuration and split."""
    if description["kind"] == "file":
        return [f"sha256 {digest}" for _, digest in description["sha256"]]
    if description["kind"] == "hub":
        return [f"{description['path']} {description.get('config', ABSENT)} {description['split']}"]
    return []


def _violation(name: str, difference: Difference, ours: str, theirs: str, todo: str) -> RecipeError:
    return RecipeError(f"preflight, {name}: {difference.describe(ours, theirs)}; {todo}")
