"""The inputs of each training stage, as recorded in its folder. Imports none of the training libraries."""

from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import JsonValue

from domain_tokens.corpora.sources import describe
from domain_tokens.recipe import Recipe, RecipeError, Source, to_dict
from domain_tokens.recipe.micro_batch import is_packed, num_per_step
from domain_tokens.runs.files import sha256_file
from domain_tokens.runs.layout import VERIFIER, made_by, stage_paths, start_folder
from domain_tokens.runs.ledger import BONUS
from domain_tokens.runs.records import Fields, Manifest, Record, SourceRecord
from domain_tokens.runs.settings import declared_settings, derived_arguments
from domain_tokens.runs.stage_folder import require
from domain_tokens.tokenization.contract import tokenizer_sha256
from domain_tokens.tokenization.intervention import load_canonical_table
from domain_tokens.training.other_condition import require_start, seed_fields, start_record

REWARDS_VERSION = 6
"""Increase this when a reward function changes, so that runs with different versions are not compared.

Version 1 (release 0.3.0) was not recorded. Version 3 pays a step only if it is right for the item. In version 4
a wrong final number uses no step, nor does a trivial one such as `5+0=5`. Version 5 reads more spellings of equations
and calls fewer of them wrong (docs/EVALUATION.md), and signs, spaces and units around a number as evaluation does;
`partial_credit` finds negative numbers, decimals and thousands too. Version 6 pays `fact_bonus` only for facts on the
way to the right number.
"""


@dataclass(frozen=True)
class Predecessor:
    """The finished stage from whose model fine-tuning or GRPO starts: of the same run, or of another condition's.

    Attributes:
        folder: its final folder.
        made_by: the script that creates it.
        manifest: its manifest.
        weights_sha256: the hash of its weights, from the manifest.
    """

    folder: Path
    made_by: str
    manifest: Manifest
    weights_sha256: str


def predecessor_folder(recipe: Recipe, stage: str) -> tuple[Path, str]:
    """Return the folder of the model from which a stage starts, and the script that creates it.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): a name from `stage_paths`, other than `pretrain`, or `verifier`.
    """
    if stage == VERIFIER:
        return recipe.run_dir / recipe.verifier.model, made_by(recipe.verifier.model)
    if (start := start_of(recipe, stage)) is not None:
        return start, made_by(start.name)
    paths = stage_paths(recipe)
    names = list(paths)
    before = paths[names[names.index(stage) - 1]].final
    return before, made_by(before.name)


def start_of(recipe: Recipe, stage: str) -> Path | None:
    """Return the folder of the other condition's model from which a stage starts; `None` if it starts from its run's.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): as for `predecessor_folder`.
    """
    return start_folder(recipe) if stage == next(iter(stage_paths(recipe))) else None


def find_predecessor(recipe: Recipe, stage: str) -> Predecessor:
    """Return the finished stage from which a stage starts.

    Raises:
        RecipeError: if it is incomplete, or is another condition's and does not fit (`require_start`).
    """
    folder, made_by = predecessor_folder(recipe, stage)
    manifest = require(folder, made_by) if start_of(recipe, stage) is None else require_start(recipe, folder)
    if manifest.weights_sha256 is None:
        raise RecipeError(
            f"{folder}: the manifest has no hash of the weights; remove the folder and run {made_by} again"
        )
    return Predecessor(folder, made_by, manifest, manifest.weights_sha256)


def require_corpus(recipe: Recipe) -> Manifest:
    """Return the manifest of a run's corpus. Raises `RecipeError` if it is missing or made with another tokenizer."""
    corpus = require(recipe.corpus_dir, "scripts/prepare_data.py")
    made_with, found = str(corpus.inputs["tokenizer_sha256"]), tokenizer_sha256(recipe.tokenizer_dir)
    if made_with != found:
        raise RecipeError(
            f"{recipe.corpus_dir}: the shards were made with another tokenizer (expected {found[:12]}, got "
            f"{made_with[:12]}); remove the folder and run scripts/prepare_data.py again"
        )
    return corpus


def training_sources(recipe: Recipe, stage: str) -> list[Source]:
    """Return the data sources of a stage that trains on examples; none of pretraining, which reads the corpus.

    For fine-tuning, this includes the data of earlier stages, because the model has been trained on it too.
    """
    if stage == VERIFIER and recipe.verifier.problems:
        return recipe.verifier.problems
    if stage in ("grpo", VERIFIER):
        return recipe.grpo_prompts
    if stage == "pretrain":
        return []
    names = [f"sft_{one.name}" for one in recipe.sft_stages]
    return [source for one in recipe.sft_stages[: names.index(stage) + 1] for source in one.portions]


