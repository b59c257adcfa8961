"""How much text and how many tokens a recipe's corpus has, estimated before it is read and counted afterwards."""

import itertools
from dataclasses import dataclass

import numpy as np

from domain_tokens.corpora.preparation.mixture import with_limits
from domain_tokens.corpora.shards import DrawnDocuments, Shards, draw_documents
from domain_tokens.corpora.sources import BYTES_PER_TOKEN, local_files, read_documents
from domain_tokens.recipe import Corpus, Recipe, RecipeError, Source
from domain_tokens.tokenization.bpe.base_vocabulary import base_without_training
from domain_tokens.tokenization.builder import encoder_of

BYTES_PER_ID = 2  # token ids are stored as uint16

_NUM_SAMPLED = 200
_BYTES_PER_WEB_DOCUMENT = 4000
_BYTES_BESIDE_TEXT = 120  # of a document: its id, split and source in a line of JSON, its end in two indexes, its size
BYTES_PER_WEB_TOKEN = 4.5  # plain GPT-2 on English text: WikiText-2 4.3, FineWeb-Edu about 4.6


@dataclass(frozen=True)
class Size:
    """An estimate of a corpus: bytes of text, and tokens of plain GPT-2 or of bytes, end-of-text tokens included."""

    num_bytes: float
    num_tokens: float


def estimate_size(corpus: Corpus, base: str = "gpt2") -> Size | None:
    """Estimate the size of a corpus, or return `None` if it has no source or one whose size only reading would tell.

    Generated text and files are sampled for their bytes a token. A file counts whole. For a data set on the Hub the
    recipe's `max_tokens` counts; the network is not asked.

    Args:
        corpus (`Corpus`): the section of a recipe.
        base (`str`, *optional*, defaults to `gpt2`): the kind of its base vocabulary. A trained one, which may not be
            there yet, is taken for GPT-2's: the shipped one needs 4% more tokens.
    """
    corpus = with_limits(corpus)
    num_bytes = estimate_bytes(corpus)
    if not num_bytes:
        return None
    is_bytes = base == "bytes"
    tokenizer = encoder_of(base_without_training("bytes" if is_bytes else "gpt2"))
    bytes_per_web_token = 1.0 if is_bytes else BYTES_PER_WEB_TOKEN
    num_tokens = 0.0
    for source in corpus.sources:
        sample = _sample(source, corpus.seed)
        sampled_tokens = sum(len(encoding.ids) + 1 for encoding in tokenizer.encode_batch_fast(sample))
        bytes_per_token = _num_bytes_of(sample) / sampled_tokens if sample else bytes_per_web_token
        num_tokens += (_size(source, corpus.seed) or 0.0) / bytes_per_token
    return Size(num_bytes, num_tokens)


def estimate_bytes(corpus: Corpus) -> float | None:
    """Estimate the bytes of a corpus's text, like `estimate_size`."""
    sizes = [_size(source, corpus.seed) for source in with_limits(corpus).sources]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def estimate_disk(corpus: Corpus, base: str = "gpt2") -> float | None:
    """Estimate the bytes that documents and shards take while they are made, like `estimate_size`.

    Ids lie twice, where they are shuffled: as each task's, and in the order of the corpus.
    """
    corpus = with_limits(corpus)
    if (size := estimate_size(corpus, base)) is None:
        return None
    documents = 0.0
    for source in corpus.sources:
        sample = _sample(source, corpus.seed)
        mean = max(1.0, _num_bytes_of(sample) / len(sample)) if sample else _BYTES_PER_WEB_DOCUMENT
        documents += (_size(source, corpus.seed) or 0.0) / mean
    return size.num_bytes + documents * _BYTES_BESIDE_TEXT + size.num_tokens * 2 * BYTES_PER_ID


def training_documents(recipe: Recipe) -> DrawnDocuments:
    """Return the training documents of a run, in the order in which it reads them, up to `corpus.num_tokens`.

    Raises:
        RecipeError: if there are no shards, or fewer tokens.
    """
    shards, corpus = Shards(recipe.corpus_dir / "train"), recipe.corpus
    number = len(shards.document_ends)
    drawn = draw_documents(number, recipe.data_seed, corpus.sample) if corpus.per_seed else np.arange(number)
    if corpus.num_tokens is not None and shards.num_tokens < corpus.num_tokens:
        raise RecipeError(
            f"corpus.num_tokens: {int(corpus.num_tokens):,}, and the documents have {shards.num_tokens:,} in "
            f"{recipe.condition}; lower it, or add a source with fewer than {BYTES_PER_TOKEN} bytes a token"
        )
    return DrawnDocuments(shards, drawn, None if corpus.num_tokens is None else int(corpus.num_tokens))


def pretraining_tokens(recipe: Recipe) -> int:
    """Return how many tokens pretraining reads by the recipe: its steps times the tokens of one."""
    return int(recipe.pretrain.get("max_steps", 0)) * recipe.budget.pretrain_tokens_per_step


def check_epochs(recipe: Recipe, num_tokens: int, needed: int) -> None:
    """Check that pretraining does not read its documents more often than the recipe says.

    Conditions need different numbers of tokens for one text. Where documents are read twice, the condition with the
    shorter encoding reads more of them twice, and is no longer compared at equal data.

    Args:
        recipe (`Recipe`): the run.
        num_tokens (`int`): tokens of the documents that the run draws.
        needed (`int`): tokens that pretraining reads.

    Raises:
        RecipeError: with the figures.
    """
    per_step, allowed = recipe.budget.pretrain_tokens_per_step, recipe.corpus.epochs
    # Only whole steps of an epoch are read. A corpus below one step is refused where sequences are packed.
    epoch = num_tokens // per_step * per_step
    if epoch and needed > epoch * allowed:
        mixture = recipe.corpus.num_tokens is not None
        more = "raise corpus.num_tokens" if mixture else "add documents (corpus.sources: max_items, max_tokens)"
        raise RecipeError(
            f"corpus.epochs: pretraining reads {needed:,} tokens, and the documents of seed {recipe.data_seed} "
            f"have {num_tokens:,} in {recipe.condition}: {needed / epoch:.2f} epochs; expected at most {allowed:g}; "
            f"{more}, lower pretrain.max_steps or raise corpus.epochs"
        )


def _size(source: Source, seed: int) -> float | None:
    if source.kind == "synthetic":
        assert source.max_items is not None
        sample = _sample(source, seed)
        return _num_bytes_of(sample) / len(sample) * source.max_items
    limit = None if source.max_tokens is None else source.max_tokens * BYTES_PER_TOKEN
    if source.kind == "hub":
        return limit
    try:
        found = float(sum(path.stat().st_size for path in local_files(source))) * (source.max_epochs or 1)
    except RecipeError:  # a file that is not there yet
        return limit
    return found if limit is None else min(found, limit)


def _sample(source: Source, seed: int) -> list[str]:
    """Return the first documents of a source; none of one on the Hub, or whose files are not there yet."""
    if source.kind == "hub":
        return []
    try:
        return [text for _, text, _ in itertools.islice(read_documents(source, seed, 0.0, 0, 1), _NUM_SAMPLED)]
    except RecipeError:
        return []


def _num_bytes_of(texts: list[str]) -> int:
    return sum(len(text.encode()) for text in texts)
