"""Fine-tuning on conversations: every answer is learned, nothing else, and a single exchange as without them."""

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

from domain_tokens.corpora.examples import Example, Exchange
from domain_tokens.corpora.synthetic import problems
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.training.post_training.chat_data import conversations, prompt_completion

SINGLE = [
    Example("What is 6 times 9?", "6*9=54\n#### 54"),
    Example(" How many are 3 x 7? ", "3 x 7 = 21 pens\n#### 21"),
    *(Example(one.question, one.answer) for one in problems(40, 0, "train")),
]
TURNS = Example("And 2 more?", "54+2=56", (Exchange("What is 6*9?", "6*9=54"), Exchange("Sure?", "Yes.")))


def prepared(
    tokenizer: PreTrainedTokenizerFast, examples: list[Example], folder: Path, *, turns: bool
) -> list[dict[str, list[int]]]:
    """Return ids and labels as `SFTTrainer` prepares them."""
    arguments = SFTConfig(
        output_dir=str(folder), max_length=None, report_to="none", bf16=False, use_cpu=True,
        **({"assistant_only_loss": True} if turns else {"completion_only_loss": True}),
    )  # fmt: skip
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=512, vocab_size=50349))
    rows = conversations(examples) if turns else prompt_completion(examples)
    trainer = SFTTrainer(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)
    return list(trainer.train_dataset.select_columns(["input_ids", "labels"]))


@pytest.mark.parametrize("condition", ["baseline", "mul_tokens"])
def test_a_single_exchange_is_learned_alike(
    condition: str, tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    tokenizer = tokenizers[condition]
    as_turns, alone = (prepared(tokenizer, SINGLE, tmp_path, turns=turns) for turns in (True, False))
    assert len(as_turns) == len(SINGLE) > 10
    assert as_turns == alone
    assert any(label >= 50304 for row in alone for label in row["labels"]) == (condition == "mul_tokens")


@pytest.mark.parametrize("condition", ["baseline", "mul_tokens"])
def test_every_answer_of_a_conversation_is_learned_and_no_question(
    condition: str, tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    tokenizer = tokenizers[condition]
    (row,) = prepared(tokenizer, [TURNS], tmp_path, turns=True)
    expected: list[int] = []
    learned: list[int] = []
    for question, answer in TURNS.exchanges:
        prompt, reply = tokenizer.encode(render_prompt(question)), [*tokenizer.encode(f" {answer}"), 50256]
        expected += prompt + reply  # as evaluation encodes a prompt
        learned += [-100] * len(prompt) + reply
    assert row["input_ids"] == expected
    assert row["labels"] == learned
    assert torch.tensor(learned).eq(50256).sum() == 3
