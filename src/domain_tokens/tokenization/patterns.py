r"""The rewriting rules as regular expressions: where a text states a fact, and what replaces it.

Rewriting takes two steps. First a *decision*, one pattern of no width, sets a mark wherever a fact begins; it sees the
whole context and the text as it was, so no replacement can change what another rule sees. Then, for each fact, a
*write* pattern replaces a mark and what the fact replaces. Every mark has to be written: decisions do not overlap, and
what is decided is what can be written.

The patterns are read by Oniguruma inside `tokenizers` and by Python's `regex`, which agree on the syntax used here:
`\p{..}` classes, look-behinds of bounded length, and no group that captures.

A text is rewritten only where it says exactly that fact. Each condition of that is a `Guard` with a reason, and
`rewriter.find` names the one that failed.
"""

from dataclasses import dataclass

from domain_tokens.tokenization.guards.around import (
    AFTER_SPACE,
    MARK,
    PLAIN_BEFORE,
    PLAIN_BEHIND,
    PLAIN_END,
    all_of,
    unless,
)
from domain_tokens.tokenization.guards.notations import Notation, notations
from domain_tokens.tokenization.guards.results import (
    CLOSING,
    IN_SUM,
    NOT_IN_SUM,
    NUMBER_GOES_ON,
    RESULT_ENDS,
    STATED,
    STATES_A_RESULT,
    stated_beside,
)
from domain_tokens.tokenization.intervention import (
    Entry,
    Facts,
    Intervention,
    Phrase,
    Rules,
    bare_entries,
    result_of,
    symbols,
)

NOT_SHOWN = "\N{REPLACEMENT CHARACTER}"  # written for a mark that a text brings along, so that no text can set one
SENTINEL = "\ufdd1"  # before a token whose name is ordinary text, so that only a rule can write it
NONCHARACTERS = "\ufdd0-\ufdef"  # a range within a class: these two, and the marks of a choice between symbols
_CHOICES = [chr(0xFDD2 + number) for number in range(30)]

# A question with its role, up to the role of its answer. Read line by line, so that a text is read once: a look-ahead
# from every site to the next role reads a text of 100 kB with 12,500 sites for half a minute, this in 0.04 s.
QUESTION = r"(?<![^\n])User:(?:[^\n]*+\n(?!User:|Assistant:))*+[^\n]*+\nAssistant(?=:)"


def decision(notation: Notation, facts: Facts, rules: Rules) -> str:
    """Return the pattern of no width that matches where a fact begins in this notation."""
    products = facts.operation == "*"  # of a table of sums, what stands in a sum is part of a chain
    alone = _equations(notation, facts, rules, NOT_IN_SUM.pattern if products else "")
    branches = [f"(?:{alone}){CLOSING}{unless(PLAIN_END, (*notation.right, *RESULT_ENDS, STATED))}"]
    if notation.bare is not None and rules.mode == "weak":
        bare = f"(?:{notation.bare}){unless(PLAIN_BEHIND, (*notation.right, *notation.bare_right))}"
        # A result that is a sum is a stated one; `find` tells them apart.
        unstated_there = f"{bare}{STATED.pattern}"
        # 3+4*5=23 says what the sum is; 20 - 2*5 = 10 may say it of either, and is left.
        own = _equations(notation, facts, rules)
        either = f"(?:{IN_SUM}(?!{own}){bare}|{unstated_there})" if products else unstated_there
        branches.append(f"{all_of(*notation.bare_left)}{either}")
    left = all_of(*notation.left)
    if notation.name == "signs":
        spaced = (AFTER_SPACE,) if rules.after_space else ()
        left = unless(PLAIN_BEFORE, [guard for guard in notation.left if guard is not AFTER_SPACE]) + all_of(*spaced)
    return f"(?={notation.expression()}){left}(?={'|'.join(branches)})"


def _equations(notation: Notation, facts: Facts, rules: Rules, where: str = "") -> str:
    """Return the pattern of two operands and their right result, which is replaced with them or stands beside them.

    `where` is a pattern of no width that has to hold where the first operand begins.
    """
    # Without a sign, the result is all that shows where the second operand ends; it has to be replaced too.
    ends = notation.ends if facts.replaces == "expression" and not notation.sign else ""
    states = {"": lambda result: f"{ends}{notation.equals}{notation.results[result]}"}
    if rules.mode == "weak" and notation.bare is not None:
        states = {
            "": lambda result: f"{notation.equals}{notation.results[result]}(?![.,]\\p{{N}})",
            f"(?={notation.expression()}{STATES_A_RESULT})": stated_beside,
        }
    if len(states) > 1 and notation.name == "signs":
        del states[""]  # what is replaced is one of the ways to state a result
    return "|".join(
        f"{shape}{where}(?:"
        + "|".join(
            f"{spelled}{notation.sign}(?:"
            + "|".join(
                f"{notation.operands[b]}{state(result_of(facts, a, b))}" for first, b in notation.pairs() if first == a
            )
            + ")"
            for a, spelled in notation.operands.items()
        )
        + ")"
        for shape, state in states.items()
    )


def stop(allowed: list[Notation]) -> str:
    """Return the pattern of an expression of which the number behind it is not the result, or has decimals.

    `6*9=54*2` says that 6*9 is a product, `5*6=30.00` has cents. Such an expression is replaced, and what follows it
    is not.
    """
    found = [
        f"{notation.operand()}{notation.sign}{notation.operand()}(?={notation.equals}{NUMBER_GOES_ON})"
        for notation in allowed
        if notation.sign
    ]
    return f"(?:{'|'.join(found)})"


