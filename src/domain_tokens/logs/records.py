"""The types of what a comparison of logs leaves on disk, `comparison.json`.

As in `analysis.results_model`, accuracies, differences and intervals are fractions of 1, or in the unit of their row;
`null` means that a value cannot be computed; a difference is the other condition less the reference.
"""

from typing import Final, Literal

from domain_tokens.analysis.results_model import Accuracy, Bounds, Count, EquivalenceTest, PValue, Record

SCHEMA_VERSION: Final = 1

DIFFER: Final = "differ"
EQUIVALENT: Final = "equivalent"
UNDECIDED: Final = "undecided"
Outcome = Literal["differ", "equivalent", "undecided"]


class SeedDifference(Record):
    """One pair of runs."""

    seeds: tuple[str, str]
    """Of the reference and of the other; single runs may have different ones."""
    reference: float
    other: float
    delta: float
    interval: Bounds | None
    """Over items alone, and so is the next."""
    p_value: PValue | None


class TaskDifference(Record):
    """One condition against the reference in one task."""

    task: str
    metric: str
    condition: str
    num_items: Count
    num_clusters: Count
    """Fewer than `num_items` if some questions are copies of others."""
    unit: str | None
    """Of the values and their differences; `null` for scores from 0 to 1."""
    lower_is_better: bool
    """Whether the harness says so."""
    reference: Accuracy
    other: Accuracy
    delta: float
    interval: Bounds | None
    """The 95% interval of `delta`."""
    test: str
    p_value: PValue | None
    p_holm: PValue | None
    """Corrected for the number of tests of this comparison."""
    smallest_detectable: float | None
    """The smallest true difference that would be found with 80% power, at the level of Holm's first step.

    `null` if it cannot be estimated; above 1, of scores from 0 to 1, if none is found with that power.
    """
    detectable_range: Bounds | None
    """The same at the ends of the 80% interval of the variance between seeds; `null` for one run a side."""
    equivalence: EquivalenceTest | None
    """`null` without a margin."""
    by_seed: tuple[SeedDifference, ...]
    outcome: Outcome
    sentence: str


class ReadLog(Record):
    """A log, and the harness's own result beside the mean of its questions."""

    condition: str
    seed: str
    """As given on the command line; may be empty."""
    task: str
    path: str
    sha256: str
    harness: str
    version: str | None
    model: str | None
    """As the log calls it."""
    metric: str
    num_items: Count
    mean: float
    """Of the scores of its questions."""
    own: float | None
    """The harness's own result; `null` if it is not there."""
    own_method: str | None
    """How the harness makes it of the scores; `null` if the log does not say."""


class SplitQuestion(Record):
    """A question that one of a pair of runs answered better than the other."""

    task: str
    condition: str
    seed: str
    question: str
    target: str
    reference: str | None
    """The answer, and so is the next."""
    other: str | None
    scores: tuple[float, float]


class Note(Record):
    """What to know before one reads the numbers."""

    about: str
    text: str
    care: bool = True
    """Whether it limits what the numbers show."""


class LogComparison(Record):
    """What `comparison.json` holds."""

    schema_version: int = SCHEMA_VERSION
    reference: str
    conditions: tuple[str, ...]
    """The others."""
    num_runs: Count
    """Of each condition."""
    headline: str
    margin: float | None
    """As given: in percentage points for scores from 0 to 1, otherwise in the unit of the metric."""
    num_tests: Count
    """For how many Holm's method corrects: tasks times conditions."""
    differences: tuple[TaskDifference, ...]
    notes: tuple[Note, ...]
    logs: tuple[ReadLog, ...]
    questions: tuple[SplitQuestion, ...]
