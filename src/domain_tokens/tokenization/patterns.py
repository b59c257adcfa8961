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

MARK = "\ufdd0"  # noncharacters, which no text that is interchanged holds
SENTINEL = "\ufdd1"  # before a token whose name is ordinary text, so that only a rule can write it
NONCHARACTERS = "\ufdd0-\ufdef"  # a range within a class: these two, and the marks of a choice between symbols
_CHOICES = [chr(0xFDD2 + number) for number in range(30)]

# A question with its role, up to the role of its answer. Read line by line, so that a text is read once: a look-ahead
# from every site to the next role reads a text of 100 kB with 12,500 sites for half a minute, this in 0.04 s.
QUESTION = r"(?<![^\n])User:(?:[^\n]*+\n(?!User:|Assistant:))*+[^\n]*+\nAssistant(?=:)"

# Ordinary and no-break spaces may be inside an expression; a line break or a tab does not join two numbers.
SPACE = "[ \u00a0\u2009\u202f]"
_SIGNS = "*×·⋅∗÷/∕⁄^"  # what makes a chain with a neighbouring number
_DASHES = r"\p{Pd}−⁻"
_LATEX_SIGNS = r"\\(?:times|cdot|div)"
_CHAIN_SPACES = range(9)  # how far a sign may be from its number to be seen as its sign
_CHINESE_SIGNS = {"*": ("乘以", "乘", "除以", "除"), "+": ("乘以", "乘", "除以", "除", "加上", "加", "减")}


@dataclass(frozen=True)
class Guard:
    """A condition on what comes before or after: a pattern of no width, and the reason given when it fails."""

    reason: str
    pattern: str


@dataclass(frozen=True)
class Notation:
    """One way of spelling facts.

    Attributes:
        name: `signs`, `words` or `chinese`.
        operands: the pattern of each operand.
        results: the pattern of each result.
        sign: the pattern of what is between the operands.
        bare_sign: the same where no result follows; `None` if an expression without a result does not count.
        equals: the pattern of what is between an expression and a result that is replaced with it.
        ends: what must follow a number, so that 12 is not read as 1.
        left: the guards where the first operand begins.
        right: the guards where an expression or its result ends.
        ordered: whether the smaller operand comes first.
    """

    name: str
    operands: dict[int, str]
    results: dict[int, str]
    sign: str
    bare_sign: str | None
    equals: str
    ends: str
    left: tuple[Guard, ...]
    right: tuple[Guard, ...]
    ordered: bool = False

    def pairs(self) -> list[tuple[int, int]]:
        """Return the ordered pairs of operands that this notation spells."""
        return [(a, b) for a in self.operands for b in self.operands if a <= b or not self.ordered]

    def operand(self) -> str:
        """Return a pattern of any operand; longer ones first, so that 12 is not read as 1."""
        return f"(?:{'|'.join(reversed(self.operands.values()))})"


