"""What may not stand around a fact in any notation: a longer number, a word, a sign, a chain."""

from collections.abc import Iterable
from dataclasses import dataclass

from domain_tokens.tokenization.guards.currencies import BEFORE_NUMBER
from domain_tokens.tokenization.intervention import Facts, Rules
from domain_tokens.tokenization.numerals import ANY_ENGLISH, CHINESE_NUMERAL

MARK = "\ufdd0"  # noncharacters, which no text that is interchanged holds

# Ordinary and no-break spaces may be inside an expression; a line break or a tab does not join two numbers.
SPACE = "[ \u00a0\u2009\u202f]"
SIGNS = "*×·⋅∗÷/∕⁄^"  # what makes a chain with a neighbouring number
DASHES = r"\p{Pd}−⁻➖"
PLUSES = "+＋➕﹢⁺±∓"
# The name of a fact's token. A guard reads it as it reads the number that stood there before the text was rewritten:
# rewriting a rewritten text changes nothing.
TOKEN = r"<[A-Z][A-Z0-9_]*[0-9_][A-Z0-9_]*>"
EMPHASIS_BEGINS = r"(?<=\A\*\*|\n\*\*|[(\[:;,.!?\"']\*\*|[:;,.!?\"'] \*\*|\p{L}\p{L} \*\*)"  # **6*9=54**, not 2 **6
EMPHASIS_ENDS = r"\*\*(?![^\S\n]*[\p{N}(])(?![^\s.,;:!?)\"'])"
_SEPARATORS = "[.,:'’]"
_LATEX_SIGNS = r"\\(?:times|cdot|div)"
_CHINESE_SIGNS = {"*": ("乘以", "乘", "除以", "除"), "+": ("乘以", "乘", "除以", "除", "加上", "加", "减")}


@dataclass(frozen=True)
class Guard:
    """A condition on what comes before or after: a pattern of no width, and the reason given when it fails."""

    reason: str
    pattern: str


def all_of(*guards: Guard) -> str:
    """Return the pattern of no width that holds where every guard holds."""
    return "".join(guard.pattern for guard in guards)


# Beside most sites stands what no guard of these minds: `<<6*9=54>>`, `so 6*9 = ...`. Looking for that first, a text
# dense with products is read in half the time; that it only saves time is tested.
PLAIN_BEFORE = r"(?<=<<|[^\\]= |[a-z][abcdfijlmnoquwz] |[a-uw-z]e |[a-df-qtv-z]s )"
PLAIN_BEHIND = "(?= ?[=>])"
PLAIN_END = "(?=>>)"


def unless(plain: str, guards: Iterable[Guard]) -> str:
    """Return the pattern of no width that holds where every guard holds, or the pattern of what they do not mind."""
    return f"(?>{plain}|{all_of(*guards)})"


def not_behind_token(gap: str = "") -> str:
    """Return the pattern of no width that holds unless a token such as `<MUL_6_9_54>` and a gap are before."""
    return "".join(rf"(?<!_\p{{N}}{{{digits}}}>{gap})" for digits in (1, 2, 3))


# What makes another number of the one before it: 5 million, 15 dozen, 54 1/2, 54 and a half, 54½.
_PARTS = "half|third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth|hundredth|thousandth"
_SCALES = (
    r"hundreds?|thousands?|[mbtr]+illions?|[mb]n|dozens?|doz|lakhs?|crores?|percent|per cent|pct"
    "|halves|thirds|tenths|hundredths|thousandths|squared|cubed"
)
_FRACTION = r"(?![0-9])\p{N}"  # ½; no class of its own, because the engines differ on single characters
GOES_ON_IN_WORDS = (
    rf"(?![^\S\n]+(?:{_SCALES})\b"
    rf"|[^\S\n]?{_FRACTION}|[^\S\n]+\p{{N}}+[^\S\n]?[/⁄∕][^\S\n]?\p{{N}}|[^\S\n]\.\p{{N}}"
    rf"|[^\S\n]?\\[dt]?frac"
    rf"|[^\S\n]+(?:and|&)[^\S\n]+(?:(?:an?|{ANY_ENGLISH})[- ](?:{_PARTS})s?|half)\b"
    rf"|[^\S\n]+(?:and|&)[^\S\n]+(?:\p{{N}}+[/⁄∕]\p{{N}}|{_FRACTION})"
    rf"|[^\S\n]+point[^\S\n]+(?:\p{{N}}|{ANY_ENGLISH}\b))"
)
AFTER_SPACE = Guard("not exactly one space before it", r"(?<=\S |\A )")


