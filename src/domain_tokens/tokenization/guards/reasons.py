"""What seems to state a fact and is left, and why: the first guard that fails."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import regex

from domain_tokens.tokenization.edits import Site
from domain_tokens.tokenization.guards.around import SPACE, Guard
from domain_tokens.tokenization.guards.notations import Notation, notations
from domain_tokens.tokenization.guards.results import (
    CLOSING,
    NOT_IN_SUM,
    RESULT_ENDS,
    RESULT_IS_SUM,
    STATED,
    STATED_NUMBER,
    STATES_A_RESULT,
    stated_beside,
)
from domain_tokens.tokenization.intervention import OPERATORS, Facts, Rules, result_of

_STATED_NUMBER = regex.compile(STATED_NUMBER)


class SitesLeft:
    """Finds what looks like a fact, in every notation, with every sign, and with numbers outside the table.

    Args:
        facts (`Facts`): the table.
        rules (`Rules`): how a text may spell a fact.
        allowed (`list[Notation]`): the notations that the rules allow.
    """

    def __init__(self, facts: Facts, rules: Rules, allowed: list[Notation]) -> None:
        self.facts, self.rules = facts, rules
        everything = replace(rules, operators=tuple(OPERATORS[facts.operation]), words=True, chinese=True)
        everything = replace(everything, spaces=True, bare_x=True)
        self._seeming = [
            (notation, any(notation.name == one.name for one in allowed), _seeming(notation))
            for notation in notations(facts, everything)
        ]
        self._signs = {sign: regex.compile(spelled) for sign, spelled in OPERATORS[facts.operation].items()}

    def find(self, text: str, questions: list[tuple[int, int]]) -> Iterator[tuple[Site, int]]:
        """Yield each site, and where its expression ends."""
        for notation, allowed, seeming in self._seeming:
            for match in seeming.finditer(text, overlapped=True):
                form = self.form(notation, match["sign"])
                a, b = (_number(notation, match[name]) for name in ("a", "b"))
                pair = (a, b) if a is not None and b is not None else None
                if not allowed or (notation.name == "signs" and form not in self.rules.operators):
                    reason = "the rules leave out this spelling"
                elif pair is None:
                    longer = regex.search("[.,]", match["a"] + match["b"])
                    reason = "part of a longer number" if longer else "not in the table"
                elif any(start <= match.start() < end for start, end in questions):
                    reason = "in a question"
                else:
                    reason = self._reason(notation, match, pair)
                stated = match["stated"]
                site = Site(match.start(), match.end(), match.group(), pair, stated, form, "left", reason, None)
                yield site, match.end("b")

    def form(self, notation: Notation, text: str) -> str:
        """Return how a fact is spelled: its sign, or the name of the notation."""
        if notation.name != "signs":
            return notation.name
        return next(sign for sign, spelled in self._signs.items() if spelled.search(text))

    def _reason(self, notation: Notation, match: "regex.Match[str]", pair: tuple[int, int]) -> str:
        """Return why a site is left: the first guard that fails, of those for what the text states there."""
        text = match.string
        if not self.rules.spaces and regex.search(SPACE, match["sign"]):
            return "spaces"
        result = result_of(self.facts, *pair)
        own = self._end_of_result(notation, match, result)
        summed = self.facts.operation == "*" and not _holds(NOT_IN_SUM, text, match.start())
        guards = [(match.start(), guard) for guard in notation.left]
        if own is not None:
            guards += [(match.start(), NOT_IN_SUM)] if summed else []
            guards += [(own, guard) for guard in (*notation.right, *RESULT_ENDS, STATED)]
        else:
            guards += [(match.end("b"), guard) for guard in notation.right]
            guards += [(match.start(), guard) for guard in notation.bare_left]
            results = () if summed else (RESULT_IS_SUM, STATED)
            guards += [(match.end("b"), guard) for guard in (*notation.bare_right, *results)]
        failed = next(((position, guard) for position, guard in guards if not _holds(guard, text, position)), None)
        if failed is not None:
            return _said(*failed, text, result, own)
        if self.rules.mode == "strict" or notation.bare is None:
            return "without its result"
        if self.form(notation, match["sign"]) == "x" and not (summed and match["stated"]):
            return "nothing shows that x is a sign"
        return NOT_IN_SUM.reason if self.form(notation, match["sign"]) != "×" else "nothing shows that it is no size"

    def _end_of_result(self, notation: Notation, match: "regex.Match[str]", result: int) -> int | None:
        """Return where the right result ends if the text states it, in whatever form the rules see."""
        stated = match["stated"]
        if stated is not None and regex.fullmatch(notation.results[result], stated):
            return match.end()
        if self.rules.mode == "strict" or notation.bare is None:
            return None
        beside = regex.compile(f"{STATES_A_RESULT}{stated_beside(result)}{CLOSING}")
        found = beside.match(match.string, match.end("b"))
        return None if found is None else found.end()


def _said(position: int, guard: Guard, text: str, result: int, own: int | None) -> str:
    """Return the reason of a guard that fails; the stated number may be no other one."""
    number = _STATED_NUMBER.match(text, position) if guard is STATED else None
    if number is None or regex.fullmatch(rf"{result}(?:\.0+)?", number["number"]) is None:
        return guard.reason
    return "its result is written in another form" if own is None else "its result is stated twice"


def _number(notation: Notation, text: str) -> int | None:
    return next((number for number, spelled in notation.operands.items() if regex.fullmatch(spelled, text)), None)


def _holds(guard: Guard, text: str, position: int) -> bool:
    return _compiled(guard).match(text, position) is not None


@cache
def _compiled(guard: Guard) -> "regex.Pattern[str]":
    return regex.compile(guard.pattern)


def _seeming(notation: Notation) -> "regex.Pattern[str]":
    number = r"\p{N}+(?:[.,]\p{N}+)*" if notation.name == "signs" else notation.operand()
    begins = {"signs": r"(?<!\p{N})(?<!\p{N}[.,])", "words": r"(?<![\p{L}\p{N}])"}.get(notation.name, r"(?<!\p{N})")
    results = f"(?:{'|'.join(reversed(notation.results.values()))})"
    result = rf"\p{{N}}+(?:[.,]\p{{N}}+)*|{results}" if notation.name != "signs" else r"\p{N}+(?:[.,]\p{N}+)*"
    bare = "?" if notation.bare is not None else ""
    return regex.compile(
        rf"{begins}(?P<a>{number})(?P<sign>{notation.sign})(?P<b>{number}){notation.ends}(?:{notation.equals}(?P<stated>{result})){bare}"
    )
