"""The bench: jobs are carried out on a model that is as it was before and after, and every row says what happened."""

import pytest
from adaptable import random_model, small_settings
from transformers import PreTrainedTokenizerFast

from domain_tokens.corpora.worlds.language import Question, read_facts
from domain_tokens.corpora.worlds.passages import documents, passages
from domain_tokens.recipe.sections.apart.seal import Seal
from domain_tokens.seal import bench as bench_module
from domain_tokens.seal.bench import Bench, Chain, Trial, with_steps
from domain_tokens.seal.edits import Edit, EditLanguage
from domain_tokens.seal.executor import Learned
from domain_tokens.seal.records import ARMS, SHUFFLED, AdaptRow, BeforeAfter

FIRST, SECOND, THIRD = PASSAGES = tuple(passages("test", 3, 0))
TEXT = "write statements; repeat 1; train last layer; rate 0.03; steps 2"
LORA = "write statements; repeat 1; train lora 2; rate 0.03; steps 2"


def made(tokenizer: PreTrainedTokenizerFast, **changes: object) -> Bench:
    settings: Seal = small_settings(**changes)
    return Bench(settings, "baseline", 3, random_model(tokenizer), tokenizer, list(documents(2, 0, "validation")))


@pytest.fixture
def bench(tokenizer: PreTrainedTokenizerFast) -> Bench:
    return made(tokenizer)


def trial(arm: str = "trained", passage=FIRST, text: str = TEXT, part: str = "test") -> Trial:
    return Trial(part, 1, arm, passage, 0, text)


def chain(arm: str = "trained", inner_seed: int = 0, text: str = TEXT) -> Chain:
    return Chain(1, arm, 0, inner_seed, tuple((passage, text) for passage in PASSAGES))


@pytest.fixture
def learned(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Edit, list[str], int, str]]:
    """What the executor is given: edit, texts, seed, and the hash of the model that it changes."""
    found: list[tuple[Edit, list[str], int, str]] = []
    real = bench.executor.learn

    def learn(edit: Edit, texts: list[str], seed: int) -> Learned:
        found.append((edit, texts, seed, bench.executor.sha256()))
        return real(edit, texts, seed)

    monkeypatch.setattr(bench.executor, "learn", learn)
    return found


@pytest.mark.parametrize("text", [TEXT, LORA])
def test_every_inner_seed_begins_with_the_same_model(bench: Bench, learned: list, text: str) -> None:
    sha256 = bench.executor.sha256()
    rows = bench.run(trial(text=text))
    assert [row.inner_seed for row in rows] == list(range(5))
    assert {one[3] for one in learned} == {sha256}
    assert len({one[2] for one in learned}) == 5
    assert len({row.reward for row in rows}) == 5
    assert bench.executor.sha256() == sha256
    again = bench.run(trial(text=text))
    assert _without_seconds(again) == _without_seconds(rows)


def test_inner_seeds_are_the_same_for_all_arms_and_parts_of_a_passage(bench: Bench, learned: list) -> None:
    seeds = {}
    for arm in ARMS:
        learned.clear()
        bench.run(trial(arm))
        seeds[arm] = [one[2] for one in learned]
    assert len({tuple(found) for found in seeds.values()}) == 1
    learned.clear()
    bench.run(trial(part="round"))
    assert [one[2] for one in learned] == seeds["trained"]
    learned.clear()
    bench.run(chain(inner_seed=1))
    assert learned[0][2] == seeds["trained"][1]
    learned.clear()
    bench.run(trial(passage=SECOND))
    assert not set(seeds["trained"]) & {one[2] for one in learned}


def test_a_shuffled_passage_states_only_what_is_false(bench: Bench, learned: list) -> None:
    bench.run(trial())
    right = {fact for text in learned[0][1] for fact in read_facts(text)}
    assert right == set(FIRST.facts)
    learned.clear()
    bench.run(trial(SHUFFLED))
    assert len(learned) == 5
    assert len({tuple(one[1]) for one in learned}) == 1
    for _, texts, *_ in learned:
        stated = [fact for text in texts for fact in read_facts(text)]
        assert len(stated) == len(FIRST.facts)
        assert right.isdisjoint(stated)
        for place in range(3):
            assert sorted(fact[place] for fact in stated) == sorted(fact[place] for fact in FIRST.facts)


