"""What a run leaves on disk, by name: its folders, its models, its modes of evaluation and its files.

`outputs/<experiment>/exp_<condition>/seed_<n>/` holds

- `pretrain_final`, `sft_final`, `grpo_final`: a finished stage, with weights, tokenizer and the files named below;
- `checkpoints/<stage>/checkpoint-<step>`: unfinished work;
- `eval/<model>/<task>_results.json` and `<task>_items.jsonl`, `<task>.<mode>_...` for modes other than `plain`;
- `eval/checkpoints/<stage>-<step>.json` and `<stage>-<step>/`, `eval/learning_curves.csv`.

`runs.records` has the type of each of the JSON files.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from domain_tokens.recipe import Recipe

MODELS = ("pretrain_final", "sft_final", "grpo_final")
"""The folders of a run's models, in the order in which they are trained."""

MANIFEST = "manifest.json"
RUN_CONFIG = "run_config.yaml"
METRICS = "metrics.jsonl"
INPUTS = "inputs.json"  # what a folder of checkpoints was begun with
PLAN = "plan.json"  # in a folder of checkpoints: what the finished stage will record under `matched`
VERIFIED = "verified.json"  # the last file that training writes into a checkpoint: its files and their hashes
COUNTS = "counts.json"  # what a stage had consumed at a checkpoint
LOGS = "logs"  # what the stages of an experiment wrote while they ran, and the runner
TRAINER_STATE = "trainer_state.json"  # the Trainer's own name

EVALUATION = "eval"
CHECKPOINT_RESULTS = f"{EVALUATION}/checkpoints"
LEARNING_CURVES = f"{EVALUATION}/learning_curves.csv"
DOCUMENT_BITS = "documents.jsonl"  # of a checkpoint: the bits of each document of the validation text
RESULTS = "_results.json"
ITEMS = "_items.jsonl"
EXCLUDED_ITEMS = "_items_with_products.jsonl"


class Mode(StrEnum):
    """How a task is run. The ids from 50304 on are the same range in every condition.

    Where no intervention uses these ids, neither ablation changes an answer.
    """

    PLAIN = "plain"
    """Greedy answers, nothing touched: what accuracies are taken from."""

    FORBIDDEN = "facts_forbidden"
    """The ids are never written: what is lost is owed to writing facts."""

    EXCHANGED = "facts_exchanged"
    """Each id is read as the next one: a model that uses what its tokens mean is misled."""

    SAMPLED = "sampled"
    """Several answers to a question, drawn at a temperature."""


def task_file(folder: Path, name: str, ending: str) -> Path:
    """Return the path of one of a task's files.

    Args:
        folder (`Path`): `eval/<model>`, or a folder in `eval/checkpoints`.
        name (`str`): the task, or task and mode: `gsm8k`, `gsm8k.facts_forbidden`.
        ending (`str`): `RESULTS`, `ITEMS` or `EXCLUDED_ITEMS`.
    """
    return folder / f"{name}{ending}"


@dataclass(frozen=True)
class StagePaths:
    """The two folders of a training stage of one run.

    Attributes:
        work: its checkpoints and its metrics while it is under way.
        final: its result, which exists once the stage is complete.
    """

    work: Path
    final: Path


def stage_paths(recipe: Recipe) -> dict[str, StagePaths]:
    """Return the folders of a run's training stages by name, `pretrain`, `sft_<name>` and `grpo`, in training order.

    The result of the last stage of fine-tuning is `sft_final`, that of an earlier one `sft_<name>`.
    """
    names = [f"sft_{stage.name}" for stage in recipe.sft_stages]
    finals = {"pretrain": "pretrain_final"} | {name: name for name in names}
    if names:
        finals[names[-1]] = "sft_final"
    finals["grpo"] = "grpo_final"
    run = recipe.run_dir
    return {name: StagePaths(run / "checkpoints" / name, run / final) for name, final in finals.items()}


def checkpoint_folder(work: Path, step: int) -> Path:
    """Return the folder of the checkpoint that the Trainer writes after an optimizer step."""
    return work / f"checkpoint-{step}"
