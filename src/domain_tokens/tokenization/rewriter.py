"""Finds and rewrites the facts in a text: the rules of an intervention in Python.

The tokenizer's normalizer and this module read the same patterns (`patterns.py`), so `inject` writes what the
tokenizer reads. Every function here takes an intervention and compiles it once; the default is the experiment's own.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import pairwise

import regex

from domain_tokens.tokenization.edits import Edit, Rewriting, Site, apply_rules, as_oniguruma_reads, joined
from domain_tokens.tokenization.facts import END_OF_TEXT
from domain_tokens.tokenization.guards.around import SPACE
from domain_tokens.tokenization.guards.reasons import SitesLeft
from domain_tokens.tokenization.guards.results import GOES_ON
from domain_tokens.tokenization.intervention import (
    OPERATORS,
    Facts,
    Intervention,
    Rules,
    canonical_rules,
    default_intervention,
)
from domain_tokens.tokenization.patterns import (
    NONCHARACTERS,
    QUESTION,
    SENTINEL,
    Notation,
    Write,
    choice,
    decision,
    notations,
    replacements,
    stop,
    writes,
)

_OWN = default_intervention()
MARKS = regex.compile(f"[{NONCHARACTERS}]")
_QUESTION = regex.compile(QUESTION)
_SPACES, _DIGITS = frozenset(" \u00a0\u2009\u202f"), frozenset("0123456789")
_MAX_KNOWN = 10_000  # spellings that are remembered, such as `6 x 9 = 54`
_NOWHERE = (sys.maxsize, sys.maxsize)
RARE = 100  # a fact seen less often than this in a training corpus has hardly trained its row


@dataclass
class Statistics:
    """What an intervention finds in texts.

    Attributes:
        num_texts: texts read.
        num_sites: spans that state a fact or seem to.
        num_rewritten: those that are rewritten.
        by_fact: how often each entry of the intervention is written, those that never are included.
        by_reason: how many sites were rewritten or left for each reason.
        rare: the entries that occur fewer than `rare_below` times.
    """

    num_texts: int = 0
    num_sites: int = 0
    num_rewritten: int = 0
    by_fact: dict[str, int] = field(default_factory=dict)
    by_reason: dict[str, int] = field(default_factory=dict)
    rare: list[str] = field(default_factory=list)


def find(text: str, intervention: Intervention = _OWN) -> list[Site]:
    """List every span of a text that states a fact or seems to, in order: whether it is rewritten, and why.

    Example:
    ```python
    >>> [(site.text, site.verdict, site.reason) for site in find("6 x 9 = 54, 16*9")]
    [('6 x 9 = 54', 'rewritten', 'a fact with its result'), ('16*9', 'left', 'not in the table')]
    ```
    """
    return rewriter_of(intervention).find(text)


def inject(text: str, intervention: Intervention = _OWN) -> str:
    """Return a text with its facts as the intervention writes them: `6 x 9 = 54` as `<MUL_6_9_54>`.

    The tokenizer does this by itself; encoding what `inject` returns gives the same ids. As the tokenizer does, this
    reads what is on either side of an end-of-text marker as two texts, and a noncharacter that the rules use as a mark
    as U+FFFD, so that no text has a token written that it does not state.
    """
    return rewriter_of(intervention).inject(text)


def rewrite(text: str, intervention: Intervention = _OWN) -> Rewriting:
    """Return a text as the tokenizer's byte pairs and tokens read it, and what each replacement dropped."""
    return rewriter_of(intervention).rewrite(text)


def expand(text: str, intervention: Intervention = _OWN) -> str:
    """Write every token of the intervention in a text as what it stands for: `<MUL_6_9_54>` becomes `6*9=54`.

    Rewards and evaluation expand the tokens of every answer in this sense (`evaluation.answers`), so an answer with a
    token earns what the same answer in digits earns. Text that only looks like a token (`<MUL_6_9_55>`,
    `<MUL_9_6_54>`) stays as it is.

    A token replaces an expression and its result, so a model that has learned `6*9=54` as one symbol may still write
    ` = 54` after it; that stays readable as the chain `6*9=54 = 54`.
    """
    return rewriter_of(intervention).expand(text)


