"""Side information: what rewriting drops from a text. The tokens and this record together restore every byte.

A token says which fact a text states, and not how: `9 x 6`, `6*9=54` and `6 * 9 = 54` are one token. A loss per byte
of a model that reads tokens compares to that of another only with the bits of what was dropped: `code_length_bits`.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import regex

from domain_tokens.tokenization.intervention import Entry, Intervention, default_intervention
from domain_tokens.tokenization.numerals import chinese, english
from domain_tokens.tokenization.patterns import written
from domain_tokens.tokenization.rewriter import Rewriter, rewriter_of

_OWN = default_intervention()


@dataclass(frozen=True)
class Dropped:
    """What one replacement dropped.

    Attributes:
        form: the source with its numbers taken out: `{b} x {a} = {c}` for `9 x 6 = 54`; a source that cannot be
            written so is kept as it is.
        gap: characters since the end of the replacement before, if no token shows the position; else `None`.
    """

    form: str
    gap: int | None = None


def record(text: str, intervention: Intervention = _OWN) -> list[Dropped]:
    """Return what the intervention's rewriting drops from a text, in order.

    If the intervention writes tokens there is one entry for each token of the rewritten text, which shows the
    position; if it writes plain text, one for each replacement, with its position.
    """
    rewriter = rewriter_of(intervention)
    rewriting, codec = rewriter.rewrite(text), _codec(rewriter)
    edits = {edit.start: edit for edit in rewriting.edits}
    if not codec.has_tokens:
        ends = [0, *(edit.end for edit in rewriting.edits)]
        return [
            Dropped(_form(edit.source, codec.entries.get(rewriting.text[edit.start : edit.end])), edit.start - end)
            for edit, end in zip(rewriting.edits, ends, strict=False)
        ]
    found = []
    for match in codec.written.finditer(rewriting.text):
        edit = edits.get(match.start())
        # A name that the source spelled out itself stays as it is.
        found.append(Dropped(_form(match.group() if edit is None else edit.source, codec.entries[match.group()])))
    return found


def restore(text: str, dropped: Iterable[Dropped], intervention: Intervention = _OWN) -> str:
    """Return the source of a rewritten text.

    Args:
        text (`str`): what the tokens decode to, or what `inject` returned.
        dropped (`Iterable[Dropped]`): what `record` returned for the source.
        intervention (`Intervention`, *optional*): the experiment's own by default.

    Raises:
        ValueError: if there are fewer or more entries in the record than tokens in the text.
    """
    codec = _codec(rewriter_of(intervention))
    remaining = list(dropped)
    if codec.drops_nothing:
        return text  # tokens that are the very text, or no tokens at all: nothing is dropped
    if codec.has_tokens:
        matches = list(codec.written.finditer(text))
        if len(matches) != len(remaining):
            raise ValueError(f"the text has {len(matches)} tokens, the side record {len(remaining)} entries")
        sources = iter(
            [_source(one.form, codec.entries[match.group()]) for one, match in zip(remaining, matches, strict=True)]
        )
        return codec.written.sub(lambda _: next(sources), text)
    pieces, position = [], 0
    for one in remaining:
        start = position + (one.gap or 0)
        match = codec.written.match(text, start)
        if match is None:
            raise ValueError(f"the side record has an entry for character {start}, where the text states no fact")
        pieces += [text[position:start], _source(one.form, codec.entries[match.group()])]
        position = match.end()
    return "".join([*pieces, text[position:]])


def code_length_bits(dropped: Iterable[Dropped]) -> float:
    """Return the length in bits of the record under an adaptive code, which a decoder could read without a table.

    After `n` entries a form that occurred `k` times costs `-log2(k / (n + 1))`, a new one `log2(n + 1)` and then eight
    bits for each of its bytes and its end; a gap costs what Elias' gamma code takes, `2 floor(log2(gap + 1)) + 1`.
    """
    seen: Counter[str] = Counter()
    bits = 0.0
    for number, one in enumerate(dropped):
        count = seen[one.form]
        bits += math.log2((number + 1) / count) if count else math.log2(number + 1) + 8 * (len(one.form.encode()) + 1)
        seen[one.form] += 1
        if one.gap is not None:
            bits += 2 * math.floor(math.log2(one.gap + 1)) + 1
    return bits


class _Codec:
    """What an intervention writes, by the text that is written."""

    def __init__(self, intervention: Intervention) -> None:
        self.entries = {written(entry): entry for entry in intervention.entries()}
        self.has_tokens = any(entry.token for entry in self.entries.values())
        self.drops_nothing = all(entry.token == entry.text for entry in self.entries.values())
        names = sorted(self.entries, key=len, reverse=True)
        self.written = regex.compile("|".join(regex.escape(name) for name in names) or "(?!)")


@cache
def _codec(rewriter: Rewriter) -> _Codec:
    return _Codec(rewriter.intervention)


def _form(source: str, entry: Entry | None) -> str:
    literal = source.replace("{", "{{").replace("}", "}}")
    if entry is None:
        return literal
    values = _values(entry)
    # Longer values first, so that 54 is not taken for a 5; each name once, in the order in which numbers stand.
    position, pieces, unused = 0, [], dict(values)
    pattern = regex.compile(
        "|".join(regex.escape(text) for text in sorted(set(values.values()), key=len, reverse=True))
    )
    for match in pattern.finditer(source):
        name = next((name for name, text in unused.items() if text == match.group()), None)
        if name is not None:
            pieces += [source[position : match.start()].replace("{", "{{").replace("}", "}}"), f"{{{name}}}"]
            position = match.end()
            for other in [other for other in unused if other.split("_")[0] == name.split("_")[0]]:
                del unused[other]
    form = "".join([*pieces, source[position:].replace("{", "{{").replace("}", "}}")])
    return form if form.format(**values) == source else literal


def _source(form: str, entry: Entry) -> str:
    return form.format(**_values(entry))


def _values(entry: Entry) -> dict[str, str]:
    values = {"token": entry.token or entry.text, "text": entry.text}
    if entry.operands is not None and entry.result is not None:
        for name, number in zip("abc", (*entry.operands, entry.result), strict=True):
            values |= {name: str(number), f"{name}_english": english(number), f"{name}_chinese": chinese(number)}
    return values
