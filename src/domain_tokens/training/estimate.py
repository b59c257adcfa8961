"""The command line of `scripts/estimate_cost.py`: what an experiment takes, from its recipe alone."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers import TrainingArguments
from trl import GRPOConfig, SFTConfig

from domain_tokens.recipe import Recipe, load_recipe, parse_arguments, user_errors
from domain_tokens.recipe.options import above_zero, fraction, whole_number
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.training.metrics import PEAK_FLOPS
from domain_tokens.training.model import context_length, flops_per_token, new_model, num_parameters

_SECONDS_PER_HOUR = 3600
# An estimate is asked for on a laptop, where no GPU has bfloat16.
_ANYWHERE = {"output_dir": "unused", "bf16": False, "fp16": False, "tf32": None, "use_cpu": True}
NOTE = """\
Utilization is assumed, not measured: a short run's metrics.jsonl has yours as `mfu`. Fine-tuning counts every
example at its longest (sft.max_length), GRPO every answer at its longest, without its question. Data on the Hub whose
size no recipe names (max_items) is not counted. Preparing data and evaluating are not counted either."""


@dataclass(frozen=True)
class StageCost:
    """What one stage of one run takes.

    Attributes:
        stage: `pretrain`, `sft/<name>` or `grpo`.
        tokens: trained on, at most; `None` where the recipe does not say how much data there is.
        flops: of forward and backward passes, and in GRPO of the reference model.
        sampling_flops: of writing answers.
    """

    stage: str
    tokens: float | None
    flops: float = 0.0
    sampling_flops: float = 0.0


def stage_costs(recipe: Recipe) -> tuple[int, list[StageCost]]:
    """Return the model's number of parameters and what each stage of one run takes.

    The FLOPs of a token are those of `flops_per_token`; of a forward pass alone they are a third.
    """
    vocabulary_size = load_intervention(Path(recipe.tokenizer)).vocabulary_size
    with torch.device("meta"):  # no weights: only their number is wanted
        model = new_model(recipe, vocabulary_size)
    parameters = num_parameters(model)

    def per_token(length: int) -> float:
        return flops_per_token(model.config, parameters, length)

    pretrain = parse_arguments(TrainingArguments, recipe.pretrain, "pretrain", _ANYWHERE)
    tokens = float(pretrain.max_steps) * recipe.budget.pretrain_tokens_per_step
    costs = [StageCost("pretrain", tokens, tokens * per_token(context_length(recipe)))]
    for stage in recipe.sft_stages:
        sft = parse_arguments(SFTConfig, recipe.sft | stage.args, f"sft_stages.{stage.name}", _ANYWHERE)
        sizes = [source.max_items for source in stage.sources]
        if None in sizes:
            costs.append(StageCost(f"sft/{stage.name}", None))
            continue
        length = sft.max_length or context_length(recipe)
        tokens = sum(size for size in sizes if size is not None) * sft.num_train_epochs * length
        costs.append(StageCost(f"sft/{stage.name}", tokens, tokens * per_token(length)))
    grpo = parse_arguments(GRPOConfig, recipe.grpo, "grpo", _ANYWHERE)
    length = grpo.max_completion_length or context_length(recipe)
    tokens = float(grpo.max_steps) * recipe.budget.grpo_completions_per_step * length
    forward = tokens * per_token(length) / 3
    reference = forward if grpo.beta else 0.0
    costs.append(StageCost("grpo", tokens, 3 * forward + reference, sampling_flops=forward))
    return parameters, costs


def main(description: str | None) -> None:
    """Read the command line of `scripts/estimate_cost.py` and print the table.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="+", metavar="RECIPE", help="a recipe, overlays, and overrides key.path=value")
    parser.add_argument("--device", choices=PEAK_FLOPS, default="A100", help="default: %(default)s")
    parser.add_argument("--devices", type=whole_number, default=8, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--mfu", type=fraction, default=0.35, metavar="X", help="of the peak, in training (default: %(default)s)"
    )
    parser.add_argument(
        "--sampling-mfu", type=fraction, default=0.02, metavar="X", help="the same, in sampling (default: %(default)s)"
    )
    parser.add_argument("--price", type=above_zero, metavar="P", help="of one device for an hour, in any currency")
    parser.add_argument("--conditions", type=whole_number, default=2, metavar="N", help="default: %(default)s")
    parser.add_argument("--seeds", type=whole_number, default=3, metavar="N", help="default: %(default)s")
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 100)  # a table is not cut in a file or a narrow terminal
    with user_errors():
        recipe = load_recipe(arguments.recipe)
        parameters, costs = stage_costs(recipe)
    console.print(_table(arguments, parameters, costs, Path(arguments.recipe[0]).stem))
    console.print(NOTE)


def _table(arguments: argparse.Namespace, parameters: int, costs: list[StageCost], name: str) -> Table:
    table = Table(
        title=f"{name}: {parameters:,} parameters, {arguments.devices} x {arguments.device} at "
        f"{arguments.mfu:.0%} of {PEAK_FLOPS[arguments.device] / 1e12:,.0f} TFLOP/s"
    )
    for heading in ("stage", "tokens", "FLOPs", "hours", "device-hours", *(["cost"] if arguments.price else [])):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    peak, total = PEAK_FLOPS[arguments.device], 0.0
    for cost in costs:
        if cost.tokens is None:
            table.add_row(cost.stage, "not known")
            continue
        seconds = cost.flops / (peak * arguments.mfu) + cost.sampling_flops / (peak * arguments.sampling_mfu)
        numbers = f"{cost.tokens:,.0f}", f"{cost.flops + cost.sampling_flops:.2e}"
        table.add_row(cost.stage, *numbers, *_time_and_money(arguments, seconds))
        total += seconds
    table.add_section()
    runs = arguments.conditions * arguments.seeds
    table.add_row("one run", "", "", *_time_and_money(arguments, total))
    shape = f"{arguments.conditions} conditions, {arguments.seeds} seeds"
    table.add_row(shape, "", "", *_time_and_money(arguments, runs * total))
    return table


def _time_and_money(arguments: argparse.Namespace, device_seconds: float) -> list[str]:
    hours = device_seconds / _SECONDS_PER_HOUR
    return [
        f"{hours / arguments.devices:,.2f}",
        f"{hours:,.1f}",
        *([f"{hours * arguments.price:,.0f}"] if arguments.price else []),
    ]
