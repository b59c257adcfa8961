r"""What an expression without its result may not be: a size, a row of a board, a step of a postfix expression.

`*` and `×` have the same guards. An `x` is a letter before it is a sign, so it also needs something that shows that it
is one; nothing else tells `3x2` of a polynomial, of a constraint, of a training plan and of a matrix from a product.
Of 68 sites with an `x` and no result in the text that the rules were written on, 7 were products.
"""

from domain_tokens.tokenization.guards.around import DASHES, SPACE, TOKEN, Guard, not_behind_token
from domain_tokens.tokenization.guards.currencies import CURRENCY_SIGNS
from domain_tokens.tokenization.guards.results import NOT_IN_SUM
from domain_tokens.tokenization.intervention import Facts


def _capital_or_not(*words: str) -> str:
    """Return the pattern of any of the words; the engines fold letters differently, so no flag does this."""
    return f"(?:{'|'.join(f'[{word[0].upper()}{word[0]}]{word[1:]}' for word in words)})"


# What has a size that is written with a sign. Nouns that word problems count (`4*5 cards`) are not among them.
_SHAPES = _capital_or_not(
    *(
        "matrix",
        "matrices",
        "submatrix",
        "determinants?",
        "identity",
        "grids?",
        "subgrids?",
        "squares?",
        "rectangles?",
    ),
    *(
        "arrays?",
        "kernels?",
        "convolutions?",
        "conv",
        "filters?",
        "patch",
        "patches",
        "windows?",
        "tensors?",
        "pixels?",
    ),
    *("px", "layouts?", "lattices?", "boards?", "block", "puzzles?", "contingency", "factorial", "lumber", "timber"),
    *("inventory", "mesh", "bitmap", "fonts?", "glyphs?", "greyscale", "grayscale", "thumbnails?", "mosaic", "plate"),
    *("keypad", "keyboard", "envelopes?", "joists?", "skids?", "walls?", "prints?", "poster", "bathroom"),
    *("plywood", "planks?", "studs", "trucks?", "vehicles?", "SUVs?", "jeeps?", "pickups?", "drive", "trails?"),
)
_SHAPES_BEFORE = (
    *(
        "matrix",
        "matriz",
        "matrice",
        "grid",
        "board",
        "array",
        "kernel",
        "block",
        "layout",
        "inventory",
        "panel",
        "label",
    ),
    *("dimensioni", "dimensiones", "Größe", "taille", "tamaño", "size:", "shape:", "grid:", "layout:"),
)
# 3 × 8 per side, 3×8 mit 60 kg, 5 × 5 · 110kg
_TRAINING = r" (?:per|each) (?:side|arm|leg|hand)\b| ?(?:mit|with|at|@|·) ?\p{N}+(?:[.,]\p{N}+)? ?(?:kg|lbs?)\b"
_INCHES = r"\\?\"(?=[^\S\n]\p{L}|\)|\\?\")(?<!\"\p{N}[^\"]{1,8}\")"  # 4×6" label; in "3×4" the quote is the second one
_IN_BRACKETS = r"\)(?![^\S\n]?[-+−–*/×÷=^])(?<=\p{L} \(\p{N}[^()*·⋅∙\\]{1,8}\))"  # 24-well plate (4×6)
_LENGTHS = "(?:mm|cm|dm|m|ft|inch(?:es)?|foot|feet|(?:centi|milli)?met(?:re|er)s?|MB|GB|TB|KB|reps?|sets of|min)"
_DETERMINERS = (
    *("a", "an", "the", "each", "every", "this", "another", "your", "his", "her", "its", "our", "their", "my"),
)
_MEASURES = ("order", "size", "shape", "dimension", "dimensions", "tibble", "resolution", "format", "sized")
WORDS_BEFORE_A_SIZE = (*_DETERMINERS, *_SHAPES_BEFORE, *_MEASURES, *(f"{one} of" for one in _MEASURES[:5]))
_MATH = r"(?:\\\)|\$)?"  # the end of a formula within a line
_EQUATION_FOLLOWS = rf"(?:{SPACE}[\p{{L}}.]+){{1,3}}{SPACE}?=" + rf"{SPACE}?[{CURRENCY_SIGNS}]?(?:\p{{N}}|{TOKEN})"
_BOARD = r"[\d*.#_]{3}"  # a row of a board: 111, *2*, 1*1


