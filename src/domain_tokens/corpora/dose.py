"""The dose: how many facts per million tokens a corpus holds, by source and spelling, and a sample of them to check.

A rule finds what looks like a product. Whether it is one (`6 x 9 = 54`) or not (`a 2 x 4`, `drives a 4x4`) only a
reader can tell, so a sample of sites is written with the text around them.
"""

import csv
import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import compress
from pathlib import Path

from domain_tokens.corpora.sources import source_of
from domain_tokens.runs.records import Dose, SourceDose
from domain_tokens.tokenization.batches.rewriting import batch_rewriter_of
from domain_tokens.tokenization.intervention import Intervention
from domain_tokens.tokenization.rewriter import Site, rewriter_of

NUM_SITES = 200
"""Sites of each source that are written out."""

_MAX_BYTES = 256e6  # of text that is searched, about ten seconds; of a larger corpus, a sample of its documents
_BATCH = 500  # documents that are searched together
_CONTEXT = 60  # characters on either side of a site
_COLUMNS = ("source", "document", "spelling", "before", "site", "after", "written", "is a product (y/n)")

_Row = tuple[str, ...]


class SiteCounter:
    """Counts the sites of a corpus, document by document.

    Args:
        intervention (`Intervention`): whose sites are counted.
        sources (`Iterable[str]`): the names of the corpus's sources.
        num_bytes (`float`): the size of the corpus. Beyond `_MAX_BYTES`, a share of the documents is searched, chosen
            by a hash of their ids, the same ones in every condition.
    """

    def __init__(self, intervention: Intervention, sources: Iterable[str], num_bytes: float) -> None:
        self._intervention = intervention
        self._rewriter = rewriter_of(intervention)
        self._sources = list(sources)
        self._share = min(1.0, _MAX_BYTES / max(1.0, num_bytes))
        self._counts: dict[str, Counter[str]] = {source: Counter() for source in self._sources}
        self._waiting: list[tuple[str, str]] = []
        # The sites with the smallest hashes, as a heap whose first has the largest of them.
        self._sample: dict[str, list[tuple[int, _Row]]] = defaultdict(list)

    def add(self, document: str, text: str) -> None:
        """Count the sites of one document, if it is searched."""
        if self._is_searched(document):
            self._waiting.append((document, text))
            if len(self._waiting) >= _BATCH:
                self._search()

    def _search(self) -> None:
        """Count the sites of the documents that wait; most have none, which is found for all of them at once."""
        may_have = batch_rewriter_of(self._intervention).may_rewrite([text for _, text in self._waiting])
        for document, text in compress(self._waiting, may_have):
            for site in self._rewriter.rewritten(text):
                source = self._source(document)
                self._counts[source][spelling(site)] += 1
                self._keep(source, document, text, site)
        self._waiting.clear()

    def dose(self, documents: Sequence[str], num_tokens: Sequence[int]) -> Dose:
        """Return the sites per million tokens of the documents that were searched.

        Args:
            documents (`Sequence[str]`): the ids of all documents.
            num_tokens (`Sequence[int]`): the tokens of each, in the same order.
        """
        self._search()
        tokens: Counter[str] = Counter()
        for document, number in zip(documents, num_tokens, strict=True):
            if self._is_searched(document):
                tokens[self._source(document)] += number
        sources = {
            source: SourceDose(
                tokens=tokens[source],
                sites=counts.total(),
                per_million_tokens={
                    name: round(1e6 * number / max(1, tokens[source]), 3) for name, number in counts.most_common()
                },
            )
            for source, counts in sorted(self._counts.items())
        }
        return Dose(counted_as=self._intervention.name, share_searched=self._share, sources=sources)

    def write_sample(self, file: Path) -> None:
        """Write up to `NUM_SITES` sites of each source with their context, and a column to fill in, as CSV."""
        self._search()
        with file.open("w", encoding="utf-8", newline="") as lines:
            writer = csv.writer(lines)
            writer.writerow(_COLUMNS)
            for source in sorted(self._sample):
                writer.writerows(row for _, row in sorted(self._sample[source], reverse=True))

    def _is_searched(self, document: str) -> bool:
        return self._share == 1 or _hash(document) < self._share * 2**64

    def _source(self, document: str) -> str:
        return source_of(document, self._sources)

    def _keep(self, source: str, document: str, text: str, site: Site) -> None:
        key, sample = -_hash(f"{document} {site.start}"), self._sample[source]
        if len(sample) == NUM_SITES and key < sample[0][0]:
            return
        before, after = text[max(0, site.start - _CONTEXT) : site.start], text[site.end : site.end + _CONTEXT]
        shown = [
            part.replace("\n", "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}") for part in (before, site.text, after)
        ]
        row = (source, document, spelling(site), *shown, site.replacement or "", "")
        if len(sample) < NUM_SITES:
            heapq.heappush(sample, (key, row))
        else:
            heapq.heapreplace(sample, (key, row))


def spelling(site: Site) -> str:
    """Return how a site is spelled: its sign, `bare x` for `6x9`, and whether it states its result."""
    if site.reason == "a phrase":
        return site.form
    bare = site.form == "x" and site.stated is None and " " not in site.text
    return f"{'bare ' if bare else ''}{site.form} {'without' if site.stated is None else 'with'} result"


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
