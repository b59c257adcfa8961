"""The number-token loss against a computation by hand, and in both trainers however a step is split."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_sft_loss import EXAMPLES, by_hand, fresh_model, trainer_of
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast, TrainingArguments, default_data_collator

from domain_tokens.training.forward.number_loss import NumberTokenLoss
from domain_tokens.training.trainers.number_tokens import NumberTokenTrainer

WEIGHT = 0.3


def distance_by_hand(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, ids: torch.Tensor, start: int
) -> list:
    """The expected distance at each digit from `start` on, in plain loops over the model's own logits."""
    digits = {tokenizer.convert_tokens_to_ids(f"{space}{value}"): value for value in range(10) for space in ("", "Ġ")}
    assert len(digits) == 20
    logits, found = model(ids[None]).logits[0], []
    for position in range(start, len(ids)):
        if (right := digits.get(ids[position].item())) is not None:
            among = torch.softmax(logits[position - 1][list(digits)], dim=0)
            found.append(sum(p * abs(value - right) for p, value in zip(among, digits.values(), strict=True)))
    return found


@pytest.mark.parametrize("per_example", [False, True], ids=["token", "example"])
def test_fine_tuning_adds_it_to_the_usual_loss(
    per_example: bool, tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    tokenizer = tokenizers["baseline"]
    usual, _ = by_hand(tokenizer, per_example)
    model, total, labels = fresh_model(), [], 0
    for example in EXAMPLES:
        prompt = tokenizer.encode(f"User: {example.question}\nAssistant:")
        ids = torch.tensor([*prompt, *tokenizer.encode(f" {example.answer}"), 50256])
        distances = distance_by_hand(model, tokenizer, ids, len(prompt))
        assert distances  # a digit in every answer: `n*9`
        labels += len(ids) - len(prompt)
        total.append(sum(distances) / (len(ids) - len(prompt) if per_example else 1))
    added = sum(total) / (len(EXAMPLES) if per_example else labels)
    for micro_batch in (8, 2):
        trainer = trainer_of(tokenizer, tmp_path, micro_batch, per_example)
        trainer.number_loss = NumberTokenLoss(trainer.model, tokenizer, WEIGHT)
        trainer.train()
        (logged,) = [row["loss"] for row in trainer.state.log_history if "loss" in row]
        assert logged == pytest.approx(usual + WEIGHT * added.item(), rel=1e-4)


def test_pretraining_adds_it_in_training_and_not_in_evaluation(
    tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    tokenizer = tokenizers["mul_tokens"]
    texts = [
        "6 plus 9 is 15, so 7 and 8",
        "no number at all is here or there",
        "3 pens, 4 bags: 3*4=12, 5",
        "1 2 3 4 5",
    ]
    rows = [tokenizer.encode(text)[:8] for text in texts]
    assert {len(row) for row in rows} <= {8, 5, 7}
    data = [{"input_ids": np.array((row * 2)[:8]), "labels": np.array((row * 2)[:8])} for row in rows]
    model = fresh_model()
    model.loss_type = "ForCausalLM"  # as `new_model` sets it; without it, a row counts one label too many
    ids = [torch.tensor(row["input_ids"]) for row in data]
    usual = torch.stack([model(one[None], labels=one[None]).loss for one in ids]).mean().item()
    distances = [one for row in ids for one in distance_by_hand(model, tokenizer, row, 1)]
    assert 5 < len(distances) < 4 * 7
    moved = []
    for micro_batch in (4, 2):
        arguments = TrainingArguments(
            output_dir=str(tmp_path), per_device_train_batch_size=micro_batch, per_device_eval_batch_size=4,
            gradient_accumulation_steps=4 // micro_batch, max_steps=1, learning_rate=1.0, optim="sgd",
            lr_scheduler_type="constant", max_grad_norm=0.0, report_to="none", use_cpu=True, logging_steps=1,
            save_strategy="no", disable_tqdm=True, train_sampling_strategy="sequential",
        )  # fmt: skip
        trained = fresh_model()
        trained.loss_type = "ForCausalLM"
        trainer = NumberTokenTrainer(
            model=trained, args=arguments, train_dataset=data, eval_dataset=data,
            data_collator=default_data_collator, processing_class=tokenizer,
        )  # fmt: skip
        trainer.number_loss = NumberTokenLoss(trainer.model, tokenizer, WEIGHT)
        assert trainer.evaluate()["eval_loss"] == pytest.approx(usual, rel=1e-4)
        before = trainer.model.transformer.wte.weight.detach().clone()
        trainer.train()
        (logged,) = [row["loss"] for row in trainer.state.log_history if "loss" in row]
        assert logged == pytest.approx(usual + WEIGHT * sum(distances).item() / (4 * 7), rel=1e-4)
        moved.append(trainer.model.transformer.wte.weight.detach() - before)
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-3, atol=1e-6)


def test_a_near_digit_costs_less_than_a_far_one(tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    tokenizer, model = tokenizers["baseline"], fresh_model()
    loss = NumberTokenLoss(model, tokenizer, 1.0)
    rows = model.transformer.wte.weight
    costs = {}
    alone, one_of_two = (
        SimpleNamespace(
            args=SimpleNamespace(average_tokens_across_devices=number > 1),
            accelerator=SimpleNamespace(num_processes=number),
        )
        for number in (1, 2)
    )
    for written in (3, 4, 9):  # a hidden state on the way to the row of one digit
        row = rows[tokenizer.convert_tokens_to_ids(str(written))].detach()
        loss._hidden = (1000 * row / row.norm() ** 2).expand(1, 2, -1)
        labels = torch.tensor([[0, tokenizer.convert_tokens_to_ids("3")]])
        costs[written] = loss.of_step(alone, labels, 1).item()
        # Trainer averages over processes what was divided by the labels of all of them.
        assert loss.of_step(one_of_two, labels, 1).item() == pytest.approx(2 * costs[written])
    assert costs == pytest.approx({3: 0, 4: 1, 9: 6}, abs=1e-3)
