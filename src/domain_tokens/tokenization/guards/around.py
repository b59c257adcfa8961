"""What may not stand around a fact in any notation: a longer number, a word, a sign, a chain."""

from dataclasses import dataclass

from domain_tokens.tokenization.intervention import Facts, Rules
from domain_tokens.tokenization.numerals import ANY_ENGLISH, CHINESE_NUMERAL

MARK = "\ufdd0"  # noncharacters, which no text that is interchanged holds

# Ordinary and no-break spaces may be inside an expression; a line break or a tab does not join two numbers.
SPACE = "[ \u00a0\u2009\u202f]"
SIGNS = "*×·⋅∗÷/∕⁄^"  # what makes a chain with a neighbouring number
DASHES = r"\p{Pd}−⁻"
CURRENCIES = "$€£¥₹"
# The name of a fact's token. A guard reads it as it reads the number that stood there before the text was rewritten:
# rewriting a rewritten text changes nothing.
TOKEN = r"<[A-Z][A-Z0-9_]*[0-9_][A-Z0-9_]*>"
EMPHASIS_BEGINS = r"(?<=\A\*\*|\n\*\*|[(\[:;,.!?\"']\*\*|[:;,.!?\"'] \*\*|\p{L}\p{L} \*\*)"  # **6*9=54**, not 2 **6
_EMPHASIS_ENDS = r"\*\*(?![^\S\n]*[\p{N}(])(?![^\s.,;:!?)\"'])"
_SEPARATORS = "[.,:'’]"
_LATEX_SIGNS = r"\\(?:times|cdot|div)"
_CHAIN_SPACES = range(9)  # how far a sign may be from its number to be seen as its sign
# 10/$2*5
_CHAIN_BEFORE_MONEY = [
    rf"{number}{SPACE}{{{count}}}{sign}"
    for number, sign in ((r"\S", f"[{SIGNS}]"), (r"[\p{N})]", "[xX]"))
    for count in range(4)
]
_CHINESE_SIGNS = {"*": ("乘以", "乘", "除以", "除"), "+": ("乘以", "乘", "除以", "除", "加上", "加", "减")}


@dataclass(frozen=True)
class Guard:
    """A condition on what comes before or after: a pattern of no width, and the reason given when it fails."""

    reason: str
    pattern: str


def all_of(*guards: Guard) -> str:
    """Return the pattern of no width that holds where every guard holds."""
    return "".join(guard.pattern for guard in guards)


def not_behind_token(gap: str = "") -> str:
    """Return the pattern of no width that holds unless a token such as `<MUL_6_9_54>` and a gap are before."""
    return "".join(rf"(?<!_\p{{N}}{{{digits}}}>{gap})" for digits in (1, 2, 3))


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
        Guard("a sign before it", rf"(?<![{DASHES}√∛{adding}])"),
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
        Guard("part of a longer number", r"(?![^\S\n](?:hundred|thousand|million|billion|trillion|percent)\b)"),
    )


def chain_before(facts: Facts, rules: Rules) -> Guard:
    """Return the guard of every notation against the sign of any notation before a number.

    Together with `chain_after` it keeps decisions apart: in `6乘9x1` neither 6乘9 nor 9x1 is a fact.
    """
    adding = f"+{DASHES}" if facts.operation == "+" else ""
    behind = [f"{SPACE}{{{count}}}" for count in _CHAIN_SPACES]
    # A sign at the start of a line is a bullet, any other one belongs to what is before it. `// 7 × 8` is a comment.
    signs = f"{SIGNS}{adding}".replace("/", "")
    chains = [rf"\S{SPACE}{{{count}}}[{signs}]{after}" for count in range(4) for after in behind]
    chains += [rf"[^\s/]{SPACE}{{{count}}}/{after}" for count in range(4) for after in behind]
    chains += [rf"[\p{{L}}\p{{N}})\]_]{SPACE}{{{count}}}//{after}" for count in range(2) for after in behind]
    chains += [rf"[\p{{N}})]{SPACE}{{{count}}}[xX]{after}" for count in range(4) for after in behind]
    chains += [rf"\s[xX]{after}" for after in behind]
    chains += [f"{one}{gap}[{CURRENCIES}]" for one in _CHAIN_BEFORE_MONEY for gap in ("", SPACE)]
    chains += [rf"{sign}{after}" for sign in (r"\\times", r"\\cdot", r"\\div") for after in behind]
    words = ["times", "multiplied by", "divided by", *(["plus", "minus"] if adding else [])]
    chains += [rf"\b{word} " for word in words]
    if rules.chinese:
        chains += [f"{sign}{after}" for sign in _CHINESE_SIGNS[facts.operation] for after in behind]
        chains += [rf"[{CHINESE_NUMERAL}]{SPACE}{{{count}}}[xX]{after}" for count in range(4) for after in behind]
    return Guard(
        "part of a chain",
        rf"(?:{EMPHASIS_BEGINS}|(?<![{SIGNS}])" + "".join(f"(?<!{chain})" for chain in chains) + ")",
    )


def chain_after(facts: Facts, rules: Rules) -> Guard:
    """Return the guard of every notation against the sign of any notation behind a number."""
    gap = r"[^\S\n]*"
    numeral = CHINESE_NUMERAL if rules.chinese else ""
    chain = [
        rf"{gap}(?!{_EMPHASIS_ENDS})[{SIGNS}]",
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