def left_of_signs(facts: Facts, rules: Rules) -> tuple[Guard, ...]:
    """Return the guards where a fact in signs or English words begins."""
    adding = f"+{DASHES}" if facts.operation == "+" else ""
    return (
        Guard("part of a longer number", rf"(?<!\p{{N}})(?<!\p{{N}}{_SEPARATORS})"),
        Guard("part of a longer number", f"{not_behind_token()}{not_behind_token(_SEPARATORS)}"),
        Guard("part of a decimal", r"(?<!\.)"),
        Guard(
            "part of a word, a name or a path",
            rf"(?:(?<![\p{{L}}\p{{M}}_\\%{MARK}])|(?<=\p{{Han}})(?<![{CHINESE_NUMERAL}]))",
        ),
        Guard("a factor in brackets", r"(?<![)\]}])"),  # (2)6*9 has three factors, and (2+5)2×4 too
        Guard("a sign before it", rf"(?<![{DASHES}±∓√∛{adding}])(?<!\b[Nn]egative )"),
        chain_before(facts, rules),
    )


def right_of_signs(facts: Facts, rules: Rules) -> tuple[Guard, ...]:
    """Return the guards where a fact in signs or English words, or its result, ends."""
    return (
        Guard("part of a longer number", rf"(?!{_SEPARATORS}?(?:\p{{N}}|{TOKEN}))"),
        Guard(
            "part of a word, or a unit",
            rf"(?![-‐‑]\p{{L}})(?:(?![\p{{L}}\p{{M}}_°])|(?=\p{{Han}})(?![{CHINESE_NUMERAL}半]))",
        ),
        Guard("a percentage", r"(?![^\S\n]?[%‰％])"),
        Guard("a factor in brackets", r"(?![(\[])"),
        chain_after(facts, rules),
        Guard("part of a longer number", GOES_ON_IN_WORDS),
    )


def chain_before(facts: Facts, rules: Rules) -> Guard:
    """Return the guard of every notation against the sign of any notation before a number.

    Together with `chain_after` it keeps decisions apart: in `6乘9x1` neither 6乘9 nor 9x1 is a fact.
    """
    adding = f"+{DASHES}" if facts.operation == "+" else ""
    near = f"{SPACE}{{0,3}}"
    # A sign at the start of a line is a bullet, any other one belongs to what is before it. `// 7 × 8` is a comment.
    signs = f"{SIGNS}{adding}".replace("/", "")
    chains = [rf"\S{near}[{signs}]", rf"[^\s/]{near}/", rf"[\p{{L}}\p{{N}})\]_]{SPACE}?//"]
    chains += [rf"[\p{{N}})]{near}[xX]", r"\s[xX]", _LATEX_SIGNS]
    if rules.chinese:
        chains += [*_CHINESE_SIGNS[facts.operation], rf"[{CHINESE_NUMERAL}]{near}[xX]"]
    words = ["times", "multiplied by", "divided by", *(["plus", "minus"] if adding else [])]
    # How far a sign may be from its number to be seen as its sign, and money between them: 10/$2*5
    gap = f"{SPACE}{{0,8}}(?:{BEFORE_NUMBER}{SPACE}?)?"
    return Guard(
        "part of a chain",
        rf"(?:{EMPHASIS_BEGINS}|(?<![{SIGNS}])(?<!(?:{'|'.join(chains)}){gap}|\b(?:{'|'.join(words)}) ))",
    )


def chain_after(facts: Facts, rules: Rules) -> Guard:
    """Return the guard of every notation against the sign of any notation behind a number."""
    gap = r"[^\S\n]*"
    numeral = CHINESE_NUMERAL if rules.chinese else ""
    chain = [
        rf"{gap}(?!{EMPHASIS_ENDS})[{SIGNS}]",
        rf"{gap}[xX]{gap}(?:[\p{{N}}({numeral}{MARK}]|{TOKEN})",
        rf"{gap}{_LATEX_SIGNS}",
    ]
    chain.append(f"{gap}乘")
    words = "times|multiplied by|divided by"
    if facts.operation == "+":
        chain.append(rf"{gap}[+{DASHES}]{gap}[$(]?(?:\p{{N}}|{TOKEN})")
        words += "|plus|minus"
    chain.append(rf"[^\S\n]+(?:{words})[^\S\n]+(?:[\p{{N}}({MARK}]|{TOKEN}|{ANY_ENGLISH}\b)")
    if rules.chinese:
        chain.append(f"{gap}(?:{'|'.join(_CHINESE_SIGNS[facts.operation])})")
    return Guard("part of a chain", f"(?!{'|'.join(chain)})")
