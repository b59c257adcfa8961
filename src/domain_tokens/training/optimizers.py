"""Checks a section's optimizer and schedule before work begins: by a step that is thrown away."""

import re

import torch
from transformers import SchedulerType, Trainer, TrainingArguments, get_scheduler

from domain_tokens.recipe import RecipeError, first_line

_SOME_STEPS = 1000  # in place of those that follow from the size of data
_PLATEAU = "reduce_lr_on_plateau"  # its step needs a measurement
_MISSING = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: (.+)")
_UNKNOWN = re.compile(r"unexpected keyword argument (.+)")


def check_optimizer(section: str, arguments: TrainingArguments, device: torch.device | str = "cpu") -> None:
    """Take one step of a section's optimizer and schedule with a tiny model. Draws no random number.

    The libraries find out only when the trainer begins that a package is missing, or an argument of a schedule.

    Args:
        section (`str`): the section's name, for messages.
        arguments (`TrainingArguments`): its arguments.
        device (`torch.device | str`, *optional*, defaults to `"cpu"`): where the step is taken; some
            optimizers run on a GPU alone.

    Raises:
        RecipeError: if the optimizer or the schedule cannot be built, or its first step fails.
    """
    model = torch.nn.utils.skip_init(torch.nn.Linear, 2, 2, device=device)
    for weight in model.parameters():
        torch.nn.init.ones_(weight)
    total = arguments.max_steps if arguments.max_steps > 0 else _SOME_STEPS
    key = "optim"
    try:
        kind, settings = Trainer.get_optimizer_cls_and_kwargs(arguments, model)
        optimizer = kind(model.parameters(), **{k: v for k, v in settings.items() if k != "params"})
        key = "lr_scheduler_type or lr_scheduler_kwargs"
        schedule = get_scheduler(
            arguments.lr_scheduler_type,
            optimizer,
            num_warmup_steps=arguments.get_warmup_steps(total),
            num_training_steps=total,
            scheduler_specific_kwargs=arguments.lr_scheduler_kwargs,
        )
        if arguments.lr_scheduler_type != _PLATEAU:
            model(torch.ones(1, 2, device=device)).sum().backward()
            optimizer.step()
            schedule.step()
    except Exception as error:  # optimizers of many libraries, each with errors of its own
        raise RecipeError(f"{section}.{key}: {_in_words(error, arguments.lr_scheduler_type)}") from error


def _in_words(error: Exception, schedule: SchedulerType | str) -> str:
    """Return an error's first line, or what it says of a schedule's arguments in the words of a recipe."""
    said = first_line(error)
    name = SchedulerType(schedule).value
    if said.startswith("get_") and (found := _MISSING.search(said)):
        return f"{name} needs {found[1]} in lr_scheduler_kwargs"
    if said.startswith("get_") and (found := _UNKNOWN.search(said)):
        return f"{name} has no argument {found[1]}"
    return said
