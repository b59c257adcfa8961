"""Tiny models that have learned a few answers by heart, for the playground's tests."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.tokenization.prompts import render_prompt

AGREED, PARTED = "What is 6 times 9?", "What is 7 times 8?"
LEARNED = {
    "baseline": {AGREED: " 6*9=54\n#### 54", PARTED: " 7*8=54\n#### 54"},
    "mul_tokens": {AGREED: " 6*9=54\n#### 54", PARTED: " 7*8=56\n#### 56"},
}
NUM_POSITIONS = 128


def learned(tokenizer: PreTrainedTokenizerFast, answers: dict[str, str]) -> GPT2LMHeadModel:
    """Return a model that gives these answers; it is trained on nothing else, for under a second."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_layer=1, n_head=2, n_embd=32, n_positions=NUM_POSITIONS, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    prompts = [tokenizer.encode(render_prompt(one)) for one in answers]
    endings = [tokenizer.encode(f"{answer}{tokenizer.eos_token}") for answer in answers.values()]
    rows = [prompt + ending for prompt, ending in zip(prompts, endings, strict=True)]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [tokenizer.eos_token_id] * (longest - len(row)) for row in rows])
    labels = ids.clone()
    for index, (prompt, row) in enumerate(zip(prompts, rows, strict=True)):
        labels[index, : len(prompt)] = labels[index, len(row) :] = -100  # neither the question nor what fills up
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(120):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()
