"""The files that self-adaptation leaves in `seal/` of a run: `adapt.jsonl`, `policy.jsonl`, `seal.json`.

They are read without torch, so that results can be analysed where no model is.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from domain_tokens.runs.records import Environment, Fields, Number, Record, read_rows

SEAL = "seal"  # of a run: the folder of these files
ROWS = "adapt.jsonl"
POLICY = "policy.jsonl"
RECORD = "seal.json"

SCHEMA = 1
"""Raised when a field of `AdaptRow` changes its meaning."""

TRAINED, UNTRAINED, RANDOM, COMMONEST, PASSAGE, SHUFFLED = ARMS = (
    "trained", "untrained", "random", "commonest", "passage", "shuffled",
)  # fmt: skip
"""What is done with a test passage, all with as many inner steps as the trained policy's edit has.

- `trained`: the edit that the trained policy writes for it.
- `untrained`: the edit that the policy writes before its first round.
- `random`: an edit drawn evenly from the language.
- `commonest`: each part as most of the edits have it that trained the policy, the same for every passage.
- `passage`: the passage as it is, with the learning rate and the weights of `trained`.
- `shuffled`: as `trained`, of the passage with every value at another person.
"""

ROUND, TEST, CHAIN = PARTS = ("round", "test", "chain")
"""Where a row is from: a round of the outer loop, the comparison on test passages, or passages learned in a row."""


class Measured(Record):
    """What a model gives to some questions or documents."""

    bits_per_byte: Number
    """Bits per UTF-8 byte: of answers with their end, or of documents."""
    exact: Number | None = None
    """Share of answers that a greedy model would write exactly, end included; `None` for documents."""


class BeforeAfter(Record):
    """The same before an edit and after it."""

    before: Measured
    after: Measured

    @property
    def drop(self) -> float:
        """The drop in bits per byte: above 0 is better."""
        return float(self.before.bits_per_byte - self.after.bits_per_byte)

    @property
    def exact_gain(self) -> float:
        """The gain in exact answers, as a fraction of 1. Raises `ValueError` for documents."""
        if self.before.exact is None or self.after.exact is None:
            raise ValueError("documents have no exact answers")
        return float(self.after.exact - self.before.exact)


class AdaptRow(Record):
    """A line of `adapt.jsonl`: one edit that was carried out once, with one inner seed, or that could not be read."""

    schema_version: int = SCHEMA
    condition: str
    seed: int
    part: Literal["round", "test", "chain"]
    round: int
    """Of the outer loop, from 1 on; in `test` and `chain` the number of rounds that the policy had."""
    arm: Literal["trained", "untrained", "random", "commonest", "passage", "shuffled"]
    """In a round: `untrained` in the first, `trained` afterwards."""
    passage: str
    """Its id, `test/3`. In a chain the passage that was learned last."""
    edit: int
    """Of the edits for this passage, from 0 on."""
    inner_seed: int
    """From 0 on. 0 for an edit that could not be read, which has one row."""
    text: str
    """The edit as the policy wrote it."""
    valid: bool
    """Whether it could be read and did not diverge."""
    problem: str | None = None
    """Why not."""
    forms: tuple[str, ...] = ()
    """What it trains on; empty if it could not be read."""
    repeat: int | None = None
    target: str | None = None
    """`lora` or `last_layer`."""
    rank: int | None = None
    learning_rate: Number | None = None
    steps: int | None = None
    tokens: int | None = None
    """Tokens that the inner loop trained on."""
    distinct_tokens: int | None = None
    """Tokens of all its texts, each once."""
    loss: Number | None = None
    """Of the last inner step, in nats per token."""
    chosen_by: BeforeAfter | None = None
    """The half of the questions by which edits are chosen."""
    scored_by: BeforeAfter | None = None
    """The other half, by which they are scored."""
    validation: BeforeAfter | None = None
    """Held-out text of the run's corpus."""
    earlier: BeforeAfter | None = None
    """In a chain: all questions on the passages learned before this one, right after each was learned and now; `None`
    for the first."""
    chain: int | None = None
    """In a chain: which one, from 0 on."""
    place: int | None = None
    """In a chain: how many passages were learned before."""
    reward: Number | None = None
    """By which edits are chosen: the drop in `chosen_by`, or in `validation`."""
    seconds: Number | None = None


class PolicyRow(Record):
    """A line of `policy.jsonl`: the edit of a passage that a policy learned from, the best of those tried."""

    round: int
    passage: str
    text: str
    reward: Number
    """Its mean over inner seeds."""
    tried: int
    """Edits of this passage that could be read."""


class SealRecord(Record):
    """`seal.json`: from what the rows were made, and how far it got."""

    schema_version: int = SCHEMA
    condition: str
    seed: int
    settings: Fields
    """The recipe's section, without what no number depends on."""
    model: str
    weights_sha256: str
    tokenizer_sha256: str
    validation_sha256: str
    """Of the held-out documents."""
    code_sha256: str
    environment: Environment
    complete: bool = False
    rows: int = 0
    wall_time_s: Number = 0
    """Of the last start, if there were several."""


def read_adapted(folder: Path) -> Iterator[AdaptRow]:
    """Yield the rows of `adapt.jsonl` in a run's `seal` folder. Raises `RecipeError` naming file and line."""
    yield from read_rows(folder / ROWS, AdaptRow)
