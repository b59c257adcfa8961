"""How much of each source makes a corpus of a number of tokens."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

from domain_tokens.corpora.preparation.executors import total_of
from domain_tokens.corpora.sources import BYTES_PER_TOKEN, local_files, read_documents
from domain_tokens.recipe import Corpus, RecipeError, Source

_NUM_SAMPLED = 200
_ENOUGH = 0.95  # of a source's share: its last documents end where they end, and some are left out


def with_limits(corpus: Corpus) -> Corpus:
    """Return a corpus in which each source has a limit in place of its weight.

    Weights are shares of bytes, the same in every condition. `BYTES_PER_TOKEN` leaves room for encodings that are
    shorter than GPT-2's, and the documents held out are read in addition.
    """
    if corpus.num_tokens is None:
        return corpus
    total = sum(source.weight or 0.0 for source in corpus.sources)
    needed = corpus.num_tokens / (1 - corpus.validation_fraction)
    sources = [_limited(source, corpus.seed, needed * (source.weight or 0.0) / total) for source in corpus.sources]
    return replace(corpus, sources=sources)


def _limited(source: Source, seed: int, num_tokens: float) -> Source:
    if source.kind != "synthetic":
        return replace(source, max_tokens=num_tokens)
    few = replace(source, max_items=_NUM_SAMPLED)
    sizes = [len(text.encode()) for _, text, _ in itertools.islice(read_documents(few, seed, 0.0, 0, 1), _NUM_SAMPLED)]
    return replace(source, max_items=max(1, math.ceil(num_tokens * BYTES_PER_TOKEN / (sum(sizes) / len(sizes)))))


def check_files_suffice(corpus: Corpus) -> None:
    """Check, before any text is read, that files of text are as large as their sources' shares.

    A file of JSON is larger than its text, so this finds what is certainly too little. Parquet is packed, and passes.

    Args:
        corpus (`Corpus`): with its limits.

    Raises:
        RecipeError: naming the source, with the figures.
    """
    for source in corpus.sources:
        if source.weight is None or source.kind != "file" or source.max_tokens is None:
            continue
        paths = local_files(source)
        if any(path.suffix.lower() == ".parquet" for path in paths):
            continue
        _check_share(source, sum(path.stat().st_size for path in paths) * (source.max_epochs or 1), "at most ")


def _check_share(source: Source, found: float, at_most: str = "") -> None:
    needed, epochs = (source.max_tokens or 0) * BYTES_PER_TOKEN, source.max_epochs or 1
    if found < _ENOUGH * needed:
        raise RecipeError(
            f"corpus.sources.{source.name}: {at_most}{found:,.0f} bytes of text in {epochs} "
            f"{'epoch' if epochs == 1 else 'epochs'}, and its weight asks for {round(needed):,}; add text, lower "
            f"weight or corpus.num_tokens, or set max_epochs: {math.ceil(epochs * needed / max(1, found))}"
        )


def bytes_of(source: str) -> str:
    """Return the name under which a source's bytes are counted while it is read."""
    return f"bytes of {source}"


def check_shares(corpus: Corpus, logs: Path) -> None:
    """Check that every source with a weight had enough text.

    Args:
        corpus (`Corpus`): with its limits.
        logs (`Path`): of the tasks that read the sources.

    Raises:
        RecipeError: naming the source, with the figures.
    """
    for source in corpus.sources:
        if source.weight is None or source.kind == "synthetic" or source.max_tokens is None:
            continue
        _check_share(source, total_of(logs, bytes_of(source.name)))
