"""What a run leaves on disk, by name: its folders, its models, its modes of evaluation and its files.

`outputs/<experiment>/exp_<condition>/seed_<n>/` holds

- `pretrain_final`, `sft_final`, `grpo_final`: a finished stage, with weights, tokenizer and the files named below;
- `checkpoints/<stage>/checkpoint-<step>`: unfinished work;
- `eval/<model>/<task>_results.json` and `<task>_items.jsonl`, `<task>.<mode>_...` for modes other than `plain`;
- `eval/checkpoints/<stage>-<step>.json` and `<stage>-<step>/`, `eval/learning_curves.csv`.

`runs.records` has the type of each of the JSON files.
"""

from enum import StrEnum
from pathlib import Path

MODELS = ("pretrain_final", "sft_final", "grpo_final")
"""The folders of a run's models, in the order in which they are trained."""

MANIFEST = "manifest.json"
RUN_CONFIG = "run_config.yaml"
METRICS = "metrics.jsonl"
INPUTS = "inputs.json"  # what a folder of checkpoints was begun with
VERIFIED = "verified.json"  # the last file that training writes into a checkpoint: its files and their hashes
COUNTS = "counts.json"  # what a stage had consumed at a checkpoint

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
