"""The first stage: the condition's tokenizer, the documents, and their tokens in uint16 shards.

    documents_<seed>/   text, shared by the conditions
    base_vocabulary/    a base vocabulary trained on it, shared by the conditions; none if the base is GPT-2's
    tokenizer/          the condition's tokenizer
    corpus_<seed>/      train/*.ds and validation/*.ds: token ids, the end-of-text token after every document;
                        side_code.json: how the training split spells what the tokenizer rewrites

All conditions tokenize the same files and shuffle with the same seed, so a document has one number in all of them. A
run draws these numbers by its own seed (`shards.draw_documents`) and needs no files of its own.
"""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue
from tqdm import tqdm

from domain_tokens.corpora.pipeline.texts import prepare_documents, work_of
from domain_tokens.corpora.placebo.savings import load_matched
from domain_tokens.corpora.preparation.corpus import write_corpus
from domain_tokens.corpora.preparation.disk import full_disk
from domain_tokens.corpora.preparation.executors import Execution, ExecutorName
from domain_tokens.corpora.preparation.text import write_texts
from domain_tokens.corpora.shards import SPLITS
from domain_tokens.corpora.sizes import (
    check_epochs,
    pretraining_tokens,
    training_documents,
)
from domain_tokens.corpora.sources import describe
from domain_tokens.recipe import Recipe, accumulations, check_num_tokens
from domain_tokens.runs.files import read_json, sha256_json
from domain_tokens.runs.layout import MANIFEST
from domain_tokens.runs.stage_folder import StageFolder
from domain_tokens.tokenization.bpe.base_vocabulary import TRAINERS, BaseVocabulary, base_without_training, read_base
from domain_tokens.tokenization.builder import build_tokenizer, save_tokenizer
from domain_tokens.tokenization.contract import load_tokenizer, tokenizer_sha256
from domain_tokens.tokenization.intervention import (
    load_intervention,
)
from domain_tokens.tokenization.side_record.code import VERSION as SIDE_CODE_VERSION

logger = logging.getLogger(__name__)


def prepare_data(recipe: Recipe, executor: ExecutorName = "local", *, with_text: bool = False) -> None:
    """Build the tokenizer and the corpus of a recipe's condition. Skips what is complete.

    Args:
        recipe (`Recipe`): the run.
        executor (`str`, *optional*, defaults to `local`): who reads and tokenizes: `local`, `slurm` or `ray`.
        with_text (`bool`, *optional*, defaults to `False`): whether the rewritten text is written, too.

    Raises:
        Unfinished: if the work goes on in jobs of a cluster.
        RecipeError: if a source is missing or damaged, is a test set, or a folder holds another recipe's output; if
            the disk is full; if a step of a later stage does not divide into micro batches; or if pretraining would
            read the documents more often than `corpus.epochs`.
    """
    logging.basicConfig(format="%(message)s")
    logging.getLogger("domain_tokens").setLevel(logging.INFO)
    load_intervention(Path(recipe.tokenizer))  # fail here on a mistake in it, not after the documents are read
    load_matched(recipe)
    check_num_tokens(recipe, pretraining_tokens(recipe))  # as early
    accumulations(recipe, 1)  # what one process cannot divide, several cannot
    execution = Execution(executor, recipe.corpus.num_workers, recipe.corpus.cluster)
    with full_disk(recipe):
        if recipe.base_vocabulary.is_trained:
            prepare_documents(recipe, execution)
            _prepare_base(recipe)
        prepare_tokenizer(recipe)
        prepare_documents(recipe, execution)
        if not (stage := corpus_stage(recipe)).is_complete():
            write_corpus(recipe, stage, work_of(recipe.corpus_dir), _base_of(recipe), execution)
        if with_text:
            write_texts(recipe)
    check_epochs(recipe, training_documents(recipe).num_tokens, pretraining_tokens(recipe))


def base_stage(recipe: Recipe) -> StageFolder:
    """Return the folder of a trained base vocabulary, with what it is made from: the training documents."""
    files = read_json(recipe.documents_dir / MANIFEST)["files"]
    training = {name: sha256 for name, sha256 in files.items() if name.startswith("train/")}
    base = recipe.base_vocabulary
    inputs: dict[str, JsonValue] = {"num_ids": base.num_ids, "documents_sha256": sha256_json(training)}
    if base.kind != "trained":
        inputs["kind"] = base.kind
    return StageFolder("base_vocabulary", recipe.base_vocabulary_dir, inputs)


def tokenizer_stage(recipe: Recipe) -> StageFolder:
    """Return the folder of the condition's tokenizer, with what it is made from; a trained base must exist."""
    inputs: dict[str, JsonValue] = {
        "intervention": load_intervention(Path(recipe.tokenizer)).as_json(),
        "rules": recipe.rules,
    }
    if recipe.base_vocabulary.kind != "gpt2":
        inputs["base_vocabulary_sha256"] = list(_base_of(recipe).sha256)
    return StageFolder("tokenizer", recipe.tokenizer_dir, inputs)


def corpus_stage(recipe: Recipe) -> StageFolder:
    """Return the folder of the token shards, with what it is made from: tokenizer and documents, which must exist."""
    matched = load_matched(recipe)
    inputs: dict[str, JsonValue] = {
        "seed": recipe.corpus.seed,
        "tokenizer_sha256": tokenizer_sha256(recipe.tokenizer_dir),
        "sources": [describe(source) for source in recipe.corpus.sources],
        "documents_sha256": documents_sha256(read_json(recipe.documents_dir / MANIFEST)["files"]),
        "side_code": SIDE_CODE_VERSION,
    }
    if matched is not None:
        inputs["matches"] = matched.as_json()
    return StageFolder("corpus", recipe.corpus_dir, inputs)


def documents_sha256(files: dict[str, str]) -> str:
    """Return the hash of the text of all documents, whichever condition wrote them, on whichever machine.

    Args:
        files (`dict[str, str]`): the hashes of the files of their folder, from its manifest.
    """
    return sha256_json({name: sha256 for name, sha256 in files.items() if name.partition("/")[0] in SPLITS})


def prepare_tokenizer(recipe: Recipe) -> None:
    """Build the condition's tokenizer unless it is there already."""
    stage = tokenizer_stage(recipe)
    if stage.is_complete():
        load_tokenizer(recipe.tokenizer_dir)
        return
    with stage.writing(recipe) as (folder, manifest):
        save_tokenizer(build_tokenizer(load_intervention(Path(recipe.tokenizer)), _base_of(recipe)), folder)
        manifest["tokenizer_sha256"] = tokenizer_sha256(folder)
    logger.info("tokenizer: %s", recipe.tokenizer_dir)


def _base_of(recipe: Recipe) -> BaseVocabulary:
    kind = recipe.base_vocabulary
    return read_base(recipe.base_vocabulary_dir) if kind.is_trained else base_without_training(kind.kind)


def _prepare_base(recipe: Recipe) -> None:
    """Train the base vocabulary unless it is there already. Held-out documents are not read."""
    stage = base_stage(recipe)
    if stage.is_complete():
        return
    with stage.writing(recipe) as (folder, _):
        base = recipe.base_vocabulary
        TRAINERS[base.kind](_texts(recipe.documents_dir / "train"), base.num_ids).save(folder)
    logger.info("base vocabulary: %s", recipe.base_vocabulary_dir)


def _texts(documents: Path) -> Iterator[str]:
    for file in sorted(documents.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for line in tqdm(lines, desc=f"reading {file.name}", unit=" docs", disable=None):
                yield json.loads(line)["text"]
