"""What each training stage is made from, as far as the recipe and the folders before it say.

The stages themselves add what they find in their data sets; that part is taken over from what is recorded.
"""

from dataclasses import asdict
from pathlib import Path

from domain_tokens.corpora.sources import describe
from domain_tokens.recipe import Recipe, RecipeError, to_dict
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import INPUTS, MANIFEST
from domain_tokens.runs.stage_folder import StageFolder
from domain_tokens.tokenization.contract import tokenizer_sha256
from domain_tokens.tokenization.intervention import load_intervention


def pretrain_stage(recipe: Recipe) -> StageFolder:
    """Return pretraining's folder with its inputs. Raises `RecipeError` if the corpus has another tokenizer's ids."""
    corpus, found = read_json(recipe.corpus_dir / MANIFEST)["inputs"], tokenizer_sha256(recipe.tokenizer_dir)
    if corpus["tokenizer_sha256"] != found:
        raise RecipeError(
            f"{recipe.corpus_dir}: its shards were made with another tokenizer ({corpus['tokenizer_sha256'][:12]}, "
            f"this run's is {found[:12]}); remove the folder and run scripts/prepare_data.py again"
        )
    inputs: dict[str, object] = {
        "seed": recipe.training_seed,
        "model": recipe.model,
        "pretrain": recipe.pretrain,
        "tokens_per_step": recipe.budget.pretrain_tokens_per_step,
        "corpus": corpus,
    }
    return StageFolder("pretrain", recipe.run_dir / "pretrain_final", inputs)


def sft_stage(recipe: Recipe, number: int, before: Path, folder: Path, work: Path) -> StageFolder:
    """Return a fine-tuning stage's folder with its inputs.

    Args:
        recipe (`Recipe`): the run.
        number (`int`): which of `sft_stages`, from 0.
        before (`Path`): the model that it starts from.
        folder (`Path`): its final folder.
        work (`Path`): its checkpoints.
    """
    stages = recipe.sft_stages
    inputs: dict[str, object] = {
        "seed": recipe.training_seed,
        "sft": recipe.sft,
        "args": stages[number].args,
        "examples_per_step": recipe.budget.sft_examples_per_step,
        "sources": [describe(source) for stage in stages[: number + 1] for source in stage.sources],
        "weights": {before.name: _weights(before)},
        "tokenizer_sha256": tokenizer_sha256(recipe.tokenizer_dir),
    }
    return StageFolder("sft", folder, inputs | _recorded_examples(folder, work))


def grpo_stage(recipe: Recipe, before: Path, work: Path) -> StageFolder:
    """Return the folder of GRPO with its inputs.

    Args:
        recipe (`Recipe`): the run.
        before (`Path`): the model that it starts from.
        work (`Path`): its checkpoints.
    """
    table = recipe.canonical_table
    folder = recipe.run_dir / "grpo_final"
    inputs: dict[str, object] = {
        "seed": recipe.training_seed,
        "grpo": recipe.grpo,
        "completions_per_step": recipe.budget.grpo_completions_per_step,
        "rewards": {name: weight for name, weight in to_dict(recipe)["rewards"].items() if weight},
        "measured_as": None if table is None else asdict(load_intervention(Path(table))),
        "sources": [describe(source) for source in recipe.grpo_prompts],
        "weights": {before.name: _weights(before)},
        "tokenizer_sha256": tokenizer_sha256(recipe.tokenizer_dir),
    }
    return StageFolder("grpo", folder, inputs | _recorded_examples(folder, work))


def _recorded_examples(folder: Path, work: Path) -> dict[str, object]:
    for recorded in (folder / MANIFEST, work / INPUTS):
        if recorded.is_file():
            found = read_json(recorded)
            return {"examples": found.get("inputs", found)["examples"]}
    return {}


def _weights(folder: Path) -> str:
    return str(read_json(folder / MANIFEST)["reported"]["weights_sha256"])
