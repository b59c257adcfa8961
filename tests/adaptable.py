"""A run so small that self-adaptation of it takes seconds, and models whose weights are random."""

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

from real_stages import SMALL, run_here
from tiny import tiny_arguments

from domain_tokens.recipe import Recipe, load_recipe
from domain_tokens.recipe.sections.apart.seal import Seal

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

    from domain_tokens.seal.measuring import Probe, Sums

_RUN = (
    "base_vocabulary={kind: trained, num_ids: 1900}",  # a passage in 200 tokens
    "prereg=null",
    "corpus.sources=[{name: worlds, kind: synthetic, what: worlds, max_items: 200}]",
    "corpus.validation_fraction=0.1",
    "pretrain.max_steps=4",
    "pretrain.warmup_steps=1",
    "pretrain.eval_steps=4",
    "sft_stages=[]",
    "grpo_prompts=[]",
)
_SEAL = (
    "seal.enabled=true",
    "seal.policy=choice",
    "seal.workers=1",
    "seal.rounds=1",
    "seal.train_passages=2",
    "seal.test_passages=2",
    "seal.edits_per_passage=2",
    "seal.tokens_per_step=32",
    "seal.steps=[1, 2]",
    "seal.ranks=[2]",
    "seal.learning_rates=[0.01, 0.03]",
    "seal.repeats=[1, 2]",
    "seal.validation_documents=4",
    "seal.chain=2",
)


def adaptable_arguments(output_dir: Path, *overrides: str) -> list[str]:
    """Return a script's arguments for a run in `output_dir` with self-adaptation of the smallest size."""
    return tiny_arguments(output_dir, "baseline", *SMALL, *_RUN, *_SEAL, *overrides)


def adaptable_recipe(output_dir: Path, *overrides: str) -> Recipe:
    """Return the recipe of the same."""
    return load_recipe(adaptable_arguments(output_dir, *overrides))


def make_adaptable(output_dir: Path) -> None:
    """Prepare data and pretrain for four steps."""
    for stage in ("prepare_data", "pretrain"):
        run_here(stage, adaptable_recipe(output_dir))


def small_settings(**changes: object) -> Seal:
    """Return the section `seal` of `adaptable_recipe`, with changes."""
    values: dict = {
        "enabled": True, "policy": "choice", "workers": 1, "rounds": 1, "train_passages": 2, "test_passages": 2,
        "edits_per_passage": 2, "tokens_per_step": 32, "steps": [1, 2], "ranks": [2], "learning_rates": [0.01, 0.03],
        "repeats": [1, 2], "validation_documents": 4, "chain": 2,
    }  # fmt: skip
    return Seal(**values | changes)


def random_model(
    tokenizer: "PreTrainedTokenizerFast", seed: int = 0, n_positions: int = 128, n_embd: int = 16, scale: float = 0.2
) -> "GPT2LMHeadModel":
    """Return a model of two blocks, to whose initial weights numbers of a standard deviation are added."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer), n_layer=2, n_head=2, n_embd=n_embd, n_positions=n_positions,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=end, eos_token_id=end,
    )  # fmt: skip
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(config)
        for weights in model.parameters():
            weights.add_(torch.randn(weights.shape) * scale)
    return model.eval()


def measured(probe: "Probe", model: "GPT2LMHeadModel") -> "Sums":
    """Return what a probe finds in a copy of a model that is made one for full sequences, as an executor makes it."""
    from domain_tokens.training.forward.full_sequences import for_full_sequences

    whole = deepcopy(model)
    for_full_sequences(whole)
    return probe.measure(whole)
