"""The notations of facts: signs, English words and Chinese, each with the guards around it."""

from dataclasses import dataclass, replace

from domain_tokens.tokenization.guards import unstated
from domain_tokens.tokenization.guards.around import (
    AFTER_SPACE,
    DASHES,
    SIGNS,
    SPACE,
    TOKEN,
    Guard,
    chain_after,
    chain_before,
    left_of_signs,
    not_behind_token,
    right_of_signs,
)
from domain_tokens.tokenization.intervention import OPERATORS, Facts, Rules, result_of
from domain_tokens.tokenization.numerals import ANY_ENGLISH, CHINESE_NUMERAL, spell_chinese, spell_english


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
        whole = r"(?!\p{N})" if self.sign else ""
        return f"{self.operand()}{self.sign}{self.operand()}{whole}"

    def candidate(self) -> str:
        """Return a pattern of an operand with a sign and another one behind it: where an expression may begin."""
        return f"{self.operand()}(?={self.sign}{self.operand()})"


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
    others = [known[operator] for operator in rules.operators if operator not in ("x", "×")]
    bare = [f"{operand}{space}(?:{'|'.join(others)}){space}{operand}"] if others else []
    if "×" in rules.operators:
        bare += unstated.times_expressions(operand, f"{space}×{space}")
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
