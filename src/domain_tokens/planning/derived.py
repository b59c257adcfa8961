"""Derives the steps, accumulation, memory, disk and time of every stage from a recipe."""

import math
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import TrainingArguments
from trl import SFTConfig

from domain_tokens.planning.cost import StageCost, adapters_of, is_own, stage_costs
from domain_tokens.planning.known_rows import num_rows
from domain_tokens.recipe import Recipe, SFTStage, Trainers, accumulation_steps, check_fit, parse_trainers
from domain_tokens.recipe.micro_batch import num_per_step, step_of, with_numbers
from domain_tokens.runs.micro_batches import found_micro_batches
from domain_tokens.training.devices import (
    CPU_SAMPLING_FLOPS,
    CPU_TRAINING_FLOPS,
    PEAK_FLOPS,
    SAMPLING_MFU,
    TRAINING_MFU,
    known_device,
)
from domain_tokens.training.fitting.needs import vocabulary_size
from domain_tokens.training.model import Adapted, context_length

Unit = Literal["tokens", "examples", "completions"]
Stage = Literal["pretrain", "sft", "grpo"]

STAGES: tuple[Stage, ...] = ("pretrain", "sft", "grpo")

# Bytes per parameter in training: weight, gradient and Adam's two moments, in 32 bits.
_BYTES_TRAINED = 16
_BYTES_OF_WEIGHT = 4
_BYTES_IN_CHECKPOINT = 12  # weight and moments
# Bytes of activations per token, layer and unit of width, in 16 bits. Fused attention stores no attention matrices
# (Korthikanti et al. 2022, section 4.1: 34 s b h).
_BYTES_ACTIVATED = 34
# Bytes per logit. In 32 bits: value and gradient. In 16 bits: also a 32-bit copy for the loss.
_BYTES_OF_LOGIT, _BYTES_OF_LOGIT_16 = 8, 12


@dataclass(frozen=True)
class Device:
    """The devices that a stage is assumed to run on.

    Attributes:
        name: display name, including the assumptions.
        count: number of devices, one per process.
        training_flops: FLOP/s of one device in training.
        sampling_flops: FLOP/s of one device in sampling.
    """

    name: str
    count: int
    training_flops: float
    sampling_flops: float


@dataclass(frozen=True)
class StageEstimate:
    """The estimate for one stage.

    Attributes:
        cost: tokens and FLOPs.
        steps: optimizer steps; `None` if the recipe does not give the size of the data.
        per_step: batch size of one optimizer step over all processes, in `unit`.
        unit: the unit of `per_step` and `micro_batch`.
        micro_batch: batch size of one process.
        accumulation: micro batches per optimizer step and process.
        memory_bytes: peak memory of one process, without sharding.
        disk_bytes: size of checkpoints and final folder; `None` if neither steps nor `save_total_limit` bound it.
        seconds: duration on the assumed devices; `None` if the number of tokens is unknown.
    """

    cost: StageCost
    steps: int | None
    per_step: int
    unit: Unit
    micro_batch: int
    accumulation: int
    memory_bytes: float
    disk_bytes: float | None
    seconds: float | None


@dataclass(frozen=True)
class Derived:
    """The estimates derived from a recipe.

    Attributes:
        parameters: the model's number of parameters.
        device: the devices that times assume.
        stages: the stages in training order.
    """

    parameters: int
    device: Device
    stages: list[StageEstimate]


@dataclass(frozen=True)
class _Loop:
    """One trainer's loop, from which an estimate is computed.

    Attributes:
        tokens: maximum number of tokens in a micro batch.
        half: whether it trains in 16 bits.
        frozen_copies: number of frozen models kept in addition to the trained one.
        adapters: what alone is trained, if not all weights are.
    """

    cost: StageCost
    arguments: TrainingArguments
    steps: int | None
    per_step: int
    unit: Unit
    micro_batch: int
    tokens: int
    half: bool
    frozen_copies: int = 0
    adapters: Adapted | None = None


