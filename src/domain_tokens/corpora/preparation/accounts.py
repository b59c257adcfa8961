"""Counts what the splits of a corpus hold, checks it, and writes it down."""

import gzip
import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np
from pydantic import JsonValue

from domain_tokens.corpora.dose import SiteCounter
from domain_tokens.corpora.preparation.records import DOCUMENT_IDS, ShardRecord, SourceOrigin, SplitReport
from domain_tokens.corpora.preparation.report import Documents, report_split
from domain_tokens.corpora.shards import Shards, count_groups, document_order, fact_counts, id_counts
from domain_tokens.corpora.sources import source_of
from domain_tokens.recipe import GENERATOR_VERSION, Recipe
from domain_tokens.runs.files import sha256_file, sha256_json
from domain_tokens.runs.layout import SITES
from domain_tokens.runs.records import CorpusStatistics, Dose, Fields, GroupsOfDigits, SourceRecord, write_record
from domain_tokens.tokenization.bpe.digits import AS_BASE, GroupCounter
from domain_tokens.tokenization.contract import id_ranges, intervention_of
from domain_tokens.tokenization.intervention import Intervention, canonical_rules, load_canonical_table
from domain_tokens.tokenization.rewriter import RARE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

logger = logging.getLogger(__name__)


class SplitAccount(TypedDict):
    """What a split of a corpus holds, as the manifest has it; `runs.records.CorpusAccount` reads it."""

    documents: int
    source_bytes: int
    tokens: int
    facts: int
    facts_by_token: dict[str, int]
    rare_facts: list[str]
    document_order_sha256: str
    sites: dict[str, JsonValue] | None


class SplitAccounts(NamedTuple):
    """What a split holds, for the manifest and for the files beside it."""

    account: SplitAccount
    report: SplitReport
    shards: list[ShardRecord]


def account_split(
    recipe: Recipe, split: str, documents: Path, corpus: Path, tokenizer: "PreTrainedTokenizerFast"
) -> SplitAccounts:
    """Count what a split holds and check it: every document, one end-of-text token each, no reserved id.

    Writes the documents' sizes and ids and the statistics beside the shards.

    Args:
        recipe (`Recipe`): the run.
        split (`str`): `train` or `validation`.
        documents (`Path`): the folder of its documents.
        corpus (`Path`): the folder of the corpus.
        tokenizer (`PreTrainedTokenizerFast`): the condition's.
    """
    sites = _site_counter(recipe, documents, intervention_of(tokenizer))
    characters = 0

    def visit(document: str, text: str) -> None:
        nonlocal characters
        characters += len(text)
        if split == "train":
            sites.add(document, text)

    order, num_bytes = document_order(documents, recipe.corpus.seed, visit)
    np.save(corpus / split / "bytes.npy", num_bytes)
    _write_ids(order, corpus / split / DOCUMENT_IDS)
    shards = Shards(corpus / split)
    if len(shards.document_ends) != len(order):
        raise RuntimeError(f"{corpus / split}: {len(order)} documents read, {len(shards.document_ends)} tokenized")
    dose = None
    if split == "train":
        dose = sites.dose(order, np.diff(shards.document_ends, prepend=0).tolist())
        sites.write_sample(corpus / SITES)
    counts = id_counts(shards)
    statistics = _statistics(shards, np.sum(counts, axis=0), tokenizer, split, dose)
    write_record(corpus / f"{split}_stats.json", statistics)
    names = [source.name for source in recipe.corpus.sources]
    sources = np.array([names.index(source_of(document, names)) for document in order])
    context = int(recipe.model["n_positions"])
    documents_of = Documents(order, sources, num_bytes, shards.document_ends, characters)
    report = report_split(documents_of, recipe.corpus, context, has_budget=split == "train")
    account = _account(order, num_bytes, statistics)
    return SplitAccounts(account, report, _shard_records(shards, names, sources, counts, tokenizer))


