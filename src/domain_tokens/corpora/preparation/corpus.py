"""Tokenizes documents into the shards of a condition's corpus."""

import logging
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer, DocumentTokenizerMerger

from domain_tokens.corpora.pipeline.encoding import BulkDocumentTokenizer
from domain_tokens.corpora.pipeline.folders import LocalFolder
from domain_tokens.corpora.placebo.savings import check_savings
from domain_tokens.corpora.preparation.accounts import account_split, origins
from domain_tokens.corpora.preparation.counting import CountDocuments, counted
from domain_tokens.corpora.preparation.executors import Execution, run_steps, tokens_job
from domain_tokens.corpora.preparation.records import DATA_REPORT, SHARDS, DataReport, ShardsRecord
from domain_tokens.corpora.shards import SPLITS
from domain_tokens.recipe import Recipe
from domain_tokens.runs.layout import MANIFEST, SIDE_CODE
from domain_tokens.runs.progress import watching
from domain_tokens.runs.records import Manifest, read_record, write_record
from domain_tokens.runs.stage_folder import StageFolder
from domain_tokens.tokenization.bpe.base_vocabulary import BaseVocabulary
from domain_tokens.tokenization.certificate import certificate_sha256
from domain_tokens.tokenization.contract import intervention_of, load_tokenizer
from domain_tokens.tokenization.facts import END_OF_TEXT
from domain_tokens.tokenization.side_record.learning import learn_side_code

logger = logging.getLogger(__name__)

_TOKENS_PER_FILE = 1_000_000_000  # 2 GB a file


def write_corpus(recipe: Recipe, stage: StageFolder, work: Path, base: BaseVocabulary, execution: Execution) -> None:
    """Tokenize the documents of a run and write the folder of its corpus.

    Args:
        recipe (`Recipe`): the run.
        stage (`StageFolder`): the folder.
        work (`Path`): where unfinished work is kept.
        base (`BaseVocabulary`): the base vocabulary of its tokenizer.
        execution (`Execution`): who tokenizes.
    """
    documents = recipe.documents_dir
    tokenizer = load_tokenizer(recipe.tokenizer_dir)
    savings = check_savings(recipe, base)
    stage.open_work(work, recipe)
    for split in SPLITS:
        _tokenize(recipe, split, documents / split, work, execution)
    with stage.writing(recipe) as (folder, manifest):
        reported: dict[str, Any] = {"tokenizer_sha256": stage.inputs["tokenizer_sha256"]}
        if savings is not None:
            reported["savings"] = savings.as_json()
        accounts = {}
        for split in SPLITS:
            _merge(recipe, split, work, folder / split)
            accounts[split] = account_split(recipe, split, documents / split, folder, tokenizer)
            reported[split] = accounts[split].account
        write_record(folder / SIDE_CODE, learn_side_code(documents / "train", intervention_of(tokenizer)))
        made_of = ShardsRecord(
            tokenizer_sha256=str(stage.inputs["tokenizer_sha256"]),
            certificate_sha256=certificate_sha256(recipe.tokenizer_dir),
            sources=origins(recipe, stage.inputs, read_record(documents / MANIFEST, Manifest).hub_commits or {}),
            shards=tuple(shard for split in SPLITS for shard in accounts[split].shards),
        )
        write_record(folder / SHARDS, made_of)
        reports = {split: accounts[split].report for split in SPLITS}
        write_record(folder / DATA_REPORT, DataReport(condition=recipe.condition, **reports))
        manifest["reported"] = reported | reported["train"]
    shutil.rmtree(work)
    logger.info("corpus: %s", recipe.corpus_dir)


def _tokenize(recipe: Recipe, split: str, documents: Path, work: Path, execution: Execution) -> None:
    num_files = len(list(documents.glob("*.jsonl")))
    tokenizer_file = str(recipe.tokenizer_dir / "tokenizer.json")
    tokenize = BulkDocumentTokenizer if recipe.corpus.encoder == "auto" else DocumentTokenizer
    counts = work / f"counts_{split}"
    steps = [
        JsonlReader(LocalFolder(documents), glob_pattern="*.jsonl", doc_progress=False),
        CountDocuments(counts),
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
    with watching(f"tokens of {split}", partial(counted, counts, work / split), text):
        run_steps(steps, work / f"state_{split}", num_files, execution, name=tokens_job(split))


def _merge(recipe: Recipe, split: str, work: Path, output: Path) -> None:
    """Bring the documents of all tasks into one seeded order, the same in every condition."""
    merge = DocumentTokenizerMerger(
        LocalFolder(work / split),
        LocalFolder(output),
        save_filename=split,
        seed=recipe.corpus.seed,
        max_tokens_per_file=_TOKENS_PER_FILE,
        progress=sys.stderr.isatty(),
    )
    run_steps([merge], work / f"state_{split}_merge", 1, skip_completed=False)