# Behind an expression: an equals sign or word, perhaps a currency, an opening sign or markup, and then a number.
_EQUALS = r"(?:\s*(?:=+|[≈≠≡＝])|\s+(?:is(?: equal to)?|are|equals|makes|gives)\s)"
STATED = Guard(
    "another result is stated",
    rf"(?!{_EQUALS}(?:\\?boxed|[\s$€£¥₹(<+{{\[*\\{_DASHES}])*(?:\.?\p{{N}}|{ANY_ENGLISH}\b)"
    rf"|\s*(?:等于|得|是|＝|=)\s*[\p{{N}}{CHINESE_NUMERAL}])",
)
# The right result that is stated but not replaced: `5*6 = $30`, `6*9 == 54`, `6*9 is 54`, `6*9=\boxed{54}`.
_STATED_BESIDE = rf"{_EQUALS}\s*(?:\\?[$€£¥₹]{SPACE}?|\\{{1,2}}boxed\{{)?"
_EMPHASIS_BEGINS = r"(?<=\A\*\*|\n\*\*|[(\[:;,.!?\"']\*\*|[:;,.!?\"'] \*\*|\p{L}\p{L} \*\*)"  # **6*9=54**, not 2 **6
_EMPHASIS_ENDS = r"\*\*(?![^\S\n]*[\p{N}(])(?![^\s.,;:!?)\"'])"
# 8 x 1 1/2 and 5*5 000 are longer numbers; 6*9! is a factorial, whereas `6*9=54!` is an exclamation.
BARE_ENDS = (
    Guard("part of a longer number", r"(?![^\S\n]\p{N})"),
    Guard("a factorial", r"(?!!)"),
)
# 6*9=54+1 and 6*9=54 - 3 state another result; `1*5=5 000` is five thousand.
AFTER_SPACE = Guard("not exactly one space before it", r"(?<=\S |\A )")
RESULT_ENDS = Guard(
    "another result is stated",
    rf"(?![^\S\n]*[+{_DASHES}][^\S\n]*(?:[$€£¥(<] ?)?\p{{N}}|[^\S\n]\p{{N}}{{3}}(?!\p{{N}})|!\p{{N}})",
)


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
    # Without a sign, the result is all that shows where the second operand ends; it has to be replaced too.
    ends = notation.ends if facts.replaces == "expression" and not notation.sign else ""
    equations = "|".join(
        f"{spelled}{notation.sign}(?:"
        + "|".join(
            f"{notation.operands[b]}{ends}{_states(notation, result_of(facts, a, b), rules)}"
            for first, b in notation.pairs()
            if first == a
        )
        + ")"
        for a, spelled in notation.operands.items()
    )
    branches = [f"(?:{equations}){_all(*notation.right, RESULT_ENDS, STATED)}"]
    if notation.bare_sign is not None and rules.mode == "weak":
        bare = f"{notation.operand()}{notation.bare_sign}{notation.operand()}"
        branches.append(f"{bare}{_all(*notation.right, *BARE_ENDS, STATED)}")
    begins = f"(?={notation.operand()}{notation.sign}{notation.operand()})"
    return f"{begins}{_all(*notation.left)}(?={'|'.join(branches)})"


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
    """Return the pattern of an expression of two operands and its result, which is stated perhaps, always or never."""
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
    steps: list[tuple[str, str]] = []
    facts = intervention.facts
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
        spellings: dict[tuple[str, str], list[str]] = {}
        for write in writes(facts, allowed):
            for number, text in enumerate(write.texts):
                mark = (_choice_mark(number) if len(write.texts) > 1 else "") + MARK
                spellings.setdefault((mark, text), []).append(write.pattern)
        steps += [(f"{mark}(?:{'|'.join(patterns)})", text) for (mark, text), patterns in spellings.items()]
    steps += [(phrase_pattern(phrase), written(Entry(phrase.token, phrase.text))) for phrase in intervention.tokens]
    return steps


def escape(text: str) -> str:
    """Return a pattern that matches a text, for Oniguruma and `regex` alike."""
    return "".join(f"\\{character}" if character in r"\.^$*+?{}[]()|/#&~-" else character for character in text)


def _states(notation: Notation, result: int, rules: Rules) -> str:
    replaced = f"{notation.equals}{notation.results[result]}"
    if rules.mode == "strict" or notation.bare_sign is None:
        return replaced
    return f"(?:{replaced}|{_STATED_BESIDE}(?:{result}|{spell_english(result)}))"


def _all(*guards: Guard) -> str:
    return "".join(guard.pattern for guard in guards)