@pytest.mark.parametrize("arm", [arm for arm in ARMS if arm != SHUFFLED])
def test_all_other_arms_learn_what_is_true(bench: Bench, learned: list, arm: str) -> None:
    bench.run(trial(arm))
    assert {fact for text in learned[0][1] for fact in read_facts(text)} == set(FIRST.facts)


def test_the_passage_alone_is_learned_as_it_is(bench: Bench, learned: list) -> None:
    bench.run(trial("passage", text="write passage; repeat 2; train lora 2; rate 0.03; steps 2"))
    assert learned[0][1] == [FIRST.text] * 2


def test_halves_of_the_questions_are_the_same_for_all_and_share_nothing(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[Question]] = []
    real = bench_module.probe_of_answers
    monkeypatch.setattr(
        bench_module, "probe_of_answers", lambda by, questions: asked.append(questions) or real(by, questions)
    )
    for _ in range(2):
        bench = made(tokenizer)
        bench.run(trial())
        bench.run(trial("random"))
    assert len(asked) == 4
    assert asked[:2] == asked[2:]
    halves = [{question.fact for question in half} for half in asked[:2]]
    assert [len(half) for half in halves] == [8, 8]
    assert halves[0] | halves[1] == set(FIRST.facts)


def test_what_is_asked_of_first_is_of_the_unchanged_model(bench: Bench) -> None:
    # A chain asks for the first time about passages of which none was asked before.
    alone = [row.chosen_by.before for passage in PASSAGES for row in bench.run(trial(passage=passage))[:1]]
    assert len({one.bits_per_byte for one in alone}) == 3
    other = made(bench.tokenizer)
    assert [row.chosen_by.before for row in other.run(chain())] == alone


def test_a_chain_goes_on_with_what_it_learned(bench: Bench, learned: list) -> None:
    sha256 = bench.executor.sha256()
    rows = bench.run(chain())
    assert [(row.passage, row.place, row.part, row.chain) for row in rows] == [
        (f"test/{place}", place, "chain", 0) for place in range(3)
    ]
    assert learned[0][3] == sha256
    assert len({one[3] for one in learned}) == 3
    assert bench.executor.sha256() == sha256
    assert rows[0].earlier is None
    assert all(row.validation.before == rows[0].validation.before for row in rows)
    assert rows[0].validation.after != rows[1].validation.after
    alone = made(bench.tokenizer).run(trial())[0]
    assert (rows[0].chosen_by, rows[0].loss) == (alone.chosen_by, alone.loss)


def test_earlier_passages_are_compared_with_right_after_each_was_learned(bench: Bench) -> None:
    rows = bench.run(chain())
    assert rows[1].earlier is not None
    assert rows[1].earlier.before != rows[1].earlier.after
    # All questions on the first passage, right after it was learned: its two halves, by their bytes.
    asked = bench._asked["test/0"]
    sizes = [half.num_bytes for half in asked.before]
    bits = [half.after.bits_per_byte * size for half, size in zip(_halves(rows[0]), sizes, strict=True)]
    assert rows[1].earlier.before.bits_per_byte == pytest.approx(sum(bits) / sum(sizes), rel=1e-6)


def _halves(row: AdaptRow) -> tuple[BeforeAfter, BeforeAfter]:
    assert row.chosen_by is not None
    assert row.scored_by is not None
    return row.chosen_by, row.scored_by


@pytest.mark.parametrize("reward", ["answer_bits", "validation_loss"])
def test_the_reward_is_what_the_recipe_says(tokenizer: PreTrainedTokenizerFast, reward: str) -> None:
    for row in made(tokenizer, reward=reward).run(trial()):
        drops = {"answer_bits": row.chosen_by.drop, "validation_loss": row.validation.drop}
        assert row.reward == pytest.approx(drops.pop(reward), abs=1e-8) != 0
        assert row.reward != pytest.approx(drops.popitem()[1], abs=1e-3)


def test_a_drop_is_above_zero_if_the_model_got_better(bench: Bench) -> None:
    text = "write questions; repeat 2; train lora 2; rate 0.03; steps 2"
    (row, *_) = bench.run(trial(text=text))
    assert row.chosen_by.after.bits_per_byte < row.chosen_by.before.bits_per_byte
    assert row.reward > 0.05


