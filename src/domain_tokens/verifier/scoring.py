"""The verifier's model: a GPT-2 with one score after every token, and the scores of whole solutions.

It is transformers' own `GPT2ForTokenClassification` with one label, so that a saved verifier is loaded by
`AutoModelForTokenClassification`. The score of a solution is the one after its last token, when all of it is read.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import GPT2Config, GPT2ForTokenClassification, PreTrainedTokenizerFast

from domain_tokens.evaluation.models.devices import choose_device
from domain_tokens.evaluation.models.inference import in_batches
from domain_tokens.recipe import RecipeError
from domain_tokens.training.model import freeze_unused_biases
from domain_tokens.verifier.records import SampledSolution
from domain_tokens.verifier.sampling import Sampled


@dataclass(frozen=True)
class Solution:
    """A solution as a verifier reads it.

    Attributes:
        ids: the prompt's token ids and the solution's, with the end-of-text token if the model ended it.
        start: the index of the solution's first token.
        num_bytes: of question and solution as text.
    """

    ids: list[int]
    start: int
    num_bytes: int


def solutions_of(sampled: Sampled, tokenizer: PreTrainedTokenizerFast, num_positions: int) -> list[list[Solution]]:
    """Return the solutions of each question, as the model that wrote them read its prompt.

    Args:
        sampled (`Sampled`): the samples.
        tokenizer (`PreTrainedTokenizerFast`): of the model that wrote them.
        num_positions (`int`): of that model; a prompt that left no room for the answer lost its beginning.
    """
    room = num_positions - sampled.part.max_new_tokens
    prompts = tokenizer([one.prompt for one in sampled.part.questions])["input_ids"]
    end = tokenizer.eos_token_id

    def read(prompt: list[int], question: str, one: SampledSolution) -> Solution:
        ids = [*prompt, *one.ids, *([end] if one.finished else [])]
        return Solution(ids, len(prompt), len(question.encode()) + len(one.text.encode()))

    return [
        [read(prompt[-room:], row.question, one) for one in row.samples]
        for prompt, row in zip(prompts, sampled.rows, strict=True)
    ]


def new_verifier(folder: Path) -> GPT2ForTokenClassification:
    """Return a verifier with the weights of a saved language model; its score is 0 for everything.

    No random numbers are drawn, and there is no dropout: answers of different lengths would draw different ones.

    Args:
        folder (`Path`): the language model.
    """
    model = _load(folder)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.zero_()
    freeze_unused_biases(model)
    return model


def load_verifier(folder: Path) -> GPT2ForTokenClassification:
    """Return a trained verifier, for scoring."""
    return _load(folder).eval().to(choose_device("evaluation"))


def _load(folder: Path) -> GPT2ForTokenClassification:
    config = GPT2Config.from_pretrained(folder, num_labels=1)
    config.classifier_dropout = 0.0
    return GPT2ForTokenClassification.from_pretrained(folder, config=config, dtype=torch.float32, use_safetensors=True)


@torch.no_grad()
def score_solutions(model: GPT2ForTokenClassification, solutions: Sequence[Solution], batch_size: int) -> list[float]:
    """Return a verifier's score of each solution, after its last token.

    Args:
        model (`GPT2ForTokenClassification`): the verifier.
        solutions (`Sequence[Solution]`): what it reads.
        batch_size (`int`): solutions at a time, fewer as long as they do not fit into memory.

    Raises:
        RecipeError: if a score is not finite.
    """
    rows = [one.ids for one in solutions]

    def run(batch: list[int]) -> list[float]:
        tensors = [torch.tensor(rows[index]) for index in batch]
        # What fills a row up stands behind it, where causal attention does not see it.
        input_ids = pad_sequence(tensors, batch_first=True).to(model.device)
        scores = model(input_ids=input_ids, use_cache=False).logits[:, :, 0]
        last = torch.tensor([len(one) - 1 for one in tensors], device=model.device)
        return scores.gather(1, last[:, None])[:, 0].float().tolist()

    found = in_batches(rows, batch_size, run)
    if not all(map(math.isfinite, found)):
        raise RecipeError(
            "verifier: a score is no finite number, so its weights are of no use; train it again with a lower "
            "verifier.args.learning_rate"
        )
    return found
