"""What SFT learns, in the trainer's own batches: the answer and its end, never the prompt, never padding."""

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

from domain_tokens.corpora.examples import Example
from domain_tokens.training.post_training.chat_data import prompt_completion

pytestmark = pytest.mark.invariants
EXAMPLES = [
    Example("What is 6 * 9?", "6*9=54\n#### 54"),
    Example("Ana has 3 bags with 7 pens in each. How many pens does Ana have?", "3*7=21 pens\n#### 21"),
    Example("How many?", "#### 1"),
]


@pytest.fixture(params=["baseline", "mul_tokens"])
def batch(request, tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path):
    """One batch of all examples, as `SFTTrainer` gives it to the model."""
    tokenizer = tokenizers[request.param]
    arguments = SFTConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=3, max_length=64, completion_only_loss=True,
        report_to="none", bf16=False, use_cpu=True, train_sampling_strategy="sequential",
    )  # fmt: skip
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=64, vocab_size=50349))
    trainer = SFTTrainer(
        model=model, args=arguments, train_dataset=prompt_completion(EXAMPLES), processing_class=tokenizer
    )
    return tokenizer, next(iter(trainer.get_train_dataloader()))


def test_only_the_answer_and_its_end_are_learned(batch) -> None:
    tokenizer, rows = batch
    for ids, labels, example in zip(rows["input_ids"], rows["labels"], EXAMPLES, strict=True):
        learned = labels[labels != -100].tolist()
        assert learned == tokenizer.encode(f" {example.answer}") + [50256]
        assert learned[-1] == tokenizer.pad_token_id == 50256  # the end is learned although padding has the same id
        prompt = tokenizer.encode(f"User: {example.question}\nAssistant:")
        assert ids[: len(prompt)].tolist() == prompt
        assert (labels[: len(prompt)] == -100).all()


def test_padding_is_not_learned(batch) -> None:
    _, rows = batch
    padding = rows["attention_mask"] == 0
    assert padding.any()
    assert (rows["labels"][padding] == -100).all()
    assert (rows["input_ids"][padding] == 50256).all()
    assert ((rows["labels"] == 50256).sum(dim=1) == torch.ones(3)).all()
