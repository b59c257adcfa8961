"""Checkpoints that hold adapters alone: a whole model is made of one and its stage's initial model to evaluate it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import GPT2LMHeadModel

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.checkpoints.saved_models import SavedModel
from domain_tokens.runs.layout import ADAPTER_CONFIG, ADAPTER_WEIGHTS


@contextmanager
def whole_model(saved: SavedModel) -> Iterator[Path]:
    """Yield a folder with a whole model: the saved one, or a temporary one with its adapters merged.

    Raises:
        RecipeError: if the model on which adapters rest is missing, or the adapters are not in safetensors.
    """
    if not (saved.folder / ADAPTER_CONFIG).is_file():
        yield saved.folder
        return
    from peft import PeftConfig, get_peft_model, set_peft_model_state_dict

    if saved.rests_on is None or not saved.rests_on.is_dir():
        raise RecipeError(f"{saved.folder}: holds adapters alone; the model on which they rest is missing: train it")
    # peft's own loader would read a pickle where there are no safetensors
    weights = saved.folder / ADAPTER_WEIGHTS
    if not weights.is_file():
        raise RecipeError(f"{saved.folder}: expected {weights.name}, found none; remove the checkpoint")
    with tempfile.TemporaryDirectory() as folder:
        model = GPT2LMHeadModel.from_pretrained(saved.rests_on, dtype=torch.float32, use_safetensors=True)
        adapted = get_peft_model(model, PeftConfig.from_pretrained(str(saved.folder)))
        set_peft_model_state_dict(adapted, load_file(weights))
        adapted.merge_and_unload().save_pretrained(folder)
        for file in saved.folder.glob("*.json"):
            if "tokenizer" in file.name or file.name == "certificate.json":
                shutil.copy2(file, folder)
        for file in saved.folder.glob("*.jinja"):
            shutil.copy2(file, folder)
        yield Path(folder)
