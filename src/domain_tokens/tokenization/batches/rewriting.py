"""Rewrites many texts at once: the patterns are asked at the few sites that nothing beside them decides."""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from domain_tokens.tokenization.batches.plain import BETWEEN_TEXTS, PlainDecision, PlainSites, can_decide
from domain_tokens.tokenization.edits import as_oniguruma_reads
from domain_tokens.tokenization.facts import END_OF_TEXT
from domain_tokens.tokenization.guards.notations import notations
from domain_tokens.tokenization.intervention import Intervention, result_of
from domain_tokens.tokenization.rewriter import FactRewriter, has_marks, rewriter_of

_GROUP_BYTES = 1_000_000  # larger arrays are given back to the system and asked for again, which takes as long again
_Span = tuple[int, int, str]


class BatchRewriter:
    """The rules of one intervention for many texts: what `Rewriter` writes, with fewer patterns.

    Args:
        intervention (`Intervention`): whose rules are applied.

    Attributes:
        num_sites: how many sites it has seen that were not ruled out by a neighbouring character.
        num_asked: at how many of them the patterns were asked.
    """

    def __init__(self, intervention: Intervention) -> None:
        self.num_sites = self.num_asked = 0
        self._rewriter = rewriter_of(intervention)
        self._table = _Table(intervention) if _has_table(intervention) else None

    def written(self, texts: Sequence[str]) -> list[str]:
        """Return the rewritten text of each text, as `Rewriter.written` does."""
        if self._table is None:
            return [self._rewriter.written(text) for text in texts]
        found = list(texts)
        for indices in _groups(texts):
            joined = BETWEEN_TEXTS.join([texts[index] for index in indices])
            if END_OF_TEXT in joined or has_marks(joined):
                odd = {index for index in indices if END_OF_TEXT in texts[index] or has_marks(texts[index])}
                for index in odd:
                    found[index] = self._rewriter.written(texts[index])
                indices = [index for index in indices if index not in odd]
                joined = BETWEEN_TEXTS.join([texts[index] for index in indices])
            for index, written in self._rewritten(self._table, [texts[index] for index in indices], joined):
                found[indices[index]] = written
        return found

    def may_rewrite(self, texts: Sequence[str]) -> list[bool]:
        """Return for each text whether it may hold a site; where it is `False`, the rules change nothing."""
        if self._table is None:
            return [True] * len(texts)
        found = [False] * len(texts)
        for indices in _groups(texts):
            group = [texts[index] for index in indices]
            joined = BETWEEN_TEXTS.join(group)
            starts = self._table.decision.find(joined).starts
            for number in np.unique(np.searchsorted(_ends(group), starts, side="right")).tolist():
                found[indices[number]] = True
            if has_marks(joined):
                for index in indices:
                    found[index] |= has_marks(texts[index])
        return found

    def _rewritten(self, table: "_Table", texts: list[str], joined: str) -> Iterator[tuple[int, str]]:
        """Yield the index and the rewritten text of each text that changes, given what they are joined."""
        ends = _ends(texts)
        sites = table.decision.find(joined)
        asked = np.flatnonzero(~sites.decided)
        self.num_sites += len(sites.starts)
        self.num_asked += len(asked)
        starts, behind, new = table.decided(sites)
        more = table.asked(texts, ends, sites.starts[asked])
        if more:
            starts = np.append(starts, [start for start, _, _ in more])
            behind = np.append(behind, [end for _, end, _ in more])
            new += [one for _, _, one in more]
        order = np.argsort(starts)
        starts, behind = starts[order], behind[order]
        number = np.searchsorted(ends, starts, side="right")
        overlap = np.flatnonzero((starts[1:] < behind[:-1]) & (number[1:] == number[:-1]))
        if len(overlap):
            for index in np.unique(number[overlap]).tolist():
                yield index, self._rewriter.written(texts[index])
            apart = ~np.isin(number, number[overlap])
            order, starts, behind, number = order[apart], starts[apart], behind[apart], number[apart]
        pieces = [new[index] for index in order.tolist()]
        parts = [""] * (2 * len(pieces) + 1)
        between = zip([0, *behind.tolist()], [*starts.tolist(), len(joined)], strict=True)
        parts[::2] = [joined[end:start] for end, start in between]
        parts[1::2] = pieces
        written = "".join(parts)
        longer = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces)) - (behind - starts)
        shift = np.concatenate([[0], np.cumsum(longer)])
        changed, first = np.unique(number, return_index=True)
        begins = np.append(0, ends)[changed] + shift[first]
        finishes = ends[changed] - 1 + shift[np.append(first[1:], len(number))]
        for index, begin, end in zip(changed.tolist(), begins.tolist(), finishes.tolist(), strict=True):
            yield index, written[begin:end]


