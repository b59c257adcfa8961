"""Answers of models, made as evaluation and rewards make them; by default by the experiment's own intervention."""

from functools import cache

from domain_tokens.evaluation.answers.answer import Answer, AnswerReader
from domain_tokens.tokenization.intervention import Intervention, default_intervention

OWN = default_intervention()


@cache
def reader(written_by: Intervention = OWN, table: Intervention = OWN) -> AnswerReader:
    """Return the reader of a condition's answers."""
    return AnswerReader(written_by, table)


def read(written: str, written_by: Intervention = OWN, table: Intervention = OWN) -> Answer:
    """Return what a model wrote as an answer."""
    return reader(written_by, table).read(written)
