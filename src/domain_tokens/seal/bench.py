"""One process's bench: carries out edits on its own copy of the model and says what they did, row by row."""

import math
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.corpora.worlds.language import read_facts
from domain_tokens.corpora.worlds.passages import Passage, exchanged, questions_about, told
from domain_tokens.recipe.sections.apart.seal import Seal
from domain_tokens.seal.edits import Edit, EditError, EditLanguage, texts_of
from domain_tokens.seal.executor import Diverged, Executor
from domain_tokens.seal.measuring import Probe, Sums, probe_of_answers, probe_of_documents
from domain_tokens.seal.policy import seed_of
from domain_tokens.seal.records import CHAIN, SCHEMA, SHUFFLED, AdaptRow, BeforeAfter
from domain_tokens.stopping.parent import end_with


@dataclass(frozen=True)
class Trial:
    """An edit for a passage, to be carried out once for each inner seed.

    Attributes:
        part: `round` or `test`.
        round: of the outer loop.
        arm: of `records.ARMS`.
        passage: which is learned and asked about.
        edit: its number among those for this passage.
        text: the edit as it was written.
    """

    part: str
    round: int
    arm: str
    passage: Passage
    edit: int
    text: str


@dataclass(frozen=True)
class Chain:
    """Passages that are learned one after another with one inner seed; the model is restored at the end.

    Attributes:
        round: rounds of the policy.
        arm: of `records.ARMS`.
        number: which chain.
        inner_seed: which seed.
        links: passages with their edits.
    """

    round: int
    arm: str
    number: int
    inner_seed: int
    links: tuple[tuple[Passage, str], ...]


Job = Trial | Chain


@dataclass
class _Asked:
    """The questions on a passage in two halves, and what the model gave to them before it was changed."""

    chosen_by: Probe
    scored_by: Probe
    before: tuple[Sums, Sums]


