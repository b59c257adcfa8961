r"""The rewriting rules as regular expressions: where a text states a fact, and what replaces it.

Rewriting takes two steps. First a *decision*, one pattern of no width, sets a mark wherever a fact begins; it sees the
whole context and the text as it was, so no replacement can change what another rule sees. Then, for each fact, a
*write* pattern replaces a mark and what the fact replaces. Every mark has to be written: decisions do not overlap, and
what is decided is what can be written.

The patterns are read by Oniguruma inside `tokenizers` and by Python's `regex`, which agree on the syntax used here:
`\p{..}` classes, and look-behinds with alternatives of fixed length.

A text is rewritten only where it says exactly that fact. Each condition of that is a `Guard` with a reason, and
`rewriter.find` names the one that failed.
"""

from dataclasses import dataclass, replace

from domain_tokens.tokenization.guards import unstated
from domain_tokens.tokenization.guards.around import (
    AFTER_SPACE,
    DASHES,
    MARK,
    PLAIN_BEFORE,
    PLAIN_BEHIND,
    SIGNS,
    SPACE,
    TOKEN,
    Guard,
    all_of,
    chain_after,
    chain_before,
    left_of_signs,
    not_behind_token,
    right_of_signs,
    unless,
)
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
    OPERATORS,
    Entry,
    Facts,
    Intervention,
    Phrase,
    Rules,
    bare_entries,
    result_of,
    symbols,
)
from domain_tokens.tokenization.numerals import ANY_ENGLISH, CHINESE_NUMERAL, spell_chinese, spell_english

NOT_SHOWN = "\N{REPLACEMENT CHARACTER}"  # written for a mark that a text brings along, so that no text can set one
SENTINEL = "\ufdd1"  # before a token whose name is ordinary text, so that only a rule can write it
NONCHARACTERS = "\ufdd0-\ufdef"  # a range within a class: these two, and the marks of a choice between symbols
_CHOICES = [chr(0xFDD2 + number) for number in range(30)]

# A question with its role, up to the role of its answer. Read line by line, so that a text is read once: a look-ahead
# from every site to the next role reads a text of 100 kB with 12,500 sites for half a minute, this in 0.04 s.
QUESTION = r"(?<![^\n])User:(?:[^\n]*+\n(?!User:|Assistant:))*+[^\n]*+\nAssistant(?=:)"


@dataclass(frozen=True)
class Notation:
    """One way of spelling facts.

    Attributes:
        name: `signs`, `words` or `chinese`.
        operands: the pattern of each operand.
        results: the pattern of each result.
        sign: the pattern of what is between the operands.
        equals: the pattern of what is between an expression and a result that is replaced with it.
        ends: what must follow a number, so that 12 is not read as 1.
        left: the guards where the first operand begins.
        right: the guards where an expression or its result ends.
        bare: the pattern of an expression without its result; `None` if it does not count.
        bare_left: further guards where an expression without its result begins.
        bare_right: further guards where it ends.
        ordered: whether the smaller operand comes first.
    """

    name: str
    operands: dict[int, str]
    results: dict[int, str]
    sign: str
    equals: str
    ends: str
    left: tuple[Guard, ...]
    right: tuple[Guard, ...]
    bare: str | None
    bare_left: tuple[Guard, ...] = ()
    bare_right: tuple[Guard, ...] = unstated.NUMBER_ENDS
    ordered: bool = False

    def pairs(self) -> list[tuple[int, int]]:
        """Return the ordered pairs of operands that this notation spells."""
        return [(a, b) for a in self.operands for b in self.operands if a <= b or not self.ordered]

    def operand(self) -> str:
        """Return a pattern of any operand."""
        return _any_of(self.operands)

    def expression(self) -> str:
        """Return a pattern of any two operands and their sign."""
        return f"{self.operand()}{self.sign}{self.operand()}{self._whole()}"

    def _whole(self) -> str:
        return r"(?!\p{N})" if self.sign else ""

    def candidate(self) -> str:
        """Return a pattern of an operand with a sign and another one behind it: where an expression may begin."""
        return f"{self.operand()}(?={self.sign}{self.operand()}{self._whole()})"


