"""Programs that solve word problems, as worked prose.

Begin with `conversion`: a program and its question in, an answer or a reason out. It parses the program, `interpreter`
executes it by an allow-list of statements, `expressions` and `calls` of expressions, `arithmetic` states the
equations, and `prose` writes sentences with the names of its variables in the words of the question (`wording`).
"""

from domain_tokens.corpora.programs.conversion import CONVERTER_VERSION, Conversion, Rejection, convert
from domain_tokens.corpora.programs.refusal import Reason

__all__ = ["CONVERTER_VERSION", "Conversion", "Reason", "Rejection", "convert"]
