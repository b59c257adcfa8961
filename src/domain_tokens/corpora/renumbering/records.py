"""The files that renumbering writes: rows of problems, rows of pairs, and the record beside them."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel

from domain_tokens.local_data.files import RECORD_OF_RENUMBERED
from domain_tokens.runs.records import Record

IN_TABLE: Literal["in_table"] = "in_table"
OUT_OF_TABLE: Literal["out_of_table"] = "out_of_table"
Side = Literal["in_table", "out_of_table"]
VERSION = 3
"""Of the machine: raised whenever the same problems and seed give other rows."""

TRAIN_FILE, PAIRS_FILE, REJECTED_FILE = "renumbered_train.jsonl", "renumbered_pairs.jsonl", "rejected.jsonl"
RECORD_FILE = RECORD_OF_RENUMBERED
NUMBERS_FILE = "renumbered_numbers.jsonl"


class RenumberedRow(BaseModel):
    """A problem that trains: its id, its question, and its worked solution."""

    id: str
    question: str
    answer: str


class NumbersRow(BaseModel):
    """A problem that is evaluated, whose words train with other numbers.

    Attributes:
        id: unique.
        cluster: the template.
        question, answer: the problem and its worked solution, with annotations.
    """

    id: str
    cluster: str
    question: str
    answer: str


class PairedRow(BaseModel):
    """A problem of a pair.

    Attributes:
        id: unique.
        pair: the same for the two problems of a pair.
        group: `in_table` or `out_of_table`.
        cluster: the template.
        question, answer: the problem and its worked solution, with annotations.
        factors: of the product in question.
    """

    id: str
    pair: str
    group: Side
    cluster: str
    question: str
    answer: str
    factors: tuple[int, int]


class RejectedRow(BaseModel):
    """A problem that did not become a template.

    Attributes:
        id: of the problem.
        side: of the split, `train` or `evaluation`.
        reason: as it is counted.
        detail: which number or step it is, or how many variants there are; empty where the reason says it all.
        question: the problem.
    """

    id: str
    side: str
    reason: str
    detail: str = ""
    question: str


class Part(BaseModel):
    """What a share of the problems came to; kept until all of them are done.

    Attributes:
        templates, paired: how many problems became templates that train, and that are evaluated.
        rejected: the others, and why.
        rows, pairs, numbers: the rows.
    """

    templates: int = 0
    paired: int = 0
    rejected: list[RejectedRow] = []
    rows: list[RenumberedRow] = []
    pairs: list[PairedRow] = []
    numbers: list[NumbersRow] = []


class PairStatistics(BaseModel):
    """How alike the two problems of the pairs are.

    Attributes:
        num_pairs, num_templates: how many.
        equal_products: in how many pairs both products are the same number.
        product_digits: the pairs by the number of digits of their products, which is the same in both problems.
        factor_digits: the problems beyond the table by the numbers of digits of their factors, `1 x 2`; those of the
            table are all `1 x 1`.
    """

    num_pairs: int
    num_templates: int
    equal_products: int
    product_digits: dict[str, int]
    factor_digits: dict[str, int]


class Renumbered(Record):
    """The record of a renumbered set.

    Attributes:
        version: of the machine.
        settings: what was asked for: source, seed, variants, annotations, the share held out.
        licence: of the source.
        problems: how many were read, and how many are on each side of the split.
        templates: how many of those that train became templates, and how many that are evaluated.
        rows: how many there are in each file.
        sha256: of each file.
        reasons: why problems did not become templates, by side of the split.
        pairs: how alike the problems of the pairs are.
    """

    version: int
    settings: Mapping[str, str | int | float | None]
    licence: str
    problems: dict[str, int]
    templates: dict[str, int]
    rows: dict[str, int]
    sha256: dict[str, str]
    reasons: dict[str, dict[str, int]]
    pairs: PairStatistics | None
