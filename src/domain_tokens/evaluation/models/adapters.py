"""Checkpoints that hold adapters alone: a whole model is made of one and its stage's initial model to evaluate it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import GPT2LMHeadModel

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.checkpoints.saved_models import SavedModel
from domain_tokens.runs.layout import ADAPTER_CONFIG


@contextmanager
def whole_model(saved: SavedModel) -> Iterator[Path]:
    """Yield a folder with a whole model: the saved one, or a temporary one with its adapters merged.

    Raises:
        RecipeError: if the model on which adapters rest is missing.
    """
    if not (saved.folder / ADAPTER_CONFIG).is_file():
        yield saved.folder
        return
    from peft import PeftModel

    if saved.rests_on is None or not saved.rests_on.is_dir():
        raise RecipeError(f"{saved.folder}: holds adapters alone; the model on which they rest is missing: train it")
    with tempfile.TemporaryDirectory() as folder:
        model = GPT2LMHeadModel.from_pretrained(saved.rests_on, dtype=torch.float32, use_safetensors=True)
        PeftModel.from_pretrained(model, str(saved.folder)).merge_and_unload().save_pretrained(folder)
        for file in saved.folder.glob("*.json"):
            if "tokenizer" in file.name or file.name == "certificate.json":
                shutil.copy2(file, folder)
        for file in saved.folder.glob("*.jinja"):
            shutil.copy2(file, folder)
        yield Path(folder)