def _before(*words: str) -> str:
    """Return a pattern of no width that holds if none of the words is before, with a space or a formula's dollar."""
    spellings = [f"[{word[0].upper()}{word[0]}]{word[1:]}" for word in words]
    return rf"(?<!\b(?:{'|'.join(spellings)}) \$?)"


NUMBER_ENDS = (
    Guard("part of a longer number", rf"(?![^\S\n](?:\p{{N}}|{TOKEN}))"),  # 8 x 1 1/2 and 5*5 000
    Guard("a factorial", r"(?!!)"),
)
_POSTFIX = "a postfix expression"  # 3 4 + 5 * 6 -
_LEFT = (
    Guard("part of a longer number", rf"(?<!\p{{N}}{SPACE}){not_behind_token(SPACE)}"),  # 3 4 * 5
    Guard(_POSTFIX, r"(?<!\p{N} \p{N} [-+*/−–] )"),
)
_RIGHT = (
    *NUMBER_ENDS,
    Guard(_POSTFIX, rf"(?![^\S\n]+[+{DASHES}][^\S\n]*(?:(?![^\n])|[)\]\"'`,;]))"),
)


def left_of(facts: Facts) -> tuple[Guard, ...]:
    """Return the guards where an expression in signs begins if its result is not stated."""
    if facts.operation != "*":
        return _LEFT
    sizes = _before(*WORDS_BEFORE_A_SIZE)
    return (
        *_LEFT,
        Guard("a size", rf"{sizes}(?<!tibble: )(?<!\p{{L}}\^\{{)(?<!\}}\^\{{)"),  # \mathbb{R}^{3 \times 4}
        Guard("a row of a board", rf"(?<!{_BOARD}[\"'],[\"'])(?<!{_BOARD}[\"'], [\"'])"),
    )


def right_of(facts: Facts) -> tuple[Guard, ...]:
    """Return the guards where an expression in signs ends if its result is not stated."""
    if facts.operation != "*":
        return _RIGHT
    lengths = rf"{SPACE}?{_LENGTHS}\b(?!{SPACE}?=)(?!{_EQUATION_FOLLOWS})"
    return (
        *_RIGHT,
        Guard(
            "a size",
            rf"(?!{_MATH}[ -](?:[\p{{L}}-]+ )?{_SHAPES}\b(?! units?\b|{SPACE}{_LENGTHS}\b)"
            rf"|{lengths}|[″′]|{_INCHES}|{_IN_BRACKETS}|{_TRAINING})",
        ),
        Guard("a row of a board", rf"(?![\"'],\s?[\"']{_BOARD}[\"']|\n(?!\d\*\d){_BOARD}(?![^\n]))"),
    )


# A question, a term of a sum, or a sum of money; `$4 x 3`.
_ASKED = (
    *("[Ww]hat is ", "[Ww]hat's ", "[Ww]hat does ", "[Mm]uch is ", "[Cc]ompute ", "[Cc]alculate ", "[Ee]valuate "),
    *("[Mm]ultiply ", "[Mm]ultiplying ", "[Pp]roduct ", "[Pp]roduct of ", "[Ww]ork out ", "[Tt]imes table "),
    *("[Ss]olve ", "[Ss]olve: ", r"\p{N} \(= ", r"\p{N} \(="),
)
_LINE_BEGINS = r"(?:(?<![^\n])|(?<=\n[\p{L}\p{N}][).] )|(?<=\A[\p{L}\p{N}][).] )|(?<=\n[-•] )|(?<=\A[-•] ))"
_LINE_ENDS = rf"(?={SPACE}?=?{SPACE}?[?_]*[ \t]*(?![^\n]))"
_EQUALS = rf"(?={SPACE}{{0,3}}=(?!=)|{_EQUATION_FOLLOWS})"
_SUM_FOLLOWS = rf"(?={SPACE}[+−÷]{SPACE}[{CURRENCY_SIGNS}(]?\p{{N}}++(?!\p{{L}}))"
_DIFFERENCE_FOLLOWS = rf"(?={SPACE}-{SPACE}[{CURRENCY_SIGNS}(]?\p{{N}}++(?:[.,]\p{{N}}++)*+\)?{SPACE}?=)"


