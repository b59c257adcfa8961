"""The outer loop: the policy goes where the reward is, and the controls differ from it in what they are meant to."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from adaptable import small_settings
from adapted_rows import one_row

from domain_tokens.corpora.worlds.passages import Passage
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.sections.apart.seal import Seal
from domain_tokens.seal.bench import Chain, Job, Trial, with_steps
from domain_tokens.seal.edits import EditError, EditLanguage
from domain_tokens.seal.outer import OuterLoop
from domain_tokens.seal.policy import ChoicePolicy, Pairs
from domain_tokens.seal.records import ARMS, AdaptRow

SETTINGS = small_settings(
    rounds=6, train_passages=24, test_passages=9, edits_per_passage=8, chain=4, steps=[4, 8], ranks=[2, 8]
)
GOOD_FORM = ("statements",)


class SpiedPolicy(ChoicePolicy):
    """A table that keeps what it learned from."""

    def __init__(self, language: EditLanguage) -> None:
        super().__init__(language)
        self.learned: list[Pairs] = []
        self.asked: list[str] = []

    def propose(self, passages: Sequence[Passage], number: int, seed: int) -> list[list[str]]:
        self.asked += [one.id for one in passages]
        return super().propose(passages, number, seed)

    def learn(self, pairs: Pairs, seed: int) -> None:
        self.learned.append(pairs)
        super().learn(pairs, seed)


class WrittenPolicy:
    """Writes what it is told to."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def propose(self, passages: Sequence[Passage], number: int, seed: int) -> list[list[str]]:
        return [self.texts for _ in passages]

    def learn(self, pairs: Pairs, seed: int) -> None:
        pass


class World:
    """Rewards one form, with noise of the inner seed, and keeps the jobs."""

    def __init__(self, settings: Seal = SETTINGS) -> None:
        self.language, self.settings = EditLanguage.of(settings), settings
        self.rng = random.Random(0)
        self.jobs: list[Job] = []

    def carry(self, jobs: Sequence[Job]) -> list[AdaptRow]:
        self.jobs += jobs
        return [row for job in jobs for row in self._rows(job)]

    def _rows(self, job: Job) -> list[AdaptRow]:
        assert isinstance(job, Trial)
        shared = {"part": job.part, "round": job.round, "arm": job.arm, "text": job.text}
        try:
            edit = self.language.parse(job.text)
        except EditError as error:
            invalid = {"valid": False, "problem": str(error), "reward": None, "forms": ()}
            return [one_row(job.passage.id, job.edit, **shared, **invalid)]
        worth = float(edit.forms == GOOD_FORM)
        return [
            one_row(job.passage.id, job.edit, seed, worth + self.rng.gauss(0, 0.2), **shared)
            for seed in range(self.settings.inner_seeds)
        ]


@pytest.fixture(scope="module")
def trained() -> tuple[OuterLoop, World, SpiedPolicy, list[str], list[str]]:
    """A loop after its rounds, and what the policy wrote for the test passages before and after."""
    world = World()
    policy = SpiedPolicy(world.language)
    loop = OuterLoop(SETTINGS, policy, world.carry)
    before = [text for text in loop.proposals("untrained") if text is not None]
    assert len(list(loop.train())) == 6
    after = [text for text in loop.proposals("trained") if text is not None]
    return loop, world, policy, before, after


def share(texts: Sequence[str]) -> float:
    return sum(EditLanguage.of(SETTINGS).parse(text).forms == GOOD_FORM for text in texts) / len(texts)


def test_the_policy_goes_where_the_reward_is(trained) -> None:
    loop, _, policy, before, after = trained
    asked = loop.test_passages
    many = [text for texts in policy.propose(asked, 50, 1) for text in texts]
    even = [text for texts in ChoicePolicy(loop.language).propose(asked, 50, 1) for text in texts]
    assert share(even) < 0.15
    assert share(many) > 0.7
    assert before != after
    assert share(after) > share(before)


def test_no_edit_is_rewarded_without_its_form_once_the_form_was_tried(trained) -> None:
    loop, world, *_ = trained
    tried: dict[tuple[int, str], set[bool]] = {}
    for job in world.jobs:
        good = world.language.parse(job.text).forms == GOOD_FORM
        tried.setdefault((job.round, job.passage.id), set()).add(good)
    assert len(loop.kept) == 6 * 24
    assert {True} != set().union(*tried.values())
    for row in loop.kept:
        assert (share([row.text]) == 1) == (True in tried[row.round, row.passage])


