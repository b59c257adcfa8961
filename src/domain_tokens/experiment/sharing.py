"""Stages that two experiments share: those before the first setting that differs are linked, not run again.

A wrong link cannot pass unnoticed: every stage compares the inputs that a linked folder recorded with its own recipe,
and refuses if they differ.
"""

from collections.abc import Sequence
from pathlib import Path

from domain_tokens.recipe import Recipe, flatten, to_dict
from domain_tokens.recipe.values.effective import effective
from domain_tokens.runs.files import link_folder
from domain_tokens.runs.layout import stage_paths

STAGES = ("prepare_data", "pretrain", "sft", "grpo", "eval")
"""The stages of a run that can be shared, in order."""

# By the beginning of a key, the first stage that reads it; a key that is not here is read by the first stage.
_READ_BY = {
    "corpus.epochs": "pretrain",
    "model": "pretrain",
    "variant": "pretrain",
    "pretrain": "pretrain",
    "budget": "pretrain",
    "sft": "sft",
    "sft_stages": "sft",
    "budget.sft_examples_per_step": "sft",
    "budget.sft_tokens_per_step": "sft",
    "budget.sft_loss": "sft",
    "lora": "sft",
    "grpo": "grpo",
    "grpo_prompts": "grpo",
    "rewards": "grpo",
    "rollouts": "grpo",
    "budget.grpo_completions_per_step": "grpo",
    "evaluation": "eval",
    "verifier": "eval",  # which no stage reads: a verifier is trained by a command of its own
}
_NAMES = ("experiment", "output_dir", "prereg")


def first_own_stage(made: Recipe | None, varied: Recipe) -> int:
    """Return the index in `STAGES` of the first stage that a run cannot share; `len(STAGES)` if it differs in nothing.

    Args:
        made (`Recipe`, *optional*): the run of the same condition in the other experiment, if it has one.
        varied (`Recipe`): the run.
    """
    if made is None:
        return 0
    return min((STAGES.index(_reader(key)) for key in changed_keys(made, varied)), default=len(STAGES))


def changed_keys(made: Recipe, varied: Recipe) -> list[str]:
    """Return the dotted keys in which two recipes differ, names and folders aside."""
    here, there = (effective(flatten(to_dict(recipe))) for recipe in (made, varied))
    keys = sorted(here.keys() | there.keys())
    return [key for key in keys if key not in _NAMES and here.get(key) != there.get(key)]


def link_stages(made: Recipe, varied: Recipe, first: int, seeds: Sequence[int]) -> None:
    """Link what a condition shares with the same condition of another experiment.

    Args:
        made, varied (`Recipe`): the condition in the other experiment and in this one, of any seed.
        first (`int`): the first stage that is not shared; a condition without one is linked as a whole.
        seeds (`Sequence[int]`): the seeds of the runs.
    """
    if first == len(STAGES):
        link(made.condition_dir, varied.condition_dir)
        return
    if first > STAGES.index("prepare_data"):
        link(made.tokenizer_dir, varied.tokenizer_dir)
        link(made.corpus_dir, varied.corpus_dir)
    theirs, ours = stage_paths(made), stage_paths(varied)
    for name in ours:
        if name not in theirs or STAGES.index(name.partition("_")[0]) >= first:
            continue
        for seed in seeds:
            run = f"seed_{seed}"
            final = made.condition_dir / run / theirs[name].final.name
            link(final, varied.condition_dir / run / ours[name].final.name)


def link_documents(made: Recipe, varied: Recipe) -> None:
    """Link the documents and the trained base vocabulary, which all conditions of an experiment share."""
    link(made.documents_dir, varied.documents_dir)
    if varied.base_vocabulary.is_trained:
        link(made.base_vocabulary_dir, varied.base_vocabulary_dir)


def shares_documents(made: Recipe, varied: Recipe) -> bool:
    """Return whether two experiments read the same documents with the same base vocabulary."""
    changed = changed_keys(made, varied)
    of_text = ("corpus", "base_vocabulary", "generator", "rules")
    return not any(key.partition(".")[0] in of_text and _reader(key) == STAGES[0] for key in changed)


def link(target: Path, place: Path) -> None:
    """Link a folder that exists or will; a real folder in its place stays, and its stage judges it."""
    if place.exists() and not place.is_symlink():
        return
    link_folder(target, place)


def _reader(key: str) -> str:
    """Return the first stage that reads a key."""
    parts = key.split(".")
    beginnings = (".".join(parts[:number]) for number in range(len(parts), 0, -1))
    return next((_READ_BY[one] for one in beginnings if one in _READ_BY), STAGES[0])
