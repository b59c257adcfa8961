"""The share of a model's greedy answers that end: whether a stage of training taught it to stop.

A model that never saw the end-of-text token behind an answer runs on, and a cut answer is scored as it stands.
The prompts are training prompts, so nothing here is a result.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.evaluation.models.devices import choose_device
from domain_tokens.evaluation.models.inference import Decoding, generate
from domain_tokens.recipe import Recipe
from domain_tokens.runs.files import sha256_json
from domain_tokens.runs.records import AnswerEnds
from domain_tokens.tokenization.builder import base_encoder
from domain_tokens.tokenization.prompts import render_prompt


def ending_prompts(recipe: Recipe, questions: Sequence[str], tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """Choose the prompts of a stage: evenly spaced questions, the same in every condition.

    Args:
        recipe (`Recipe`): the run.
        questions (`Sequence[str]`): the first question of each of the stage's examples, in their order.
        tokenizer (`PreTrainedTokenizerFast`): of any condition. Prompts count by their length under the base alone.

    Returns:
        At most `evaluation.ending_prompts` prompts that leave room for an answer.
    """
    wanted = min(recipe.evaluation.ending_prompts, len(questions))
    spaced = [render_prompt(questions[index * len(questions) // wanted]) for index in range(wanted)]
    room = int(recipe.model.get("n_positions", 1024)) - recipe.evaluation.max_new_tokens
    lengths = [len(one.ids) for one in base_encoder(tokenizer.backend_tokenizer.to_str()).encode_batch_fast(spaced)]
    return [prompt for prompt, length in zip(spaced, lengths, strict=True) if length <= room]


def answer_ends(
    recipe: Recipe, prompts: list[str], before: Path, after: Path, tokenizer: PreTrainedTokenizerFast
) -> AnswerEnds | None:
    """Answer the same prompts with the models before and after a stage, and count the answers that end.

    Args:
        recipe (`Recipe`): the run; an answer may be as long as one of its evaluation.
        prompts (`list[str]`): what `ending_prompts` returned.
        before, after (`Path`): the models' folders.
        tokenizer (`PreTrainedTokenizerFast`): the condition's.

    Returns:
        The counts; `None` without prompts.
    """
    if not prompts:
        return None
    counts = [_num_ended(recipe, prompts, folder, tokenizer) for folder in (before, after)]
    return AnswerEnds(
        num_prompts=len(prompts),
        prompts_sha256=sha256_json(prompts),
        max_new_tokens=recipe.evaluation.max_new_tokens,
        before=counts[0],
        after=counts[1],
    )


def _num_ended(recipe: Recipe, prompts: list[str], folder: Path, tokenizer: PreTrainedTokenizerFast) -> int:
    model = _load(folder).to(choose_device("evaluation"))
    decoding = Decoding(recipe.evaluation.max_new_tokens)
    answers = generate(model, tokenizer, prompts, decoding, recipe.evaluation.batch_size)
    return sum(ids[-1:] == [tokenizer.eos_token_id] for (ids,) in answers)


def _load(folder: Path) -> GPT2LMHeadModel:
    """Load a saved model in one process of several.

    `from_pretrained` would wait for the others while a stage trains under ZeRO stage 3, where all share the weights.
    """
    with torch.random.fork_rng(devices=[]):  # the weights that it draws are replaced
        model = GPT2LMHeadModel(GPT2Config.from_pretrained(folder))
    weights: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):  # one file or several
        weights |= load_file(path)
    missing = model.load_state_dict({name: one.float() for name, one in weights.items()}, strict=False).missing_keys
    assert set(missing) <= {"lm_head.weight"}, missing  # tied to the embedding
    model.tie_weights()
    return model.eval()
