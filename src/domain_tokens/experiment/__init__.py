"""Runs a whole experiment: every stage of every condition and seed, then the comparison.

`run_experiment` lists the stages (`steps`), runs them in order of dependency (`tasks`), each as a process
(`processes`), and compares the conditions at the end if anything changed (`comparison`).
"""

from domain_tokens.experiment.run import STAGE_MODULES, Experiment, Options, announced, load_experiment, run_experiment
from domain_tokens.experiment.steps import Step, steps_of
from domain_tokens.experiment.tasks import TaskFailed

__all__ = [
    "STAGE_MODULES",
    "Experiment",
    "Options",
    "Step",
    "TaskFailed",
    "announced",
    "load_experiment",
    "run_experiment",
    "steps_of",
]
