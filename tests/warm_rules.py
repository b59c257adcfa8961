"""What every stage compiles anew, compiled once: the tests' warm process imports it, and its forks inherit it."""

from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.evaluation.equations.reading import read_equations
from domain_tokens.evaluation.modes import scorer_sha256
from domain_tokens.tokenization.intervention import default_intervention
from domain_tokens.tokenization.rewriter import rewriter_of

rewriter_of(default_intervention())
read_equations(AnswerReader(default_intervention(), default_intervention()).read("6*9=54"))
scorer_sha256()
