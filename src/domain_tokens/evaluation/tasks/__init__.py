"""The tasks, one file each: its rows, its lighteval configuration, an item of its results and their summary."""

from domain_tokens.evaluation.tasks.arithmetic import Arithmetic
from domain_tokens.evaluation.tasks.base import Item, Row, Task
from domain_tokens.evaluation.tasks.gsm8k import GSM8K
from domain_tokens.evaluation.tasks.hellaswag import HellaSwag

TASKS: dict[str, Task] = {"gsm8k": GSM8K(), "hellaswag": HellaSwag(), "arithmetic": Arithmetic()}

__all__ = ["TASKS", "Item", "Row", "Task"]