@dataclass(frozen=True)
class Write:
    """What is replaced at a mark, and by what.

    Attributes:
        notation: the spelling that is replaced.
        pair: the operands as they are spelled.
        pattern: what is replaced.
        texts: what is written; the one at the place of the choice where a site has several.
    """

    notation: Notation
    pair: tuple[int, int]
    pattern: str
    texts: tuple[str, ...]


def writes(facts: Facts, allowed: list[Notation]) -> list[Write]:
    """Return every spelling and what is written for it; of two that match at one place, the first is meant."""
    entries = symbols(facts)
    bare = {entry.operands: entry for entry in bare_entries(facts)}
    found = []
    for stated in ("perhaps",) if facts.bare_text is None else ("always", "never"):
        for pair, of_pair in entries.items():
            chosen = (bare[of_pair[0].operands],) if stated == "never" else of_pair
            texts = tuple(written(entry) for entry in chosen)
            found += [
                Write(notation, pair, _write_pattern(notation, facts, pair, stated), texts)
                for notation in allowed
                if pair in notation.pairs()
            ]
    return found


def _write_pattern(notation: Notation, facts: Facts, pair: tuple[int, int], stated: str) -> str:
    """Return the pattern of two operands and of their result, which is stated perhaps, always or never."""
    expression = f"{notation.operands[pair[0]]}{notation.sign}{notation.operands[pair[1]]}"
    if facts.replaces == "equation" and stated != "never":
        result = f"(?:{notation.equals}{notation.results[result_of(facts, *pair)]})"
        expression += result if stated == "always" else f"{result}?"
    return f"{expression}{notation.ends}"


def choice(distance: int, of: int) -> int:
    """Return which of a group's symbols is written at a site.

    Args:
        distance (`int`): characters from the beginning of the site before, or of the text if there is none.
        of (`int`): the size of the group.
    """
    return distance % of


def _choices(of: int) -> list[tuple[str, str]]:
    """Return the steps that write the choice before each mark, as `choice` says: two characters.

    The first site of a text has steps of its own: a pattern that begins with a mark or with the beginning of a text is
    found at once, one that begins with either is tried at every character (0.3 s more for 100 kB).
    """
    character = f"[^{MARK}{''.join(_CHOICES)}]"
    distances = [f"(?:{character}{{{of}}})*+{character}{{{number}}}" for number in range(of)]
    return [
        (rf"{begins}{distance}\K(?={MARK})", _choice_mark(number))
        for begins in (r"\A", MARK)
        for number, distance in enumerate(distances)
    ]


def _choice_mark(number: int) -> str:
    return _CHOICES[number // 15] + _CHOICES[15 + number % 15]


def written(entry: Entry) -> str:
    """Return what a rule writes for an entry: its token, or its text if it has none."""
    if entry.token is None:
        return entry.text
    return entry.token if entry.token != entry.text else SENTINEL + entry.token


def phrase_pattern(phrase: Phrase) -> str:
    """Return the pattern of a phrase: its own, or its text where that is no part of a longer word."""
    if phrase.match is not None:
        return phrase.match
    inside = r"[\p{L}\p{M}\p{N}_]"
    before = f"(?<!{inside})" if phrase.text[0].isalnum() else ""
    after = f"(?!{inside})" if phrase.text[-1].isalnum() else ""
    return f"{before}{escape(phrase.text)}{after}"


def replacements(intervention: Intervention) -> list[tuple[str, str]]:
    """Return `(pattern, replacement)` of every rule, in the order in which a text goes through them."""
    facts = intervention.facts
    steps = [(f"[{NONCHARACTERS}]", NOT_SHOWN)] if facts is not None or intervention.tokens else []
    if facts is not None:
        allowed = notations(facts, intervention.rules)
        begins = "|".join(decision(notation, facts, intervention.rules) for notation in allowed)
        if intervention.rules.answers_only:
            # A question is read over and not replaced; the mark that is set at its end is taken away again.
            steps += [(rf"{QUESTION}\K|{begins}", MARK), (f"{MARK}(?=:)", "")]
        else:
            steps.append((begins, MARK))
        if facts.ambiguity > 1:
            steps += _choices(facts.ambiguity)
        if facts.replaces == "equation":
            steps.append((rf"{MARK}{stop(allowed)}\K", MARK))
        spellings: dict[tuple[str, str], list[str]] = {}
        for write in writes(facts, allowed):
            for number, text in enumerate(write.texts):
                mark = (_choice_mark(number) if len(write.texts) > 1 else "") + MARK
                spellings.setdefault((mark, text), []).append(write.pattern)
        steps += [(f"{mark}(?:{'|'.join(patterns)})", text) for (mark, text), patterns in spellings.items()]
        if facts.replaces == "equation":
            steps.append((MARK, ""))
    steps += [(phrase_pattern(phrase), written(Entry(phrase.token, phrase.text))) for phrase in intervention.tokens]
    return steps


def escape(text: str) -> str:
    """Return a pattern that matches a text, for Oniguruma and `regex` alike."""
    return "".join(f"\\{character}" if character in r"\.^$*+?{}[]()|/#&~-" else character for character in text)
