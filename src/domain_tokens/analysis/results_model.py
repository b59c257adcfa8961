"""The types of what a comparison leaves on disk: `results.json` of two conditions, `overview.json` of several.

`results_schema.json` is generated from `Results`:

    python -m domain_tokens.analysis.results_model > src/domain_tokens/analysis/results_schema.json

Accuracies, differences and intervals are fractions of 1, other values are in the unit of their row. `None` (`null` in
the file) means that a value was not measured or cannot be computed. `reference` and `other` are the two conditions; a
difference is other less reference.
A few keys of the file are older than the names used in the code; they are kept, so that older files can be read.
"""

import json
import math
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema, model_validator
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema

from domain_tokens.runs.layout import Mode

SCHEMA_VERSION: Final = 2

PRIMARY: Final = "primary"
DECLARED: Final = "declared"
EXPLORATORY: Final = "exploratory"
Role = Literal["primary", "declared", "exploratory"]

BOUNDS: Final = {"bits_per_byte": "model_bits_per_byte", "sites_bits_per_byte": "sites_model_bits_per_byte"}
"""Metrics in bits: the upper bound, which counts the side record, and the lower one, the model's bits alone. A claim
has to hold for both."""
OTHER_BOUND: Final = BOUNDS | {lower: upper for upper, lower in BOUNDS.items()}

PILOT: Final = "pilot"
BETTER: Final = "better"
WORSE: Final = "worse"
EQUIVALENT: Final = "equivalent"
UNDECIDED: Final = "undecided"
INSENSITIVE: Final = "insensitive"
Outcome = Literal["pilot", "better", "worse", "equivalent", "undecided", "insensitive", "exploratory"]

REWRITTEN_SHARE: Final = 0.01
"""An endpoint of which a condition rewrites a larger share of the prompts measures tokenizer and model together."""

MOST_FACTS: Final = 3
"""Items that need more facts are counted with those that need this many."""

Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Delta = Annotated[float, Field(ge=-1, le=1)]
Value = Annotated[float, Field(ge=0)]
"""A fraction of 1, or a value in the unit of its row."""
PValue = Annotated[float, Field(ge=0, le=1)]
Bounds = Annotated[
    tuple[float, float],
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}),
]
Number = Annotated[int | float, WithJsonSchema({"type": "number"})]  # stays an integer where it is one


