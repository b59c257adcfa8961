"""Finds and loads the models that are tried: folders of models, runs, or whole experiments."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.recipe import RecipeError, first_line
from domain_tokens.runs.layout import MODELS, shown_name

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from domain_tokens.evaluation.answers.answer import AnswerReader
    from domain_tokens.playground.vocabulary import Vocabulary

MAX_MODELS = 8
_CONFIG = "config.json"


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model that answers.

    Attributes:
        name: condition and seed, or the folder.
        model: the model, in 32-bit precision.
        tokenizer: its tokenizer.
        vocabulary: its tokens, as they are shown.
        reader: reads its answers.
    """

    name: str
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerFast"
    vocabulary: "Vocabulary"
    reader: "AnswerReader"

    @property
    def num_positions(self) -> int:
        """The tokens of its context."""
        return int(self.model.config.n_positions)


def find_models(paths: Iterable[Path], run_seed: int | None = None) -> list[Path]:
    """Return the folders of models that paths stand for, each once.

    Args:
        paths (`Iterable[Path]`): each the folder of a model, of a run (`seed_0`), of a condition (`exp_baseline`), or
            of an experiment, which stands for the last model of one run of each condition.
        run_seed (`int`, *optional*): the seed of these runs; if not given, the lowest that all conditions have.

    Raises:
        RecipeError: if there is no model, or more than eight.
    """
    found = [folder for path in paths for folder in _models_of(path, run_seed)]
    folders = list({folder.resolve(): folder for folder in found}.values())
    if len(folders) > MAX_MODELS:
        raise RecipeError(f"{len(folders)} models; expected at most {MAX_MODELS} side by side: name fewer folders")
    return folders


def _models_of(path: Path, run_seed: int | None) -> list[Path]:
    if not path.is_dir():
        raise RecipeError(
            f"{path}: no such folder; run make demo first, or name model folders, e.g. "
            "outputs/demo/exp_baseline/seed_20/grpo_final"
        )
    if (path / _CONFIG).is_file():
        return [path]
    if (last := _last_model(path)) is not None:
        return [last]
    conditions = [path] if path.name.startswith("exp_") else sorted(path.glob("exp_*"))
    runs = {condition: _runs(condition) for condition in conditions if _runs(condition)}
    if not runs:
        raise RecipeError(
            f"{path}: holds no finished model; expected a model's folder, such as grpo_final, or an experiment's, "
            "such as outputs/demo"
        )
    shared = sorted(set.intersection(*(set(models) for models in runs.values())))
    if run_seed is None and not shared:
        raise RecipeError(f"{path}: its conditions have no seed in common; name one with --run-seed, or model folders")
    seed = shared[0] if run_seed is None else run_seed
    if missing := [condition for condition, models in runs.items() if seed not in models]:
        has = ", ".join(map(str, sorted(runs[missing[0]])))
        raise RecipeError(f"{missing[0]}: no finished model of seed {seed}; expected one of {has}")
    return [models[seed] for models in runs.values()]


def _runs(condition: Path) -> dict[int, Path]:
    """Return the last model of each run of a condition, by seed."""
    found = {}
    for run in condition.glob("seed_*"):
        number, last = run.name.removeprefix("seed_"), _last_model(run)
        if number.isdecimal() and last is not None:
            found[int(number)] = last
    return found


def _last_model(run: Path) -> Path | None:
    """Return the folder of a run's last finished model."""
    folders = [run / name for name in reversed(MODELS)]
    return next((folder for folder in folders if (folder / _CONFIG).is_file()), None)


def load(folders: list[Path]) -> list[LoadedModel]:
    """Load models to be tried. Their names differ: where two have one, it is the folder.

    Raises:
        RecipeError: if one cannot be loaded.
    """
    names = [shown_name(folder) for folder in folders]
    unique = [name if names.count(name) == 1 else str(folder) for name, folder in zip(names, folders, strict=True)]
    return [_loaded(name, folder) for name, folder in zip(unique, folders, strict=True)]


def _loaded(name: str, folder: Path) -> LoadedModel:
    from domain_tokens.evaluation.answers.answer import AnswerReader
    from domain_tokens.playground.vocabulary import Vocabulary
    from domain_tokens.tokenization.intervention import default_intervention

    model, tokenizer = load_folder(folder)
    if model.config.vocab_size != len(tokenizer):
        raise RecipeError(
            f"{folder}: the model has {model.config.vocab_size} ids and its tokenizer {len(tokenizer)}; expected the "
            "tokenizer with which it was trained"
        )
    vocabulary = Vocabulary(tokenizer)
    reader = AnswerReader(written_by=vocabulary.intervention, table=default_intervention())
    return LoadedModel(name, model, tokenizer, vocabulary, reader)


def load_folder(folder: Path) -> "tuple[PreTrainedModel, PreTrainedTokenizerFast]":
    """Load a saved model and its tokenizer, with the checks of the evaluation.

    Raises:
        RecipeError: if there is none, or it cannot be loaded.
    """
    from safetensors import SafetensorError

    from domain_tokens.evaluation.evaluate import load_model
    from domain_tokens.tokenization.contract import load_tokenizer

    if not (folder / _CONFIG).is_file():
        raise RecipeError(f"{folder}: expected a saved model, e.g. outputs/demo/exp_baseline/seed_20/grpo_final")
    try:
        tokenizer = load_tokenizer(folder)
        model = load_model(folder)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise RecipeError(f"{folder}: cannot be loaded: {first_line(error)}") from error
    return model, tokenizer


def quieten() -> None:
    """Let the model library draw no progress bar, as weights load quickly, and say only what is wrong.

    It warns about missing padding, which a batch of one prompt does not need.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
