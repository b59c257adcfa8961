"""Which files are published. What is not listed here stays where it is: optimizers, random states, pickles, logs."""

import re

from domain_tokens.runs.checkpoints.verified import is_of_model
from domain_tokens.runs.layout import (
    COMPLETIONS,
    CONTAMINATION,
    EXAMPLES,
    INPUTS,
    MANIFEST,
    METRICS,
    PASS_RATES,
    README,
    RUN_CONFIG,
    SAMPLES,
    SIDE_CODE,
    TOKENIZER,
    VERIFIED,
)
from domain_tokens.tokenization.certificate import CERTIFICATE, TOKENIZER_FILES

PLACEMENT = "published.json"
"""In a repository: which run and stage it is of, by which it is laid out again."""

TOKENIZER_RECORDS = (f"{TOKENIZER}/{MANIFEST}", f"{TOKENIZER}/{RUN_CONFIG}")
"""In a model's repository: the records of its condition's tokenizer, whose files lie beside the weights."""

_OF_MODEL = (
    "config.json", "generation_config.json", *TOKENIZER_FILES, CERTIFICATE, MANIFEST, RUN_CONFIG, METRICS, EXAMPLES,
    CONTAMINATION, PASS_RATES, COMPLETIONS, SAMPLES,
)  # fmt: skip
_OF_CHECKPOINT = (*TOKENIZER_FILES, INPUTS, VERIFIED)

_FOLDER = r"[\w.+-]+"
_TABLES = r"[\w.+-]+\.(?:json|md|html|csv)"
_PLOTS = rf"plots/{_FOLDER}\.(?:png|svg)"
_RECORDS = r"(?:manifest\.json|run_config\.yaml)"
_OF_RESULTS = re.compile(
    rf"{_TABLES}"  # of the experiment: comparison, preregistration, looks, micro batches
    rf"|(?:{_FOLDER}/)?{_PLOTS}"
    rf"|(?!exp_|documents_|base_vocabulary/|logs/){_FOLDER}/{_TABLES}"  # of a pair of its conditions
    rf"|exp_{_FOLDER}/tokenizer/(?:{'|'.join(map(re.escape, (*TOKENIZER_FILES, CERTIFICATE)))}|{_RECORDS})"
    rf"|exp_{_FOLDER}/corpus_\d+/(?:{re.escape(SIDE_CODE)}|{_RECORDS})"
    rf"|exp_{_FOLDER}/seed_\d+/eval/(?:{_FOLDER}/)*{_FOLDER}\.(?:json|jsonl|csv|yaml)"
    rf"|exp_{_FOLDER}/seed_\d+/verifier/{_FOLDER}\.(?:json|jsonl)"
    rf"|base_vocabulary/(?:vocab\.json|merges\.txt|{_RECORDS})"
)


def is_of_stage(path: str) -> bool:
    """Return whether a file of a stage's final folder is published, by its path in the folder."""
    return path in _OF_MODEL or (path.endswith((".safetensors", ".safetensors.index.json")) and "/" not in path)


def is_of_checkpoint(path: str) -> bool:
    """Return whether a file of a checkpoint is published: its model, without what training could go on from."""
    return "/" not in path and (path in _OF_CHECKPOINT or is_of_model(path))


def is_of_results(path: str) -> bool:
    """Return whether a file of an experiment's folder is published with its results, by its path in the folder."""
    hidden = any(part.startswith(".") for part in path.split("/"))
    return not hidden and path not in (README, PLACEMENT) and _OF_RESULTS.fullmatch(path) is not None


def is_published(path: str, *, is_dataset: bool) -> bool:
    """Return whether a file of a repository is one that this project publishes, by its path there.

    Args:
        path (`str`): with `/` between folders.
        is_dataset (`bool`): whether the repository holds results, and no model.
    """
    if path in (README, PLACEMENT):
        return True
    if is_dataset:
        return is_of_results(path)
    return is_of_stage(path) or is_of_checkpoint(path) or path in TOKENIZER_RECORDS
