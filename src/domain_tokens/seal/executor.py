"""Carries out edits on a model: an inner loop over low-rank adapters or the last block, and the model as it was."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.recipe import RecipeError
from domain_tokens.seal.edits import Edit
from domain_tokens.training.forward.full_sequences import for_full_sequences
from domain_tokens.training.model import unused_biases
from domain_tokens.training.post_training.adapters import merged

_TARGETS = ["c_attn", "c_proj", "c_fc"]  # all linear maps of a block
_MAX_NORM = 1.0


class Diverged(Exception):
    """The loss of an edit became infinite or no number: what it says is read, and it is of no use."""


@dataclass(frozen=True)
class Learned:
    """What an inner loop did.

    Attributes:
        loss: of its last step, in nats per token.
        tokens: that it trained on.
        distinct_tokens: of all its texts, each once, ends included.
    """

    loss: float
    tokens: int
    distinct_tokens: int


def row_length(tokens_per_step: int, positions: int) -> int:
    """Return how many tokens a row of a step has.

    Raises:
        RecipeError: if a step has more tokens than one row holds and they fill no whole number of rows.
    """
    length = min(tokens_per_step, positions)
    if tokens_per_step % length:
        raise RecipeError(
            f"seal.tokens_per_step: expected at most {length}, the model's positions, or a multiple of it, "
            f"got {tokens_per_step}"
        )
    return length


class Executor:
    """A model that learns edits and can be restored bitwise, as often as one likes.

    Args:
        model (`GPT2LMHeadModel`): is made one for full sequences, and changed by `learn`.
        tokenizer (`PreTrainedTokenizerFast`): its tokenizer.
        tokens_per_step (`int`): of the inner loop, in rows of at most the model's positions.

    Raises:
        RecipeError: as `row_length`.
    """

    def __init__(self, model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, tokens_per_step: int) -> None:
        for_full_sequences(model)
        self.model = model
        self._tokenizer = tokenizer
        self._length = row_length(tokens_per_step, model.config.n_positions)
        self._tokens_per_step = tokens_per_step
        self._weights = {name: weights.detach().clone() for name, weights in model.state_dict().items()}

    def learn(self, edit: Edit, texts: Sequence[str], seed: int) -> Learned:
        """Train the model on texts as an edit says; adapters are merged into it.

        The texts are joined, in another order each time that all have been read, and every step takes the next tokens:
        equal steps are equal work, whatever an edit is made of.

        Args:
            edit (`Edit`): says what is trained, how long and how fast.
            texts (`Sequence[str]`): from `edits.texts_of`.
            seed (`int`): of the order of texts and of the adapters' initial weights.

        Raises:
            Diverged: if the loss is no finite number at some step.
        """
        end = self._tokenizer.eos_token_id
        encoded = [[*ids, end] for ids in self._tokenizer(list(texts))["input_ids"]]
        torch.manual_seed(seed)
        adapted, parameters = self._trainable(edit)
        try:
            loss = self._descend(parameters, edit, self._batches(encoded, edit.steps, random.Random(seed)))
        except BaseException:
            self.model.zero_grad()
            if adapted is not None:
                adapted.unload()
            raise
        if adapted is not None:
            merged(adapted)
        return Learned(loss, edit.steps * self._tokens_per_step, sum(map(len, encoded)))

    def restore(self) -> None:
        """Give the model the weights that it had at first, bit for bit."""
        found = self.model.state_dict()
        assert found.keys() == self._weights.keys(), "an edit left modules behind"
        with torch.no_grad():
            for name, weights in self._weights.items():
                found[name].copy_(weights)

    def sha256(self) -> str:
        """Return a hash of the model's weights."""
        found = hashlib.sha256()
        for name, weights in sorted(self.model.state_dict().items()):
            found.update(name.encode())
            found.update(weights.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def _trainable(self, edit: Edit) -> tuple[PeftModel | None, list[torch.nn.Parameter]]:
        if edit.rank is None:
            unused = set(unused_biases(self.model))  # which stay 0 in a model without biases
            parameters = [one for one in self.model.transformer.h[-1].parameters() if one not in unused]
            for one in self.model.parameters():
                one.requires_grad_(False)
            for one in parameters:
                one.requires_grad_(True)
            return None, parameters
        config = LoraConfig(
            r=edit.rank,
            lora_alpha=2 * edit.rank,
            target_modules=_TARGETS,
            fan_in_fan_out=True,  # GPT-2's linear maps store their weights transposed
            task_type="CAUSAL_LM",
        )
        adapted = get_peft_model(self.model, config)
        return adapted, [one for one in adapted.parameters() if one.requires_grad]

    def _descend(self, parameters: list[torch.nn.Parameter], edit: Edit, batches: Iterator[torch.Tensor]) -> float:
        """Take the edit's steps; returns the loss of the last."""
        fused = self.model.device.type != "mps"
        optimizer = torch.optim.AdamW(parameters, lr=edit.learning_rate, weight_decay=0.0, fused=fused)
        self.model.train()
        loss = torch.zeros(())
        for batch in batches:
            loss = self.model(batch, labels=batch).loss  # with its adapters, which peft puts into it
            if not loss.isfinite():
                raise Diverged(f"its loss became {float(loss.detach())} at a rate of {edit.learning_rate!r}")
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, _MAX_NORM)
            optimizer.step()
            optimizer.zero_grad()
        return float(loss.detach())

    def _batches(self, encoded: list[list[int]], steps: int, rng: random.Random) -> Iterator[torch.Tensor]:
        """Yield batches of shape `(rows, length)`."""
        stream: list[int] = []
        for _ in range(steps):
            while len(stream) < self._tokens_per_step:
                for index in rng.sample(range(len(encoded)), len(encoded)):
                    stream += encoded[index]
            batch, stream = stream[: self._tokens_per_step], stream[self._tokens_per_step :]
            yield torch.tensor(batch, device=self.model.device).view(-1, self._length)
