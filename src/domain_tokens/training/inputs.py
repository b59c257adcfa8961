"""What each training stage is made from, as its folder records it. Imports none of the libraries that train."""

from dataclasses import dataclass
from pathlib import Path

from domain_tokens.corpora.sources import describe
from domain_tokens.recipe import Recipe, RecipeError, Source, to_dict
from domain_tokens.runs.layout import stage_paths
from domain_tokens.runs.records import Fields, Manifest, Record, SourceRecord
from domain_tokens.runs.stage_folder import require
from domain_tokens.tokenization.contract import tokenizer_sha256
from domain_tokens.tokenization.intervention import load_canonical_table


@dataclass(frozen=True)
class Predecessor:
    """The finished stage whose model a stage of fine-tuning or GRPO starts from.

    Attributes:
        folder: its final folder.
        made_by: the script that makes it.
        manifest: what it recorded.
        weights_sha256: the hash of its weights, by its manifest.
    """

    folder: Path
    made_by: str
    manifest: Manifest
    weights_sha256: str


def predecessor_folder(recipe: Recipe, stage: str) -> tuple[Path, str]:
    """Return the folder of the model that a stage starts from, and the script that makes it.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): a name from `stage_paths`, other than `pretrain`.
    """
    if stage == "grpo":
        return recipe.run_dir / "sft_final", "scripts/run_sft.py"
    paths = stage_paths(recipe)
    names = list(paths)
    before = names[names.index(stage) - 1]
    return paths[before].final, "scripts/run_pretrain.py" if before == "pretrain" else "scripts/run_sft.py"


def find_predecessor(recipe: Recipe, stage: str) -> Predecessor:
    """Return the finished stage that a stage starts from. Raises `RecipeError` if it is not complete."""
    folder, made_by = predecessor_folder(recipe, stage)
    manifest = require(folder, made_by)
    if manifest.weights_sha256 is None:
        raise RecipeError(f"{folder}: its manifest records no weights; remove the folder and run {made_by} again")
    return Predecessor(folder, made_by, manifest, manifest.weights_sha256)


def require_corpus(recipe: Recipe) -> Manifest:
    """Return the manifest of a run's corpus. Raises `RecipeError` if it is missing or has another tokenizer's ids."""
    corpus = require(recipe.corpus_dir, "scripts/prepare_data.py")
    made_with, found = str(corpus.inputs["tokenizer_sha256"]), tokenizer_sha256(recipe.tokenizer_dir)
    if made_with != found:
        raise RecipeError(
            f"{recipe.corpus_dir}: its shards were made with another tokenizer ({made_with[:12]}, this run's is "
            f"{found[:12]}); remove the folder and run scripts/prepare_data.py again"
        )
    return corpus


def training_sources(recipe: Recipe, stage: str) -> list[Source]:
    """Return the data of a stage of fine-tuning or GRPO.

    For a stage of fine-tuning that includes the data of the stages before it: the model has been trained on it too.
    """
    if stage == "grpo":
        return recipe.grpo_prompts
    names = [f"sft_{one.name}" for one in recipe.sft_stages]
    return [source for one in recipe.sft_stages[: names.index(stage) + 1] for source in one.sources]


def stage_inputs(recipe: Recipe, stage: str, examples: Fields) -> Fields:
    """Return what a stage is made from. Data files are hashed, weights and corpus are taken from their manifests.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): a name from `stage_paths`.
        examples (`Fields`): the account of the examples, `chat_data.ExampleAccount`; pretraining has none.

    Raises:
        RecipeError: if a file, the corpus or the stage before is missing or damaged.
    """
    seed = recipe.training_seed
    if stage == "pretrain":
        return {
            "seed": seed,
            "model": recipe.model,
            "pretrain": recipe.pretrain,
            "tokens_per_step": recipe.budget.pretrain_tokens_per_step,
            "corpus": dict(require_corpus(recipe).inputs),
        }
    before = find_predecessor(recipe, stage)
    data: Fields = {
        "sources": [describe(source) for source in training_sources(recipe, stage)],
        "examples": dict(examples),
        "weights": {before.folder.name: before.weights_sha256},
        "tokenizer_sha256": tokenizer_sha256(recipe.tokenizer_dir),
    }
    if stage == "grpo":
        return {
            "seed": seed,
            "grpo": recipe.grpo,
            "completions_per_step": recipe.budget.grpo_completions_per_step,
            "rewards": dict(reward_weights(recipe)),
            "measured_as": None if recipe.canonical_table is None else load_canonical_table(recipe).as_json(),
            **data,
        }
    args = {f"sft_{one.name}": one.args for one in recipe.sft_stages}[stage]
    per_step = recipe.budget.sft_examples_per_step
    return {"seed": seed, "sft": recipe.sft, "args": args, "examples_per_step": per_step, **data}


class _WithSources(Record):
    sources: tuple[SourceRecord, ...]


def recorded_sources(inputs: Fields) -> tuple[SourceRecord, ...]:
    """Return the data that a stage is trained on, from its inputs; of pretraining, what the corpus was made from."""
    return _WithSources.parse(inputs.get("corpus", inputs), "inputs").sources


def reward_weights(recipe: Recipe) -> dict[str, float]:
    """Return the weights of the reward functions that are used, in the order of the recipe's fields."""
    return {name: weight for name, weight in to_dict(recipe)["rewards"].items() if weight}
