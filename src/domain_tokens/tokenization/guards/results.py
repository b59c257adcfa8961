"""What a text says that an expression equals: its result, another one, or the result of a longer expression."""

from domain_tokens.tokenization.guards.around import DASHES, EMPHASIS_ENDS, MARK, PLUSES, SIGNS, SPACE, TOKEN, Guard
from domain_tokens.tokenization.guards.currencies import BEFORE_NUMBER, CODE, CURRENCY_SIGNS, NAME
from domain_tokens.tokenization.numerals import ANY_ENGLISH, CHINESE_NUMERAL, SHOUTED_ENGLISH, spell_english

# Behind an expression: an equals sign or word, perhaps a currency, an opening sign or markup, and then a number.
_SIGN_OF_EQUALITY = r"(?:[&!:~]?[=＝]+(?!>)[&~]?&?|[≈≠≡≅≃≐≔~∼]|\\(?:approx|neq?|equiv|simeq|cong|sim)\b)"
_IS = (
    r"(?:is|are|was|were|equals?|makes?|gives?|yields?|totals?|comes to|amounts to|isn['’]t|aren['’]t"
    r"|(?:will|would|must|should|can|could|may|might) be)"
)
_EQUALS = rf"(?>\s*+(?:{_SIGN_OF_EQUALITY}|(?=[a-z,])(?:(?<=\s){_IS}|,? ?which {_IS})\s))"
_CHINESE_EQUALS = r"\s*(?:等于|得|是|＝|=)\s*"
# `is about 16`, `= approx. 16`, `equals to 16`, `gives us 16`, `= a total of $16`.
_HEDGES = (
    r"(?:approx\b\.?|(?:not|about|approximately|around|roughly|nearly|almost|exactly|just|only|simply|also|still|now|then"
    r"|equal to|the same as|a total of|to|us|you)\b)"
)
_MARKUP = r"\\(?:(?:boxed|fbox|underline|emph|text[a-z]*|math[a-z]+|bm|boldsymbol)\b)?|<(?:/?[a-z]+>)?"
# What is read letter by letter comes behind a look-ahead: most openings are a space.
_OPENING = (
    rf"(?:[\s{CURRENCY_SIGNS}(+{{\[*_{DASHES}±|~:\"'`“”‘’«]|{_MARKUP}"
    rf"|(?=\p{{L}})(?:boxed|{_HEDGES}|(?:{CODE}|{NAME})(?!\p{{L}})|[A-Z]{{1,3}}(?=[{CURRENCY_SIGNS}])))*+"
)
_NUMBER = r"\.?\p{N}++(?:[.,]\p{N}++)*+"
_GAP = f"{SPACE}{{0,3}}"
# `= 4 × 4`, `= 27*2` and `= <<8*4=32>>`: the number is a factor and no result.
_FACTOR = (
    rf"(?:{_GAP}(?!\*\*)[{SIGNS}]{_GAP}[{CURRENCY_SIGNS}(<]?[\p{{N}}\p{{L}}(\\{MARK}]"
    rf"|{_GAP}[xX]{_GAP}(?:[\p{{N}}({MARK}]|{TOKEN})"
    rf"|{_GAP}乘|{_GAP}\\(?:times|cdot|div)"
    rf"|[^\S\n]+(?:times|multiplied by|divided by)[^\S\n]+(?:[\p{{N}}({MARK}]|{TOKEN}|{ANY_ENGLISH}\b))"
)
_WORDS = rf"(?=\p{{L}})(?:{ANY_ENGLISH}|{SHOUTED_ENGLISH}|a dozen|a thousand|a million)\b"
STATED = Guard(
    "another result is stated",
    rf"(?!{_EQUALS}{_OPENING}(?:{_NUMBER}(?!{_FACTOR})|{_WORDS}(?!{_FACTOR}))"
    rf"|{_CHINESE_EQUALS}[\p{{N}}{CHINESE_NUMERAL}]++(?!{_FACTOR}))",
)
# `- 3`, `+ $3`, `minus 3`, `- three`
_TERM = (
    rf"(?:[^\S\n]*[{PLUSES}{DASHES}][^\S\n]*(?:{BEFORE_NUMBER} ?|[(<] ?)?(?:\p{{N}}|{TOKEN})"
    rf"|[^\S\n]+(?:[{PLUSES}−–-]|plus|minus|less)[^\S\n]+(?:{BEFORE_NUMBER} ?)?(?:\p{{N}}|{TOKEN}|{_WORDS}))"
)
RESULT_IS_SUM = Guard("its result is written as a sum", rf"(?!{_EQUALS}{_OPENING}{_NUMBER}{_TERM})")
# 6*9=54+1 and 6*9=54 - 3 state another result; `1*5=5 000` is five thousand.
RESULT_ENDS = (
    Guard("its result is written as a sum", rf"(?!{_TERM})"),
    Guard("another result is stated", rf"(?![^\S\n]\p{{N}}{{3}}(?!\p{{N}})|!(?:\p{{N}}|{TOKEN}))"),
)
# Before the right result: any sign but one that makes another number of it, a currency, markup.
_OPENING_OF_SAME = (
    rf"(?:\\[a-z]+\b|<[a-z]+>|\*{{1,2}}(?=\p{{N}}++\*)|[^\p{{L}}\p{{N}}*<.,;?!(\[±√^÷×/{DASHES}]"
    rf"|(?=\p{{L}})(?:boxed|{NAME}|[A-Z]{{1,3}}(?![a-z])|{_HEDGES}))*+"
)
STATED_NUMBER = rf"{_EQUALS}{_OPENING_OF_SAME}[(\[]*+(?P<number>{_NUMBER})"  # for the reason alone
# A result follows the expression that ends here; which one, the pattern of a pair says.
STATES_A_RESULT = rf"(?={_EQUALS}{_OPENING_OF_SAME}(?:\p{{N}}|{_WORDS}))"
_SAYS = r"(?:,? which)?\s*(?:=|is(?: equal to)?|are|was|equals(?: to)?|makes|gives)"
CLOSING = rf"(?:{EMPHASIS_ENDS}|[\"'`”’}}_]|</[a-z]+>|\*(?!\*)(?![^\S\n]*[\p{{N}}\p{{L}}(\\$<]))*+"