def test_an_edit_that_cannot_be_read_has_one_row_with_the_reason(bench: Bench, learned: list) -> None:
    (row,) = bench.run(trial(text="write riddles", part="round"))
    assert (row.valid, row.text, row.inner_seed, row.reward) == (False, "write riddles", 0, None)
    assert "expected an edit like" in row.problem
    assert not learned


@pytest.mark.parametrize("job", [trial(), chain()], ids=["trial", "chain"])
def test_the_model_is_restored_whatever_happens(
    bench: Bench, job: Trial | Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256, changed = bench.executor.sha256(), []
    real = bench.validation.measure

    def breaks(model):
        if bench.executor.sha256() != sha256:
            changed.append(True)
            raise MemoryError
        return real(model)

    monkeypatch.setattr(bench.validation, "measure", breaks)
    with pytest.raises(MemoryError):
        bench.run(job)
    assert changed
    assert bench.executor.sha256() == sha256


def test_rows_say_what_was_done(bench: Bench) -> None:
    row = bench.run(trial("random", text=LORA))[2]
    assert AdaptRow.model_validate_json(row.model_dump_json(exclude_unset=True)) == row
    assert (row.condition, row.seed, row.part, row.round, row.arm) == ("baseline", 3, "test", 1, "random")
    assert (row.passage, row.edit, row.inner_seed, row.text) == ("test/0", 0, 2, LORA)
    assert (row.forms, row.repeat, row.target, row.rank) == (("statements",), 1, "lora", 2)
    assert (row.learning_rate, row.steps, row.tokens) == (0.03, 2, 64)
    ids = bench.tokenizer([f"{fact}" for fact in read_statements()])["input_ids"]
    assert row.distinct_tokens == sum(len(one) + 1 for one in ids)


def read_statements() -> list[str]:
    """Return the first passage's facts as sentences in their first wording."""
    from domain_tokens.corpora.worlds.language import statement

    return [statement(fact, 0) for fact in read_facts(FIRST.text)]


def test_an_edit_with_other_steps_is_the_same_but_for_them() -> None:
    language = EditLanguage.of(small_settings())
    assert with_steps(TEXT, language, 1) == TEXT.replace("steps 2", "steps 1")


def _without_seconds(rows: list[AdaptRow]) -> list[AdaptRow]:
    return [row.model_copy(update={"seconds": None}) for row in rows]


DIVERGES = TEXT.replace("0.03", "1e+30").replace("steps 2", "steps 4")


@pytest.fixture
def reckless(tokenizer: PreTrainedTokenizerFast) -> Bench:
    """A bench whose language has a rate that no model survives."""
    return made(tokenizer, learning_rates=[0.03, 1e30], steps=[2, 4])


def test_an_edit_that_diverges_is_recorded_without_numbers(reckless: Bench) -> None:
    sha256 = reckless.executor.sha256()
    rows = reckless.run(trial(text=DIVERGES))
    assert [row.inner_seed for row in rows] == list(range(5))
    assert {(row.valid, row.forms, row.reward) for row in rows} == {(False, ("statements",), None)}
    assert all("its loss became nan" in str(row.problem) for row in rows)
    assert reckless.executor.sha256() == sha256
    assert [AdaptRow.model_validate_json(row.model_dump_json(exclude_unset=True)) for row in rows] == rows
    assert all(row.valid for row in reckless.run(trial()))  # the next one is as if nothing had been


def test_a_model_that_ends_without_numbers_is_recorded_as_diverged(reckless: Bench) -> None:
    (row, *_) = reckless.run(trial(text=DIVERGES.replace("steps 4", "steps 2")))
    assert not row.valid
    assert row.forms


def test_a_chain_goes_no_further_than_an_edit_that_diverges(reckless: Bench) -> None:
    texts = (TEXT, DIVERGES, TEXT)
    rows = reckless.run(Chain(1, "trained", 0, 0, tuple(zip(PASSAGES, texts, strict=True))))
    assert [row.valid for row in rows] == [True, False, False]
    assert [row.place for row in rows] == [0, 1, 2]
    assert rows[2].problem == "an edit before it in the chain diverged"
