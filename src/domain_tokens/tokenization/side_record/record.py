"""Side information: what rewriting drops from a text. The tokens and this record together restore every byte.

A token says which fact a text states, and not how: `9 x 6`, `6*9=54` and `6 * 9 = 54` are one token. A loss per byte
of a model that reads tokens compares to that of another only with the bits of what was dropped (`code.py`).
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import regex

from domain_tokens.tokenization.edits import Rewriting
from domain_tokens.tokenization.intervention import Entry, Intervention, default_intervention
from domain_tokens.tokenization.numerals import chinese, english
from domain_tokens.tokenization.patterns import written
from domain_tokens.tokenization.rewriter import Rewriter, rewriter_of

_OWN = default_intervention()


@dataclass(frozen=True)
class Dropped:
    """How the source reads at one place of a rewritten text that states a fact.

    Attributes:
        form: the source with its numbers taken out: `{b} x {a} = {c}` for `9 x 6 = 54`.
        start, end: the place, in characters of the rewritten text.
    """

    form: str
    start: int
    end: int


def record(text: str, intervention: Intervention = _OWN) -> list[Dropped]:
    """Return what the intervention's rewriting drops from a text, in order.

    There is one entry for each token of the rewritten text. If the intervention writes plain text, there is one for
    each place where the rewritten text reads like what a rule writes, whether or not the source read so already: the
    rewritten text cannot tell the two apart. The record is empty if every token is the very text that it stands for.
    """
    return record_of(rewriter_of(intervention).rewrite(text), intervention)


def record_of(rewriting: Rewriting, intervention: Intervention = _OWN) -> list[Dropped]:
    """Return the record of a text that the intervention has already rewritten; see `record`."""
    codec = _codec(rewriter_of(intervention))
    starts = [edit.start for edit in rewriting.edits]
    found: list[Dropped] = []
    position = 0
    while not codec.drops_nothing and (match := codec.written.search(rewriting.text, position)):
        source = _restored(rewriting, starts, *match.span())
        found.append(Dropped(_form(source, codec.entries[match.group()]), *match.span()))
        position = _next_position(match, source)
    return found


def restore(text: str, dropped: Iterable[Dropped], intervention: Intervention = _OWN) -> str:
    """Return the source of a rewritten text. Of the record only the forms are read.

    Args:
        text (`str`): what the tokens decode to, or what `inject` returned.
        dropped (`Iterable[Dropped]`): what `record` returned for the source.
        intervention (`Intervention`, *optional*): the experiment's own by default.

    Raises:
        ValueError: if there are fewer or more entries in the record than places in the text.
    """
    codec = _codec(rewriter_of(intervention))
    if codec.drops_nothing:
        return text
    forms = [one.form for one in dropped]
    pieces: list[str] = []
    number = position = done = 0
    while match := codec.written.search(text, position):
        if number == len(forms):
            raise ValueError(f"the text has more places that state a fact than the side record entries, {len(forms)}")
        source = _source(forms[number], codec.entries[match.group()])
        position = _next_position(match, source)
        if source != match.group():
            pieces += [text[done : match.start()], source]
            done = match.end()
        number += 1
    if number != len(forms):
        raise ValueError(f"the text has {number} places that state a fact, the side record {len(forms)} entries")
    return "".join([*pieces, text[done:]])


def _next_position(match: "regex.Match[str]", source: str) -> int:
    """Return where to look for the next place: one that stood in the source already may overlap one that did not."""
    return match.end() if source != match.group() else match.start() + 1


def _restored(rewriting: Rewriting, starts: list[int], start: int, end: int) -> str:
    """Return the source of a span of the rewritten text, whose edits begin at `starts`."""
    pieces, position = [], start
    for index in range(bisect_left(starts, start), len(starts)):
        edit = rewriting.edits[index]
        if edit.end > end:
            break
        pieces += [rewriting.text[position : edit.start], edit.source]
        position = edit.end
    return "".join([*pieces, rewriting.text[position:end]])


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


def _form(source: str, entry: Entry) -> str:
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
    return "".join([*pieces, source[position:].replace("{", "{{").replace("}", "}}")])


def _source(form: str, entry: Entry) -> str:
    return form.format(**_values(entry))


@cache
def _values(entry: Entry) -> dict[str, str]:
    values = {"token": entry.token or entry.text, "text": entry.text}
    if entry.operands is not None and entry.result is not None:
        for name, number in zip("abc", (*entry.operands, entry.result), strict=True):
            values |= {name: str(number), f"{name}_english": english(number), f"{name}_chinese": chinese(number)}
    return values