@dataclass
class Bench:
    """A model, its questions and its held-out text.

    Attributes:
        settings: the recipe's section.
        condition, seed: of the run, for the rows.
        model: is changed and restored.
        tokenizer: its tokenizer.
        documents: held-out text on which forgetting is measured.
    """

    settings: Seal
    condition: str
    seed: int
    model: GPT2LMHeadModel
    tokenizer: PreTrainedTokenizerFast
    documents: Sequence[str]
    _asked: dict[str, _Asked] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.executor = Executor(self.model, self.tokenizer, self.settings.tokens_per_step)
        self.language = EditLanguage.of(self.settings)
        self.validation = probe_of_documents(self.tokenizer, self.documents, self.model.config.n_positions)

    @cached_property
    def validation_before(self) -> Sums:
        """What the unchanged model gives to the held-out text."""
        return self.validation.measure(self.model)

    def run(self, job: Job) -> list[AdaptRow]:
        """Carry out a job; the model is as it was afterwards, whatever happens."""
        try:
            return list(self._try(job) if isinstance(job, Trial) else self._learn_all(job))
        finally:
            self.executor.restore()

    def _try(self, trial: Trial) -> Iterator[AdaptRow]:
        try:
            edit = self.language.parse(trial.text)
        except EditError as error:
            yield self._row(trial, 0, None, problem=str(error))
            return
        self.executor.restore()
        self._questions(trial.passage)
        for inner_seed in range(self.settings.inner_seeds):
            self.executor.restore()
            yield self._carry_out(edit, trial, trial.passage, inner_seed)

    def _learn_all(self, chain: Chain) -> Iterator[AdaptRow]:
        self.executor.restore()
        for passage, _ in chain.links:
            self._questions(passage)
        learned: list[tuple[_Asked, Sums]] = []
        went_wrong = ""
        for place, (passage, text) in enumerate(chain.links):
            trial, edit = Trial(CHAIN, chain.round, chain.arm, passage, 0, text), self.language.parse(text)
            if went_wrong:
                row = self._row(trial, chain.inner_seed, edit, problem=went_wrong)
            else:
                row = self._carry_out(edit, trial, passage, chain.inner_seed)
                went_wrong = "" if row.valid else "an edit before it in the chain diverged"
            added: dict[str, object] = {"chain": chain.number, "place": place}
            if learned and row.valid:
                now = sum((_both(asked, self.model) for asked, _ in learned), Sums())
                added["earlier"] = _before_after(sum((sums for _, sums in learned), Sums()), now)
            yield row.model_copy(update=added)
            asked = self._questions(passage)
            learned.append((asked, _both(asked, self.model)))

    def _carry_out(self, edit: Edit, trial: Trial, passage: Passage, inner_seed: int) -> AdaptRow:
        """Let the model learn an edit as it is now, and measure it; what it gave before is that of the first model."""
        started = time.monotonic()
        asked, before = self._questions(passage), self.validation_before
        # The same for every arm of a passage, so that arms differ in nothing but the edit.
        seed = seed_of("inner", self.settings.seed, passage.id, inner_seed)
        try:
            learned = self.executor.learn(edit, texts_of(edit, self._learned_text(passage, trial.arm), seed), seed)
            probes = (asked.chosen_by, asked.scored_by, self.validation)
            *after, documents = [probe.measure(self.model) for probe in probes]
            if not all(math.isfinite(sums.bits) for sums in (*after, documents)):
                raise Diverged("the model it leaves gives no finite number")
        except Diverged as error:
            return self._row(trial, inner_seed, edit, problem=str(error))
        halves = [_before_after(was, now) for was, now in zip(asked.before, after, strict=True)]
        validation = BeforeAfter(
            before=before.measured(are_answers=False), after=documents.measured(are_answers=False)
        )
        reward = halves[0].drop if self.settings.reward == "answer_bits" else validation.drop
        return self._row(trial, inner_seed, edit).model_copy(
            update={
                "tokens": learned.tokens,
                "distinct_tokens": learned.distinct_tokens,
                "loss": round(learned.loss, 6),
                "chosen_by": halves[0],
                "scored_by": halves[1],
                "validation": validation,
                "reward": round(reward, 9),
                "seconds": round(time.monotonic() - started, 3),
            }
        )

    def _learned_text(self, passage: Passage, arm: str) -> str:
        if arm != SHUFFLED:
            return passage.text
        rng = random.Random(f"shuffled {self.settings.seed} {passage.id}")
        return told(exchanged(read_facts(passage.text), rng), rng)

    def _questions(self, passage: Passage) -> _Asked:
        """Return the questions on a passage; they are first asked for while the model is not changed."""
        if passage.id not in self._asked:
            rng = random.Random(f"questions {self.settings.seed} {passage.id}")
            questions = questions_about(passage.facts, rng)
            rng.shuffle(questions)
            middle = len(questions) // 2
            probes = [probe_of_answers(self.tokenizer, part) for part in (questions[:middle], questions[middle:])]
            before = [probe.measure(self.model) for probe in probes]
            self._asked[passage.id] = _Asked(probes[0], probes[1], (before[0], before[1]))
        return self._asked[passage.id]

    def _row(self, trial: Trial, inner_seed: int, edit: Edit | None, problem: str | None = None) -> AdaptRow:
        """Return what is known of an edit before it is carried out, or why it came to nothing."""
        known: dict[str, object] = {
            "schema_version": SCHEMA,
            "condition": self.condition,
            "seed": self.seed,
            "part": trial.part,
            "round": trial.round,
            "arm": trial.arm,
            "passage": trial.passage.id,
            "edit": trial.edit,
            "inner_seed": inner_seed,
            "text": trial.text,
            "valid": problem is None,
            "problem": problem,
        }
        if edit is not None:
            names = ("forms", "repeat", "target", "rank", "learning_rate", "steps")
            known |= {name: getattr(edit, name) for name in names}
        return AdaptRow.model_validate(known)


def _both(asked: _Asked, model: GPT2LMHeadModel) -> Sums:
    return asked.chosen_by.measure(model) + asked.scored_by.measure(model)


def _before_after(before: Sums, after: Sums) -> BeforeAfter:
    return BeforeAfter(before=before.measured(are_answers=True), after=after.measured(are_answers=True))


_bench: Bench | None = None


def start_worker(make: Callable[[], Bench], parent: int) -> None:
    """Set up a process of a pool. It has one thread, so that no number depends on how many processes there are.

    Args:
        make (`Callable`): loads model and tokenizer.
        parent (`int`): process id of who began the pool: it may have ended in the seconds that imports take.
    """
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one ends the others
    torch.set_num_threads(1)
    set_bench(make())


def set_bench(bench: Bench) -> None:
    """Let `work_off` use a bench in this process."""
    global _bench
    _bench = bench


def work_off(job: Job) -> list[AdaptRow]:
    """Carry out a job on this process's bench."""
    assert _bench is not None, "start_worker was not called"
    return _bench.run(job)


def with_steps(text: str, language: EditLanguage, steps: int) -> str:
    """Return an edit with another number of steps."""
    return str(replace(language.parse(text), steps=steps))