def notations(facts: Facts, rules: Rules) -> list[Notation]:
    """Return the notations that the rules allow."""
    low, high = facts.operands
    operands = range(low, high + 1)
    results = sorted({result_of(facts, a, b) for a in operands for b in operands})
    found = []
    if rules.operators:
        found.append(_signs(facts, rules, operands, results))
    if rules.words:
        found.append(_words(facts, rules, operands, results))
    if rules.chinese:
        found += _chinese(facts, rules, operands, results)
    if rules.after_space:
        return [replace(notation, left=(*notation.left, AFTER_SPACE)) for notation in found]
    return found


def decision(notation: Notation, facts: Facts, rules: Rules) -> str:
    """Return the pattern of no width that matches where a fact begins in this notation."""
    products = facts.operation == "*"  # of a table of sums, what stands in a sum is part of a chain
    alone = _equations(notation, facts, rules, NOT_IN_SUM.pattern if products else "")
    branches = [f"(?:{alone}){CLOSING}{unless('(?=>>)', (*notation.right, *RESULT_ENDS, STATED))}"]
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


def _any_of(spellings: dict[int, str]) -> str:
    """Return a pattern of any number; longer ones first, so that 12 is not read as 1."""
    if all(len(spelled) == 1 for spelled in spellings.values()):
        return f"[{''.join(spellings.values())}]"
    return f"(?:{'|'.join(reversed(spellings.values()))})"


def _signs(facts: Facts, rules: Rules, operands: range, results: list[int]) -> Notation:
    space = f"{SPACE}{{0,3}}" if rules.spaces else ""
    known = OPERATORS[facts.operation]
    sign = f"{space}(?:{'|'.join(known[operator] for operator in rules.operators)}){space}"
    spellings = {number: str(number) for number in operands}
    operand = _any_of(spellings)
    others = [known[operator] for operator in rules.operators if operator != "x"]
    bare = [f"{operand}{space}(?:{'|'.join(others)}){space}{operand}"] if others else []
    if "x" in rules.operators:
        spaced = f"{SPACE}{{1,3}}x{SPACE}{{1,3}}" if rules.spaces else None
        bare += unstated.x_expressions(operand, f"{space}x{space}" if rules.bare_x else None, spaced)
    return Notation(
        name="signs",
        operands=spellings,
        results={number: str(number) for number in results},
        sign=sign,
        equals=f"{space}={space}",
        ends=r"(?!\p{N})",
        left=left_of_signs(facts, rules),
        right=right_of_signs(facts, rules),
        bare="|".join(bare),
        bare_left=unstated.left_of(facts),
        bare_right=unstated.right_of(facts),
    )


def _words(facts: Facts, rules: Rules, operands: range, results: list[int]) -> Notation:
    signs = {"*": "(?:times|multiplied by)", "+": "plus"}
    space = f"{SPACE}{{1,3}}"
    sign = f"{space}{signs[facts.operation]}{space}"
    longer = "hundred|thousand|million|billion|point"
    tens = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
    before = [f"{word}{gap}" for word in f"{longer}|{tens}".split("|") for gap in "- "]
    before += [f"{word} and " for word in ("hundred", "thousand", "million")]
    parts = "half|third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth"
    spellings = {number: f"(?:{number}|{spell_english(number)})" for number in operands}
    return Notation(
        name="words",
        operands=spellings,
        results={number: f"(?:{number}|{spell_english(number)})" for number in results},
        sign=sign,
        equals=f"(?:{space}(?:is(?: equal to)?|are|equals|makes|gives){space}|{SPACE}{{0,3}}={SPACE}{{0,3}})",
        ends=r"(?![A-Za-z\p{N}])",
        left=(
            *left_of_signs(facts, rules),
            Guard(
                "part of a longer number",
                "".join(f"(?<!{word})(?<!{word[0].upper()}{word[1:]})" for word in before)
                + rf"(?<!\p{{N}} ){not_behind_token(' ')}",
            ),
            Guard("a sign before it", r"(?<![Mm]inus )(?<![Nn]egative )"),
        ),
        right=(
            *right_of_signs(facts, rules),
            Guard(
                "part of a longer number",
                rf"(?![-‐‑][\p{{L}}\p{{N}}])"
                rf"(?![^\S\n](?:{longer}|(?:{parts})s|halves|and (?:a|{ANY_ENGLISH})[- ](?:{parts})s?)\b)",
            ),
            Guard("a power", r"(?![^\S\n](?:squared|cubed|to the)\b)"),
            Guard("how often, and when", r"(?![^\S\n]\p{L}+ (?:ago|apart|later)\b)"),
        ),
        bare=f"{_any_of(spellings)}{sign}{_any_of(spellings)}",
    )


