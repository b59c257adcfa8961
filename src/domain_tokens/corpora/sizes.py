"""How much text and how many tokens a recipe's corpus has, estimated before it is read and counted afterwards."""

import itertools
from dataclasses import dataclass

import numpy as np

from domain_tokens.corpora.shards import DrawnDocuments, Shards, draw_documents
from domain_tokens.corpora.sources import BYTES_PER_TOKEN, local_files, read_documents
from domain_tokens.recipe import Corpus, Recipe, RecipeError, Source
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.intervention import Intervention

BYTES_PER_ID = 2  # token ids are stored as uint16

_NUM_SAMPLED = 200
_BYTES_PER_WEB_TOKEN = 4.5  # plain GPT-2 on English text: WikiText-2 4.3, FineWeb-Edu about 4.6


@dataclass(frozen=True)
class Size:
    """An estimate of a corpus: bytes of text, and tokens of plain GPT-2, end-of-text tokens included."""

    num_bytes: float
    num_tokens: float


def estimate_size(corpus: Corpus) -> Size | None:
    """Estimate the size of a corpus, or return `None` if it has no source or one whose size only reading would tell.

    Generated text and files are sampled for their bytes a token. A file counts whole. For a data set on the Hub the
    recipe's `max_tokens` counts; the network is not asked.
    """
    sizes = [_size(source, corpus.seed) for source in corpus.sources]
    known = [size for size in sizes if size is not None]
    if not known or len(known) < len(sizes):
        return None
    return Size(sum(size.num_bytes for size in known), sum(size.num_tokens for size in known))


def training_documents(recipe: Recipe) -> DrawnDocuments:
    """Return the training documents of a run, in the order in which it reads them.

    Raises:
        RecipeError: if there are no shards.
    """
    shards, corpus = Shards(recipe.corpus_dir / "train"), recipe.corpus
    number = len(shards.document_ends)
    drawn = draw_documents(number, recipe.data_seed, corpus.sample) if corpus.per_seed else np.arange(number)
    return DrawnDocuments(shards, drawn)


def pretraining_tokens(recipe: Recipe) -> int:
    """Return how many tokens pretraining reads: its steps times the tokens of one."""
    return int(recipe.pretrain.get("max_steps", 0)) * recipe.budget.pretrain_tokens_per_step


def check_epochs(recipe: Recipe, num_tokens: int) -> None:
    """Check that pretraining does not read its documents more often than the recipe says.

    Conditions need different numbers of tokens for one text. Where documents are read twice, the condition with the
    shorter encoding reads more of them twice, and is no longer compared at equal data.

    Args:
        recipe (`Recipe`): the run.
        num_tokens (`int`): tokens of the documents that the run draws.

    Raises:
        RecipeError: with the figures.
    """
    needed, per_step, allowed = (
        pretraining_tokens(recipe),
        recipe.budget.pretrain_tokens_per_step,
        recipe.corpus.epochs,
    )
    # Only whole steps of an epoch are read. A corpus below one step is refused where sequences are packed.
    epoch = num_tokens // per_step * per_step
    if epoch and needed > epoch * allowed:
        raise RecipeError(
            f"corpus.epochs: pretrain.max_steps reads {needed:,} tokens, and the documents of seed {recipe.data_seed} "
            f"have {num_tokens:,} in {recipe.condition}: {needed / epoch:.2f} epochs; expected at most {allowed:g}; "
            "add documents (corpus.sources: max_items, max_tokens), lower pretrain.max_steps or raise corpus.epochs"
        )


def _size(source: Source, seed: int) -> Size | None:
    limit = None if source.max_tokens is None else source.max_tokens * BYTES_PER_TOKEN
    if source.kind == "hub":
        return None if limit is None else Size(limit, limit / _BYTES_PER_WEB_TOKEN)
    try:
        sample = [text for _, text, _ in itertools.islice(read_documents(source, seed, 0.0, 0, 1), _NUM_SAMPLED)]
        if source.kind == "file":
            num_bytes = float(sum(path.stat().st_size for path in local_files(source)))
            num_bytes = num_bytes if limit is None else min(num_bytes, limit)
    except RecipeError:  # a file that is not there yet
        return None if limit is None else Size(limit, limit / _BYTES_PER_WEB_TOKEN)
    sampled_bytes = sum(len(text.encode()) for text in sample)
    if source.kind == "synthetic":
        assert source.max_items is not None
        num_bytes = sampled_bytes / len(sample) * source.max_items
    # GPT-2's tokens also for a trained base, which may not be there yet: the shipped one needs 4% more.
    tokenizer = build_tokenizer(Intervention(name="none")).backend_tokenizer
    sampled_tokens = sum(len(encoding.ids) + 1 for encoding in tokenizer.encode_batch_fast(sample))
    return Size(num_bytes, num_bytes / sampled_bytes * sampled_tokens)
