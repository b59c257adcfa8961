"""What an analysis of self-adaptation found, as it is in `adaptation.json`."""

from collections.abc import Mapping

from domain_tokens.runs.records import Fields, Number, Record

SCHEMA = 1


class Average(Record):
    """A mean over passages with its 95% interval, for other passages and, with several seeds, for other runs."""

    mean: Number
    low: Number | None = None
    """`None` where nothing tells the error: a single passage, or values that are all alike."""
    high: Number | None = None
    p_value: Number | None = None
    """Two-sided, of a mean of 0; `None` as above."""
    passages: int
    """How many; where passages were learned in a row, how many chains."""


class Bounded(Record):
    """A number with its 95% interval of the bootstrap over passages; `None` where the data do not give it."""

    value: Number | None
    low: Number | None = None
    high: Number | None = None


class Validity(Record):
    """How many of the edits that a policy wrote could be read."""

    part: str
    round: int
    arm: str
    edits: int
    readable: int
    problems: Mapping[str, int]
    """Why the others could not, the commonest first, with how many."""


class ArmResult(Record):
    """What one arm did for the test passages. Measures are of the scoring half."""

    arm: str
    passages: int
    unreadable: int
    """Of them, with no edit that could be read: the model stays as it is, so they gain 0."""
    steps: Number | None
    """The mean number of inner steps of the edits that were carried out."""
    tokens: Number | None
    bits_before: Number
    """Bits per byte of the answers."""
    bits_after: Number
    drop: Average
    exact_before: Number
    exact_after: Number
    exact_gain: Average
    forgetting: Average | None
    """The rise in bits per byte of held-out text; `None` if it was not measured."""


class Contrast(Record):
    """The trained policy's edits less a control's on the same test passages."""

    control: str
    measure: str
    difference: Average
    """Above 0: the trained policy's edits gain more."""
    p_holm: Number | None
    """Corrected by Holm's method for all comparisons of a condition, those included that could not be made."""
    verdict: str
    """`better`, `worse` or `undecided`."""
    sentence: str


class Selection(Record):
    """What the best edit of a passage by its reward gains over the mean of the edits of the passage."""

    round: int | None
    """`None`: all rounds, averaged within each passage."""
    passages: int
    edits: Number
    """Edits that could be read, on average of a passage and round."""
    reward: Average
    """In the reward itself, by which the best was chosen: too high by construction."""
    chosen: Average
    """In the half of the questions by which edits are chosen."""
    scored: Average
    """In the other half, with the same inner seeds."""
    repeated: Average | None
    """In the other half and with another inner seed: the best is chosen without one of them and scored with it."""
    left: Bounded
    """`scored` as a share of `chosen`."""
    left_repeated: Bounded
    """`repeated` as a share of `chosen`."""


class RoundMean(Record):
    """What the edits of a round that could be read came to."""

    round: int
    arm: str
    reward: Average
    scored: Average
    """The drop in bits per byte in the scoring half."""


class RoundChange(Record):
    """A later round less an earlier one, on the same passages."""

    earlier: int
    later: int
    reward: Average
    scored: Average


class Reliability(Record):
    """How well a measure of an edit can be repeated with another inner seed, among the edits of one passage."""

    measure: str
    edits: int
    passages: int
    seeds: Number
    """Inner seeds of an edit, on average."""
    one: Bounded
    """The intraclass correlation of the value of one inner seed."""
    mean: Bounded
    """Of the mean of `seeds` inner seeds."""
    one_consistent: Bounded
    """As `one`, without what an inner seed does to all edits of a passage alike, which favours none of them."""
    seeds_needed: int | None
    """Inner seeds whose mean would have a reliability of 0.8; `None` if none would."""


class Halves(Record):
    """Whether an edit that helps one half of a passage's questions helps the other."""

    edits: int
    passages: int
    correlation: Bounded
    """Of an edit's mean drops in the two halves, among the edits of a passage."""


class Choice(Record):
    """How often an edit has a part, among those that were kept and among all that could be read."""

    part: str
    value: str
    proposed: Number
    """Share of the proposals, averaged over the passages with an edit that was kept."""
    kept: Number
    difference: Average


class BudgetPoint(Record):
    """The edits of one number of inner steps and one choice of weights, over their passages."""

    weights: str
    """`last layer` or `LoRA, rank 8`."""
    steps: int
    tokens: Number
    edits: int
    gain: Average


class Setting(Record):
    """The edits of one setting of the inner loop, over their passages."""

    weights: str
    learning_rate: Number
    steps: int
    edits: int
    gain: Average
    """The mean drop in bits per byte in the scoring half."""
    forgetting: Average
    """The mean rise in bits per byte of held-out text."""
    is_counted: bool
    """Whether enough passages had it for the front."""
    on_front: bool
    """Whether no other counted setting gains as much and forgets less, or gains more and forgets no more."""


class ChainResult(Record):
    """Passages learned one after another without restoring the model."""

    arm: str
    place: int | None
    """How many passages were learned before; `None` for all places with at least one."""
    chains: int
    forgetting: Average
    """The rise in bits per byte of the answers about earlier passages, since each was learned; the unit is a chain."""
    gain: Average | None
    """The drop for the passage that was learned last, in the scoring half, from the model before the first."""
    held_out: Average | None
    """The rise in bits per byte of held-out text, from the model before the first; `None` if it was not measured."""


class ConditionResult(Record):
    """All that was found of one condition."""

    condition: str
    seeds: tuple[int, ...]
    validity: tuple[Validity, ...]
    arms: tuple[ArmResult, ...]
    contrasts: tuple[Contrast, ...]
    selection: tuple[Selection, ...]
    rounds: tuple[RoundMean, ...]
    changes: tuple[RoundChange, ...]
    reliability: tuple[Reliability, ...]
    halves: Halves | None
    choices: tuple[Choice, ...]
    budget: tuple[BudgetPoint, ...]
    settings: tuple[Setting, ...]
    chain: tuple[ChainResult, ...]
    notes: tuple[str, ...]


class Adaptation(Record):
    """`adaptation.json`."""

    schema_version: int = SCHEMA
    runs: tuple[str, ...]
    settings: Fields
    """Of self-adaptation, the same in all runs."""
    num_comparisons: int
    """Of the trained policy with controls in each condition, for which p-values are corrected."""
    notes: tuple[str, ...]
    conditions: tuple[ConditionResult, ...]