def _writable(value: object) -> object:
    """Return values that JSON can hold: lists for tuples, `None` for NaN and infinity, no unpaired surrogates."""
    if isinstance(value, dict):
        return {_writable(key): _writable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return value


class Record(BaseModel):
    """The base of all records: immutable, and refuses unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _check_writable(cls, values: object) -> object:
        return _writable(values)


def _renamed(key: str) -> Any:
    """Return a field whose key in the file differs from its name in the code."""
    return Field(validation_alias=key, serialization_alias=key)


class Endpoint(Record):
    """One comparison: a task's metric of a model, over all items or one group."""

    model: str
    """The model's folder, such as `grpo_final`."""
    task: str
    metric: str
    group: str
    """A group of the task's items; `all` for all of them."""
    last_checkpoints: Annotated[int, Field(ge=1)] = 1
    """Above 1, each item counts by its mean over that many last checkpoints of the stage that ends in the model."""


class SmallestEffect(Record):
    """The declared smallest effect of interest."""

    scale: Literal["relative", "logit", "points"]
    value: Annotated[float, Field(gt=0)]


class DeclaredEndpoint(Record):
    """An endpoint as the preregistration declares it; `group` is `None` for all items."""

    model: str
    task: str
    metric: str
    group: str | None
    last_checkpoints: Annotated[int, Field(ge=1)] = 1
    smallest_effect: SmallestEffect | None = None
    """The endpoint's own; `None`: the declaration's."""


class Accuracy(Record):
    """One condition's accuracy or mean value: the mean over seeds, its 95% interval, and the seeds' sd."""

    accuracy: Value
    interval: Bounds
    sd: float | None
    """`None` for one seed."""


class EquivalenceTest(Record):
    """Whether a difference lies within the declared margin, by two one-sided tests."""

    margin: Value
    """The smallest difference that would matter."""
    interval: Bounds | None
    """The 90% interval of the difference."""
    p_value: PValue | None
    """The larger of the two one-sided p-values."""
    equivalent: bool | None


class OutcomeCounts(Record):
    """How the two conditions answered the same items."""

    both: Count
    """Items that both answered correctly."""
    reference_only: Count
    other_only: Count
    neither: Count


class PromptCounts(Record):
    """How many of an endpoint's prompts each tokenizer rewrites, and how many it makes the same."""

    rewritten: tuple[Count, Count]
    """Items whose prompt is rewritten, in the reference and in the other condition."""
    identical: tuple[Count, Count]
    """Items whose prompt is the same token ids as that of another item."""


class SeedRow(Record):
    """One seed's accuracies and their difference, with Newcombe's interval and the exact McNemar test.

    Of values, the means, with a t interval and a t-test over items.
    """

    seed: Count
    reference: Value
    other: Value
    delta: float
    interval: Bounds | None
    """`None` if there is one item."""
    p_value: PValue | None
    counts: OutcomeCounts | None
    """`None` for values, which are not right or wrong."""


class ResultRow(Endpoint):
    """One endpoint's result."""

    role: Role
    num_items: Annotated[int, Field(ge=1)]
    num_clusters: Annotated[int, Field(ge=1)] | None = None
    """How many clusters the items form: fewer than `num_items` if some share a template, or a template's numbers."""
    unit: str | None = None
    """The unit of the values and their differences; `None` for accuracies, which are fractions of 1."""
    lower_is_better: bool = False
    reference: Accuracy
    other: Accuracy
    delta: float
    delta_sd: float | None
    """The standard deviation of the seeds' differences; `None` for one seed."""
    interval: Bounds | None
    """The 95% interval of `delta`."""
    p_value: PValue | None
    test: str
    """The test behind `interval` and `p_value`."""
    smallest_detectable: float | None
    """The smallest true difference that the rule would find with the declared power: at the level at which it first
    tests a declared row, and at alpha for an exploratory one."""
    detectable_range: Bounds | None = None
    """The same at the ends of the 80% interval of the variance between seeds; `None` for one seed."""
    equivalence: EquivalenceTest | None
    p_holm: PValue | None
    """Corrected for the number of declared endpoints alone; exploratory, no sentence rests on it. `None` for an
    exploratory row."""
    p_family: PValue | None = None
    """Corrected over the declared family: what the verdict rests on. `None` for a row outside the family."""
    by_seed: Annotated[tuple[SeedRow, ...], Field(min_length=1)]
    source: str | None = None
    """The name of the task's data source; `None` if the results were written before 0.4.0, as the next."""
    prompts: PromptCounts | None = None

    @model_validator(mode="after")
    def _check_fractions(self) -> Self:
        accuracies = [self.reference.accuracy, self.other.accuracy]
        accuracies += [value for seed in self.by_seed for value in (seed.reference, seed.other)]
        if self.unit is None and (max(accuracies) > 1 or abs(self.delta) > 1):
            raise ValueError("accuracies and their difference are fractions of 1; expected a unit for other values")
        return self

    @property
    def with_tokenizer(self) -> bool:
        """Whether the endpoint measures tokenizer and model together: a condition rewrites more than 1% of prompts."""
        return self.prompts is not None and max(self.prompts.rewritten) > REWRITTEN_SHARE * self.num_items

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint alone."""
        return Endpoint(**{name: getattr(self, name) for name in Endpoint.model_fields})

    @property
    def gain(self) -> float:
        """The difference with the sign of an improvement."""
        return -self.delta if self.lower_is_better else self.delta


class OtherRun(Record):
    """A further experiment that the declaration names."""

    kind: str
    why: str


class Declared(Record):
    """What `recipes/prereg.yaml` declared."""

    endpoints: tuple[DeclaredEndpoint, ...]
    """The primary endpoint first."""
    alpha: float
    power: float
    smallest_effect: SmallestEffect | None = None
    equivalence_margin: float | None = None
    """In declarations without a smallest effect."""
    seeds: tuple[int, ...]
    exclusions: tuple[str, ...]
    contrasts: dict[str, tuple[str, str]] = {}
    """By name, the condition with a factor and the one without it."""
    main: tuple[str, ...] = ()
    """The contrasts that are tested first; if there are none, each condition against the reference."""
    positive_control: str | None = None
    """A contrast or a mode that is known to move the primary endpoint."""
    test: str = ""
    stopping_rule: str = ""
    tasks_with_exclusions: tuple[str, ...] = ("hellaswag",)
    """The tasks of which items are left out."""
    other_runs: dict[str, OtherRun] = {}
    """By experiment name, further runs that are no second try."""


class Frozen(Record):
    """When an experiment froze its preregistration."""

    time_utc: str
    git_commit: str | None
    git_dirty: bool | None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Hash of the original, without amendments."""
    num_amendments: Count


class PreregistrationRecord(Record):
    """The declaration as it was frozen, or as the first manifest recorded it."""

    file: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    declared: Declared


class PreregistrationSummary(Record):
    """What was declared before the runs, and how the runs depart from it."""

    is_declared: bool
    departures: tuple[str, ...]
    """In words; empty if the declaration was followed. Any departure makes the verdict exploratory."""
    record: PreregistrationRecord | None
    notes: tuple[str, ...] = ()
    """In words, what demotes nothing: amendments before any evaluation, for example."""
    frozen: Frozen | None = None
    """`None` if nothing was frozen before the first step."""


class PositiveControl(Record):
    """The declared positive control: something known to move the primary endpoint, and whether it does here."""

    name: str
    contrast: str
    """What is compared with what, in words."""
    condition: str | None = None
    """The condition that has what moves the endpoint, if the control is a contrast of conditions."""
    partner: str | None = None
    """The condition without it."""
    delta: float | None = None
    interval: Bounds | None = None
    p_value: PValue | None = None
    """By the rule's test, not corrected: it is a check of the assay, not a finding."""
    moved: bool | None = None
    """Whether p is below the level of the deciding test; `None` if it was not run."""


class AssayCheck(Record):
    """Whether the rule could have found the smallest effect of interest at the primary endpoint."""

    scale: Literal["relative", "logit", "points"]
    value: float
    """The declared smallest effect on that scale."""
    unit: str | None = None
    """As in `ResultRow`."""
    base_rate: Value
    """The reference's accuracy or value."""
    smallest_effect: float
    """The smallest effect as a difference of accuracies at the base rate."""
    alpha: float
    """The level at which the deciding test begins."""
    power: Fraction | None
    """The chance that the deciding test finds the smallest effect; `None` if nothing varies."""
    power_range: Bounds | None
    """The same at the ends of the 80% interval of the variance between seeds."""
    wanted_power: Fraction
    positive_control: PositiveControl | None
    """`None` if none was declared, or its conditions were never planned."""
    failures: tuple[str, ...]
    """In words, what shows that the assay is not sensitive; empty if nothing does."""
    advice: str


class Plateau(Record):
    """Whether a curve of a training stage still improves in the stage's last quarter; means over seeds."""

    stage: str
    condition: str
    metric: str
    gain: float
    """By how much the metric improves over the last quarter; positive is better."""
    share: float | None
    """The gain as a share of the improvement after the first tenth, `None` if there is none. Files without
    `matters` give it as a share of the whole stage's."""
    matters: float | None = None
    """The size from which a gain matters, by the rule in docs/STATISTICS.md."""
    p_value: PValue | None
    """One-sided, of a gain above 0; `None` with too few points."""
    p_holm: PValue | None = None
    """Corrected for all curves of the report."""
    num_curves: Count | None = None
    """How many curves the report has."""
    climbs: bool | None
    """Whether it still improves, by the rule in docs/STATISTICS.md; `None` if there is no telling: there are too few
    points, or too much noise, to see a gain that matters."""
    rise: float | None = None
    """Of a reward: by how much a straight line through it improves over the whole stage."""
    rise_interval: Bounds | None = None
    """The 95% interval of `rise`."""


class Verdict(Record):
    """The hypotheses, the decision rule, and the decision."""

    h0: str
    h1: str
    rule: str
    outcome: Outcome
    h0_rejected: bool | None
    """`None` if the data cannot tell, and for an exploratory verdict, which tests nothing."""
    at_plateau: bool | None = None
    """Whether no stage still improves at its end in either condition; `None` if a curve cannot tell. Only at a plateau
    is a difference more than one at this budget."""
    sentence: str
    exploratory: bool = False
    """Whether the runs depart from the preregistration, or nothing was declared."""


class SuccessCriterion(Record):
    """A description of the results; the verdict does not rest on it."""

    name: str
    met: bool | None
    """`None` if the results it needs are missing."""
    evidence: str


class SeedTTest(Record):
    """A paired t-test over seeds, with the questions taken as fixed."""

    mean: float
    sd: float
    interval: Bounds | None
    p_value: PValue | None
    smallest_detectable: float | None


class BootstrapEstimate(Record):
    """The crossed percentile bootstrap over seeds and items."""

    se: float
    interval: Bounds


class OddsRatio(Record):
    """A mixed-effects logistic model: the odds ratio, or the reason why there is none."""

    odds_ratio: float | None
    interval: Bounds | None
    item_sd: float | None
    seed_sd: float | None
    seed_in_condition_sd: float | None
    reason: str | None


class Sensitivity(Record):
    """The primary endpoint by other methods; the verdict rests on none of them."""

    paired_t: SeedTTest
    bootstrap: BootstrapEstimate
    mixed_logit: OddsRatio


class Contrast(Record):
    """An estimated contrast with its 95% interval and p-value."""

    value: float
    interval: Bounds | None
    p_value: PValue | None


class StratumRow(Record):
    """The items that need the same number of facts."""

    count: Count
    """How many facts an item needs; the largest count includes items that need more."""
    num_items: Count
    reference: Fraction
    other: Fraction
    delta: Delta
    interval: Bounds | None


class FactsNeededRow(Record):
    """One model and task, by how many facts of the table the gold solution needs."""

    model: str
    task: str
    strata: tuple[StratumRow, ...]
    excess: Contrast | None
    """By how much the difference of items that need facts exceeds that of the others."""
    slope: Contrast | None
    """By how much the difference grows with each further fact."""


class Share(Record):
    """A share with the counts behind it, over all items and seeds."""

    count: Count
    total: Count
    value: Fraction | None
    """`count / total`; `None` if `total` is 0."""


class EquationRow(Record):
    """One share of the equations in the answers of a model to a task."""

    model: str
    task: str
    share: str
    reference: Share
    other: Share
    delta: Delta | None
    interval: Bounds | None
    """By the delta method, over seeds and items; before 0.4.0 by a bootstrap of whole items."""


class ErrorShares(Record):
    """Shares of answers by error type; they add up to 1."""

    right: Fraction
    operands: Fraction = 0.0
    """The first faulty equation has operands that are not of the item; 0 in files before 0.4.0."""
    arithmetic: Fraction
    """The first faulty equation has a wrong result. A token alone cannot make this error."""
    reasoning: Fraction
    """The equations are right for the item, and the answer is wrong."""
    format: Fraction
    """The response ended without a readable answer."""
    unfinished: Fraction
    """The response did not end."""


class ErrorRow(Record):
    """The error types of one model and task."""

    model: str
    task: str
    reference: ErrorShares
    other: ErrorShares


class ExchangedSide(Record):
    """One condition's right answers: how many could belong to another question, and how many follow from their steps.

    Counts are over all items and seeds, shares are means over seeds.
    """

    accuracy: Fraction
    floor: Fraction
    """The accuracy if every question were given the run's answers to the other questions of its problem."""
    num_right: Count
    num_with_steps: Count | None
    """Right answers in which every equation is right and of the question, and which have one; `None` if the files do
    not say where operands come from, as before 0.4.0."""


class ExchangedRow(Record):
    """One model and task whose questions form problems: several questions in one problem's words."""

    model: str
    task: str
    num_items: Count
    """The questions whose problem has another one with another right number."""
    num_problems: Count
    reference: ExchangedSide
    other: ExchangedSide


class Ablation(Record):
    """One condition's accuracy with and without its fact tokens."""

    plain: Fraction
    ablated: Fraction
    delta: Delta
    """Ablated less plain."""
    interval: Bounds | None
    p_value: PValue | None


class AblationRow(Record):
    """One model and task, evaluated again with the fact tokens forbidden or exchanged."""

    model: str
    task: str
    mode: Literal[Mode.FORBIDDEN, Mode.EXCHANGED] = _renamed("way")
    reference: Ablation
    other: Ablation


class EncodingRow(Record):
    """One model, task and group of items, with the questions encoded in one way: accuracies of both conditions."""

    model: str
    task: str
    group: str
    encoding: Mode
    """`plain`: as each condition's own tokenizer reads the question; `question_plain`; or `question_rewritten`."""
    num_items: Count
    num_rewritten: tuple[Count, Count]
    """Questions whose prompts are rewritten, in the reference and in the other condition."""
    reference: Fraction
    other: Fraction
    delta: Delta
    interval: Bounds | None
    p_value: PValue | None


class SpellingRow(Record):
    """Whether a model answers several spellings of a question alike; spellings that are one prompt are one."""

    model: str
    task: str
    measure: Literal["consistency", "commutativity"]
    spellings: tuple[str, ...]
    """The spellings that are compared."""
    num_problems: Count
    """Questions with at least two spellings that are different prompts in both conditions."""
    reference: Fraction | None
    """The share of them that get one and the same number in all these spellings; `None` if there are none."""
    other: Fraction | None
    delta: Delta | None
    interval: Bounds | None
    p_value: PValue | None


class SampleRow(Record):
    """A metric of several sampled answers a question: the mean over seeds."""

    model: str
    task: str
    metric: Annotated[str, Field(pattern="@[0-9]+$")]
    """`pass@k` or `maj@k`."""
    reference: Fraction
    other: Fraction


class BitsRow(Record):
    """A loss that can be compared between tokenizers, at a stage's last evaluated checkpoint: means over seeds."""

    stage: str
    step: int
    metric: str
    reference: float
    other: float
    delta: float
    interval: Bounds | None
    """By a bootstrap of documents; `None` for other metrics than `bits_per_byte`."""


LossText = Literal["all", "with sites", "without sites"]


class RawBits(Record):
    """What a loss is computed from, for one condition: means over seeds of the sums over documents."""

    documents: Number
    bytes: Number
    """Of the original text."""
    tokens: Number
    """That this condition's tokenizer makes of it."""
    model_bits: Number
    side_bits: Number
    """Of the side record: how the text spelled what the tokenizer rewrote."""


class LossRow(Record):
    """Bits per source byte at a stage's last evaluated checkpoint: means over seeds, as intervals.

    The lower number of a condition counts the model's bits alone, the upper one the side record's too. They are equal
    if nothing is rewritten.
    """

    stage: str
    step: int
    text: LossText
    """All documents of the validation text, those in which the canonical table finds a site, or the others."""
    reference: Bounds
    other: Bounds
    delta: Bounds
    """The least and the largest difference that these numbers allow."""
    interval: Bounds | None
    """The 95% interval of the difference, by a bootstrap of documents: from the lower end for the least difference to
    the upper end for the largest."""
    reference_bits: RawBits | None = None
    """`None` in files before 0.4.0, as the next."""
    other_bits: RawBits | None = None


class CurveRow(Record):
    """One checkpoint and metric of the learning curves; one value a seed."""

    stage: str
    step: int
    metric: str
    reference: tuple[Number, ...]
    other: tuple[Number, ...]


class QuantityRow(Record):
    """A quantity that a stage consumed or reported: the mean over seeds."""

    stage: str
    quantity: str
    reference: Number | None
    other: Number | None


class Means(Record):
    """A mean over all items and seeds, for each condition."""

    reference: Number | None
    other: Number | None

    @property
    def sides(self) -> tuple[float | None, float | None]:
        """The reference's mean and the other condition's."""
        return self.reference, self.other

    @property
    def known(self) -> tuple[float, float] | None:
        """The same if both were measured, else `None`."""
        return None if self.reference is None or self.other is None else (self.reference, self.other)


class TokenUse(Record):
    """The responses of a model to a task."""

    model: str
    task: str
    facts_per_response: Means
    tokens_per_response: Means
    finished: Means
    """The fraction of responses that ended before the longest allowed length."""


class AnswerSide(Record):
    """One condition's answer."""

    answer: str | None
    correct: bool
    num_facts: int | None
    mistake: str | None = None
    """The error type of a wrong answer, as in `ErrorShares`; `None` if it is not known, as in files before 0.4.0."""
    fault: tuple[Count, Count] | None = None
    """Where the mistake stands in a wrong answer: the start and the end of its first faulty equation, or of the number
    that it gives if its equations have no fault; `None` if that is not known."""


class PairedAnswer(Record):
    """Both conditions' answers to one question."""

    id: str
    group: str | None
    question: str | None
    gold: str | None
    reference: AnswerSide
    other: AnswerSide


class PairedAnswers(Record):
    """A few paired answers of the first seed, chosen by rule."""

    model: str
    task: str
    seed: Count
    num_reference_only: Count
    """Items that only the reference answered correctly."""
    num_other_only: Count
    items: tuple[PairedAnswer, ...]


class LedgerRow(Record):
    """A recorded field that was compared and found equal in both conditions."""

    stage: str
    field: str
    """The field's dotted path."""
    values: dict[str, JsonValue]
    """The value for each seed."""


class ValueRow(Record):
    """A recorded value of each condition; a list where it changed between runs."""

    what: str
    reference: JsonValue
    other: JsonValue


class Provenance(Record):
    """The software and the hashes of all runs."""

    software: tuple[ValueRow, ...]
    hashes: tuple[ValueRow, ...]


class PublishedRow(Record):
    """A pair of published accuracies."""

    stage: str
    task: str
    values: tuple[Fraction, Fraction]
    after: tuple[str, ...] = ()
    """The names of the last stages before the result, by which it is put beside a stage of these runs."""


class StageRow(Record):
    """One model at all items of one task: what its stage left."""

    stage: str
    """The stage that made the model, in words: `pretraining`, `SFT on gsm8k`, `GRPO`."""
    model: str
    task: str
    metric: str
    num_items: Annotated[int, Field(ge=1)]
    unit: str | None
    lower_is_better: bool
    reference: Accuracy
    other: Accuracy
    delta: float
    interval: Bounds | None
    source: str | None
    """As in `ResultRow`, and so are the fields before it."""
    facts_per_response: Means | None
    """`None` for a task without responses."""
    published: PublishedRow | None
    """What an earlier, published run found after such a stage."""


class EndsRow(Record):
    """The shares of greedy answers to a stage's training prompts that end, before and after the stage."""

    stage: str
    model: str
    num_prompts: Count
    max_new_tokens: Count
    before: Means
    after: Means
    falls: tuple[str, ...]
    """The conditions and seeds in which fewer answers end after the stage than before it."""


class ByStage(Record):
    """What each stage of training changed."""

    rows: tuple[StageRow, ...] = ()
    """One for each task and evaluated model, task by task, in the order of training."""
    answer_ends: tuple[EndsRow, ...] = ()
    """One for each stage of fine-tuning and for GRPO, evaluated or not."""


class PublishedResults(Record):
    """The numbers of an earlier, published run; nothing is computed from them."""

    source: str
    num_seeds: int
    caveat: str
    conditions: tuple[str, str]
    results: tuple[PublishedRow, ...]
    notes: tuple[str, ...] = ()
    """Further findings, in words."""


class TransplantCell(Record):
    """One cell of a transplant at one endpoint."""

    condition: str
    begun: str
    """Whose pretrained model it is: the reference or the other condition."""
    ended: str
    """As which of them it was fine-tuned."""
    value: Value
    """The mean over seeds and items."""
    by_seed: tuple[Value, ...]


class TransplantEffect(Record):
    """What a part of training makes of the difference, at one endpoint; exploratory."""

    effect: Literal["whole", "before", "after", "interaction"]
    """The whole difference; the main effect of the training before the transplanted model; that of the training after
    it; their interaction."""
    value: float
    interval: Bounds | None
    """Of 95%, over seeds and items; with one seed over items alone."""
    by_seed: tuple[float, ...]


class TransplantRow(Record):
    """The 2 x 2 at one declared endpoint."""

    model: str
    task: str
    metric: str
    group: str
    role: Role
    num_items: Annotated[int, Field(ge=1)]
    unit: str | None
    lower_is_better: bool
    source: str | None = None
    cells: Annotated[tuple[TransplantCell, ...], Field(min_length=4, max_length=4)]
    """Reference throughout; reference then other; other then reference; other throughout."""
    effects: Annotated[tuple[TransplantEffect, ...], Field(min_length=4, max_length=4)]


class Transplant(Record):
    """Two conditions, and the two runs that begin as one of them and go on as the other."""

    reference: str
    other: str
    model: str
    """The folder of the model that was transplanted, `pretrain_final`."""
    num_seeds: Annotated[int, Field(ge=1)]
    rows: tuple[TransplantRow, ...]
    """One per declared endpoint of a model after the transplanted one, the primary endpoint first; after one in bits
    of which one bound was declared, its other bound."""


class StageEstimand(Record):
    """What is equal between the two conditions in a stage. The rules of the stages differ; there is no common one."""

    stage: str
    """`pretrain`, `sft/<name>` or `grpo`."""
    equal: str
    """`equal tokens`, `equal examples`, `equal completions`; `equal text` or `equal FLOPs` if a run declares it."""


class SettingRow(Record):
    """A setting outside the tokenizer in which the two conditions differ, as declared by their recipes."""

    stage: str
    setting: str
    reason: str
    """What differs, in words."""


class ForcedStage(Record):
    """A run of GRPO that began although its first model solved too few of its prompts."""

    condition: str
    seed: int
    stage: str
    k: int
    pass_at_k: float
    """The share of groups of k answers with a right one."""


class Results(Record):
    """`results.json`: the comparison of two conditions. Accuracies, differences and intervals are fractions of 1."""

    # A field that older files lack has a default, and is always written.
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    schema_version: Literal[2]
    experiment: str
    label: str
    """`pilot, one seed`, or the number of seeds."""
    seeds: Annotated[tuple[Count, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True})]
    reference: str
    """The name of the condition that the other one is compared with."""
    other: str
    about: dict[str, str] = Field(default_factory=dict)
    """What the intervention of a condition does, in the words of its file."""
    primary_endpoint: Endpoint
    preregistration: PreregistrationSummary = _renamed("declaration")
    verdict: Verdict
    assay: AssayCheck | None = None
    """`None` for one seed, or if no smallest effect was declared."""
    plateaus: tuple[Plateau, ...] = ()
    """The ends of the training curves of the stages before the primary endpoint."""
    forced: tuple[ForcedStage, ...] = ()
    """Runs of GRPO that `--force` let begin."""
    success_criteria: Annotated[tuple[SuccessCriterion, ...], Field(min_length=4, max_length=4)]
    rows: Annotated[tuple[ResultRow, ...], Field(min_length=1)]
    """One for each model, task, metric and group."""
    sensitivity: Sensitivity | None = _renamed("further_looks")
    """`None` for one seed, or one item."""
    facts_needed: tuple[FactsNeededRow, ...] = _renamed("needs")
    equations: tuple[EquationRow, ...]
    error_types: tuple[ErrorRow, ...] = _renamed("mistakes")
    exchanged_answers: tuple[ExchangedRow, ...] = ()
    """What answers to other questions reach; absent before version 0.4."""
    ablations: tuple[AblationRow, ...]
    encodings: tuple[EncodingRow, ...] = ()
    spellings: tuple[SpellingRow, ...] = ()
    samples: tuple[SampleRow, ...]
    bits_per_byte: tuple[BitsRow, ...]
    losses: tuple[LossRow, ...] = ()
    """The same losses as intervals; absent before version 0.4."""
    curves: tuple[CurveRow, ...]
    text_and_compute: tuple[QuantityRow, ...]
    token_use: tuple[TokenUse, ...]
    by_stage: ByStage = ByStage()
    """Without rows in files before version 0.4."""
    answers: PairedAnswers | None
    """`None` if the primary endpoint's task has no written answers."""
    transplant: Transplant | None = None
    """The 2 x 2 of pretraining and fine-tuning, if the report's conditions are its four cells."""
    ledger: tuple[LedgerRow, ...]
    estimands: tuple[StageEstimand, ...] = ()
    """Empty in files of version 0.3."""
    not_tokenizer_only: tuple[SettingRow, ...] = ()
    """If not empty, the difference is not that of the tokenizers alone."""
    injection: tuple[ValueRow, ...]
    provenance: Provenance
    published: PublishedResults = _renamed("reference_results")
    reproduce: tuple[str, ...]
    """Commands that run everything again."""

    @property
    def primary(self) -> ResultRow:
        """The row of the primary endpoint."""
        return primary_row(self.rows)

    @property
    def own_control(self) -> PositiveControl | None:
        """The positive control if it was run and is the very comparison of these results."""
        control = None if self.assay is None else self.assay.positive_control
        if control is None or control.moved is None:
            return None
        return control if (control.condition, control.partner) == (self.other, self.reference) else None