def canonical(text: str, intervention: Intervention = _OWN) -> str:
    """Write every fact of the intervention's table, as a token or in any notation, in one way: `9 x 6` as `6*9=54`.

    A token stands for `6*9` as well as for `6 * 9 = 54`. What measures a text (its length, its equations, the numbers
    it names) reads it in this form, so that a text measures the same whichever tokenizer wrote it.
    """
    return canonical_rewriter(intervention).inject(expand(text, intervention))


def stats(texts: Iterable[str], intervention: Intervention = _OWN, rare_below: int = RARE) -> Statistics:
    """Count sites, facts and reasons in texts, and name the facts that are rare.

    Args:
        texts (`Iterable[str]`): read once.
        intervention (`Intervention`, *optional*): whose facts are counted.
        rare_below (`int`, *optional*, defaults to 100): a fact that occurs less often is rare.
    """
    rewriter = rewriter_of(intervention)
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    found = Statistics()
    for text in texts:
        found.num_texts += 1
        for site in rewriter.find(text):
            found.num_sites += 1
            reasons[f"{site.verdict}: {site.reason}"] += 1
            if site.replacement is not None:
                counts[site.replacement] += 1
    names = dict.fromkeys(entry.token or entry.text for entry in rewriter.intervention.entries())
    found.num_rewritten = counts.total()
    found.by_fact = {name: counts[name] for name in names}
    found.by_reason = dict(reasons.most_common())
    found.rare = [name for name in names if counts[name] < rare_below]
    return found


class Rewriter:
    """The compiled rules of one intervention: what the functions of this module do, without looking them up."""

    def __init__(self, intervention: Intervention) -> None:
        self.intervention = intervention
        self._uses_sentinel = any(entry.token == entry.text for entry in intervention.entries())
        expansions = {entry.token: entry.text for entry in intervention.entries() if entry.token is not None}
        self._expansions = {name: text for name, text in expansions.items() if name != text}
        self._tokens = _any_of(self._expansions) if self._expansions else None
        self._replacements = list(replacements(intervention))
        first_phrase = len(self._replacements) - len(intervention.tokens)
        self._phrases = [(regex.compile(pattern), new) for pattern, new in self._replacements[first_phrase:]]
        self._facts = None if intervention.facts is None else FactRewriter(intervention)

    @cached_property
    def _steps(self) -> list[tuple[regex.Pattern[str], str]]:
        """The tokenizer's replacements in order. Few texts need them, and compiling them takes up to a second."""
        return [(regex.compile(pattern), new) for pattern, new in self._replacements]

    def rewrite(self, text: str) -> Rewriting:
        """Return the text as the tokenizer's normalizer writes it, and what each replacement dropped."""
        if END_OF_TEXT in text:
            return joined(map(self._rewrite, text.split(END_OF_TEXT)), END_OF_TEXT)
        return self._rewrite(text)

    def _rewrite(self, text: str) -> Rewriting:
        spans = [] if self._facts is None else list(self._facts.spans(text))
        if has_marks(text) or _overlap(spans):
            return apply_rules(text, self._steps)  # as the tokenizer does, rule after rule
        if not spans:
            return apply_rules(text, self._phrases)
        pieces, edits, position, shift = [], [], 0, 0
        for start, end, new in spans:
            pieces += [text[position:start], new]
            edits.append(Edit(start + shift, start + shift + len(new), text[start:end]))
            shift += len(new) - (end - start)
            position = end
        return apply_rules("".join([*pieces, text[position:]]), self._phrases, tuple(edits))

    def written(self, text: str) -> str:
        """Return the text of `rewrite`, without the record: for what reads many texts."""
        if self._phrases or self._facts is None or END_OF_TEXT in text or has_marks(text):
            return self.rewrite(text).text
        pieces: list[str] = []
        position = 0
        for start, end, new in self._facts.spans(text):
            if start < position:
                return self.rewrite(text).text
            pieces += (text[position:start], new)
            position = end
        return "".join([*pieces, text[position:]]) if pieces else text

    def inject(self, text: str) -> str:
        """Return the rewritten text as its tokens decode: without sentinels."""
        text = self.written(text)
        return text.replace(SENTINEL, "") if self._uses_sentinel else text

    def expand(self, text: str) -> str:
        """Return the text with each token written as what it stands for."""
        if self._tokens is None:
            return text
        return self._tokens.sub(lambda match: self._expansions[match.group()], text)

    def rewritten(self, text: str) -> list[Site]:
        """Return the sites of the text that are rewritten, in order; eight times as fast as `find`."""
        rewriting = self.rewrite(text)
        sites, shift = [], 0
        for edit in rewriting.edits:
            start = edit.start + shift
            end = start + len(edit.source)
            shift += len(edit.source) - (edit.end - edit.start)
            if MARKS.fullmatch(edit.source):
                continue
            new = rewriting.text[edit.start : edit.end].removeprefix(SENTINEL)
            fact = None if self._facts is None else self._facts.describe(text, start, end, new)
            phrase = Site(start, end, edit.source, None, None, "phrase", "rewritten", "a phrase", new)
            sites.append(fact or phrase)
        return sites

    def find(self, text: str) -> list[Site]:
        """Return the sites of the text in order, rewritten or left."""
        found, position = [], 0
        for part in text.split(END_OF_TEXT):
            for site in self._find(part):
                found.append(replace(site, start=site.start + position, end=site.end + position))
            position += len(part) + len(END_OF_TEXT)
        return found

    def _find(self, text: str) -> list[Site]:
        sites = self.rewritten(text)
        if self._facts is not None:
            rewritten = sorted((site.start, site.end) for site in sites)
            seen: dict[tuple[int, int], Site] = {}
            for site, expression_end in self._facts.left_alone(text):
                if any(expression_end <= start < site.end for start, _ in rewritten):
                    # What it states begins a fact of its own: 2*8 = 4*4.
                    expression = text[site.start : expression_end]
                    site = replace(site, end=expression_end, text=expression)
                if not any(site.start < last and first < site.end for first, last in rewritten):
                    seen.setdefault((site.start, expression_end), site)
            sites += seen.values()
        return sorted(sites, key=lambda site: (site.start, site.end))


