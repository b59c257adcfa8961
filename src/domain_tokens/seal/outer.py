"""The outer loop: write edits, carry them out, keep the best of each passage, learn them; then the controls.

ReST (Gulcehre et al. 2023, https://arxiv.org/abs/2308.08998) as in self-adapting language models (Zweiger et al. 2025,
https://arxiv.org/abs/2506.10943): the policy is fine-tuned on what was rewarded most, without a gradient through the
inner loop.
"""

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from domain_tokens.corpora.worlds.passages import Passage, passages
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.sections.apart.seal import Seal
from domain_tokens.seal.bench import Chain, Job, Trial, with_steps
from domain_tokens.seal.edits import PASSAGE as THE_PASSAGE
from domain_tokens.seal.edits import Edit, EditError, EditLanguage
from domain_tokens.seal.policy import Policy, seed_of
from domain_tokens.seal.records import (
    COMMONEST,
    PASSAGE,
    RANDOM,
    ROUND,
    SHUFFLED,
    TEST,
    TRAINED,
    UNTRAINED,
    AdaptRow,
    PolicyRow,
)
from domain_tokens.seal.selection import best_edits, commonest_edit

logger = logging.getLogger(__name__)

Carry = Callable[[Sequence[Job]], list[AdaptRow]]
"""Carries jobs out and returns their rows, in order."""

_LEAST_READABLE = 0.5  # of a language model's proposals after its warm-up: below it learned no edits


@dataclass
class OuterLoop:
    """Trains a policy on some passages and compares it with controls on others.

    Attributes:
        settings: the recipe's section.
        policy: writes and learns edits.
        carry: carries them out.
        kept: the best edits so far, by round.
    """

    settings: Seal
    policy: Policy
    carry: Carry
    kept: list[PolicyRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.language = EditLanguage.of(self.settings)

    def warm_up(self) -> None:
        """Teach a language model what an edit looks like: edits drawn evenly, for passages of people of their own.

        Raises:
            RecipeError: if it cannot write edits afterwards.
        """
        settings = self.settings
        rng = random.Random(f"warm-up {settings.seed}")
        read = list(passages("train", settings.warmup_edits, settings.seed))
        self.policy.learn([(one, str(self.language.draw(rng))) for one in read], seed_of("warm-up", settings.seed))
        tried = self.policy.propose(read[:16], 4, seed_of("after the warm-up", settings.seed))
        readable = [self._is_readable(text) for texts in tried for text in texts]
        share = sum(readable) / len(readable)
        logger.info("the policy is warmed up: %.0f%% of %d edits can be read", 100 * share, len(readable))
        if share < _LEAST_READABLE:
            raise RecipeError(
                f"seal: after {settings.warmup_edits} warm-up edits only {100 * share:.0f}% of what the policy writes "
                f"can be read, for example {tried[0][0]!r}; raise seal.warmup_edits or seal.policy_epochs, or set "
                "seal.policy to choice"
            )

    def train(self) -> Iterator[list[PolicyRow]]:
        """Run the rounds; yields the edits that each one kept, after the policy has learned them."""
        settings = self.settings
        learned = list(passages("adapt", settings.train_passages, settings.seed))
        by_id = {one.id: one for one in learned}
        for number in range(1, settings.rounds + 1):
            seed = seed_of("round", settings.seed, number)
            written = self.policy.propose(learned, settings.edits_per_passage, seed)
            arm = UNTRAINED if number == 1 else TRAINED
            jobs = [
                Trial(ROUND, number, arm, passage, index, text)
                for passage, texts in zip(learned, written, strict=True)
                for index, text in enumerate(texts)
            ]
            rows = self.carry(jobs)
            kept = best_edits(rows)
            if not kept and any(row.forms for row in rows):
                raise RecipeError(
                    f"seal: every edit of round {number} that could be read diverged with some inner seed; expected "
                    "smaller seal.learning_rates"
                )
            if not kept:
                raise RecipeError(
                    f"seal: none of the edits of round {number} could be read; before the first round, raise "
                    "seal.warmup_edits; after it, lower seal.policy_learning_rate or seal.policy_epochs, or take more "
                    "seal.train_passages: the policy has forgotten how an edit is written"
                )
            self.policy.learn([(by_id[row.passage], row.text) for row in kept], seed_of("learn", seed))
            self.kept += kept
            yield kept

    def proposals(self, name: str) -> list[str | None]:
        """Return the policy's edit for each test passage as it is now: the first that can be read, `None` if none can.

        Args:
            name (`str`): `trained` or `untrained`; the draws are the same for both.
        """
        settings = self.settings
        written = self.policy.propose(self.test_passages, settings.edits_per_passage, seed_of("test", settings.seed))
        found = [next((text for text in texts if self._is_readable(text)), None) for texts in written]
        if without := sum(text is None for text in found):
            logger.warning("%s: %d test passages have no edit that can be read, and are left out", name, without)
        return found

    @property
    def test_passages(self) -> list[Passage]:
        """The passages on which the policy is compared; it learns from none of them."""
        return list(passages("test", self.settings.test_passages, self.settings.seed))

    def arms(self, untrained: Sequence[str | None], trained: Sequence[str | None]) -> dict[str, dict[str, str]]:
        """Return the edit of every arm for every test passage, with as many steps as the trained policy's.

        Args:
            untrained: of the policy before its first round, in the order of the test passages.
            trained: of the policy after its last.
        """
        common = commonest_edit(self.kept, self.language)
        found: dict[str, dict[str, str]] = {
            arm: {} for arm in (TRAINED, UNTRAINED, RANDOM, COMMONEST, PASSAGE, SHUFFLED)
        }
        for passage, before, after in zip(self.test_passages, untrained, trained, strict=True):
            if before is None or after is None:
                continue
            edit = self.language.parse(after)
            drawn = self.language.draw(random.Random(f"random {self.settings.seed} {passage.id}"))
            alone = Edit((THE_PASSAGE,), edit.repeat, edit.rank, edit.learning_rate, edit.steps)
            texts = (after, before, str(drawn), str(common), str(alone), after)
            for arm, text in zip(found, texts, strict=True):
                found[arm][passage.id] = with_steps(text, self.language, edit.steps)
        return found

    def test_jobs(self, arms: dict[str, dict[str, str]]) -> list[Job]:
        """Return the jobs that compare the arms: every edit by itself, and chains of passages."""
        settings, by_id = self.settings, {one.id: one for one in self.test_passages}
        jobs: list[Job] = [
            Trial(TEST, settings.rounds, arm, by_id[passage], 0, text)
            for passage in arms[TRAINED]
            for arm, texts in arms.items()
            for text in [texts[passage]]
        ]
        if not settings.chain:
            return jobs
        order = list(arms[TRAINED])
        chains = [order[start : start + settings.chain] for start in range(0, len(order), settings.chain)]
        for number, links in enumerate(chains):
            if len(links) == settings.chain:  # chains of one length, so that they can be averaged
                jobs += [
                    Chain(settings.rounds, arm, number, seed, tuple((by_id[one], texts[one]) for one in links))
                    for seed in range(settings.inner_seeds)
                    for arm, texts in arms.items()
                ]
        return jobs

    def _is_readable(self, text: str) -> bool:
        try:
            self.language.parse(text)
        except EditError:
            return False
        return True