class EndpointContrast(Record):
    """A difference at one endpoint, as an overview shows it."""

    unit: str | None = None
    """As in `ResultRow`, and so is the next."""
    lower_is_better: bool = False
    reference: Accuracy
    other: Accuracy
    delta: float
    interval: Bounds | None
    p_value: PValue | None
    p_holm: PValue | None
    """Corrected for the number of rows of its kind, conditions or factors; exploratory, no sentence rests on it."""
    p_family: PValue | None = None
    """Corrected over the declared family; `None` outside it."""
    smallest_detectable: float | None
    with_tokenizer: bool = False
    """Whether the endpoint measures tokenizer and model together, as `ResultRow.with_tokenizer` says."""


class OverviewRow(EndpointContrast):
    """A declared endpoint of one condition against the reference."""

    condition: str
    folder: str
    """The folder of the pair's own report."""
    outcome: Outcome
    model: str
    task: str
    metric: str
    group: str
    role: Role
    num_items: int
    source: str | None = None
    """As in `ResultRow`."""
    margin: float | None = None
    """A smaller difference was declared not to matter; `None` if nothing was declared, or with one seed."""
    control_moved: bool | None = None
    """Whether the positive control moves; `None` if the condition is not the positive control."""


class FactorRow(EndpointContrast):
    """A declared contrast of two conditions at the primary endpoint."""

    factor: str
    with_factor: str = _renamed("with")
    """The condition that has the factor."""
    without: str
    exploratory: bool = False
    """Whether the two conditions depart from the preregistration, or nothing was declared."""