class FactRewriter:
    """The patterns of a table of facts."""

    def __init__(self, intervention: Intervention) -> None:
        assert intervention.facts is not None
        self.facts, self.rules = intervention.facts, intervention.rules
        allowed_notations = notations(self.facts, self.rules)
        self._candidate = regex.compile("|".join(notation.candidate() for notation in allowed_notations))
        # Signs are rarer than numbers, and `re` finds them three times as fast as `regex` finds candidates.
        self._sign = _sign_before_number(allowed_notations, self.facts, self.rules)
        self._decision = regex.compile(
            "|".join(decision(notation, self.facts, self.rules) for notation in allowed_notations)
        )
        self._stop = regex.compile(stop(allowed_notations))
        self._writes = writes(self.facts, allowed_notations)
        self._write = regex.compile("|".join(f"({write.pattern})" for write in self._writes))
        self._reach = self._compiled_reach(allowed_notations)
        self._known: dict[str, tuple[int, Write]] = {}
        self._left = SitesLeft(self.facts, self.rules, allowed_notations)

    def spans(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield start and end of what is replaced, and by what."""
        starts = list(self._starts(text))
        if starts and not text.isascii():
            text = as_oniguruma_reads(text)
        questions = iter(self.questions(text) if starts else ())
        begins, ends = next(questions, _NOWHERE)
        before = 0
        decided = self._decision.match
        for start in starts:
            while ends <= start:
                begins, ends = next(questions, _NOWHERE)
            if start < begins and decided(text, start):
                end, write = self._match_write(text, start)
                texts = write.texts
                yield start, end, texts[choice(start - before, len(texts))] if len(texts) > 1 else texts[0]
                before = start

    def _starts(self, text: str) -> Iterator[int]:
        """Yield where an expression may begin, in order: before it is known what Oniguruma takes for a number."""
        if self._sign is None:
            yield from (candidate.start() for candidate in self._candidate.finditer(text))
            return
        for sign in self._sign.finditer(text):
            end = sign.start()
            while end and text[end - 1] in _SPACES:
                end -= 1
            start = end
            while start and text[start - 1] in _DIGITS:
                start -= 1
            if start < end:
                yield start

    def decides(self, text: str, start: int) -> bool:
        """Return whether a fact begins there. The text is as Oniguruma reads it, and questions are not seen."""
        return self._decision.match(text, start) is not None

    def replacement(self, text: str, start: int) -> tuple[int, str]:
        """Return where a fact ends that begins at a place, and what is written for it; one that shares no symbol."""
        end, write = self._match_write(text, start)
        return end, write.texts[0]

    def questions(self, text: str) -> list[tuple[int, int]]:
        """Return the spans of the questions, in which nothing is rewritten."""
        return [match.span() for match in _QUESTION.finditer(text)] if self.rules.answers_only else []

    def left_alone(self, text: str) -> Iterator[tuple[Site, int]]:
        """Yield what seems to state a fact, with the first guard that it fails, and the end of its expression."""
        return self._left.find(text, self.questions(text))

    def describe(self, text: str, start: int, end: int, new: str) -> Site | None:
        """Return a rewritten span as a site, or `None` if it is not a fact's."""
        match = self._write.match(text, start, end)
        if match is None or match.end() != end:
            return None
        write = self._writes[match.lastindex - 1]
        notation, pair = write.notation, write.pair
        expression = regex.match(
            f"{notation.operands[pair[0]]}{notation.sign}{notation.operands[pair[1]]}", text, pos=start
        )
        stated = regex.sub(rf"\A{notation.equals}", "", text[expression.end() : end]) or None
        reason = "a fact" if stated is None else "a fact with its result"
        return Site(
            start, end, match.group(), pair, stated, self._left.form(notation, match.group()), "rewritten", reason, new
        )

    def _compiled_reach(self, allowed: list[Notation]) -> "regex.Pattern[str] | None":
        """Return the pattern of what decides what is written, if that is the text of the expression and its number."""
        if not _signs_alone(allowed):
            return None
        stated = rf"(?:{allowed[0].equals}\p{{N}}++(?!{GOES_ON}))?" if self.facts.replaces == "equation" else ""
        return regex.compile(f"{allowed[0].expression()}{stated}")

    def _match_write(self, text: str, start: int) -> tuple[int, Write]:
        """Return where what is replaced ends, and what replaces it."""
        if self._reach is None:
            end, write = self._look_up(text, start)
            return end, write
        spelled = self._reach.match(text, start).group()
        if spelled not in self._known:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[spelled] = self._look_up(spelled, 0)
        length, write = self._known[spelled]
        return start + length, write

    def _look_up(self, text: str, start: int) -> tuple[int, Write]:
        stopped = self._stop.match(text, start) if self.facts.replaces == "equation" else None
        match = self._write.match(text, start, len(text) if stopped is None else stopped.end())
        assert match is not None, f"decided at {start} but nothing to write: {text[start : start + 40]!r}"
        return match.end(), self._writes[match.lastindex - 1]


def _signs_alone(allowed: list[Notation]) -> bool:
    return [notation.name for notation in allowed] == ["signs"]


def _sign_before_number(allowed: list[Notation], facts: Facts, rules: Rules) -> re.Pattern[str] | None:
    """Return the pattern of a sign and the number behind it if facts are written in signs alone."""
    signs = "|".join(OPERATORS[facts.operation][operator] for operator in rules.operators)
    behind = rf"(?={SPACE}{{0,3}}{allowed[0].operand()}(?![0-9]))" if _signs_alone(allowed) else ""
    return re.compile(f"(?:{signs}){behind}") if behind else None


def has_marks(text: str) -> bool:
    """Return whether a text has a noncharacter of the rules: all begin with two bytes, which are found fast."""
    return not text.isascii() and b"\xef\xb7" in text.encode(errors="surrogatepass") and bool(MARKS.search(text))


def _overlap(spans: list[tuple[int, int, str]]) -> bool:
    return any(end > start for (_, end, _), (start, *_) in pairwise(spans))


def _any_of(texts: Iterable[str]) -> "regex.Pattern[str]":
    return regex.compile("|".join(regex.escape(text) for text in sorted(texts, key=len, reverse=True)))


@cache
def rewriter_of(intervention: Intervention) -> Rewriter:
    """Return the compiled rules of an intervention, compiled once."""
    return Rewriter(intervention)


@cache
def canonical_rewriter(table: Intervention) -> Rewriter:
    """Return the compiled rules that write every fact of a table in one way and add no token."""
    return rewriter_of(canonical_rules(table))