def _signs(facts: Facts, rules: Rules, operands: range, results: list[int]) -> Notation:
    space = f"{SPACE}{{0,3}}" if rules.spaces else ""
    known = OPERATORS[facts.operation]
    sign = f"{space}(?:{'|'.join(known[operator] for operator in rules.operators)}){space}"
    bare_sign = sign
    if not rules.bare_x and "x" in rules.operators:
        others = [known[operator] for operator in rules.operators if operator != "x"]
        spaced = f"{SPACE}{{1,3}}x{SPACE}{{1,3}}"
        bare_sign = f"(?:{space}(?:{'|'.join(others)}){space}|{spaced})" if others else spaced
    return Notation(
        name="signs",
        operands={number: str(number) for number in operands},
        results={number: str(number) for number in results},
        sign=sign,
        bare_sign=bare_sign,
        equals=f"{space}={space}",
        ends=r"(?!\p{N})",
        left=_left(facts, rules),
        right=_right(facts, rules),
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
    return Notation(
        name="words",
        operands={number: f"(?:{number}|{spell_english(number)})" for number in operands},
        results={number: f"(?:{number}|{spell_english(number)})" for number in results},
        sign=sign,
        bare_sign=sign,
        equals=f"(?:{space}(?:is(?: equal to)?|are|equals|makes|gives){space}|{SPACE}{{0,3}}={SPACE}{{0,3}})",
        ends=r"(?![A-Za-z\p{N}])",
        left=(
            *_left(facts, rules),
            Guard(
                "part of a longer number",
                "".join(f"(?<!{word})(?<!{word[0].upper()}{word[1:]})" for word in before) + r"(?<!\p{N} )",
            ),
            Guard("a sign before it", r"(?<![Mm]inus )(?<![Nn]egative )"),
        ),
        right=(
            *_right(facts, rules),
            Guard(
                "part of a longer number",
                rf"(?![-‐‑][\p{{L}}\p{{N}}])"
                rf"(?![^\S\n](?:{longer}|(?:{parts})s|halves|and (?:a|{ANY_ENGLISH})[- ](?:{parts})s?)\b)",
            ),
            Guard("a power", r"(?![^\S\n](?:squared|cubed|to the)\b)"),
            Guard("how often, and when", r"(?![^\S\n]\p{L}+ (?:ago|apart|later)\b)"),
        ),
    )


def _chinese(facts: Facts, rules: Rules, operands: range, results: list[int]) -> list[Notation]:
    numerals = rf"{CHINESE_NUMERAL}第负负"
    left = (
        Guard("part of a longer number, a date or a name", rf"(?<![\p{{N}}{numerals}周期拜之])(?<!\p{{N}}[.,])"),
        Guard("a sign before it", rf"(?<![{_DASHES}])(?<!减)"),
        Guard("part of a chain", rf"(?<![{_SIGNS}乘除以加])"),
        _chain_before(facts, rules),
    )
    right = (
        Guard("part of a longer number", rf"(?![\p{{N}}{CHINESE_NUMERAL}半]|[.,]\p{{N}})"),
        Guard("a percentage or fraction", r"(?![%％‰]|分之|成)"),
        Guard(
            "part of a chain",
            rf"(?!{SPACE}*[{_SIGNS}乘除]|{SPACE}*[+加减{_DASHES}]{SPACE}*[\p{{N}}{CHINESE_NUMERAL}])",
        ),
        _chain_after(facts, rules),
    )
    ends = rf"(?![\p{{N}}{CHINESE_NUMERAL}])"
    signs = {"*": "(?:乘以|乘)", "+": "(?:加上|加)"}
    space = f"{SPACE}{{0,3}}"
    either = {number: f"(?:{number}|{spell_chinese(number)})" for number in {*operands, *results}}
    sign = f"{space}{signs[facts.operation]}{space}"
    spoken = Notation(
        name="chinese",
        operands={number: either[number] for number in operands},
        results={number: either[number] for number in results},
        sign=sign,
        bare_sign=sign,
        equals=f"{space}(?:等于|得|是|＝|=){space}",
        ends=ends,
        left=left,
        right=right,
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
        bare_sign=None,
        equals="得?",
        ends=ends,
        left=left,
        right=(*right, Guard("part of a name", "(?![路室号楼层年])")),
        ordered=True,
    )
    return [spoken, table] if digits else [spoken]


def _left(facts: Facts, rules: Rules) -> tuple[Guard, ...]:
    adding = f"+{_DASHES}" if facts.operation == "+" else ""
    return (
        Guard("part of a longer number", r"(?<!\p{N})(?<!\p{N}[.,:'’])"),
        Guard("part of a decimal", r"(?<!\.)"),
        Guard(
            "part of a word, a name or a path",
            rf"(?:(?<![\p{{L}}\p{{M}}_\\%{MARK}])|(?<=\p{{Han}})(?<![{CHINESE_NUMERAL}]))",
        ),
        Guard("a sign before it", rf"(?<![{_DASHES}√∛{adding}])"),
        _chain_before(facts, rules),
    )


def _right(facts: Facts, rules: Rules) -> tuple[Guard, ...]:
    return (
        Guard("part of a longer number", r"(?!\p{N}|[.,:'’]\p{N})"),
        Guard(
            "part of a word, or a unit",
            rf"(?![-‐‑]\p{{L}})(?:(?![\p{{L}}\p{{M}}_°])|(?=\p{{Han}})(?![{CHINESE_NUMERAL}半]))",
        ),
        Guard("a percentage", r"(?![^\S\n]?[%‰％])"),
        Guard("a factor in brackets", r"(?![(\[])"),
        _chain_after(facts, rules),
        Guard("part of a longer number", r"(?![^\S\n](?:hundred|thousand|million|billion|trillion|percent)\b)"),
    )


def _chain_before(facts: Facts, rules: Rules) -> Guard:
    """Return the guard of every notation against the sign of any notation before a number.

    Together with `_chain_after` it keeps decisions apart: in `6乘9x1` neither 6乘9 nor 9x1 is a fact.
    """
    adding = f"+{_DASHES}" if facts.operation == "+" else ""
    behind = [f"{SPACE}{{{count}}}" for count in _CHAIN_SPACES]
    # A sign at the start of a line is a bullet, any other one belongs to what is before it.
    chains = [rf"\S{SPACE}{{{count}}}[{_SIGNS}{adding}]{after}" for count in range(4) for after in behind]
    chains += [rf"[\p{{N}})]{SPACE}{{{count}}}[xX]{after}" for count in range(4) for after in behind]
    chains += [rf"\s[xX]{after}" for after in behind]
    chains += [rf"{sign}{after}" for sign in (r"\\times", r"\\cdot", r"\\div") for after in behind]
    words = ["times", "multiplied by", "divided by", *(["plus", "minus"] if adding else [])]
    chains += [rf"\b{word} " for word in words]
    if rules.chinese:
        chains += [f"{sign}{after}" for sign in _CHINESE_SIGNS[facts.operation] for after in behind]
        chains += [rf"[{CHINESE_NUMERAL}]{SPACE}{{{count}}}[xX]{after}" for count in range(4) for after in behind]
    return Guard(
        "part of a chain",
        rf"(?:{_EMPHASIS_BEGINS}|(?<![{_SIGNS}])" + "".join(f"(?<!{chain})" for chain in chains) + ")",
    )


def _chain_after(facts: Facts, rules: Rules) -> Guard:
    """Return the guard of every notation against the sign of any notation behind a number."""
    gap = r"[^\S\n]*"
    numeral = CHINESE_NUMERAL if rules.chinese else ""
    chain = [rf"{gap}(?!{_EMPHASIS_ENDS})[{_SIGNS}]", rf"{gap}[xX]{gap}[\p{{N}}({numeral}]", rf"{gap}{_LATEX_SIGNS}"]
    words = "times|multiplied by|divided by"
    if facts.operation == "+":
        chain.append(rf"{gap}[+{_DASHES}]{gap}[$(]?\p{{N}}")
        words += "|plus|minus"
    chain.append(rf"[^\S\n]+(?:{words})[^\S\n]+(?:[\p{{N}}(]|{ANY_ENGLISH}\b)")
    if rules.chinese:
        chain.append(f"{gap}(?:{'|'.join(_CHINESE_SIGNS[facts.operation])})")
    return Guard("part of a chain", f"(?!{'|'.join(chain)})")