def stated_beside(result: int) -> str:
    r"""Return the pattern of the right result where `STATES_A_RESULT` holds: it need not be the part that is replaced.

    `5*6 = $30`, `5*6 = $30.00`, `5*6 = 30.0`, `6*9 == 54`, `6*9 is 54`, `6*9=\boxed{54}`, `6*9 = **54**`.
    """
    # An atomic group, for Oniguruma reads a plus behind `{1,60}` as a repetition and tries every way to divide a text.
    return rf"(?:(?>\P{{N}}{{1,60}}){result}(?:\.0+|,00)?(?![.,]?\p{{N}})|{_SAYS}\s*{spell_english(result)})"


_MINUSES = "-−‒–－﹣➖⁻₋‐‑"
# `20 - 2*5 = 10`: the result is that of the whole left side. A dash between a word and a product may be a dash or a
# minus, and is read as one; a long dash needs a number before it. A sign at the start of a line is a bullet.
_PLUS_OR_MINUS = (
    rf"[^\s*][^\S\n]{{0,9}}[{_MINUSES}{PLUSES}]|[\p{{N}})\]}}%][^\S\n]{{0,9}}[—―⸺]"
    r"|\b(?:plus|[Mm]inus|less|PLUS|MINUS|LESS)\b|[减減][去掉]?|加上?"
    rf"|(?:[\p{{N}})%]|\b(?:{ANY_ENGLISH}))\s{{1,3}}"
    r"(?:subtract(?:ing|ed)?|take(?:n|s)? away|taking away|(?:decreas|reduc|increas)ed by|add(?:ed to|ing)?)\b"
)
# What may be between such a sign and the product: spaces, money, the beginning of a formula.
_BETWEEN = rf"[\s\u200b\u2060~&]{{0,9}}(?:(?:{BEFORE_NUMBER}|\\[^\p{{L}}\p{{N}}]|\\q?quad)[\s~&]{{0,3}}){{0,2}}"
PLAIN_LEFT_SIDE = r"(?<=<<|[^\\]= |[a-z][abcefijlmnquwz] |[a-qtv-z]s )"  # saves time, as `PLAIN_BEFORE` does
NOT_IN_SUM = Guard("the result is that of a sum", f"(?:{PLAIN_LEFT_SIDE}|(?<!(?:{_PLUS_OR_MINUS}){_BETWEEN}))")
IN_SUM = f"(?!{NOT_IN_SUM.pattern})"
# Behind a number that follows an equals sign: it is a factor, or it has decimals.
GOES_ON = rf"(?:{_FACTOR}|[.,]\p{{N}})"
NUMBER_GOES_ON = rf"[\p{{N}}{CHINESE_NUMERAL}]++{GOES_ON}"
