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
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer, DocumentTokenizerMerger
from pydantic import JsonValue
from tqdm import tqdm

from domain_tokens.corpora.dose import SiteCounter
from domain_tokens.corpora.pipeline.encoding import BulkDocumentTokenizer
from domain_tokens.corpora.pipeline.executor import run_steps
from domain_tokens.corpora.pipeline.folders import LocalFolder
from domain_tokens.corpora.pipeline.texts import prepare_documents, work_of
from domain_tokens.corpora.placebo.savings import check_savings, load_matched
from domain_tokens.corpora.shards import SPLITS, Shards, count_groups, document_order, fact_counts
from domain_tokens.corpora.sizes import (
    BYTES_PER_ID,
    BYTES_PER_WEB_TOKEN,
    check_epochs,
    pretraining_tokens,
    training_documents,
)
from domain_tokens.corpora.sources import describe
from domain_tokens.recipe import Recipe
from domain_tokens.runs.files import read_json, sha256_json
from domain_tokens.runs.layout import MANIFEST, SIDE_CODE, SITES
from domain_tokens.runs.progress import watching
from domain_tokens.runs.records import CorpusStatistics, Dose, Fields, GroupsOfDigits, write_record
from domain_tokens.runs.stage_folder import StageFolder
from domain_tokens.tokenization.bpe.base_vocabulary import BaseVocabulary, gpt2_base, read_base, train_base
from domain_tokens.tokenization.bpe.digits import AS_BASE, GroupCounter
from domain_tokens.tokenization.builder import build_tokenizer, save_tokenizer
from domain_tokens.tokenization.contract import id_ranges, intervention_of, load_tokenizer, tokenizer_sha256
from domain_tokens.tokenization.facts import END_OF_TEXT
from domain_tokens.tokenization.intervention import (
    Intervention,
    canonical_rules,
    load_canonical_table,
    load_intervention,
)
from domain_tokens.tokenization.rewriter import RARE
from domain_tokens.tokenization.side_record.code import VERSION as SIDE_CODE_VERSION
from domain_tokens.tokenization.side_record.learning import learn_side_code

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

logger = logging.getLogger(__name__)

_TOKENS_PER_FILE = 1_000_000_000  # 2 GB a file


def prepare_data(recipe: Recipe) -> None:
    """Build the tokenizer and the corpus of a recipe's condition. Skips what is complete.

    Raises:
        RecipeError: if a source is missing or damaged, is a test set, or a folder holds another recipe's output; or if
            pretraining would read the documents more often than `corpus.epochs`.
    """
    logging.basicConfig(format="%(message)s")
    logging.getLogger("domain_tokens").setLevel(logging.INFO)
    load_intervention(Path(recipe.tokenizer))  # fail here on a mistake in it, not after the documents are read
    load_matched(recipe)
    if recipe.base_vocabulary.kind == "trained":
        prepare_documents(recipe)
        _prepare_base(recipe)
    prepare_tokenizer(recipe)
    prepare_documents(recipe)
    _prepare_corpus(recipe)
    check_epochs(recipe, training_documents(recipe).num_tokens, pretraining_tokens(recipe))


def base_stage(recipe: Recipe) -> StageFolder:
    """Return the folder of a trained base vocabulary, with what it is made from: the training documents."""
    files = read_json(recipe.documents_dir / MANIFEST)["files"]
    training = {name: sha256 for name, sha256 in files.items() if name.startswith("train/")}
    inputs: Fields = {"num_ids": recipe.base_vocabulary.num_ids, "documents_sha256": sha256_json(training)}
    return StageFolder("base_vocabulary", recipe.base_vocabulary_dir, inputs)


def tokenizer_stage(recipe: Recipe) -> StageFolder:
    """Return the folder of the condition's tokenizer, with what it is made from; a trained base must exist."""
    inputs: dict[str, JsonValue] = {
        "intervention": load_intervention(Path(recipe.tokenizer)).as_json(),
        "rules": recipe.rules,
    }
    if recipe.base_vocabulary.kind == "trained":
        inputs["base_vocabulary_sha256"] = list(read_base(recipe.base_vocabulary_dir).sha256)
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
    return read_base(recipe.base_vocabulary_dir) if recipe.base_vocabulary.kind == "trained" else gpt2_base()


def _prepare_base(recipe: Recipe) -> None:
    """Train the base vocabulary unless it is there already. Held-out documents are not read."""
    stage = base_stage(recipe)
    if stage.is_complete():
        return
    with stage.writing(recipe) as (folder, _):
        train_base(_texts(recipe.documents_dir / "train"), recipe.base_vocabulary.num_ids).save(folder)
    logger.info("base vocabulary: %s", recipe.base_vocabulary_dir)


