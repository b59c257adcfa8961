"""The trainers' sections: checked, and read by the libraries' own parser."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from domain_tokens.recipe.argument_table import Kind, defaults, known_arguments
from domain_tokens.recipe.checks import LOWEST_TEMPERATURE
from domain_tokens.recipe.errors import RecipeError, first_line, suggest

TrainerSection = dict[str, Any]
"""Arguments of a library's class by name: the sections `pretrain`, `sft`, `grpo` and `model`, whose keys and types the
library defines."""

MICRO_BATCH = "per_device_train_batch_size"
AUTO = "auto"
"""The micro batch that is found on the machine; see `micro_batch.py`."""

T = TypeVar("T")

_INF = math.inf
_LEAST_DIVISOR = 1e-30  # 32 bits hold nothing below 1e-38, and 0 / 0 is no number


@dataclass(frozen=True)
class _Range:
    """The numbers that an argument may have.

    Attributes:
        low, high: the ends.
        whole: whether only whole numbers are allowed.
        open_low, open_high: whether an end is excluded.
    """

    low: float
    high: float = _INF
    whole: bool = False
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low or (value == self.low and not self.open_low)
        below = value < self.high or (value == self.high and not self.open_high)
        return math.isfinite(value) and above and below and not (self.whole and value % 1)

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        low = f"above {self.low:g}" if self.open_low else f"of at least {self.low:g}"
        if self.high == _INF:
            return f"{kind} {low}"
        ends = f"from {self.low:g} to {'below ' if self.open_high else ''}{self.high:g}"
        return f"{kind} {f'above {self.low:g} and up to {self.high:g}' if self.open_low else ends}"


_ABOVE_0, _FROM_0 = _Range(0, open_low=True), _Range(0)
_COUNT, _COUNT_FROM_0 = _Range(1, whole=True), _Range(0, whole=True)
_SHARE, _BELOW_1 = _Range(0, 1), _Range(0, 1, open_high=True)

# Ranges that the libraries do not check themselves, or only when a stage runs.
_RANGES: dict[str, _Range] = {
    **dict.fromkeys(
        (
            "learning_rate", "num_train_epochs", "save_steps", "eval_steps", "logging_steps",
        ),
        _ABOVE_0,
    ),
    # Numbers are divided by these: much smaller ones make infinite ones, in 32 bits.
    **dict.fromkeys(
        ("temperature", "sapo_temperature_neg", "sapo_temperature_pos", "repetition_penalty"),
        _Range(LOWEST_TEMPERATURE),
    ),
    **dict.fromkeys(("adam_epsilon", "layer_norm_epsilon"), _Range(_LEAST_DIVISOR)),
    **dict.fromkeys(
        ("weight_decay", "max_grad_norm", "warmup_steps", "beta", "eval_delay", "epsilon", "epsilon_high", "delta",
         "neftune_noise_alpha", "initializer_range"),
        _FROM_0,
    ),
    **dict.fromkeys(("adam_beta1", "adam_beta2"), _BELOW_1),
    **dict.fromkeys(
        ("label_smoothing_factor", "min_p", "resid_pdrop", "embd_pdrop", "attn_pdrop", "summary_first_dropout",
         "ref_model_mixup_alpha", "top_entropy_quantile"),
        _SHARE,
    ),
    "top_p": _Range(0, 1, open_low=True),
    **dict.fromkeys(
        ("per_device_train_batch_size", "per_device_eval_batch_size", "max_completion_length", "save_total_limit",
         "eval_accumulation_steps", "torch_empty_cache_steps", "num_iterations", "steps_per_generation",
         "generation_batch_size", "ref_model_sync_steps", "n_layer", "n_head", "n_embd", "n_inner",
         "dataloader_prefetch_factor", "dataset_num_proc"),
        _COUNT,
    ),
    **dict.fromkeys(("dataloader_num_workers", "top_k"), _COUNT_FROM_0),
    **dict.fromkeys(("max_length", "num_generations", "num_generations_eval", "n_positions"), _Range(2, whole=True)),
    "max_steps": _Range(-1, whole=True),
    "pad_to_multiple_of": _COUNT,
}  # fmt: skip
# Arguments whose value the code asks for by itself, so that text must not pass for a truth value.
_TRUTHS = (
    "bf16", "fp16", "tf32", "packing", "padding_free", "gradient_checkpointing", "bf16_full_eval", "fp16_full_eval",
    "tie_word_embeddings",
)  # fmt: skip
_NOT_TRUE = {
    "fp16": "a loss scale would skip steps at different times in two conditions; expected bf16",
    **dict.fromkeys(
        ("bf16_full_eval", "fp16_full_eval"),
        "the evaluation after the last step would round the weights that are saved; expected false",
    ),
}
_CHECKPOINTING = ("use_reentrant", "preserve_rng_state")
# Settings of the draw alone: others change what generation returns, or need parts that a stage does not give it. Some
# count tokens (`min_new_tokens`, `no_repeat_ngram_size`), and so would hold conditions to other texts.
_GENERATION = ("epsilon_cutoff", "eta_cutoff", "min_p", "repetition_penalty", "top_k", "top_p", "typical_p")
_ALREADY = "every stage sets it"
_LAUNCHED = "it belongs to the launcher: name it in a file of accelerate_configs/"
# Arguments that follow from other parts of the recipe, or that would undo what the comparison rests on.
_DERIVED = {
    "gradient_accumulation_steps": "it follows from the budget section",
    "output_dir": "it follows from output_dir, experiment, condition and seed",
    "seed": "it follows from the recipe's own seed and seeds.sampling",
    "data_seed": "it follows from the recipe's own seed and seeds.order",
    "hub_token": "secrets come from the environment alone: set HF_TOKEN",
    "reward_weights": "it follows from the rewards section",
    **dict.fromkeys(
        (
            "completion_only_loss", "remove_unused_columns", "train_sampling_strategy", "logging_nan_inf_filter",
            "ddp_timeout", "dataloader_pin_memory", "ddp_backend", "resume_from_checkpoint", "assistant_only_loss",
            "dataset_kwargs", "dataset_text_field", "dataloader_persistent_workers",
        ),
        _ALREADY,
    ),
    **dict.fromkeys(
        ("use_cpu", "deepspeed", "fsdp", "fsdp_config", "accelerator_config", "parallelism_config", "local_rank"),
        _LAUNCHED,
    ),
    "save_only_model": "a stage resumes with the state of its optimizer",
    "ignore_data_skip": "a resumed stage reads what the interrupted one would have read",
    "auto_find_batch_size": "the size of a step follows from the budget section",
    "load_best_model_at_end": "a stage ends with the model of its last step, in every condition",
    "shuffle_dataset": "the seed draws the order, the same in every condition",
    "model_init_kwargs": "the model follows from the model section",
    **dict.fromkeys(("eos_token", "pad_token", "chat_template_path"), "it follows from the tokenizer"),
    **dict.fromkeys(
        ("push_to_hub", "hub_model_id", "hub_strategy", "hub_private_repo", "hub_always_push", "hub_revision"),
        "the trainers publish nothing themselves: set the recipe's own push_to_hub: true and hub.namespace",
    ),
    "use_vllm": "answers are drawn by the trained model itself, whose tokens vLLM would not count",
}  # fmt: skip
_DERIVED_OF_MODEL = dict.fromkeys(
    ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id"), "it follows from the tokenizer"
) | {"use_cache": "training has no use for it, and generation turns it on"}


def check_section(values: TrainerSection, section: str, kind: Kind) -> None:
    """Check the names of a section's arguments, and ranges that its library does not check. Imports no library.

    Args:
        values (`TrainerSection`): argument names and values.
        section (`str`): the section's key in the recipe, for messages.
        kind: the name of the class that takes the arguments.

    Raises:
        RecipeError: naming the key and what was expected.
    """
    derived = _DERIVED_OF_MODEL if kind == "GPT2Config" else _DERIVED
    for key in values:
        if key in derived:
            raise RecipeError(f"{section}.{key}: cannot be set in a recipe: {derived[key]}; remove it")
    check_known(values, section, kind, sorted(known_arguments(kind)))
    for key, value in values.items():
        if value is None and (usual := defaults(kind).get(key)) is not None:
            raise RecipeError(
                f"{section}.{key}: null would be the library's default, {usual!r}; write a value, or remove the key"
            )
    check_values(values, section)


def check_values(values: TrainerSection, section: str) -> None:
    """Check ranges that the libraries do not check, and that no number is infinite or none.

    Raises:
        RecipeError: naming the key and what was expected.
    """
    for key, value in values.items():
        if key in _TRUTHS and not isinstance(value, bool | None):
            raise RecipeError(f"{section}.{key}: expected true or false, got {value!r}")
        if key in _NOT_TRUE and value:
            raise RecipeError(f"{section}.{key}: not supported: {_NOT_TRUE[key]}")
        if key == "debug" and "tpu" in str(value):
            raise RecipeError(f"{section}.debug: stages do not run on a TPU; expected underflow_overflow, got {value}")
        if key == "gradient_checkpointing_kwargs" and isinstance(value, dict):
            check_known_settings(value, f"{section}.{key}", _CHECKPOINTING)
        if key == "generation_kwargs" and isinstance(value, dict):
            check_known_settings(value, f"{section}.{key}", _GENERATION)
            check_values(value, f"{section}.{key}")
        for where, one in flatten(value, f"{section}.{key}").items():
            if isinstance(one, float | str) and _is_not_finite(one):
                raise RecipeError(f"{where}: expected a finite number, got {one!r}")
        allowed = _RANGES.get(key)
        if allowed is None or value is None or (key in ("logging_steps", "warmup_steps") and value == 0):
            continue
        if key == MICRO_BATCH and value == AUTO:
            continue
        number = _number(value)
        if key == "max_steps" and number == 0:
            raise RecipeError(f"{section}.max_steps: expected a whole number of at least 1, or -1, got 0")
        if number is None or number not in allowed:
            words = f", or {AUTO}" if key == MICRO_BATCH else ""
            raise RecipeError(f"{section}.{key}: expected {allowed}{words}, got {value!r}")


def check_known_settings(values: TrainerSection, where: str, known: Sequence[str]) -> None:
    """Raise `RecipeError` for the first setting that is not known to work."""
    if unknown := sorted(str(key) for key in values if key not in known):
        raise RecipeError(f"{where}.{unknown[0]}: not supported; expected one of {', '.join(known)}")


def _is_not_finite(value: float | str) -> bool:
    number = _number(value)
    return number is not None and not math.isfinite(number)


def _number(value: object) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return `{dotted.path: leaf}` of nested dictionaries and lists, for diffs and messages."""
    if isinstance(value, dict):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in items:
        flat.update(flatten(item, f"{prefix}.{key}" if prefix else key))
    return flat