def _around_chinese(facts: Facts, rules: Rules) -> tuple[tuple[Guard, ...], tuple[Guard, ...]]:
    """Return the guards where a fact in Chinese begins and where it ends."""
    numerals = rf"{CHINESE_NUMERAL}第负负"
    left = (
        Guard("part of a longer number, a date or a name", rf"(?<![\p{{N}}{numerals}周期拜之])(?<!\p{{N}}[.,])"),
        Guard("a sign before it", rf"(?<![{DASHES}])(?<!减)"),
        Guard("part of a chain", rf"(?<![{SIGNS}乘除以加])"),
        chain_before(facts, rules),
    )
    right = (
        Guard("part of a longer number", rf"(?![\p{{N}}{CHINESE_NUMERAL}半]|[.,]\p{{N}})"),
        Guard("a percentage or fraction", r"(?![%％‰]|分之|成)"),
        Guard(
            "part of a chain",
            rf"(?!{SPACE}*[{SIGNS}乘除]|{SPACE}*[+加减{DASHES}]{SPACE}*(?:[\p{{N}}{CHINESE_NUMERAL}]|{TOKEN}))",
        ),
        chain_after(facts, rules),
    )
    return left, right


def _chinese(facts: Facts, rules: Rules, operands: range, results: list[int]) -> list[Notation]:
    left, right = _around_chinese(facts, rules)
    ends = rf"(?![\p{{N}}{CHINESE_NUMERAL}])"
    signs = {"*": "(?:乘以|乘)", "+": "(?:加上|加)"}
    space = f"{SPACE}{{0,3}}"
    either = {number: f"(?:{number}|{spell_chinese(number)})" for number in sorted({*operands, *results})}
    spellings = {number: either[number] for number in operands}
    sign = f"{space}{signs[facts.operation]}{space}"
    spoken = Notation(
        name="chinese",
        operands=spellings,
        results={number: either[number] for number in results},
        sign=sign,
        equals=f"{space}(?:等于|得|是|＝|=){space}",
        ends=ends,
        left=left,
        right=right,
        bare=f"{_any_of(spellings)}{sign}{_any_of(spellings)}",
        bare_right=(*unstated.NUMBER_ENDS, Guard("a size", "(?!的?(?:矩阵|表格|魔方|方格|网格|棋盘))")),
    )
    if facts.operation != "*":
        return [spoken]
    # The table as it is learned by heart: two digits in ascending order and their product, 六九五十四, 二三得六.
    digits = [number for number in operands if 1 <= number <= 9]
    table = Notation(
        name="chinese",
        operands={number: spell_chinese(number) for number in digits},
        results={number: spell_chinese(number) for number in results},
        sign="",
        equals="得?",
        ends=ends,
        left=left,
        right=(*right, Guard("part of a name", "(?![路室号楼层年])")),
        bare=None,
        ordered=True,
    )
    return [spoken, table] if digits else [spoken]
