"""Makes a template of a problem, or says why there is none."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from domain_tokens.corpora.renumbering.question import Told
from domain_tokens.corpora.renumbering.reading.arithmetic import Value
from domain_tokens.corpora.renumbering.reading.mentions import TOO_LONG, Mention, mentions
from domain_tokens.corpora.renumbering.reading.solution import Stays, Unfaithful, equations, final_number
from domain_tokens.corpora.renumbering.template import (
    CONSTANT,
    RESULT,
    VARIABLE,
    Leaf,
    Piece,
    Slot,
    Step,
    Template,
)
from domain_tokens.corpora.renumbering.tracing import Tracer

_COMPARED = re.compile(
    r"\b(?:most|least|largest|smallest|greatest|fewest|highest|lowest|best|worst|fastest|slowest|cheapest|cheaper|"
    r"faster|slower|winner|wins?|won|whichever|youngest|oldest|tallest|shortest|maximum|minimum|enough|better)\b",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"\b(?:prime|odd numbers?|even numbers?|multiple of|rounded|rounds?(?: up| down)? to|nearest|consecutive|digits?|"
    r"divisible|palindrome|leap year|square root|factorial)\b",
    re.IGNORECASE,
)
# Words of a solution that say a number again.
_SAID = [
    (re.compile(rf"\b(?:{words})\b", re.IGNORECASE), value)
    for words, value in (
        ("half|halves|halved|halving|double[ds]?|doubling|both|pairs?|couple|the other", 2),
        ("thirds?|triple[ds]?|tripling", 3),
        ("quarters?|fourths?|quadruple[ds]?", 4),
    )
]
_AGES = re.compile(r"\b(?:years? (?:old|older|younger)|years?-old|ages?|aged|how old|born|birthday)\b", re.IGNORECASE)
_COUNTED = re.compile(
    r"\b(?:second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|2nd|3rd|4th|5th|6th|7th)"
    r" (?:day|week|month|year|hour|minute|round|time|row|night|trip|lap|hop|level|floor|layer|game|class|shelf|"
    r"bounce)\b",
    re.IGNORECASE,
)


def build(id: str, question: str, answer: str, width: int = 2) -> Template:
    """Return the template of a problem.

    Args:
        id (`str`): the place of the problem.
        question (`str`): the question.
        width (`int`, *optional*): how many times as large or as small a number may become.
        answer (`str`): its worked solution, with GSM8K's annotations, and `#### <number>` at its end.

    Raises:
        Unfaithful: with the reason why other numbers would not make a problem with a right solution.
    """
    if TOO_LONG.search(question) or TOO_LONG.search(answer):
        raise Unfaithful("a number with too many digits")
    if _REFUSED.search(question):
        raise Unfaithful("words that speak of the numbers themselves")
    if any(_COUNTED.findall(answer)) and not set(map(str.lower, _COUNTED.findall(answer))) <= set(
        map(str.lower, _COUNTED.findall(question))
    ):
        raise Unfaithful("steps that count days or rounds one by one")
    kept: set[Value] = {value for words, value in _SAID if words.search(answer)}
    while True:
        try:
            return _build(id, question, answer, width, kept)
        except Stays as found:
            kept.add(found.value)


def _build(id: str, question: str, answer: str, width: int, kept: set[Value]) -> Template:
    start, end, final = final_number(answer)
    body = answer[:start]
    found = equations(body)
    told = Told(question, body, kept)
    solution = Tracer(body, found, told)
    leaves = solution.leaves()
    last = [index for index, one in enumerate(found) if one.result.value == final]
    if not last:
        raise Unfaithful("the final number is no result")
    if not _all_lead_to(leaves, last[-1]):
        raise Unfaithful("steps that do not lead to the final number")
    used = sorted({leaf.index for one in leaves for leaf in one if leaf.kind == VARIABLE})
    if not used:
        raise Unfaithful("no number of the question may change")
    solution.check_roles(leaves)
    order = {old: new for new, old in enumerate(used)}
    slots = solution.slots(leaves)
    slots.append(Slot(Leaf(RESULT, last[-1]), Mention(start, end, final, answer[start:end], False, False)))
    variables = tuple(told.variable(index, width) for index in used)
    told.check_unread(used, [one.result.value for one in found])
    steps = tuple(
        Step(one.expression, tuple(_renamed(leaf, order) for leaf in own), one.result.value)
        for one, own in zip(found, leaves, strict=True)
    )
    asked = [Slot(Leaf(VARIABLE, order[index]), one) for index in used for one in told.groups[index]]
    return Template(
        id,
        _pieces(question, asked),
        _pieces(answer, [Slot(_renamed(slot.leaf, order), slot.mention) for slot in slots]),
        variables,
        steps,
        Leaf(RESULT, last[-1]),
        "," in "".join(one.written for one in mentions(question)),
        bool(_COMPARED.search(question)),
        bool(_AGES.search(question)),
    )


def _all_lead_to(leaves: Sequence[tuple[Leaf, ...]], final: int) -> bool:
    """Return whether every step is needed for the final number; others hint at reasoning between the equations."""
    needed = {final}
    for index in range(len(leaves) - 1, -1, -1):
        if index in needed:
            needed |= {leaf.index for leaf in leaves[index] if leaf.kind == RESULT}
    return len(needed) == len(leaves)


def _renamed(leaf: Leaf, order: dict[int, int]) -> Leaf:
    """Return a leaf with the new index of its variable; a number that no step reads stays as it is."""
    if leaf.kind != VARIABLE:
        return leaf
    return replace(leaf, index=order[leaf.index]) if leaf.index in order else Leaf(CONSTANT)


def _pieces(text: str, slots: Iterable[Slot]) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    end = 0
    for slot in sorted(slots, key=lambda slot: slot.mention.start):
        if slot.leaf.kind == CONSTANT:
            continue
        pieces += [text[end : slot.mention.start], slot]
        end = slot.mention.end
    return (*(piece for piece in pieces if piece != ""), text[end:])
