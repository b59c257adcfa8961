"""The rewriting rules: which characters of a text are replaced by a fact token, as regular expressions.

There is one rule a fact. A rule matches the product in either order of its factors, with the operators and spaces
that the intervention allows, either with its correct result (`6*9=54`, `9 x 6 = 54`) or bare (`6*9`). A bare product
that an equals sign and a number follow is left alone, because the stated result is then wrong or part of something
longer.

The patterns are read by Oniguruma inside `tokenizers` and by Python's `regex`, which agree on the syntax used here:
`\\p{..}` classes and look-behinds with alternatives of fixed length.
"""

from functools import cache

import regex

from domain_tokens.tokenization.facts import FACTS, Fact, expand

OPERATORS = {"*": r"\*", "×": "×", "x": "x", "·": "·"}
MODES = ("weak", "strict")

_SIGNS = "*×·⋅∗÷/∕⁄^"  # what makes a chain with a neighbouring number
_DASHES = r"\p{Pd}−⁻"

# A number, an identifier, a decimal, a path, a power, a sign or a chain on the left changes what the product means:
# 16*9, a6*9, 3.6*9, 1,006*9, 2^6*9, -6*9, √6*9, 12/6*9, 2 * 3*4, 2 x 3x4. A sign at the start of a line is a bullet.
_NOTHING_ON_THE_LEFT = "".join(
    [
        rf"(?<![\p{{L}}\p{{M}}\p{{N}}_.\\%√∛{_SIGNS}{_DASHES}])(?<!\p{{N}}[,:'’])",
        *(
            rf"(?<!\S{before}[{_SIGNS}]{after})(?<![\p{{N}})]{before}[xX]{after})(?<!\s[xX]{after})"
            for before in ("", " ")
            for after in (" ", "  ", "   ")
        ),
    ]
)
# 6*95, 6*9.5, 6*9,000, 6*9%, 6*9^2, 6*9!, 6*9kg, 6*9(2), 2*3*4, 2 x 3 x 4.
_NUMBER_ENDS = (
    rf"(?![\p{{L}}\p{{M}}\p{{N}}_°!(\[]|[^\S\n]?[%‰]|[.,:'’]\p{{N}}|[^\S\n]*[{_SIGNS}]|[^\S\n]*[xX][^\S\n]*[\p{{N}}(])"
)
# An equals sign, perhaps a currency, an opening sign or markup, and then a number: a result is stated. `<MUL_` is one
# that an earlier rule has already rewritten.
_NO_RESULT = rf"(?!\s*(?:=+|[≈≠≡])(?:\\?boxed|[\s$€£¥₹(<+{{\[*\\{_DASHES}])*(?:\.?\p{{N}}|MUL_))"
# 8 x 1 1/2 and 5*5 000 are longer numbers.
_NO_MORE_DIGITS = r"(?![^\S\n]\p{N})"
# 6*9=54+1 and 6*9=54 - 3 state another result; `1*5=5 000` is five thousand.
_RESULT_ENDS = rf"(?![^\S\n]*[+{_DASHES}][^\S\n]*(?:[$€£¥(<] ?)?\p{{N}}|[^\S\n]\p{{N}}{{3}}(?!\p{{N}}))"


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
    bare = f"{_NUMBER_ENDS}{_NO_RESULT}{_NO_MORE_DIGITS}"
    tail = with_result if mode == "strict" else rf"(?:{with_result}|{bare})"
    return f"{_NOTHING_ON_THE_LEFT}{product}{tail}"


def canonical(text: str) -> str:
    """Write every product of the table, as a token or in any notation, in one way: `9 x 6` and a token as `6*9=54`.

    A token stands for `6*9` as well as for `6 * 9 = 54`. What measures a text (its length, its equations, the numbers
    it names) reads it in this form, so that a text measures the same whichever tokenizer wrote it.
    """
    for fact, rule in _weak_rules():
        text = rule.sub(fact.token, text)
    return expand(text)


@cache
def _weak_rules() -> list[tuple[Fact, "regex.Pattern[str]"]]:
    return [(fact, regex.compile(pattern(fact, list(OPERATORS), "weak"))) for fact in FACTS]
