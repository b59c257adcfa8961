"""The files of a verifier: what was sampled for it, and what it chose. `runs.layout` has their names."""

from collections.abc import Mapping

from domain_tokens.runs.records import Environment, Fields, Number, Record


class SampledSolution(Record):
    """A solution that a model wrote."""

    ids: tuple[int, ...]
    """Its token ids, without the end-of-text token."""
    text: str
    """The same as the model's tokenizer decodes it, facts as tokens."""
    finished: bool
    """Whether the model ended it."""


class SampledQuestion(Record):
    """A line of `samples.jsonl`: a question and its sampled solutions, in the order in which they were drawn."""

    id: str
    """Of a training problem its source and place; of an evaluation question the task's id."""
    question: str
    gold: str
    """The right number, as the data has it."""
    cluster: str | None = None
    """Template and numbers of a generated question."""
    samples: tuple[SampledSolution, ...]


class ChosenItem(Record):
    """A line of `<task>_items.jsonl`: a question, its samples, and which of them the verifier chose."""

    id: str
    question: str
    gold: str
    cluster: str | None = None
    answers: tuple[str, ...]
    """The samples as written."""
    numbers: tuple[str | None, ...]
    """The number that each gives."""
    right: tuple[bool, ...]
    scores: tuple[float, ...]
    """The verifier's score of each; with `loss: bce` the logit of its probability."""
    chosen: int
    """The index of the sample with the highest score."""
    majority: str | None
    """The commonest number, the first among equals."""


class AtSize(Record):
    """Accuracies of n samples, each the mean over the questions with its 95% interval (`crossed_mean`)."""

    n: int
    verify: Number
    """verify@1 of n: the best-scored of n samples is right."""
    verify_interval: tuple[float, float]
    majority: Number
    """maj@n: the commonest number of n samples is right."""
    majority_interval: tuple[float, float]
    passed: Number
    """pass@n: at least one of n samples is right."""
    passed_interval: tuple[float, float]


class ChosenIdentity(Record):
    """From what a result was made; a result of another is made anew."""

    condition: str
    seed: int
    task: str
    model: str
    """The model that wrote the samples."""
    weights_sha256: str
    verifier_sha256: str
    tokenizer_sha256: str
    questions_sha256: str
    """Of the questions and their right answers, in order: equal in every condition."""
    samples_sha256: str
    code_sha256: str
    """Of the code that trains, evaluates and ranks."""
    sampling: Fields
    """Number of samples, temperature, seed, longest answer."""


class ChosenResult(ChosenIdentity):
    """`<task>_results.json`: what a verifier made of samples of a task's questions."""

    source: str
    """The name of the data source; `generated <name>` if the generator made it."""
    num_items: int
    sizes: tuple[AtSize, ...]
    ranked_pairs: Number | None
    """How often a right sample has a higher score than a wrong one of the same question; `None` without such pairs."""
    unfinished: int
    """Samples that reached the token limit."""
    generated_tokens: int
    flops: Number
    """Of sampling and of scoring."""
    environment: Environment
    wall_time_s: Number
    """Of scoring; that of sampling is in the manifest of the samples."""


class SampleCounts(Record):
    """What sampling consumed and produced, in the `reported` part of the samples' manifest."""

    num_samples: int
    right: int
    """Samples whose number is right."""
    unfinished: int
    generated_tokens: int
    prompt_tokens: int
    """Tokens of the prompts, once for each sample."""
    flops: Number
    batch_size: int

    @property
    def share_right(self) -> float:
        """The accuracy of one sample."""
        return self.right / self.num_samples


NAMES: Mapping[str, str] = {"verify": "verify@1 of n", "majority": "maj@n", "passed": "pass@n"}
"""What the accuracies of `AtSize` are called in tables and figures."""
