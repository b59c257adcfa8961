"""A verifier's loss and scores: every solution counts alike, and padding and batches change nothing."""

import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForTokenClassification, GPT2Config, GPT2LMHeadModel

from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization.contract import load_tokenizer
from domain_tokens.verifier.records import SampleCounts, SampledQuestion, SampledSolution
from domain_tokens.verifier.sampling import Part, Question, Sampled
from domain_tokens.verifier.scoring import Solution, new_verifier, score_solutions, solutions_of
from domain_tokens.verifier.training import Labelled, collate, language_losses, score_losses

LONG, SHORT = Solution([5, 6, 7, 8, 9, 10], 2, 11), Solution([5, 6, 7], 2, 4)
BATCH = [Labelled(LONG, True), Labelled(SHORT, False)]
SCORES = torch.tensor([[9.0, 9, 0, 1, 1, 0], [9, 9, 0.5, 9, 9, 9]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved language model."""
    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_head=2, n_embd=16, n_positions=16, vocab_size=40)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("num_positions", "lost"), [(64, 0), (8, 3)])
def test_a_solution_is_its_prompt_as_it_was_read_and_its_ids_with_the_end_that_the_model_wrote(
    num_positions: int, lost: int, tokenizer_dirs: dict[str, Path]
) -> None:
    tokenizer = load_tokenizer(tokenizer_dirs["mul_tokens"])
    prompt = "User: 6 and 9? Assistant:"
    ids = tokenizer(prompt)["input_ids"]
    samples = (
        SampledSolution(ids=(7, 8), text="é", finished=True),
        SampledSolution(ids=(7,), text="a", finished=False),
    )
    part = Part(
        "problems",
        [Question("0", "6 and 9?", "54", prompt)],
        2,
        max_new_tokens=4 if lost == 0 else 8 - len(ids) + lost,
        temperature=1.0,
        seed=0,
    )
    rows = [SampledQuestion(id="0", question="6 and 9?", gold="54", samples=samples)]
    counts = SampleCounts(
        num_samples=2, right=0, unfinished=1, generated_tokens=3, prompt_tokens=0, flops=0, batch_size=1
    )
    ((ended, cut),) = solutions_of(Sampled(part, rows, "", counts), tokenizer, num_positions)
    assert len(ids) > 4
    read = ids[lost:]
    assert (ended.ids, cut.ids) == ([*read, 7, 8, tokenizer.eos_token_id], [*read, 7])
    assert (ended.start, cut.start) == (len(read), len(read))
    assert (ended.num_bytes, cut.num_bytes) == (10, 9)


def test_a_batch() -> None:
    batch = collate(39, BATCH)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9, 10], [5, 6, 7, 39, 39, 39]]
    assert batch["attention_mask"].tolist() == [[1] * 6, [1, 1, 1, 0, 0, 0]]
    assert batch["answer_mask"].tolist() == [[0, 0, 1, 1, 1, 1], [0, 0, 1, 0, 0, 0]]
    assert batch["right"].tolist() == [1, 0]
    assert batch["source_bytes"].tolist() == [11, 4]


def test_the_loss_is_the_mean_over_a_solutions_own_tokens() -> None:
    batch = collate(39, BATCH)
    # Of the right one two scores of four are 1 and two are 0; of the wrong one the only score is 0.5.
    assert score_losses(SCORES, batch, "mse").tolist() == [0.5, 0.25]
    at_0, at_1, at_half = (math.log(1 + math.exp(-score)) for score in (0, 1, -0.5))
    assert score_losses(SCORES, batch, "bce").tolist() == pytest.approx([(at_0 + at_1) / 2, at_half])


def test_the_language_model_learns_from_right_solutions_alone(folder: Path) -> None:
    model = GPT2LMHeadModel.from_pretrained(folder)
    batch = collate(39, BATCH)
    outputs = model(input_ids=batch["input_ids"], output_hidden_states=True)
    found = language_losses(outputs.hidden_states[-1], model.transformer.wte.weight, batch)
    logs = outputs.logits[0].log_softmax(dim=-1)
    expected = -torch.stack([logs[position, LONG.ids[position + 1]] for position in range(1, 5)]).mean()
    assert found[0].item() == pytest.approx(expected.item(), rel=1e-5)
    assert found[1].item() == 0


def test_a_new_verifier_has_the_generators_weights_and_knows_nothing(folder: Path) -> None:
    verifier, model = new_verifier(folder), GPT2LMHeadModel.from_pretrained(folder)
    ours, theirs = verifier.transformer.state_dict(), model.transformer.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert score_solutions(verifier.eval(), [LONG, SHORT], 2) == [0, 0]
    assert verifier.dropout.p == 0


def test_scores_are_those_after_the_last_token_whatever_the_batch(folder: Path, tmp_path: Path) -> None:
    verifier = new_verifier(folder).eval()
    torch.nn.init.normal_(verifier.classifier.weight)
    verifier.save_pretrained(tmp_path / "saved")
    alone = AutoModelForTokenClassification.from_pretrained(tmp_path / "saved").eval()  # as anybody loads it
    solutions = [SHORT, LONG, Solution([1, 2, 3, 4], 1, 1), SHORT]
    with torch.no_grad():
        expected = [alone(input_ids=torch.tensor([one.ids])).logits[0, -1, 0].item() for one in solutions]
    assert len(set(expected)) == 3
    for batch_size in (1, 3, 4):
        assert score_solutions(verifier, solutions, batch_size) == pytest.approx(expected, abs=1e-5)


def test_a_score_that_is_no_number_is_refused(folder: Path) -> None:
    verifier = new_verifier(folder).eval()
    assert score_solutions(verifier, [SHORT], 1) == [0]
    torch.nn.init.constant_(verifier.classifier.bias, float("nan"))
    with pytest.raises(RecipeError, match="a score is no finite number"):
        score_solutions(verifier, [SHORT], 1)
