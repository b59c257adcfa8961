"""How much text a recipe's corpus has, estimated before it is read."""

import itertools

from domain_tokens.corpora.sources import BYTES_PER_TOKEN, local_files, read_documents
from domain_tokens.recipe import Corpus, RecipeError, Source

BYTES_PER_ID = 2  # token ids are stored as uint16

_NUM_SAMPLED = 200


def estimate_bytes(corpus: Corpus) -> float | None:
    """Return the bytes of a corpus's text, or `None` if a source's size is not known without reading it.

    Generated text is sampled. A file counts whole. For a data set on the Hub the recipe's `max_tokens` counts; the
    network is not asked.
    """
    sizes = [_size(source, corpus.seed) for source in corpus.sources]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def _size(source: Source, seed: int) -> float | None:
    if source.kind == "synthetic":
        assert source.max_items is not None
        sample = itertools.islice(read_documents(source, seed, 0.0, 0, 1), _NUM_SAMPLED)
        lengths = [len(text.encode()) for _, text, _ in sample]
        return sum(lengths) / max(1, len(lengths)) * source.max_items
    limit = None if source.max_tokens is None else source.max_tokens * BYTES_PER_TOKEN
    if source.kind == "hub":
        return limit
    try:
        found = float(sum(path.stat().st_size for path in local_files(source)))
    except RecipeError:  # a file that is not there yet
        return limit
    return found if limit is None else min(found, limit)
