"""What a split of a corpus is made of in one condition: sources, lengths, and what a budget of tokens takes of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domain_tokens.corpora.preparation.records import BudgetRecord, LengthsRecord, ShareRecord, SplitReport
from domain_tokens.corpora.sources import AGAIN
from domain_tokens.recipe import Corpus

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class Documents:
    """The documents of a split in the order of its shards.

    Attributes:
        ids: their ids.
        sources: the number of each one's source in the recipe, shape `(documents,)`.
        num_bytes: their sizes in UTF-8, shape `(documents,)`.
        ends: where each of them ends in tokens, shape `(documents,)`.
        characters: of all documents.
    """

    ids: Sequence[str]
    sources: np.ndarray
    num_bytes: np.ndarray
    ends: np.ndarray
    characters: int


def report_split(documents: Documents, corpus: Corpus, context: int, *, has_budget: bool) -> SplitReport:
    """Return the report of a split.

    Args:
        documents (`Documents`): its documents.
        corpus (`Corpus`): the section of the recipe.
        context (`int`): the tokens of one of the model's sequences.
        has_budget (`bool`): whether `corpus.num_tokens` limits it.
    """
    lengths = np.diff(documents.ends, prepend=0)
    num_tokens = corpus.num_tokens if has_budget else None
    return SplitReport(
        documents=len(documents.ids),
        source_bytes=int(documents.num_bytes.sum()),
        characters=documents.characters,
        tokens=int(documents.ends[-1]),
        lengths=_lengths(lengths, context),
        sources=_shares(documents, lengths, corpus),
        budget=None if num_tokens is None else _budget(documents, int(num_tokens)),
    )


def _lengths(lengths: np.ndarray, context: int) -> LengthsRecord:
    bounds = 2 ** np.arange(int(lengths.max() - 1).bit_length() + 1)
    counts = np.bincount(np.searchsorted(bounds, lengths), minlength=len(bounds))
    quantiles = np.quantile(lengths, _QUANTILES, method="inverted_cdf")
    return LengthsRecord(
        mean=float(lengths.mean()),
        quantiles={f"{share:g}": int(value) for share, value in zip(_QUANTILES, quantiles, strict=True)},
        at_most={int(bound): int(count) for bound, count in zip(bounds, counts, strict=True) if count},
        longer_than_context=float(np.mean(lengths > context)),
    )


def _shares(documents: Documents, lengths: np.ndarray, corpus: Corpus) -> dict[str, ShareRecord]:
    weights = sum(source.weight or 0.0 for source in corpus.sources)
    again = np.array([AGAIN in one.rpartition("/")[2] for one in documents.ids])
    shares = {}
    for number, source in enumerate(corpus.sources):
        mine = documents.sources == number
        first = int(np.sum(mine & ~again))
        shares[source.name] = ShareRecord(
            weight=None if source.weight is None else source.weight / weights,
            share_of_bytes=float(documents.num_bytes[mine].sum() / documents.num_bytes.sum()),
            share_of_tokens=float(lengths[mine].sum() / lengths.sum()),
            documents=int(mine.sum()),
            source_bytes=int(documents.num_bytes[mine].sum()),
            tokens=int(lengths[mine].sum()),
            epochs=float(mine.sum() / first) if first else 0.0,
        )
    return shares


def _budget(documents: Documents, num_tokens: int) -> BudgetRecord | None:
    """Return what a number of tokens takes; `None` if there are fewer, which training refuses."""
    if num_tokens > documents.ends[-1]:
        return None
    last = int(np.searchsorted(documents.ends, num_tokens))
    bytes_at = np.concatenate([[0], np.cumsum(documents.num_bytes)])
    number = len(documents.ids)
    cut, unread = int(documents.ends[last] > num_tokens), number - last - 1
    return BudgetRecord(
        tokens=num_tokens,
        documents=last + 1,
        source_bytes=int(np.interp(num_tokens, np.concatenate([[0], documents.ends]), bytes_at)),
        documents_cut=cut,
        documents_unread=unread,
        share_cut=cut / number,
        share_unread=unread / number,
    )