class _Table:
    """A table of facts with what is written for each of them."""

    def __init__(self, intervention: Intervention) -> None:
        assert intervention.facts is not None
        self._facts = FactRewriter(intervention)
        self.decision = PlainDecision(intervention.facts, intervention.rules)
        low, high = intervention.facts.operands
        sign = self.decision.signs[0]
        self._stated, self._bare = [""] * 100, [""] * 100
        for a in range(low, high + 1):
            for b in range(low, high + 1):
                expression = f"{a}{sign}{b}"
                self._bare[10 * a + b] = self._facts.replacement(expression, 0)[1]
                equation = f"{expression}={result_of(intervention.facts, a, b)}"
                end, self._stated[10 * a + b] = self._facts.replacement(equation, 0)
                self._replaces_result = end == len(equation)

    def decided(self, sites: PlainSites) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
        """Return where the facts that are decided begin and end, and what is written there."""
        known = np.flatnonzero(sites.decided)
        is_stated = sites.stated[known] > 0
        ends = sites.ends[known]
        if self._replaces_result:
            ends = np.where(is_stated, sites.stated[known], ends)
        keys = zip(sites.pairs[known].tolist(), is_stated.tolist(), strict=True)
        return sites.starts[known], ends, [self._stated[pair] if one else self._bare[pair] for pair, one in keys]

    def asked(self, texts: Sequence[str], ends: NDArray[np.int64], starts: NDArray[np.int64]) -> list[_Span]:
        """Return the facts among some sites, as the patterns decide."""
        found = []
        known, begin, text = -1, 0, ""
        numbers = np.searchsorted(ends, starts, side="right")
        begins = np.append(0, ends)
        for start, number in zip(starts.tolist(), numbers.tolist(), strict=True):
            if number != known:
                known, begin = number, int(begins[number])
                text = as_oniguruma_reads(texts[number])
            if self._facts.decides(text, start - begin):
                end, new = self._facts.replacement(text, start - begin)
                found.append((start, begin + end, new))
        return found


def _groups(texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield the indices of texts that are read together: in ASCII or not, as one byte a character serves the first."""
    groups: dict[bool, list[int]] = {True: [], False: []}
    sizes = {True: 0, False: 0}
    for index, text in enumerate(texts):
        is_ascii = text.isascii()
        groups[is_ascii].append(index)
        sizes[is_ascii] += len(text)
        if sizes[is_ascii] * (1 if is_ascii else 4) > _GROUP_BYTES:
            yield groups[is_ascii]
            groups[is_ascii], sizes[is_ascii] = [], 0
    yield from filter(None, groups.values())


def _ends(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return where each of some joined texts ends, with what stands between it and the next."""
    return np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + len(BETWEEN_TEXTS))


def _has_table(intervention: Intervention) -> bool:
    facts, rules = intervention.facts, intervention.rules
    return facts is not None and not intervention.tokens and can_decide(facts, rules, notations(facts, rules))


@cache
def batch_rewriter_of(intervention: Intervention) -> BatchRewriter:
    """Return the rules of an intervention for many texts, compiled once."""
    return BatchRewriter(intervention)
