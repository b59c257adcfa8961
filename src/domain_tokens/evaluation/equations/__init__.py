"""The equations of an answer, read and checked.

Begin with `reading`: a model's answer in, equations out. It reads an answer in canonical form, in which `chains` finds
arithmetic (`lexemes`) among words (`words`), `expressions` evaluates it, and `statements` takes it apart into
equations. `derivation` follows them from the question to the right number.
"""

from domain_tokens.evaluation.equations.derivation import on_the_way
from domain_tokens.evaluation.equations.operands import numbers_of
from domain_tokens.evaluation.equations.reading import Equation, all_hold, in_table_products, read_equations, stated_in
from domain_tokens.evaluation.equations.units import is_conversion

__all__ = [
    "Equation",
    "all_hold",
    "in_table_products",
    "is_conversion",
    "numbers_of",
    "on_the_way",
    "read_equations",
    "stated_in",
]
