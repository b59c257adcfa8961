"""What a training stage consumed, and which of these numbers must be equal in two conditions.

Each training stage writes a list `ledger` into its manifest, with one entry per training stage that led to the folder
(fine-tuning has several). `records.LedgerEntry` defines the fields.

Conditions differ only in the text that a token represents. Which numbers are equal then depends on how a stage is
limited: pretraining by tokens, fine-tuning by examples (where it is packed, by tokens), GRPO by completions. These are
different rules, and no single budget is equal over the whole run. `MAY_DIFFER` lists the fields that may differ, each
with its reason; the tolerances below it limit by how much. Everything else must be equal.

A run may declare a setting outside the tokenizer under `matched.settings`: another budget (`budget.equal_to`), other
initial rows of the facts (`fact_rows`), another condition's model (`start_from`), or a tuned learning rate.
`SETTINGS_MAY_DIFFER` says what such a setting lets differ, and why.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from domain_tokens.recipe import flatten
from domain_tokens.runs.records import Fields, LedgerEntry

ABSENT = "(absent)"
BONUS = "reward_bonus"
"""The key under `matched` of a GRPO stage whose rewards pay for facts: `parity`, or `mul_only`, as tokens alone."""

ONE_SIDED = "mul_only"
"""The bonus that a condition without tokens cannot earn."""

_TRACKED = r"trainer\.(project|trackio_\w+)"  # where a run reports; recorded until version 0.4.0
# Older runs have other names for these seeds, or none. The trainer's seeds and the hash of the weights are compared
# in any case.
_NOT_IN_OLDER = re.compile(r"(?:ledger\..+\.)?seeds\.(?:weights|order|sampling|training|data)")

VIEWS = {"tokens": "tokens", "FLOPs": "flops", "source bytes": "source_bytes", "examples": "examples"}
"""The four quantities in which two runs can be matched, and the field of each."""

PACKED = "sft (packed)"
"""The kind of a stage of fine-tuning whose examples are packed; see `LedgerEntry.kind`."""

ESTIMANDS = {"pretrain": "tokens", "sft": "examples", PACKED: "tokens", "grpo": "completions"}
"""What both conditions get the same number of, by kind of stage, unless a run declares `budget.equal_to`."""

MEASURES = {"text": "source_bytes", "flops": "flops"}
"""What `budget.equal_to` may hold equal instead, and the field of each."""

_OWN_WEIGHTS = "continues from its own weights"
_ENCODING = "the same text in different tokens"
_ANSWERS = "generates its own answers"
_NOT_COUNTED = "counted in fine-tuning and GRPO alone"
MAY_DIFFER: dict[str, dict[str, str]] = {
    "pretrain": {
        "source_bytes": "the same number of tokens, a different amount of text",
        "dataset_tokens": _ENCODING,
        "question_facts": _NOT_COUNTED,
        "answer_facts": _NOT_COUNTED,
    },
    "sft": {
        "tokens": _ENCODING,
        "padding_tokens": _ENCODING,
        "question_facts": _ENCODING,
        "answer_facts": _ENCODING,
        "dataset_tokens": _ENCODING,
        "flops": _ENCODING,
        "initial_weights_sha256": _OWN_WEIGHTS,
    },
    PACKED: {
        "examples": "the same number of tokens, a different number of examples",
        "source_bytes": "the same number of tokens, a different amount of text",
        "padding_tokens": "rows are filled with whole examples",
        "question_facts": _ENCODING,
        "answer_facts": _ENCODING,
        "dataset_tokens": _ENCODING,
        "initial_weights_sha256": _OWN_WEIGHTS,
    },
    "grpo": {
        "tokens": _ANSWERS,
        "padding_tokens": _ANSWERS,
        "generated_tokens": _ANSWERS,
        "question_facts": _ENCODING,
        "answer_facts": _ANSWERS,
        "dataset_tokens": _ENCODING,
        "flops": _ANSWERS,
        "initial_weights_sha256": _OWN_WEIGHTS,
    },
    "verifier": {
        "tokens": _ANSWERS,
        "padding_tokens": _ANSWERS,
        "generated_tokens": _ANSWERS,
        "source_bytes": _ANSWERS,
        "question_facts": _NOT_COUNTED,
        "answer_facts": _NOT_COUNTED,
        "dataset_tokens": _ANSWERS,
        "flops": _ANSWERS,
        "initial_weights_sha256": _OWN_WEIGHTS,
    },
}
"""The fields of an entry that may differ between conditions, by kind of stage, with the reason for each."""


@dataclass(frozen=True)
class Setting:
    """A setting outside the tokenizer in which two conditions may differ if one of them declares it.

    Attributes:
        reason: what differs then, in words.
        fields: a pattern of the fields that follow from it.
        tokenizer_only: whether the difference between the two conditions is still that of their tokenizers alone.
        many_values: whether both may declare it, each with a value of its own.
    """

    reason: str
    fields: str
    tokenizer_only: bool = False
    many_values: bool = False


SETTINGS_MAY_DIFFER: dict[str, Setting] = {
    "fact_rows": Setting(
        "the rows of the facts start at the mean of their digits' rows; all other initial weights are equal",
        r"(?:ledger\.pretrain\.)?initial_weights_sha256",
    ),
    "frozen_fact_rows": Setting(
        "low-rank adapters are trained, but not the rows of the facts, so there are fewer trained parameters, and a "
        "step takes fewer FLOPs",
        r"(?:stages\.\d+\.)?trained_parameters|ledger\..+\.(?:trained_parameters|flops)",
    ),
    "number_token_loss": Setting("the number-token loss is added to the usual loss of training", r"(?!)"),
    "equal_to": Setting(
        "the steps are chosen so that both conditions consume the same text, or the same FLOPs",
        r"steps|tokens|flops|(?:stages\.\d+\.)?trainer\.(?:max_steps|num_train_epochs)"
        r"|ledger\..+\.(?:steps|tokens|examples|source_bytes|flops|schedule\.max_steps)",
        tokenizer_only=True,
    ),
    "start_from": Setting(
        "training begins with the model of another condition, so that two tokenizers were used, and the later stages "
        "write what these treat differently in a way that is new to the model",
        r"(?!)",
        many_values=True,
    ),
}
"""The settings that one condition may declare and the other not, by their key under `matched.settings`."""

LEARNING_RATE_SEARCH = "learning_rate_search"
"""The key of the search from which a tuned learning rate comes. Two rates may differ only if both come from the same
search, over the same values with the same budget."""

TUNED = Setting("the learning rate of each condition is the best of the same values on validation data", "")

_LEARNING_RATES = r"(?:stages\.\d+\.)?trainer\.learning_rate|ledger\..+\.optimizer\.learning_rate"

AMOUNT_TOLERANCE = 0.02
"""Maximum relative difference in text or FLOPs under `budget.equal_to`, in addition to half a step."""

PACKING_TOLERANCE = 0.05
"""Maximum relative difference between two conditions' tokens without padding where both train on equal rows, in
addition to half a step."""

EPOCHS_TOLERANCE = 0.01
"""Maximum relative difference between two conditions' epochs of fine-tuning, `(tokens - padding_tokens) /
dataset_tokens`. Whole epochs are equal; over part of the data, an example's share of the tokens differs slightly."""

FLOPS_TOLERANCE = 0.10
"""Maximum relative difference in FLOPs per position where tokens may differ. The length of a row affects only
attention's share of the FLOPs: at most 8% for GPT-2 124M and 512 tokens."""

# Fields that follow from the seed. By design they differ in a control that repeats a condition with other seeds.
_SEEDED = re.compile(
    r"(?:other_)?initial_weights_sha256|(?:.*\.)?trainer\.(?:data_)?seed"
    r"|ledger\.pretrain\.initial_weights_sha256|(?:ledger\..+\.)?seeds\.(?:weights|order|sampling)"
    r"|ledger\..+\.seeds\.(?:offset|training|data|documents)"
    # The seed draws documents and examples; of these, others may be too long or hold markers.
    r"|document_order_sha256|(?:stages\.\d+\.)?(?:example_order_sha256|examples(?:_too_long|_contaminated|_decided)?)"
    r"|(?:stages\.\d+\.)?neutralized_markers"
    r"|ledger\..+\.order_sha256"
    r"|ledger\.(?:sft/.+|grpo)\.source_bytes"  # in an unfinished epoch, the seed selects the examples
)


# What follows from the size of the base vocabulary and from how much text one of its tokens has: in any stage, and in
# pretraining alone, whose steps may be chosen so that two conditions read equally much text.
_OF_BASE = re.compile(
    r"base_vocabulary_sha256.*|(?:stages\.\d+\.)?(?:num|trained)_parameters"
    r"|(?:stages\.\d+\.)?architecture\.(?:vocab_size|(?:bos|eos|pad)_token_id)"
    r"|ledger\..+\.(?:trained_parameters|flops|flops / tokens.*)"
    r"|ledger\.pretrain\.(?:steps|tokens|examples|order_sha256|initial_weights_sha256|schedule\.max_steps)"
)
_OF_BASE_IN_PRETRAINING = re.compile(
    r"steps|tokens|flops|trainer\.max_steps|documents|document_order_sha256|(?:other_)?initial_weights_sha256"
)


@dataclass(frozen=True)
class Difference:
    """A field that differs between two runs: its dotted path, and the values in this run and in the other."""

    field: str
    values: tuple[JsonValue, JsonValue]

    def describe(self, ours: str, theirs: str) -> str:
        """Describe it in words, given the names of the two sides."""
        return f"{self.field} is {self.values[0]!r} in {ours} and {self.values[1]!r} in {theirs}"


def differences(ours: Fields, theirs: Fields, other_seeds: bool = False) -> list[Difference]:
    """Compare two nested mappings leaf by leaf.

    Args:
        ours (`Fields`): `matched` from a manifest, or `as_fields` of its ledger.
        theirs (`Fields`): the same from the other run.
        other_seeds (`bool`, *optional*, defaults to `False`): whether one run repeats a condition with other seeds, so
            that fields that follow from the seed may differ.

    Fields that follow from a setting that one of the two declares (`SETTINGS_MAY_DIFFER`) may differ.
    """
    left, right = flatten(ours), flatten(theirs)
    allowed = f"{_allowed(settings_of(ours), settings_of(theirs))}|{_TRACKED}"
    found = []
    for field in dict.fromkeys((*left, *right)):
        values = left.get(field, ABSENT), right.get(field, ABSENT)
        if values[0] == values[1] or (other_seeds and follows_from_seed(field)) or re.fullmatch(allowed, field):
            continue
        if ABSENT in values and _NOT_IN_OLDER.fullmatch(field):
            continue
        found.append(Difference(field, values))
    return found


def settings_of(matched: Fields) -> Fields:
    """Return the settings outside the tokenizer that a run declares, from what its stage recorded under `matched`."""
    found = matched.get("settings")
    return found if isinstance(found, dict) else {}


def measure_of(*matched: Fields) -> str | None:
    """Return what `budget.equal_to` of one of the runs holds equal: `text` or `flops`; `None` for the usual rules."""
    declared = (settings_of(one).get("equal_to") for one in matched)
    return next((str(one["measure"]) for one in declared if isinstance(one, dict)), None)


def settings_that_differ(ours: Fields, theirs: Fields) -> Iterator[tuple[str, Setting]]:
    """Yield the settings outside the tokenizer that two runs' stages do not share, by name.

    Args:
        ours (`Fields`): what one stage recorded under `matched`.
        theirs (`Fields`): the same of the other run.
    """
    left, right = settings_of(ours), settings_of(theirs)
    for name, setting in SETTINGS_MAY_DIFFER.items():
        if left.get(name) != right.get(name):
            yield name, setting
    rates = re.compile(_LEARNING_RATES)
    both = flatten(ours), flatten(theirs)
    if any(rates.fullmatch(field) and value != both[1].get(field) for field, value in both[0].items()):
        yield LEARNING_RATE_SEARCH, TUNED


def estimand(kind: str, measure: str | None = None) -> str:
    """Return what is equal between conditions in a kind of stage, for example `equal tokens`.

    Args:
        kind (`str`): `LedgerEntry.kind`, or the name of a stage that is not packed.
        measure (`str`, *optional*): what `budget.equal_to` holds equal.
    """
    usual = ESTIMANDS[kind.partition("/")[0]]
    return f"equal {'FLOPs' if measure == 'flops' else measure or usual}"


def _allowed(ours: Fields, theirs: Fields) -> str:
    """Return a pattern of the fields that may differ because of declared settings; nothing if none differs."""
    patterns = []
    for name, setting in SETTINGS_MAY_DIFFER.items():
        values = ours.get(name), theirs.get(name)
        if values[0] != values[1] and (setting.many_values or None in values):
            patterns += [rf"settings\.{name}(?:\..+)?", setting.fields]
    search = ours.get(LEARNING_RATE_SEARCH)
    if search is not None and search == theirs.get(LEARNING_RATE_SEARCH):
        patterns.append(_LEARNING_RATES)
    return "|".join(patterns) or r"(?!)"


def follows_from_seed(field: str) -> bool:
    """Return whether a dotted field differs by design between runs with different seeds."""
    return _SEEDED.fullmatch(field) is not None


def follows_from_base(field: str, stage: str) -> bool:
    """Return whether a dotted field of a stage may differ between runs on different base vocabularies."""
    return _OF_BASE.fullmatch(field) is not None or (
        stage.startswith("pretrain") and _OF_BASE_IN_PRETRAINING.fullmatch(field) is not None
    )


def as_fields(ledger: Sequence[LedgerEntry]) -> Fields:
    """Return the fields of a ledger that must be equal, as `{"ledger": {stage: {field: value}}}`."""
    shared: dict[str, JsonValue] = {
        entry.stage: {
            field: value for field, value in entry.as_json().items() if reason_to_differ(entry.kind, field) is None
        }
        for entry in ledger
    }
    return {"ledger": shared}


def reason_to_differ(kind: str, field: str) -> str | None:
    """Return why a field of an entry may differ between conditions, or `None` if it must not.

    Args:
        kind (`str`): `LedgerEntry.kind`, or the name of a stage that is not packed.
        field (`str`): the field.
    """
    if field == "wall_time_s":
        return "the load of the machine varies"
    return MAY_DIFFER.get(kind.partition("/")[0], {}).get(field)


def unexplained(
    ours: Sequence[LedgerEntry], theirs: Sequence[LedgerEntry], other_seeds: bool, measure: str | None = None
) -> Iterator[Difference]:
    """Compare two ledgers entry by entry and yield the allowed differences that are too large.

    Fine-tuning must take the same number of epochs, so its tokens may differ only as much as the encoded data; where
    it is packed, the rows must be about as full. FLOPs may differ only as much as the positions. Where text or FLOPs
    were declared to be equal, they must be, up to half a step and `AMOUNT_TOLERANCE`.

    Args:
        ours (`Sequence[LedgerEntry]`): the ledger of one manifest.
        theirs (`Sequence[LedgerEntry]`): the ledger of the other run, with the same stages.
        other_seeds (`bool`): whether one run repeats a condition with other seeds and may have read other examples.
        measure (`str`, *optional*): `text` or `flops` if a run declares `budget.equal_to`.
    """
    for left, right in zip(ours, theirs, strict=False):
        half_a_step = 0.5 / max(1, min(left.steps, right.steps))
        if measure is not None:
            field, tolerance = MEASURES[measure], AMOUNT_TOLERANCE + half_a_step
            yield from _apart(left.stage, field, getattr(left, field), getattr(right, field), tolerance)
        elif left.kind == PACKED:
            tolerance = PACKING_TOLERANCE + half_a_step
            yield from _apart(left.stage, "tokens without padding", _unpadded(left), _unpadded(right), tolerance)
        elif left.kind == "sft" and not other_seeds:
            yield from _apart(left.stage, "epochs", _epochs(left), _epochs(right), EPOCHS_TOLERANCE)
        if left.kind != "pretrain" and left.trained_parameters == right.trained_parameters:
            yield from _apart(left.stage, "flops / tokens", _cost(left), _cost(right), FLOPS_TOLERANCE)


def _unpadded(entry: LedgerEntry) -> int:
    return entry.tokens - entry.padding_tokens


def _epochs(entry: LedgerEntry) -> float:
    return _unpadded(entry) / entry.dataset_tokens if entry.dataset_tokens else 0.0


def _cost(entry: LedgerEntry) -> float:
    return entry.flops / entry.tokens if entry.tokens else 0.0


def _apart(stage: str, field: str, ours: float, theirs: float, tolerance: float) -> Iterator[Difference]:
    if abs(ours - theirs) > tolerance * max(abs(ours), abs(theirs)):
        yield Difference(f"ledger.{stage}.{field} (within {tolerance:.0%})", (ours, theirs))