def _any_before(*patterns: str) -> str:
    return f"(?:{'|'.join(f'(?<={one})' for one in patterns)})"


def times_expressions(operand: str, sign: str) -> list[str]:
    """Return the patterns of two operands with a `×` in a calculation; elsewhere it is the sign of a size as often.

    Args:
        operand (`str`): the pattern of an operand.
        sign (`str`): the pattern of the sign and the spaces around it.
    """
    opens = rf"{SPACE}?[{CURRENCY_SIGNS}]?[(]?"
    asked = (*_ASKED, "[Mm]ultiplication: ", "[Mm]odel: ", "[Ff]ill in ", "[Ee]ntering ", "[ⓐ-ⓩ] ", "factored as ")
    before = [
        *asked,
        rf"[-+−×*/÷^(]{SPACE}?\(",
        f"={SPACE}?{opens}",
        rf"[\p{{N}})%]{SPACE}?[+−-]{opens}",
        f"[{CURRENCY_SIGNS}]",
    ]
    behind = [
        rf"\)?{SPACE}?[+−÷/-]{opens}\p{{N}}",
        rf"\)?{SPACE}{{0,3}}[=≈≠]",
        rf"\)?{SPACE}[<>≤≥]{SPACE}?\p{{N}}",
        rf"\)(?:\({opens}\p{{N}}|\^)",
    ]
    contexts = [
        (_any_before(*before), ""),
        ("", f"(?={'|'.join([*behind, _EQUATION_FOLLOWS])})"),
        (_LINE_BEGINS, _LINE_ENDS),
    ]
    return [f"{begins}{operand}{sign}{operand}{ends}" for begins, ends in contexts]


def x_expressions(operand: str, tight: str | None, spaced: str | None) -> list[str]:
    """Return the patterns of two operands with an `x` that is shown to be a sign.

    Args:
        operand (`str`): the pattern of an operand.
        tight (`str`, *optional*): the pattern of the sign if it needs no spaces.
        spaced (`str`, *optional*): the pattern of the sign with spaces around it.
    """
    asked = _any_before(*_ASKED, rf"\p{{N}}{SPACE}={SPACE}", r"\p{N}=")
    calculated = rf"\){SPACE}?[-+−*/×÷=]{SPACE}?[\p{{N}}({CURRENCY_SIGNS}]"
    alone = [(asked, ""), (r"(?<=\()", f"(?={calculated})")]
    number = (r"[^\p{L}\p{N}_^]\p{N}", r"\A\p{N}")
    term = [rf"{begins}{{{digits}}} [+−] " for begins in number for digits in (1, 2, 3)]
    line = (_LINE_BEGINS, _LINE_ENDS)  # with spaces: a `3x2` alone in a line is a monomial more often than a product
    among = [
        line,
        (_any_before(*term, r"\) [+−] ", f"[{CURRENCY_SIGNS}]"), ""),
        ("", _SUM_FOLLOWS),
        ("", _DIFFERENCE_FOLLOWS),
    ]
    contexts = {spaced: [*alone, *among, ("", _EQUALS)], tight: [*alone, (NOT_IN_SUM.pattern, _EQUALS)]}
    return [
        f"{before}{operand}{sign}{operand}{behind}"
        for sign, found in contexts.items()
        if sign is not None
        for before, behind in found
    ]