def test_test_passages_never_train_a_policy(trained) -> None:
    loop, world, policy, *_ = trained
    assert len(policy.learned) == 6
    assert any(name.startswith("test/") for name in policy.asked)
    learned = [passage for pairs in policy.learned for passage, _ in pairs]
    assert {one.id.split("/")[0] for one in learned} == {"adapt"}
    assert {job.passage.id.split("/")[0] for job in world.jobs} == {"adapt"}
    people = {fact.person for passage in learned for fact in passage.facts}
    assert len(people) == 4 * 24
    assert people.isdisjoint(fact.person for passage in loop.test_passages for fact in passage.facts)
    for pairs, number in zip(policy.learned, range(1, 7), strict=True):
        assert [text for _, text in pairs] == [row.text for row in loop.kept if row.round == number]


def test_rounds_are_told_apart(trained) -> None:
    _, world, *_ = trained
    assert {(job.round, job.arm, job.part) for job in world.jobs} == {
        (1, "untrained", "round"), *((number, "trained", "round") for number in range(2, 7)),
    }  # fmt: skip
    by_round = [[job.text for job in world.jobs if job.round == number] for number in (5, 6)]
    assert by_round[0] != by_round[1]


@pytest.fixture(scope="module")
def arms(trained) -> dict[str, dict[str, str]]:
    loop, _, _, before, after = trained
    return loop.arms(before, after)


def test_all_arms_have_the_steps_of_the_trained_edit(trained) -> None:
    loop, _, _, before, after = trained
    parse = loop.language.parse
    assert {parse(text).steps for text in after} == {4, 8}
    drawn = [with_steps(text, loop.language, 4) for text in before]
    arms = loop.arms(drawn, after)
    for passage, text in zip(loop.test_passages, after, strict=True):
        assert arms["trained"][passage.id] == text
        assert {parse(texts[passage.id]).steps for texts in arms.values()} == {parse(text).steps}


def test_controls_are_what_they_say(trained, arms: dict[str, dict[str, str]]) -> None:
    loop, _, _, before, _ = trained
    parse = loop.language.parse
    shown = {arm: [parse(text) for text in texts.values()] for arm, texts in arms.items()}
    assert tuple(arms) == ARMS
    assert arms["shuffled"] == arms["trained"]
    for alone, edit in zip(shown["passage"], shown["trained"], strict=True):
        assert alone.forms == ("passage",) != edit.forms
        assert (alone.rank, alone.learning_rate, alone.repeat) == (edit.rank, edit.learning_rate, edit.repeat)
    without_steps = {arm: [str(edit).rpartition(";")[0] for edit in edits] for arm, edits in shown.items()}
    assert without_steps["untrained"] == [text.rpartition(";")[0] for text in before]
    assert len(set(without_steps["commonest"])) == 1
    assert shown["commonest"][0].forms == GOOD_FORM
    assert len(set(without_steps["random"])) > 5
    assert without_steps["random"] != without_steps["untrained"]


def test_random_edits_do_not_depend_on_the_policy(trained, arms: dict[str, dict[str, str]]) -> None:
    loop, *_ = trained
    other = OuterLoop(SETTINGS, SpiedPolicy(loop.language), loop.carry, kept=loop.kept)
    found = other.arms(list(arms["trained"].values()), list(arms["trained"].values()))
    assert found["random"] == arms["random"]


def test_a_test_passage_without_a_readable_edit_is_left_out_of_all_arms(trained) -> None:
    loop, _, _, before, after = trained
    found = loop.arms([None, *before[1:]], [*after[:2], None, *after[3:]])
    ids = [one.id for one in loop.test_passages]
    for texts in found.values():
        assert list(texts) == [ids[1], *ids[3:]]


