"""A text rewritten by rules, with a record of the text that each rule replaced, and its sites."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import regex
from tokenizers import Regex, normalizers

_CLASSES = {
    r"\p{Han}": "日",
    r"\p{L}": "é",
    r"\p{M}": "\u0301",
    r"\d": "\u0660",
    r"\p{N}": "\u2167",  # behind the digits: ¹ is a number and no digit
    r"\p{Pd}": "‐",
    r"\s": "\u2003",
}
_THEIRS = {name: normalizers.Replace(Regex(name), "") for name in (*_CLASSES, r"\w")}
_OURS = {name: regex.compile(name) for name in _THEIRS}
_OF_NO_CLASS = "\ue000"  # a character for private use


@dataclass(frozen=True)
class Edit:
    """A replacement: its span in the rewritten text, in characters, and the text that it replaced."""

    start: int
    end: int
    source: str


@dataclass(frozen=True)
class Site:
    r"""A span of a text that states a fact, or seems to.

    Attributes:
        start, end: in characters: what is replaced, or what looks like a fact.
        text: the text of the span.
        operands: the operands as written, `None` if they are no numbers of the table, or for a phrase.
        stated: the result that the text states with it, as written.
        form: how it is spelled: its sign (`*`, `×`, `x`, `·`, `\times`, `+`), `words`, `chinese` or `phrase`.
        verdict: `rewritten` or `left`.
        reason: why.
        replacement: what is written instead; `None` for a site that is left.
    """

    start: int
    end: int
    text: str
    operands: tuple[int, int] | None
    stated: str | None
    form: str
    verdict: str
    reason: str
    replacement: str | None


@dataclass(frozen=True)
class Rewriting:
    """A rewritten text and the side record of what the rewriting dropped.

    Attributes:
        text: the text as the tokenizer's byte pairs and tokens read it.
        edits: the replacements in order.
    """

    text: str
    edits: tuple[Edit, ...] = ()

    def restore(self) -> str:
        """Return the source text."""
        pieces, position = [], 0
        for edit in self.edits:
            pieces += [self.text[position : edit.start], edit.source]
            position = edit.end
        return "".join([*pieces, self.text[position:]])


def joined(parts: Iterable[Rewriting], separator: str) -> Rewriting:
    """Return the rewriting of a text of which the parts between separators were rewritten one by one."""
    texts, edits, shift = [], [], 0
    for part in parts:
        texts.append(part.text)
        edits += [Edit(edit.start + shift, edit.end + shift, edit.source) for edit in part.edits]
        shift += len(part.text) + len(separator)
    return Rewriting(separator.join(texts), tuple(edits))


def apply_rules(text: str, steps: "list[tuple[regex.Pattern[str], str]]", edits: tuple[Edit, ...] = ()) -> Rewriting:
    """Apply rules one after another as the tokenizer does."""
    for pattern, new in steps:
        spans = [match.span() for match in pattern.finditer(as_oniguruma_reads(text))]
        if spans:
            text, edits = _replace(text, spans, new, edits)
    return Rewriting(text, edits)


def _replace(
    text: str, spans: list[tuple[int, int]], new: str, edits: tuple[Edit, ...]
) -> tuple[str, tuple[Edit, ...]]:
    """Replace spans of a text that may already have edits, and keep a record of its source."""
    before = Rewriting(text, edits)
    pieces, found, position, shift = [], [], 0, 0
    remaining = deque(edits)
    for start, end in spans:
        while remaining and remaining[0].end <= start and (remaining[0].end < start or remaining[0].end < end):
            edit = remaining.popleft()
            found.append(Edit(edit.start + shift, edit.end + shift, edit.source))
        inside = []
        while remaining and remaining[0].start < end:
            inside.append(remaining.popleft())
        first = min([start, *(edit.start for edit in inside)])
        last = max([end, *(edit.end for edit in inside)])
        covered = [Edit(edit.start - first, edit.end - first, edit.source) for edit in inside]
        replaced = before.text[first:start] + new + before.text[end:last]
        pieces += [text[position:first], replaced]
        source = Rewriting(text[first:last], tuple(covered)).restore()
        found.append(Edit(first + shift, first + shift + len(replaced), source))
        shift += len(replaced) - (last - first)
        position = last
    found += [Edit(edit.start + shift, edit.end + shift, edit.source) for edit in remaining]
    return "".join([*pieces, text[position:]]), tuple(found)


def as_oniguruma_reads(text: str) -> str:
    """Return a text of the same length in which `regex` sees the classes of characters that Oniguruma sees.

    Oniguruma, in tokenizers 0.23.3, knows an older Unicode than regex 2026.11.15: they disagree on 17,567 characters,
    and the tokenizer's reading is the one that counts. Such a character gives way to one on which they agree.
    """
    if text.isascii():
        return text
    unlike = {ord(found): one for found in set(text) if (one := _stand_in(found)) != found}
    return text.translate(unlike) if unlike else text


@cache
def _stand_in(character: str) -> str:
    theirs = {name for name, pattern in _THEIRS.items() if not pattern.normalize_str(character)}
    if theirs == {name for name, pattern in _OURS.items() if pattern.match(character)}:
        return character
    return next((one for name, one in _CLASSES.items() if name in theirs), _OF_NO_CLASS)
