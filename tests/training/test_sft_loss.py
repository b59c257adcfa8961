"""What one step of fine-tuning minimizes, per token or per example: the same by hand and however the step is split."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from trl import SFTConfig

from domain_tokens.corpora.examples import Example
from domain_tokens.tokenization.facts import GPT2_IDS
from domain_tokens.training.callbacks.accounting import Counter
from domain_tokens.training.post_training.chat_data import prompt_completion
from domain_tokens.training.sft import _count
from domain_tokens.training.trainers.answers import AnswerTrainer, _with_examples_weighted_alike

EXAMPLES = [Example(f"What is {n} times 9?", " ".join(["so"] * n) + f" {n}*9={9 * n}") for n in range(1, 9)]

PACKED = [[7, 0], [1, 6], [5, 2], [3, 4]]
"""The examples of each row of 64 tokens."""


def fresh_model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    shape = {"n_layer": 1, "n_head": 1, "n_embd": 8, "n_positions": 64, "vocab_size": 50349}
    return GPT2LMHeadModel(GPT2Config(**shape, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))


def trainer_of(
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    micro_batch: int,
    per_example: bool,
    form: str = "padded",
    examples: list[Example] = EXAMPLES,
) -> AnswerTrainer:
    accumulation = (len(PACKED) if form == "packed" else len(EXAMPLES)) // micro_batch
    arguments = SFTConfig(
        output_dir=str(folder), per_device_train_batch_size=micro_batch, gradient_accumulation_steps=accumulation,
        max_length=None, padding_free=form != "padded", completion_only_loss=True, remove_unused_columns=False,
        max_steps=1, learning_rate=1.0, optim="sgd", lr_scheduler_type="constant", max_grad_norm=0.0,
        report_to="none", bf16=False, use_cpu=True, logging_steps=1, save_strategy="no", disable_tqdm=True,
        gradient_checkpointing=False,
    )  # fmt: skip
    trainer = AnswerTrainer(
        model=fresh_model(), args=arguments, processing_class=tokenizer,
        train_dataset=prompt_completion(examples).add_column("source_bytes", [1] * len(examples)),
    )  # fmt: skip
    trainer.count_with(Counter())
    trainer.per_example = per_example
    if form == "packed":
        trainer.pack(PACKED, 64)
    return trainer


def by_hand(tokenizer: PreTrainedTokenizerFast, per_example: bool) -> tuple[float, torch.Tensor]:
    """The loss of one step over all examples, each computed alone without padding, and the gradient of the rows."""
    model, losses = fresh_model(), []
    for example in EXAMPLES:
        prompt = tokenizer.encode(f"User: {example.question}\nAssistant:")
        ids = torch.tensor([*prompt, *tokenizer.encode(f" {example.answer}"), 50256])
        logits = model(ids[None]).logits[0]
        losses.append(
            torch.nn.functional.cross_entropy(logits[len(prompt) - 1 : -1], ids[len(prompt) :], reduction="none")
        )
    assert len({len(one) for one in losses}) > 4  # answers of different lengths, or the two means would be the same
    loss = torch.stack([one.mean() for one in losses]).mean() if per_example else torch.cat(losses).mean()
    loss.backward()
    return loss.item(), model.transformer.wte.weight.grad


@pytest.fixture(scope="module")
def computed(tokenizers: dict[str, PreTrainedTokenizerFast]) -> dict[bool, tuple[float, torch.Tensor]]:
    """What `by_hand` gives per example and per token."""
    return {per_example: by_hand(tokenizers["baseline"], per_example) for per_example in (True, False)}


@pytest.mark.parametrize(
    ("per_example", "form"),
    [
        *((True, form) for form in ("padded", "padding-free", "packed")),
        *(pytest.param(False, form, marks=pytest.mark.slow) for form in ("padded", "padding-free")),
        (False, "packed"),
    ],
)
def test_a_step_is_the_same_by_hand_and_however_it_is_split(
    per_example: bool,
    form: str,
    computed: dict[bool, tuple[float, torch.Tensor]],
    tokenizers: dict[str, PreTrainedTokenizerFast],
    tmp_path: Path,
) -> None:
    tokenizer = tokenizers["baseline"]
    (loss, gradient), (other, _) = computed[per_example], computed[not per_example]
    assert abs(loss - other) > 1e-4
    for micro_batch in (4, 1) if form == "packed" else (8, 2):
        trainer = trainer_of(tokenizer, tmp_path, micro_batch, per_example, form)
        totals = trainer._counter.totals
        trainer.add_callback(trainer._counter)
        before = trainer.model.transformer.wte.weight.detach().clone()
        trainer.train()
        (logged,) = [row["loss"] for row in trainer.state.log_history if "loss" in row]
        assert trainer.args.gradient_accumulation_steps == (4 if form == "packed" else 8) // micro_batch
        assert logged == pytest.approx(loss, rel=1e-4)  # the library rounds what it logs
        moved = before - trainer.model.transformer.wte.weight.detach()  # plain gradient descent, learning rate 1
        torch.testing.assert_close(moved, gradient, rtol=1e-3, atol=1e-6)
        assert totals["examples"] == len(EXAMPLES)
        encoded = trainer.train_dataset.examples if form == "packed" else trainer.train_dataset
        assert totals["tokens"] - totals["padding_tokens"] == sum(map(len, encoded["input_ids"]))
        assert (totals["padding_tokens"] == 0) == (form == "padding-free")
        assert form != "packed" or (totals["tokens"], totals["squared_lengths"]) == (4 * 64, 4 * 64**2)
        assert totals["source_bytes"] == len(EXAMPLES)


@pytest.mark.parametrize("form", ["padded", "padding-free", "packed"])
@pytest.mark.parametrize(
    ("condition", "in_questions", "in_answers"),
    [pytest.param("baseline", 0, 0, marks=pytest.mark.slow), ("mul_tokens", 3 * 4, 2 * 4 + 4)],
)
def test_facts_are_counted_in_questions_and_in_answers(
    condition: str,
    in_questions: int,
    in_answers: int,
    form: str,
    tokenizers: dict[str, PreTrainedTokenizerFast],
    tmp_path: Path,
) -> None:
    """Four examples with three facts in the question and two in the answer, and four with one in the answer alone."""
    many = Example("What is 6 * 9, 2 * 3 and 4 * 5?", "6*9=54 and then 2*3=6, 26 in all.")
    one = Example("What is six times nine, as everybody knows who ever went to school?", "6*9=54")
    examples = [many, one] * 4
    tokenizer = tokenizers[condition]
    trainer = trainer_of(tokenizer, tmp_path, 4, False, form, examples)
    trainer.add_callback(trainer._counter)
    trainer.train()
    totals = trainer._counter.totals
    assert totals["examples"] == 8
    assert (totals["padding_tokens"] > 0) == (form != "padding-free")
    assert (totals["question_facts"], totals["answer_facts"]) == (in_questions, in_answers)
    encoded = trainer.train_dataset.examples if form == "packed" else trainer.train_dataset
    epoch = _count(encoded, 8, GPT2_IDS)
    assert (epoch["facts_in_questions_per_epoch"], epoch["facts_learned_per_epoch"]) == (in_questions, in_answers)


def test_the_divisor_is_the_examples_of_all_processes(
    tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(tokenizers["baseline"], tmp_path, 2, per_example=True)
    monkeypatch.setattr(type(trainer.args), "world_size", 2)
    monkeypatch.setattr(
        trainer.accelerator, "gather", lambda own: torch.stack([own, own + 1])
    )  # the other has one more
    batches = iter(trainer.get_train_dataloader())
    found, divisor = trainer.get_batch_samples(batches, 2, torch.device("cpu"))
    assert len(found) == 2
    assert divisor.item() == 4 + 5


def test_every_example_weighs_the_same() -> None:
    class Outputs:
        log_probs = torch.tensor([[-1.0, -3.0, 0.0], [-5.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        label_mask = torch.tensor([[True, True, False], [True, False, False], [False, False, False]])

    def model(**inputs: Any) -> type[Outputs]:
        assert inputs == {"labels": 1}
        return Outputs

    found = _with_examples_weighted_alike(model, labels=1)
    assert found.log_probs.sum(dim=1).tolist() == [-2.0, -5.0, 0.0]