class OverviewPair(Record):
    """One condition's comparison with the reference."""

    condition: str
    folder: str
    verdict: str
    departures: tuple[str, ...]
    not_tokenizer_only: tuple[str, ...] = ()
    """What else differs, in words."""


class Overview(Record):
    """`overview.json`: several conditions against one reference."""

    experiment: str
    label: str
    reference: str
    about: dict[str, str] = Field(default_factory=dict)
    """As in `Results`."""
    pairs: tuple[OverviewPair, ...]
    primary_endpoint: Endpoint
    rows: tuple[OverviewRow, ...]
    factors: tuple[FactorRow, ...]
    transplant: Transplant | None = None
    """As in `Results`."""


def primary_row(rows: Sequence[ResultRow]) -> ResultRow:
    """Return the row of the primary endpoint."""
    (primary,) = (row for row in rows if row.role == PRIMARY)
    return primary


class _Untitled(GenerateJsonSchema):
    """JSON Schema without a title for each field, which would only repeat the field's name."""

    def field_title_should_be_set(self, schema: CoreSchema) -> bool:
        return False


def results_schema() -> str:
    """Return the JSON Schema of `results.json`, as `results_schema.json` holds it."""
    schema = Results.model_json_schema(mode="serialization", schema_generator=_Untitled)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(results_schema())