def _account(order: Sequence[str], num_bytes: np.ndarray, statistics: CorpusStatistics) -> SplitAccount:
    return SplitAccount(
        documents=len(order),
        source_bytes=int(num_bytes.sum()),
        tokens=statistics.tokens,
        facts=sum(statistics.facts.values()),
        facts_by_token=dict(statistics.facts),
        rare_facts=list(statistics.rare),
        document_order_sha256=sha256_json(order),
        sites=None if statistics.sites is None else statistics.sites.as_json(),
    )


def _write_ids(order: Iterable[str], path: Path) -> None:
    """Write ids, one a line; the same ids give the same bytes."""
    with path.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        ids = iter(order)
        while some := list(itertools.islice(ids, 10_000)):
            packed.write("".join(f"{one}\n" for one in some).encode())


def _shard_records(
    shards: Shards,
    names: Sequence[str],
    sources: np.ndarray,
    counts: Sequence[np.ndarray],
    tokenizer: "PreTrainedTokenizerFast",
) -> list[ShardRecord]:
    first_fact = id_ranges(tokenizer).first_added
    facts = range(first_fact, first_fact + len(intervention_of(tokenizer).token_names()))
    records, first = [], 0
    for file, array, found in zip(shards.files, shards.arrays, counts, strict=True):
        last = first + Path(f"{file}.index").stat().st_size // 8  # one number of 8 bytes a document
        of_source = np.bincount(sources[first:last], minlength=len(names)).tolist()
        records.append(
            ShardRecord(
                file=f"{file.parent.name}/{file.name}",
                sha256=sha256_file(file),
                bytes=file.stat().st_size,
                documents=last - first,
                tokens=len(array),
                documents_by_source=dict(zip(names, of_source, strict=True)),
                facts_by_id={fact: int(found[fact]) for fact in facts},
            )
        )
        first = last
    return records


def origins(recipe: Recipe, inputs: Fields, commits: Mapping[str, str]) -> tuple[SourceOrigin, ...]:
    """Return where each source of a corpus came from.

    Args:
        recipe (`Recipe`): the run.
        inputs (`Fields`): of the corpus; they have the hashes of local files.
        commits (`Mapping[str, str]`): the commit that was read of each source on the Hub.
    """
    recorded = inputs["sources"]
    assert isinstance(recorded, list)
    found = []
    records = [SourceRecord.parse(one, "inputs") for one in recorded]
    for source, record in zip(recipe.corpus.sources, records, strict=True):
        is_hub = source.kind == "hub"
        revision = f"generator {GENERATOR_VERSION}" if source.kind == "synthetic" else commits.get(source.name)
        found.append(
            SourceOrigin(
                name=source.name,
                kind=source.kind,
                path=(str(source.path),) if is_hub else tuple(name for name, _ in record.sha256),
                config=source.config,
                split=source.split if is_hub else None,
                revision=revision,
                sha256=tuple(sha256 for _, sha256 in record.sha256),
                licence=source.licence,
            )
        )
    return tuple(found)


def _site_counter(recipe: Recipe, documents: Path, intervention: Intervention) -> SiteCounter:
    """Return a counter of the intervention's sites, or of the canonical table's if the intervention has none."""
    counted = intervention if intervention.entries() else canonical_rules(load_canonical_table(recipe))
    size = sum(file.stat().st_size for file in documents.glob("*.jsonl"))
    return SiteCounter(counted, [source.name for source in recipe.corpus.sources], size)


def _statistics(
    shards: Shards, counts: np.ndarray, tokenizer: "PreTrainedTokenizerFast", split: str, dose: Dose | None
) -> CorpusStatistics:
    facts = fact_counts(counts, len(shards.document_ends), intervention_of(tokenizer), id_ranges(tokenizer))
    rare = [name for name, count in facts.items() if count < RARE]
    if rare and split == "train":
        shown = ", ".join(rare[:5]) + (", ..." if len(rare) > 5 else "")
        logger.info(
            "%d of %d tokens occur fewer than %d times in these documents, too few for pretraining to learn their "
            "embedding rows: %s (all in train_stats.json)",
            len(rare), len(facts), RARE, shown,
        )  # fmt: skip
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