def derive(recipe: Recipe, num_processes: int, stages: Collection[Stage] = STAGES) -> Derived:
    """Derive the estimates of a recipe. Writes nothing.

    A micro batch that is `auto` is the one that was found for the experiment, else the one that is assumed
    (`recipe.micro_batch.assumed`).

    Args:
        recipe (`Recipe`): the run.
        num_processes (`int`): number of training processes.
        stages (`Collection[str]`): the stages to estimate.

    Raises:
        RecipeError: if a section is invalid or sections contradict each other.
    """
    recipe = with_numbers(recipe, found_micro_batches(recipe), num_processes)
    trainers = parse_trainers(recipe)
    check_fit(recipe, trainers)
    parameters, costs = stage_costs(recipe, trainers)
    device = find_device(recipe, num_processes)
    loops = [
        loop
        for loop in _loops(recipe, trainers, costs)
        if loop.cost.stage.partition("/")[0] in stages and is_own(recipe, loop.cost)
    ]
    return Derived(parameters, device, [_estimate(recipe, loop, parameters, device) for loop in loops])


def find_device(recipe: Recipe, num_processes: int) -> Device:
    """Return this machine's GPU. Without one, return an A100 for a bf16 recipe and this machine's CPU for others.

    Args:
        recipe (`Recipe`): the run.
        num_processes (`int`): number of training processes, each with its own GPU or a share of the CPU cores.
    """
    found = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    if found or recipe.pretrain.get("bf16"):
        recognized = known_device(found) if found else None
        known = recognized or "A100"
        name = found or f"{known}, assumed: this machine has no GPU"
        if found and recognized is None:
            name += f", peak unknown; times are those of an {known}"
        name += f" ({TRAINING_MFU:.0%} of {PEAK_FLOPS[known] / 1e12:,.0f} TFLOP/s in training, "
        name += f"{SAMPLING_MFU:.1%} in sampling)"
        return Device(name, num_processes, PEAK_FLOPS[known] * TRAINING_MFU, PEAK_FLOPS[known] * SAMPLING_MFU)
    cores = os.cpu_count() or 1
    name = f"CPU, {cores} cores in total ({CPU_TRAINING_FLOPS / 1e9:.0f} GFLOP/s per core in training, "
    name += f"{CPU_SAMPLING_FLOPS / 1e9:.1f} in sampling)"
    share = cores / num_processes
    return Device(name, num_processes, CPU_TRAINING_FLOPS * share, CPU_SAMPLING_FLOPS * share)


def _loops(recipe: Recipe, trainers: Trainers, costs: list[StageCost]) -> Iterator[_Loop]:
    budget, context = recipe.budget, context_length(recipe)
    pretrain = trainers.pretrain
    tokens = pretrain.per_device_train_batch_size * context
    yield _Loop(
        costs[0],
        pretrain,
        pretrain.max_steps,
        budget.pretrain_tokens_per_step,
        "tokens",
        tokens,
        tokens,
        bool(recipe.pretrain.get("bf16")),
    )
    for stage, cost in zip(recipe.sft_stages, costs[1 : 1 + len(recipe.sft_stages)], strict=True):
        sft = trainers.sft[stage.name]
        rows = sft.per_device_train_batch_size
        steps = sft.max_steps if sft.max_steps > 0 else _sft_steps(recipe, stage, sft)
        length = context if sft.packing else sft.max_length or context
        yield _Loop(
            cost,
            sft,
            steps,
            num_per_step(recipe, f"sft_{stage.name}"),
            "tokens" if sft.packing else "examples",
            rows * context if sft.packing else rows,
            rows * length,
            bool((recipe.sft | stage.args).get("bf16")),
            adapters=adapters_of(recipe, f"sft_{stage.name}"),
        )
    if (grpo := trainers.grpo) is not None:
        rows, adapters = grpo.per_device_train_batch_size, adapters_of(recipe, "grpo")
        length = min(context, 2 * (grpo.max_completion_length or context))  # questions assumed as long as answers
        yield _Loop(
            costs[-1],
            grpo,
            grpo.max_steps,
            budget.grpo_completions_per_step,
            "completions",
            rows,
            rows * length,
            bool(recipe.grpo.get("bf16")),
            # The model that the KL term compares with; without its adapters, the trained one is that model.
            int(grpo.beta != 0 and adapters is None),
            adapters,
        )