def test_every_arm_of_every_passage_is_compared_and_chained(trained, arms: dict[str, dict[str, str]]) -> None:
    loop, *_ = trained
    jobs = loop.test_jobs(arms)
    trials = [job for job in jobs if isinstance(job, Trial)]
    chains = [job for job in jobs if isinstance(job, Chain)]
    assert {(job.passage.id, job.arm, job.text) for job in trials} == {
        (passage, arm, text) for arm, texts in arms.items() for passage, text in texts.items()
    }
    assert len(trials) == 9 * 6
    assert {job.part for job in trials} == {"test"}
    assert {(job.arm, job.number, job.inner_seed) for job in chains} == {
        (arm, number, seed) for arm in ARMS for number in (0, 1) for seed in range(5)
    }
    for job in chains:  # the ninth passage makes no chain
        assert [passage.id for passage, _ in job.links] == [f"test/{4 * job.number + link}" for link in range(4)]
        assert all(arms[job.arm][passage.id] == text for passage, text in job.links)


def test_no_chains_if_none_are_wanted(trained, arms: dict[str, dict[str, str]]) -> None:
    loop, *_ = trained
    settings = replace(SETTINGS, chain=0)
    without = OuterLoop(settings, loop.policy, loop.carry, kept=loop.kept)
    found = without.arms(list(arms["trained"].values()), list(arms["trained"].values()))
    assert {type(job) for job in without.test_jobs(found)} == {Trial}


def test_a_proposal_is_the_first_that_can_be_read() -> None:
    good = "write passage; repeat 1; train lora 2; rate 0.01; steps 4"
    world = World()
    assert OuterLoop(SETTINGS, WrittenPolicy("?", good, good), world.carry).proposals("trained") == [good] * 9
    assert OuterLoop(SETTINGS, WrittenPolicy("?", "!"), world.carry).proposals("trained") == [None] * 9


def test_a_round_without_a_readable_edit_is_refused() -> None:
    world = World()
    with pytest.raises(
        RecipeError, match=r"none of the edits of round 1 could be read; .* raise seal\.warmup_edits; after it, lower"
    ):
        list(OuterLoop(SETTINGS, WrittenPolicy("?"), world.carry).train())
    assert len(world.jobs) == 24


def test_a_warm_up_that_teaches_nothing_is_refused_with_what_was_written() -> None:
    world = World()
    good = "write passage; repeat 1; train lora 2; rate 0.01; steps 4"
    OuterLoop(SETTINGS, WrittenPolicy("?", good), world.carry).warm_up()
    with pytest.raises(RecipeError, match=r"1024 warm-up edits only 33%.*for example '\?'; raise seal\.warmup_edits"):
        OuterLoop(SETTINGS, WrittenPolicy("?", good, "!"), world.carry).warm_up()


def test_the_warm_up_is_drawn_evenly_for_people_of_the_corpus() -> None:
    world = World()
    policy = SpiedPolicy(world.language)
    OuterLoop(SETTINGS, policy, world.carry).warm_up()
    (pairs,) = policy.learned
    assert len(pairs) == SETTINGS.warmup_edits
    assert {passage.id.split("/")[0] for passage, _ in pairs} == {"train"}
    assert share([text for _, text in pairs]) == pytest.approx(1 / 15, abs=0.03)


def test_both_policies_draw_alike_on_test_passages() -> None:
    seeds: list[int] = []

    class Drawing(ChoicePolicy):
        def propose(self, passages: Sequence[Passage], number: int, seed: int) -> list[list[str]]:
            seeds.append(seed)
            return super().propose(passages, number, seed)

    loop = OuterLoop(SETTINGS, Drawing(EditLanguage.of(SETTINGS)), World().carry)
    before = loop.proposals("untrained")
    assert loop.proposals("trained") == before  # nothing was learned between them
    assert len(set(seeds)) == 1


def test_rounds_draw_differently() -> None:
    loop = OuterLoop(SETTINGS, SpiedPolicy(EditLanguage.of(SETTINGS)), World().carry)
    seeds: list[int] = []
    real = loop.policy.propose
    loop.policy.propose = lambda passages, number, seed: seeds.append(seed) or real(passages, number, seed)
    list(loop.train())
    assert len(set(seeds)) == SETTINGS.rounds


def test_a_round_in_which_every_edit_diverged_says_so() -> None:
    world = World()

    def diverged(jobs: Sequence[Job]) -> list[AdaptRow]:
        return [row.model_copy(update={"valid": False, "reward": None}) for row in world.carry(jobs)]

    with pytest.raises(RecipeError, match=r"every edit of round 1 that could be read diverged.*seal\.learning_rates"):
        list(OuterLoop(SETTINGS, ChoicePolicy(EditLanguage.of(SETTINGS)), diverged).train())