def _texts(documents: Path) -> Iterator[str]:
    for file in sorted(documents.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for line in tqdm(lines, desc=f"reading {file.name}", unit=" docs", disable=None):
                yield json.loads(line)["text"]


def _prepare_corpus(recipe: Recipe) -> None:
    documents, stage = recipe.documents_dir, corpus_stage(recipe)
    if stage.is_complete():
        return
    tokenizer = load_tokenizer(recipe.tokenizer_dir)
    savings = check_savings(recipe, _base_of(recipe))
    work = work_of(recipe.corpus_dir)
    stage.open_work(work, recipe)
    with stage.writing(recipe) as (folder, manifest):
        reported: dict[str, Any] = {"tokenizer_sha256": stage.inputs["tokenizer_sha256"]}
        if savings is not None:
            reported["savings"] = savings.as_json()
        for split in SPLITS:
            _tokenize(recipe, split, documents / split, work, folder / split)
            reported |= _account(recipe, split, documents / split, folder, tokenizer)
        write_record(folder / SIDE_CODE, learn_side_code(documents / "train", intervention_of(tokenizer)))
        manifest["reported"] = reported | reported["train"]
    shutil.rmtree(work)
    logger.info("corpus: %s", recipe.corpus_dir)


def _tokenize(recipe: Recipe, split: str, documents: Path, work: Path, output: Path) -> None:
    num_files = len(list(documents.glob("*.jsonl")))
    tokenizer_file = str(recipe.tokenizer_dir / "tokenizer.json")
    tokenize = BulkDocumentTokenizer if recipe.corpus.encoder == "auto" else DocumentTokenizer
    steps = [
        JsonlReader(LocalFolder(documents), glob_pattern="*.jsonl", doc_progress=sys.stderr.isatty()),
        tokenize(
            LocalFolder(work / split),
            tokenizer_file,
            eos_token=END_OF_TEXT,
            shuffle_documents=True,
            seed=recipe.corpus.seed,
            batch_size=1000,
        ),
    ]
    text = sum(file.stat().st_size for file in documents.glob("*.jsonl"))
    with watching(f"tokens of {split}", work / split, "*.ds", text / BYTES_PER_WEB_TOKEN * BYTES_PER_ID):
        run_steps(steps, work / f"state_{split}", num_files, recipe.corpus.num_workers)
    merge = DocumentTokenizerMerger(
        LocalFolder(work / split),
        LocalFolder(output),
        save_filename=split,
        seed=recipe.corpus.seed,
        max_tokens_per_file=_TOKENS_PER_FILE,
        progress=sys.stderr.isatty(),
    )
    run_steps([merge], work / f"state_{split}_merge", 1, 1, skip_completed=False)


class _SplitAccount(TypedDict):
    """What a split of a corpus holds, as the manifest has it; `runs.records.CorpusAccount` reads it."""

    documents: int
    source_bytes: int
    tokens: int
    facts: int
    facts_by_token: dict[str, int]
    rare_facts: list[str]
    document_order_sha256: str
    sites: dict[str, JsonValue] | None


def _account(
    recipe: Recipe, split: str, documents: Path, corpus: Path, tokenizer: "PreTrainedTokenizerFast"
) -> dict[str, _SplitAccount]:
    """Count what a split holds and check it: every document, one end-of-text token each, no reserved id."""
    sites = _site_counter(recipe, documents, intervention_of(tokenizer))
    order, num_bytes = document_order(documents, recipe.corpus.seed, sites.add if split == "train" else None)
    np.save(corpus / split / "bytes.npy", num_bytes)
    shards = Shards(corpus / split)
    if len(shards.document_ends) != len(order):
        raise RuntimeError(f"{corpus / split}: {len(order)} documents read, {len(shards.document_ends)} tokenized")
    dose = None
    if split == "train":
        dose = sites.dose(order, np.diff(shards.document_ends, prepend=0).tolist())
        sites.write_sample(corpus / SITES)
    statistics = _statistics(shards, tokenizer, split, dose)
    write_record(corpus / f"{split}_stats.json", statistics)
    account = _SplitAccount(
        documents=len(order),
        source_bytes=int(num_bytes.sum()),
        tokens=shards.num_tokens,
        facts=sum(statistics.facts.values()),
        facts_by_token=dict(statistics.facts),
        rare_facts=list(statistics.rare),
        document_order_sha256=sha256_json(order),
        sites=None if dose is None else dose.as_json(),
    )
    return {split: account}


def _site_counter(recipe: Recipe, documents: Path, intervention: Intervention) -> SiteCounter:
    """Return a counter of the intervention's sites, or of the canonical table's if the intervention has none."""
    counted = intervention if intervention.entries() else canonical_rules(load_canonical_table(recipe))
    size = sum(file.stat().st_size for file in documents.glob("*.jsonl"))
    return SiteCounter(counted, [source.name for source in recipe.corpus.sources], size)


def _statistics(
    shards: Shards, tokenizer: "PreTrainedTokenizerFast", split: str, dose: Dose | None
) -> CorpusStatistics:
    facts = fact_counts(shards, intervention_of(tokenizer), id_ranges(tokenizer))
    rare = [name for name, count in facts.items() if count < RARE]
    if rare and split == "train":
        shown = ", ".join(rare[:5]) + (", ..." if len(rare) > 5 else "")
        logger.info("%d of %d tokens occur fewer than %d times: %s", len(rare), len(facts), RARE, shown)
    return CorpusStatistics(
        tokens=shards.num_tokens,
        share=sum(facts.values()) / shards.num_tokens,
        facts=facts,
        rare_below=RARE,
        rare=tuple(rare),
        numbers=_groups_of_digits(shards, tokenizer, split),
        sites=dose,
    )


def _groups_of_digits(shards: Shards, tokenizer: "PreTrainedTokenizerFast", split: str) -> GroupsOfDigits | None:
    """Count the groups of digits that are no token; `None` unless the intervention cuts numbers into groups."""
    numbers = intervention_of(tokenizer).numbers
    if numbers == AS_BASE:
        return None
    vocabulary = tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False)
    count = count_groups(shards, GroupCounter(vocabulary, numbers))
    logger.info(
        "%s, %s: %d of %d groups of digits are no token and fall apart (%.1f%%)",
        split, numbers, count.fallen_apart, count.groups, 100 * count.share,
    )  # fmt: skip
    return GroupsOfDigits(groups=count.groups, fallen_apart=count.fallen_apart, share=count.share)