def stage_inputs(recipe: Recipe, stage: str, examples: Fields) -> Fields:
    """Return a stage's inputs. Data files are hashed; hashes of weights and corpus come from their manifests.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): a name from `stage_paths`, or `verifier`.
        examples (`Fields`): the account of the examples (`chat_data.ExampleAccount`); empty for pretraining.

    Raises:
        RecipeError: if a file, the corpus or the previous stage is missing or damaged.
    """
    seed = seed_fields(recipe)
    settings: Fields = {"settings": declared_settings(recipe, stage), "derived": {**derived_arguments(recipe, stage)}}
    if stage == "pretrain":
        return {**seed, **settings, **_pretraining_inputs(recipe)}
    before = find_predecessor(recipe, stage)
    data: Fields = {
        "sources": [describe(source) for source in training_sources(recipe, stage)],
        "data_seed": recipe.data_seed,
        "examples": dict(examples),
        "weights": {before.folder.name: before.weights_sha256},
        **_started_from(recipe, stage, before),
        "tokenizer_sha256": tokenizer_sha256(recipe.tokenizer_dir),
        **settings,
        **lora_fields(recipe, stage),
    }
    if stage == "grpo":
        return {
            **seed,
            "grpo": recipe.grpo,
            "completions_per_step": recipe.budget.grpo_completions_per_step,
            **_rewarding(recipe),
            **data,
        }
    if stage == VERIFIER:
        return {**seed, VERIFIER: dict(without_uses(recipe)), **data}
    this = next(one for one in recipe.sft_stages if stage == f"sft_{one.name}")
    unit = "tokens_per_step" if is_packed(recipe.sft | this.args) else "examples_per_step"
    budget: Fields = {unit: num_per_step(recipe, stage), "loss": recipe.budget.sft_loss}
    return {**seed, "sft": recipe.sft, "args": this.args, **budget, **data}


def _started_from(recipe: Recipe, stage: str, before: Predecessor) -> Fields:
    """Return what is recorded of another condition's model with which a stage starts; nothing without one."""
    if start_of(recipe, stage) is None:
        return {}
    return {"start_from": dict(start_record(recipe, before.folder, before.weights_sha256))}


def _pretraining_inputs(recipe: Recipe) -> Fields:
    """Return model, trainer settings and corpus of pretraining."""
    return {
        "model": recipe.model,
        **({"variant": {**variant}} if (variant := recipe.variant.recorded()) else {}),
        "pretrain": recipe.pretrain,
        "tokens_per_step": recipe.budget.pretrain_tokens_per_step,
        "documents": {"seed": recipe.data_seed, "sample": recipe.corpus.sample} if recipe.corpus.per_seed else None,
        **({} if recipe.corpus.num_tokens is None else {"num_tokens": recipe.corpus.num_tokens}),
        "corpus": dict(require_corpus(recipe).inputs),
    }


def lora_fields(recipe: Recipe, stage: str) -> Fields:
    """Return the recipe's `lora` as a stage records it, without what `settings` declares; nothing without adapters."""
    lora = recipe.lora_of(stage)
    if lora is None:
        return {}
    return {"lora": {key: value for key, value in asdict(lora).items() if key not in ("train_fact_rows", "stages")}}


def without_uses(recipe: Recipe) -> Fields:
    """Return the verifier's section without its sources, and without what is only said of its use."""
    apart = ("problems", "tasks", "num_samples")
    return {key: value for key, value in to_dict(recipe)["verifier"].items() if key not in apart}


class _WithSources(Record):
    sources: tuple[SourceRecord, ...]


def recorded_sources(inputs: Fields) -> tuple[SourceRecord, ...]:
    """Return a stage's data sources from its inputs; for pretraining, the sources of the corpus."""
    return _WithSources.parse(inputs.get("corpus", inputs), "inputs").sources


def _rewarding(recipe: Recipe) -> Fields:
    return {
        "rewards": dict(recipe.rewards.weights),
        "rewards_version": REWARDS_VERSION,
        **reward_bonus(recipe),
        **_pass_rates(recipe),
        "measured_as": None if recipe.canonical_table is None else load_canonical_table(recipe).as_json(),
    }


def reward_bonus(recipe: Recipe) -> dict[str, JsonValue]:
    """Return which facts the rewards of a recipe pay for, as its stage records it: nothing if they pay for none."""
    return {} if recipe.rewards.bonus == "off" else {BONUS: recipe.rewards.bonus}


def pass_rate_files(recipe: Recipe) -> list[Path]:
    """Return the files of pass rates by which GRPO leaves out prompts. Raises `RecipeError` if one is missing."""
    files = [Path(file) for file in recipe.rollouts.pass_rates]
    for file in files:
        if not file.is_file():
            raise RecipeError(
                f"rollouts.pass_rates: {file}: no such file; make it with scripts/run_grpo.py --measure {file}"
            )
    return files


def _pass_rates(recipe: Recipe) -> dict[str, JsonValue]:
    files = pass_rate_files(recipe)
    return {"pass_rates": [sha256_file(file) for file in files]} if files else {}
