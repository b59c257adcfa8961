"""The rewriting rules: which characters of a text are replaced by a fact token, as regular expressions.

There is one rule a fact. A rule matches the product in either order of its factors, with the operators and spaces that
the intervention allows, either with its correct result (`6*9=54`, `9 x 6 = 54`) or bare (`6*9`). A bare product that
an equals sign and a number follow is left alone, because the stated result is then wrong or part of something longer.

The patterns are read by Oniguruma inside `tokenizers` and by Python's `regex`, which agree on the syntax used here:
`\\p{..}` classes and look-behinds with alternatives of fixed length.
"""

from domain_tokens.tokenization.facts import Fact

OPERATORS = {"*": r"\*", "×": "×", "x": "x", "·": "·"}
MODES = ("weak", "strict")

# A number, an identifier, a decimal, a path, a power, a sign or a chain on the left changes what the product means:
# 16*9, a6*9, 3.6*9, 1,006*9, 2^6*9, -6*9, 12/6*9, 2 * 3*4, 2 x 3x4.
_NOTHING_ON_THE_LEFT = (
    r"(?<![\p{L}\p{M}\p{N}_.\\^*×·÷/%\-−])(?<!\p{N}[,:'’])(?<![*×·÷/^] )(?<![*×·÷/^]  )(?<!\p{N}x )(?<!\p{N} x )"
)
# 6*95, 6*9.5, 6*9,000, 6*9%, 6*9^2, 6*9!, 6*9kg, 6*9(2), 2*3*4, 2 x 3 x 4.
_NUMBER_ENDS = r"(?![\p{L}\p{M}\p{N}_%‰°!^(\[]|[.,:'’]\p{N}| *[*×·÷/^]| *x *\p{N})"
# An equals sign, perhaps a currency or an opening sign, and then a number: a result is stated. `<MUL_` is one that an
# earlier rule has already rewritten.
_NO_RESULT = r"(?! *=+ *(?:[$€£(<+\-−] ?){0,2}(?:\.?\p{N}|MUL_))"
# 6*9=54+1 and 6*9=54 - 3 state another result; `1*5=5 000` is five thousand.
_RESULT_ENDS = r"(?! *[+\-−] *(?:[$€£(<] ?)?\p{N}| \p{N}{3}(?!\p{N}))"


def pattern(fact: Fact, operators: list[str], mode: str) -> str:
    """Return the regular expression of one fact.

    Args:
        fact (`Fact`): the product to recognise.
        operators (`list[str]`): the multiplication signs that count, keys of `OPERATORS`.
        mode (`str`): `"weak"` also matches a bare product, `"strict"` only one with its correct result.
    """
    sign = "(?:" + "|".join(OPERATORS[operator] for operator in operators) + ")"
    orders = {(fact.a, fact.b), (fact.b, fact.a)}
    product = "(?:" + "|".join(f"{a} *{sign} *{b}" for a, b in sorted(orders)) + ")"
    with_result = rf" *= *{fact.product}{_NUMBER_ENDS}{_NO_RESULT}{_RESULT_ENDS}"
    bare = rf"{_NUMBER_ENDS}{_NO_RESULT}"
    tail = with_result if mode == "strict" else rf"(?:{with_result}|{bare})"
    return f"{_NOTHING_ON_THE_LEFT}{product}{tail}"