def _sft_steps(recipe: Recipe, stage: SFTStage, sft: SFTConfig) -> int | None:
    """Return a stage's steps, at most where it is packed: examples count at the maximum length there."""
    sizes = [num_rows(source) for source in stage.portions]
    if None in sizes:
        return None
    examples = sum(size for size in sizes if size is not None)
    unit = (sft.max_length or context_length(recipe)) if sft.packing else 1
    return math.ceil(math.ceil(examples * unit / num_per_step(recipe, f"sft_{stage.name}")) * sft.num_train_epochs)


def _estimate(recipe: Recipe, loop: _Loop, parameters: int, device: Device) -> StageEstimate:
    key, _ = step_of(recipe, loop.cost.stage.replace("/", "_", 1))
    seconds = None
    if loop.cost.tokens is not None:
        seconds = loop.cost.flops / device.training_flops + loop.cost.sampling_flops / device.sampling_flops
        seconds /= device.count
    return StageEstimate(
        cost=loop.cost,
        steps=loop.steps,
        per_step=loop.per_step,
        unit=loop.unit,
        micro_batch=loop.micro_batch,
        accumulation=accumulation_steps(loop.per_step, loop.micro_batch, device.count, key),
        memory_bytes=_memory_bytes(recipe, loop, parameters),
        disk_bytes=_disk_bytes(loop, parameters, recipe.keep_weights_every_tokens),
        seconds=seconds,
    )


def _memory_bytes(recipe: Recipe, loop: _Loop, parameters: int) -> float:
    layers, width = recipe.model.get("n_layer", 12), recipe.model.get("n_embd", 768)
    activations = loop.tokens * layers * width * _BYTES_ACTIVATED * (1 if loop.half else 2)
    logits = loop.tokens * vocabulary_size(recipe) * (_BYTES_OF_LOGIT_16 if loop.half else _BYTES_OF_LOGIT)
    trained, frozen = parameters, loop.frozen_copies * parameters
    if loop.adapters is not None:
        trained, frozen = loop.adapters.trained, parameters
        if loop.adapters.in_rows:  # the gradient of the whole head is computed
            frozen += vocabulary_size(recipe) * width
    return trained * _BYTES_TRAINED + frozen * _BYTES_OF_WEIGHT + activations + logits


def _disk_bytes(loop: _Loop, parameters: int, every_tokens: int) -> float | None:
    arguments = loop.arguments
    if arguments.save_strategy == "no":
        return parameters * _BYTES_OF_WEIGHT
    for_good = 0
    if every_tokens and loop.cost.stage == "pretrain" and loop.steps is not None:
        for_good = loop.steps * loop.per_step // every_tokens
    # Beside the newest, the best is kept, and the next is written before an older one is removed.
    kept = arguments.save_total_limit
    most = math.inf if kept is None else kept + 1 + (arguments.eval_strategy != "no")
    if loop.steps is not None:
        every = max(1, int(arguments.save_steps))
        most = min(most, math.ceil(loop.steps / every) + for_good)  # the last step is saved too
    weights = for_good + 1  # and the final folder's
    trained = parameters if loop.adapters is None else loop.adapters.trained
    bytes_at_end = parameters * weights * _BYTES_OF_WEIGHT
    return trained * most * _BYTES_IN_CHECKPOINT + bytes_at_end if math.isfinite(most) else None