def check_known(values: TrainerSection, section: str, kind: str, known: list[str]) -> None:
    """Raise `RecipeError` for the first argument that the class does not have, with the closest that it has."""
    for key in values:
        if key not in known:
            raise RecipeError(f"{section}.{key}: {kind} has no such argument{suggest(str(key), known)}")


def parse_arguments(kind: type[T], values: TrainerSection, section: str, derived: TrainerSection) -> T:
    """Read a trainer's section with the library's own parser.

    `HfArgumentParser` casts `"6e-4"` and rejects misspelled names, wrong types and bad choices; the argument class
    then checks its own ranges. `check_section` has checked those that it lets through.

    Args:
        kind: `TrainingArguments`, `SFTConfig` or `GRPOConfig`.
        values (`TrainerSection`): argument names and values.
        section (`str`): the section's name in the recipe, for messages.
        derived (`TrainerSection`): arguments that follow from the rest of the recipe.

    Raises:
        RecipeError: naming the key and what was expected.
    """
    from transformers import HfArgumentParser

    check_section(values, section, cast(Kind, kind.__name__))
    parser = HfArgumentParser(kind)

    def fail(message: str) -> None:
        message = re.sub(r"argument --(\w+)(/\S+)?", rf"{section}.\1:", message).replace("::", ":")
        raise RecipeError(message if message.startswith(section) else f"{section}: {message}")

    parser.error = fail
    try:
        (parsed,) = parser.parse_args_into_dataclasses(args=_to_argv(values | derived), look_for_args_file=False)
    except RecipeError:
        raise
    except (ValueError, TypeError) as error:
        lists = [key for key, value in values.items() if isinstance(value, list) and len(value) > 1]
        if "not used by the HfArgumentParser" in str(error) and lists:
            named = ", ".join(f"{section}.{key}" for key in lists)
            raise RecipeError(f"{named}: expected one value, got a list") from error
        raise RecipeError(f"{section}: {first_line(error)}") from error
    return parsed


def _to_argv(values: TrainerSection) -> list[str]:
    argv = []
    for key, value in values.items():
        if value is None:
            continue
        argv.append(f"--{key}")
        if isinstance(value, dict):
            argv.append(json.dumps(value))
        elif isinstance(value, list):
            argv.extend(str(item) for item in value)
        else:
            argv.append(str(value))
    return argv


def accumulation_steps(per_step: int, micro_batch: int, num_processes: int, what: str) -> int:
    """Return the micro steps whose sum is one optimizer step.

    Args:
        per_step (`int`): tokens, examples or completions of one optimizer step, over all processes.
        micro_batch (`int`): how many of them one process handles at a time.
        num_processes (`int`): processes of the run.
        what (`str`): the key of `per_step`, for the message.
    """
    steps, rest = divmod(per_step, micro_batch * num_processes)
    if rest or steps == 0:
        raise RecipeError(
            f"{what}: {per_step} does not divide into micro batches of {micro_batch} on {num_processes} process(es); "
            f"expected a multiple of {micro_batch * num_processes}: change {what} or the section's "
            "per_device_train_batch_size"
        )
    return steps
