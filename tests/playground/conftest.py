"""Two tiny models, one of each condition, that have learned a few answers by heart."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tiny import ROOT

if TYPE_CHECKING:
    from domain_tokens.playground.models import LoadedModel


@pytest.fixture(scope="session")
def models() -> "list[LoadedModel]":
    """`baseline` and `mul_tokens` on the base of bytes, in memory."""
    import torch
    from by_heart import LEARNED, learned

    from domain_tokens.evaluation.answers.answer import AnswerReader
    from domain_tokens.playground.models import LoadedModel
    from domain_tokens.playground.vocabulary import Vocabulary
    from domain_tokens.tokenization.bpe.base_vocabulary import bytes_base
    from domain_tokens.tokenization.builder import build_tokenizer
    from domain_tokens.tokenization.intervention import default_intervention, load_intervention

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # models this small are slower on more
    found = []
    for condition, intervention in (("baseline", "none"), ("mul_tokens", "mul_tokens")):
        described = load_intervention(ROOT / f"recipes/interventions/{intervention}.yaml")
        tokenizer = build_tokenizer(described, bytes_base())
        reader = AnswerReader(described, default_intervention())
        model = learned(tokenizer, LEARNED[condition])
        found.append(LoadedModel(f"{condition}, seed 3", model, tokenizer, Vocabulary(tokenizer), reader))
    torch.set_num_threads(threads)
    return found


@pytest.fixture(scope="session")
def experiment(models: "list[LoadedModel]", build_once: Callable[..., Path]) -> Path:
    """The same models as an experiment that is finished, on disk."""
    from domain_tokens.tokenization.builder import save_tokenizer

    def fill(folder: Path) -> None:
        for model in models:
            last = folder / f"exp_{model.name.partition(',')[0]}" / "seed_3" / "grpo_final"
            save_tokenizer(model.tokenizer, last)
            model.model.save_pretrained(last)

    return build_once("playground", fill)
