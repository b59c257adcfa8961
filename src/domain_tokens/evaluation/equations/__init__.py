"""The equations of an answer: read, checked and counted.

`reading` is where to begin: a model's answer in, equations out. It reads an answer in canonical form, in which
`chains` finds arithmetic among words (`words`), `expressions` evaluates it, and `statements` takes it apart into
equations. `counts` sums up over answers.
"""

from domain_tokens.evaluation.equations.reading import Equation, in_table_products, read_equations

__all__ = ["Equation", "in_table_products", "read_equations"]
