"""Policies: a table that counts what was good, and a language model that learns to write edits."""

import random
from collections import Counter

import pytest
import torch
from accelerate.state import AcceleratorState
from adaptable import random_model, small_settings
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.corpora.worlds.passages import Passage, passages
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.sections.apart.seal import Seal
from domain_tokens.seal import policy as policy_module
from domain_tokens.seal.edits import EditLanguage
from domain_tokens.seal.outer import OuterLoop
from domain_tokens.seal.policy import ChoicePolicy, LanguageModelPolicy, Pairs, seed_of

LANGUAGE = EditLanguage((1, 2), (2, 8), (0.01,), (4, 8))
GOOD = "write questions; repeat 2; train lora 8; rate 0.01; steps 8"


def short_passages(split: str, number: int) -> list[Passage]:
    """Return passages of one sentence, which the vocabulary of the tests writes in few tokens."""
    return [one._replace(text=f"{one.text.split('.')[0]}.") for one in passages(split, number, 0)]


READ = short_passages("adapt", 4)


def drawn(policy: ChoicePolicy, number: int, seed: int = 0) -> dict[str, Counter[object]]:
    edits = [LANGUAGE.parse(text) for text in policy.propose(READ[:1], number, seed)[0]]
    return {name: Counter(getattr(edit, name) for edit in edits) for name in LANGUAGE.parts}


def test_before_it_learns_a_table_draws_evenly() -> None:
    for name, counts in drawn(ChoicePolicy(LANGUAGE), 1500).items():
        allowed = LANGUAGE.parts[name]
        assert set(counts) == set(allowed)
        assert min(counts.values()) > 0.65 * 1500 / len(allowed), name


def test_a_table_draws_what_it_learned_oftener_and_still_all_else() -> None:
    policy = ChoicePolicy(LANGUAGE)
    before = drawn(policy, 1500)
    policy.learn([(READ[0], GOOD)] * 13, 0)
    after, good = drawn(policy, 1500), LANGUAGE.parse(GOOD)
    for name, allowed in LANGUAGE.parts.items():
        value = getattr(good, name)
        assert after[name][value] / 1500 == pytest.approx(14 / (13 + len(allowed)), abs=0.05), name
        assert len(allowed) == 1 or after[name][value] > before[name][value]
        assert set(after[name]) == set(allowed)


def test_a_table_forgets_nothing_that_it_learned() -> None:
    once, twice = ChoicePolicy(LANGUAGE), ChoicePolicy(LANGUAGE)
    once.learn([(READ[0], GOOD)] * 4, 0)
    for _ in range(2):
        twice.learn([(READ[0], GOOD)] * 2, 1)
    assert once.propose(READ, 20, 0) == twice.propose(READ, 20, 0)


def test_a_tables_draws_depend_on_passage_seed_and_number_alone() -> None:
    policy = ChoicePolicy(LANGUAGE)
    found = policy.propose(READ, 5, 0)
    assert [len(texts) for texts in found] == [5] * 4
    assert policy.propose(READ[2:3], 5, 0) == found[2:3]
    assert policy.propose(READ[:1], 3, 0)[0] == found[0][:3]
    assert policy.propose(READ, 5, 1) != found
    assert len({tuple(texts) for texts in found}) == 4


def test_seeds_differ_by_every_part_of_their_names() -> None:
    names = [("round", 0, 1), ("round", 1, 0), ("round", 0), ("inner", 0, 1), ("inner", 0, "1", 2)]
    found = [seed_of(*one) for one in names]
    assert len(set(found)) == len(names)
    assert found == [seed_of(*one) for one in names]
    assert all(0 <= one < 2**31 for one in found)


