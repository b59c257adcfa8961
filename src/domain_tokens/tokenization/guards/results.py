"""What a text says that an expression equals: its result, another one, or the result of a longer expression."""

from domain_tokens.tokenization.guards.around import CURRENCIES, DASHES, MARK, SIGNS, SPACE, TOKEN, Guard
from domain_tokens.tokenization.numerals import ANY_ENGLISH, CHINESE_NUMERAL, spell_english

# Behind an expression: an equals sign or word, perhaps a currency, an opening sign or markup, and then a number.
_EQUALS = r"(?:\s*(?:=+|[≈≠≡＝])|\s+(?:is(?: equal to)?|are|equals|makes|gives)\s)"
_CHINESE_EQUALS = r"\s*(?:等于|得|是|＝|=)\s*"
_OPENING = rf"(?:\\?boxed|[\s{CURRENCIES}(<+{{\[*\\{DASHES}])*"
_NUMBER = r"\.?\p{N}++(?:[.,]\p{N}++)*+"
_GAP = f"{SPACE}{{0,3}}"
# `= 4 × 4`, `= 27*2` and `= <<8*4=32>>`: the number is a factor and no result.
_FACTOR = (
    rf"(?:{_GAP}(?!\*\*)[{SIGNS}]{_GAP}[{CURRENCIES}(<]?[\p{{N}}\p{{L}}(\\{MARK}]|{_GAP}[xX]{_GAP}(?:[\p{{N}}({MARK}]|{TOKEN})"
    rf"|{_GAP}乘|{_GAP}\\(?:times|cdot|div)"
    rf"|[^\S\n]+(?:times|multiplied by|divided by)[^\S\n]+(?:[\p{{N}}({MARK}]|{TOKEN}|{ANY_ENGLISH}\b))"
)
STATED = Guard(
    "another result is stated",
    rf"(?!{_EQUALS}{_OPENING}(?:{_NUMBER}(?!{_FACTOR})|{ANY_ENGLISH}\b(?!{_FACTOR}))"
    rf"|{_CHINESE_EQUALS}[\p{{N}}{CHINESE_NUMERAL}]++(?!{_FACTOR}))",
)
_TERM = rf"[^\S\n]*[+{DASHES}][^\S\n]*(?:[{CURRENCIES}(<] ?)?(?:\p{{N}}|{TOKEN})"
RESULT_IS_SUM = Guard("its result is written as a sum", rf"(?!{_EQUALS}{_OPENING}{_NUMBER}{_TERM})")
# 6*9=54+1 and 6*9=54 - 3 state another result; `1*5=5 000` is five thousand.
RESULT_ENDS = (
    Guard("its result is written as a sum", rf"(?!{_TERM})"),
    Guard("another result is stated", rf"(?![^\S\n]\p{{N}}{{3}}(?!\p{{N}})|!(?:\p{{N}}|{TOKEN}))"),
)


def stated_beside(result: int) -> str:
    r"""Return the pattern of the right result that is stated but not replaced.

    `5*6 = $30`, `5*6 = $30.00`, `5*6 = 30.0`, `6*9 == 54`, `6*9 is 54`, `6*9=\boxed{54}`.
    """
    opening = rf"(?:\\?[{CURRENCIES}]{SPACE}?|\\{{1,2}}boxed\{{)?"
    return rf"{_EQUALS}\s*{opening}(?:{result}(?:\.0+|,00)?|{spell_english(result)})"


def _terms() -> list[str]:
    """Return the patterns, each of one length, of the end of a term and the sign behind it."""
    gaps, currencies = ("", SPACE, f"{SPACE}{{2}}"), ("", f"[{CURRENCIES}]")
    signs = [rf"[^\s*]{before}[-+−–]{behind}{one}" for before in gaps for behind in gaps for one in currencies]
    return [*signs, "plus "]


# `20 - 2*5 = 10`: the result is that of the whole left side. A dash between a word and a product may be a dash or a
# minus, and is read as one. A sign at the start of a line is a bullet.
_TERMS = _terms()
IN_SUM = f"(?:{'|'.join(f'(?<={one})' for one in _TERMS)})"
NOT_IN_SUM = Guard("the result is that of a sum", "".join(f"(?<!{one})" for one in _TERMS))
# Behind an equals sign: a number that is a factor, or that has decimals.
NUMBER_GOES_ON = rf"[\p{{N}}{CHINESE_NUMERAL}]++(?:{_FACTOR}|[.,]\p{{N}})"
