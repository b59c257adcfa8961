"""What a training stage consumed, and which of it two conditions must share.

Each training stage writes a list `ledger` into its manifest, one entry for each stage of training behind the folder
(fine-tuning has several). `records.LedgerEntry` says what the fields are.

Two conditions share everything but the text that a token holds. Which of the numbers are equal then follows from how
a stage is limited: pretraining by tokens, fine-tuning by examples, GRPO by completions. `MAY_DIFFER` lists what may
differ, with the reason for each field; the tolerances below it limit by how much. Everything else must be equal.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from domain_tokens.recipe import flatten
from domain_tokens.runs.records import Fields, LedgerEntry

ABSENT = "(absent)"

VIEWS = {"tokens": "tokens", "FLOPs": "flops", "source bytes": "source_bytes", "examples": "examples"}
"""The four senses in which two runs can be equal, and the field of each."""

_OWN_WEIGHTS = "goes on from its own weights"
_ENCODING = "the same text in other tokens"
_ANSWERS = "writes its own answers"
MAY_DIFFER: dict[str, dict[str, str]] = {
    "pretrain": {
        "source_bytes": "as many tokens, another amount of text",
        "dataset_tokens": _ENCODING,
    },
    "sft": {
        "tokens": _ENCODING,
        "padding_tokens": _ENCODING,
        "dataset_tokens": _ENCODING,
        "flops": _ENCODING,
        "initial_weights_sha256": _OWN_WEIGHTS,
    },
    "grpo": {
        "tokens": _ANSWERS,
        "padding_tokens": _ANSWERS,
        "generated_tokens": _ANSWERS,
        "dataset_tokens": _ENCODING,
        "flops": _ANSWERS,
        "initial_weights_sha256": _OWN_WEIGHTS,
    },
}
"""The fields of an entry that may differ between conditions, by kind of stage, each with its reason."""

EPOCHS_TOLERANCE = 0.01
"""How far apart two conditions' passes over their fine-tuning data may be, relative: `(tokens - padding_tokens) /
dataset_tokens`. Whole passes are equal; over a part of the data the examples' shares of the tokens differ a little."""

FLOPS_TOLERANCE = 0.10
"""How far apart the FLOPs of one position may be, relative, where tokens may differ. Rows of another length change
attention's share of a position's FLOPs and nothing else: 8% at most for GPT-2 124M and 512 tokens."""

# What follows from the seed, and differs by design in a control that repeats a condition with other seeds.
_SEEDED = re.compile(
    r"initial_weights_sha256|(?:.*\.)?trainer\.(?:data_)?seed"
    r"|ledger\.pretrain\.initial_weights_sha256|ledger\..+\.seeds\.(?:offset|training|data)"
    r"|ledger\.(?:sft/.+|grpo)\.source_bytes"  # where an epoch is not finished, the seed draws the examples
)


@dataclass(frozen=True)
class Difference:
    """A field that two runs do not share: `field` is its dotted path, `values` are this run's and the other's."""

    field: str
    values: tuple[JsonValue, JsonValue]

    def describe(self, ours: str, theirs: str) -> str:
        """Return it in words, given the names of the two sides."""
        return f"{self.field} is {self.values[0]!r} in {ours} and {self.values[1]!r} in {theirs}"


def differences(ours: Fields, theirs: Fields, other_seeds: bool = False) -> list[Difference]:
    """Compare two nested mappings leaf by leaf.

    Args:
        ours (`Fields`): what a manifest holds under `matched`, or `as_fields` of its ledger.
        theirs (`Fields`): the same of the other run.
        other_seeds (`bool`, *optional*, defaults to `False`): whether one repeats a condition with other seeds, and
            what follows from the seed may differ.
    """
    left, right = flatten(ours), flatten(theirs)
    found = []
    for field in dict.fromkeys((*left, *right)):
        values = left.get(field, ABSENT), right.get(field, ABSENT)
        if values[0] != values[1] and not (other_seeds and follows_from_seed(field)):
            found.append(Difference(field, values))
    return found


def follows_from_seed(field: str) -> bool:
    """Return whether a dotted field differs by design between two runs of different seeds."""
    return _SEEDED.fullmatch(field) is not None


def as_fields(ledger: Sequence[LedgerEntry]) -> Fields:
    """Return what must be equal of a ledger as nested dictionaries, `{"ledger": {stage: {field: value}}}`."""
    shared: dict[str, JsonValue] = {
        entry.stage: {
            field: value for field, value in entry.as_json().items() if reason_to_differ(entry.stage, field) is None
        }
        for entry in ledger
    }
    return {"ledger": shared}


def reason_to_differ(stage: str, field: str) -> str | None:
    """Return why a field of a stage's entry may differ between conditions, or `None` if it must not."""
    if field == "wall_time_s":
        return "machines are not equally busy"
    return MAY_DIFFER.get(stage.partition("/")[0], {}).get(field)


def unexplained(ours: Sequence[LedgerEntry], theirs: Sequence[LedgerEntry], other_seeds: bool) -> Iterator[Difference]:
    """Yield what differs more than its reason explains, entry by entry of two ledgers of the same stages.

    Fine-tuning has to read the whole of its data equally often, so tokens may differ only as the encodings of the data
    do. FLOPs may differ only as the positions do.

    Args:
        ours (`Sequence[LedgerEntry]`): the ledger of one manifest.
        theirs (`Sequence[LedgerEntry]`): that of the other run.
        other_seeds (`bool`): whether one repeats a condition with other seeds, and may have read other examples.
    """
    for left, right in zip(ours, theirs, strict=False):
        if left.kind == "sft" and not other_seeds:
            yield from _apart(left.stage, "epochs", _epochs(left), _epochs(right), EPOCHS_TOLERANCE)
        if left.kind != "pretrain":
            yield from _apart(left.stage, "flops / tokens", _cost(left), _cost(right), FLOPS_TOLERANCE)


def _epochs(entry: LedgerEntry) -> float:
    return (entry.tokens - entry.padding_tokens) / entry.dataset_tokens if entry.dataset_tokens else 0.0


def _cost(entry: LedgerEntry) -> float:
    return entry.flops / entry.tokens if entry.tokens else 0.0


def _apart(stage: str, field: str, ours: float, theirs: float, tolerance: float) -> Iterator[Difference]:
    if abs(ours - theirs) > tolerance * max(abs(ours), abs(theirs)):
        yield Difference(f"ledger.{stage}.{field} (within {tolerance:.0%})", (ours, theirs))