@pytest.fixture
def model(tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    return random_model(tokenizer, n_positions=128, scale=0.0)


def settings(**changes: object) -> Seal:
    usual = {"policy": "language_model", "policy_epochs": 4, "policy_learning_rate": 0.01}
    return small_settings(**usual | changes)


def learn(policy: LanguageModelPolicy, pairs: Pairs, seed: int = 0) -> None:
    try:
        policy.learn(pairs, seed)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def loss_of(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, pairs: Pairs) -> float:
    """Return nats per token of edits behind their passages."""
    nats = []
    for passage, text in pairs:
        given, ids = tokenizer([f"{passage.text}\nEdit:", f"{passage.text}\nEdit: {text}"])["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, len(given) - 1 : -1]
        nats.append(torch.nn.functional.cross_entropy(logits, torch.tensor(ids[len(given) :])))
    return float(torch.stack(nats).mean())


def test_a_language_model_learns_edits(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast) -> None:
    pairs = [(one, GOOD) for one in short_passages("train", 40)]
    before, first = loss_of(model, tokenizer, pairs[:4]), model.state_dict()["transformer.wte.weight"].clone()
    learn(LanguageModelPolicy(model, tokenizer, settings()), pairs)
    assert not torch.equal(first, model.state_dict()["transformer.wte.weight"])
    assert loss_of(model.eval(), tokenizer, pairs[:4]) < before - 1


def test_it_learns_edit_and_end_and_not_the_passage(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    row = LanguageModelPolicy(model, tokenizer, settings())._row(READ[0], GOOD)
    wanted = [label for label in row["labels"] if label != -100]
    assert tokenizer.decode(row["input_ids"][:-1]) == f"{READ[0].text}\nEdit: {GOOD}"
    assert tokenizer.decode(wanted[:-1]) == f" {GOOD}"
    assert wanted[-1] == tokenizer.eos_token_id
    assert row["labels"][-len(wanted) :] == wanted == row["input_ids"][-len(wanted) :]
    assert len(row["labels"]) == len(row["input_ids"]) == sum(row["attention_mask"]) > len(wanted)


def test_learning_is_repeatable(tokenizer: PreTrainedTokenizerFast) -> None:
    pairs = [(one, GOOD) for one in short_passages("train", 8)]
    found = []
    for seed in (1, 1, 2):
        model = random_model(tokenizer, n_positions=128, scale=0.0)
        learn(LanguageModelPolicy(model, tokenizer, settings()), pairs, seed)
        found.append(model.state_dict()["transformer.wte.weight"].clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_proposals_do_not_depend_on_how_many_are_asked_together(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    policy = LanguageModelPolicy(model, tokenizer, settings())
    model.train()
    found = policy.propose(READ, 2, 3)
    assert [len(texts) for texts in found] == [2] * 4
    assert len({text for texts in found for text in texts}) == 8
    assert not model.training
    assert policy.propose(READ[:1], 2, 3) == found[:1]
    assert policy.propose(READ[:2], 1, 3) == [texts[:1] for texts in found[:2]]
    assert policy.propose(READ, 2, 4) != found


@pytest.mark.parametrize(("positions", "message"), [(24, "leave no room for an edit"), (72, "and its edit need")])
def test_a_model_without_room_for_passage_and_edit_is_refused(
    tokenizer: PreTrainedTokenizerFast, positions: int, message: str
) -> None:
    model = random_model(tokenizer, n_positions=positions)
    with pytest.raises(RecipeError, match=rf"model\.n_positions: .*{message}.*seal\.policy: choice"):
        LanguageModelPolicy(model, tokenizer, settings()).propose(READ, 1, 0)


@pytest.mark.slow
def test_a_warmed_up_model_writes_edits_that_can_be_read(tokenizer: PreTrainedTokenizerFast) -> None:
    wanted, model = settings(), random_model(tokenizer, n_positions=128, n_embd=64, scale=0.0)
    policy, rng = LanguageModelPolicy(model, tokenizer, wanted), random.Random(0)
    language, asked = EditLanguage.of(wanted), short_passages("test", 16)
    before = [text for texts in policy.propose(asked, 4, 0) for text in texts]
    assert not any(is_readable(language, text) for text in before)
    wanted.policy_epochs = 12
    learn(policy, [(one, str(language.draw(rng))) for one in short_passages("train", 256)])
    readable = [text for texts in policy.propose(asked, 4, 0) for text in texts if is_readable(language, text)]
    assert len(readable) > len(before) / 2
    assert len(set(readable)) > 8


def is_readable(language: EditLanguage, text: str) -> bool:
    return OuterLoop(settings(), ChoicePolicy(language), lambda jobs: [])._is_readable(text)


def test_the_settings_reach_the_trainer(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[float, float, int]] = []

    class Spied(policy_module.Trainer):
        def train(self, *arguments, **options):
            found.append((self.args.num_train_epochs, self.args.learning_rate, self.args.warmup_steps))

    monkeypatch.setattr(policy_module, "Trainer", Spied)
    wanted = settings(policy_epochs=3, policy_learning_rate=0.25)
    pairs = [(one, GOOD) for one in short_passages("train", 48)]
    learn(LanguageModelPolicy(model, tokenizer, wanted), pairs)
    assert found == [(3, 0.25, 1)]


@pytest.mark.parametrize("number", [2, 16])
def test_few_edits_are_learned_too(number: int, model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast) -> None:
    before = model.state_dict()["transformer.wte.weight"].clone()
    pairs = [(one, GOOD) for one in short_passages("train", number)]
    learn(LanguageModelPolicy(model, tokenizer, settings(policy_epochs=1)), pairs)
    assert not torch.equal(before, model.state_dict()["transformer.wte.weight"])


def test_the_temperature_is_the_recipes(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[float, int, int]] = []

    def spied(by, tokens, prompts, decoding, batch_size):
        found.append((decoding.temperature, decoding.num_samples, decoding.seed))
        return [[[1]] for _ in prompts]

    monkeypatch.setattr(policy_module, "generate", spied)
    LanguageModelPolicy(model, tokenizer, settings(temperature=0.3)).propose(READ[:2], 4, 9)
    assert found == [(0.3, 4, 9)]
