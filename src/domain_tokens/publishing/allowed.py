"""Which files are published. What is not listed here stays where it is: optimizers, random states, pickles, logs."""

import re
from collections.abc import Iterable

from domain_tokens.analysis.report import captions
from domain_tokens.runs.checkpoints.verified import is_of_model
from domain_tokens.runs.layout import (
    CHECKPOINT_RESULTS,
    COMPLETIONS,
    CONTAMINATION,
    DOCUMENT_BITS,
    EVALUATION,
    EXAMPLES,
    EXCLUDED_ITEMS,
    INPUTS,
    ITEMS,
    LEARNING_CURVES,
    LEARNING_RATES,
    LOGS,
    LOOKS,
    MANIFEST,
    METRICS,
    MICRO_BATCHES,
    PASS_RATES,
    PLOTS,
    PREREGISTRATION,
    README,
    RESULTS,
    RUN_CONFIG,
    SAMPLES,
    SAMPLING,
    SIDE_CODE,
    TOKENIZER,
    VERIFIED,
    VERIFIER,
    VERIFIERS,
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

CONDITION_PLOTS = ("loss", "validation_loss", "reward", "learning_rate", "throughput", "learning_curves")
_COMPARISON = r"(?:results\.(?:json|md)|report\.html)"
_OF_EXPERIMENT = (
    "overview.json", "overview.md", "comparison.json", PREREGISTRATION, LOOKS, LEARNING_RATES, MICRO_BATCHES,
)  # fmt: skip


def _one_of(names: Iterable[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, names))})"


_NAME = r"[\w.+-]+"
_TASK = rf"{_NAME}{_one_of((RESULTS, ITEMS, EXCLUDED_ITEMS))}"  # of a task, or of one in another mode
_RECORDS = _one_of((MANIFEST, RUN_CONFIG))
_PLOTS = rf"{PLOTS}/{_one_of(captions.NAMES)}\.(?:png|svg)"
_OF_RESULTS = re.compile(
    rf"{_one_of(_OF_EXPERIMENT)}"
    rf"|(?:{VERIFIERS}|{SAMPLING})_{_NAME}\.(?:md|png)"
    # Of an experiment of two conditions, or of a pair of several.
    rf"|(?:(?!exp_|documents_|base_vocabulary/|{LOGS}/){_NAME}/)?(?:{_COMPARISON}|{_PLOTS})"
    rf"|exp_{_NAME}/{PLOTS}/{_one_of(CONDITION_PLOTS)}\.(?:png|svg)"
    rf"|exp_{_NAME}/{TOKENIZER}/{_one_of((*TOKENIZER_FILES, CERTIFICATE, MANIFEST, RUN_CONFIG))}"
    rf"|exp_{_NAME}/corpus_[0-9]+/{_one_of((SIDE_CODE, MANIFEST, RUN_CONFIG))}"
    rf"|exp_{_NAME}/seed_[0-9]+/(?:{re.escape(LEARNING_CURVES)}|(?:{EVALUATION}|{CHECKPOINT_RESULTS})/{_RECORDS})"
    rf"|exp_{_NAME}/seed_[0-9]+/{EVALUATION}/(?:{_NAME}/)+(?:{_TASK}|{re.escape(DOCUMENT_BITS)})"
    rf"|exp_{_NAME}/seed_[0-9]+/{CHECKPOINT_RESULTS}/{_NAME}-[0-9]+\.json"
    rf"|exp_{_NAME}/seed_[0-9]+/{VERIFIER}/{_TASK}"
    rf"|base_vocabulary/(?:vocab\.json|merges\.txt|unigram\.json|{_RECORDS})"
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
