"""An experiment's folder as runner and stages leave it, made by their own writers, without any training."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tiny import quick_load, tiny_arguments

from domain_tokens.experiment.lines import Lines
from domain_tokens.experiment.tasks import Ended, Event, Failed, Running, Started, Task, Updated
from domain_tokens.recipe import Recipe, to_yaml
from domain_tokens.runs.checkpoints.writing import begin_checkpoint, finish_checkpoint, staging_folder
from domain_tokens.runs.files import write_json
from domain_tokens.runs.layout import checkpoint_folder, stage_paths
from domain_tokens.runs.preregistration import record_look
from domain_tokens.runs.progress import Progress
from domain_tokens.stopping.signals import INTERRUPTED

ASKED_TO_STOP = INTERRUPTED[0]


class Experiment:
    """Two conditions of one seed, of which nothing has begun; methods make what a stage or the runner would.

    Args:
        outputs (`Path`): the output folder.
        conditions (`Sequence[str]`): their names; the second is any but `baseline`, whatever it is called.
        name (`str`): of the experiment.
    """

    def __init__(
        self, outputs: Path, conditions: Sequence[str] = ("baseline", "mul_tokens"), name: str = "tiny"
    ) -> None:
        self.folder = outputs / name
        self.clock = "2026-11-27 12:00:00"
        self.recipes: dict[str, Recipe] = {}
        for index, condition in enumerate(conditions):
            recipe = quick_load(tiny_arguments(outputs, ("baseline", "mul_tokens")[index], f"experiment={name}"))
            recipe.condition = condition
            self.recipes[condition] = recipe
        self.runner_log = self.folder / "logs" / "experiment.log"
        self.number = 0
        self.total = 6 * len(conditions) + (len(conditions) > 1)  # with the comparison

    def begin(self, *, jobs: int = 2) -> None:
        """Do what the runner does before its first stage."""
        self.write_log(
            f"{self.clock} scripts/run_experiment.py recipes\njobs: {jobs}, threads per stage: 1, in process: True\n"
        )
        record_look(self.folder, "run", list(self.recipes), [0])

    def write_log(self, text: str) -> None:
        self.runner_log.parent.mkdir(parents=True, exist_ok=True)
        with self.runner_log.open("a", encoding="utf-8") as file:
            file.write(text)

    def event(self, *events: Event, prefix: str = "") -> None:
        """Log events as the runner does, at the time of the clock."""
        lines = Lines(lambda line: self.write_log(f"{self.clock[11:]} {prefix}{line}\n"))
        for event in events:
            lines(event)

    def task(self, condition: str, kind: str) -> Task:
        log = self.folder / "logs" / f"{condition}_seed0_{kind}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        return Task(kind, f"{condition}, seed 0: {kind}", (), (), log, lambda: False)

    def started(self, condition: str, kind: str) -> None:
        self.event(Started(self.task(condition, kind)))

    def ended(self, condition: str, kind: str, seconds: float = 60.0) -> None:
        self.number += 1
        self.event(Started(self.task(condition, kind)))
        self.event(Ended(self.number, self.total, Running(self.task(condition, kind), None, 0.0, seconds)))

    def failed(self, condition: str, kind: str, log: str, code: int = 1) -> None:
        task = self.task(condition, kind)
        task.log.write_text(log, encoding="utf-8")
        self.event(Started(task), Failed(task, code))

    def reports(self, condition: str, kind: str, progress: Progress) -> None:
        task = self.task(condition, kind)
        task.progress_file.write_text(json.dumps(asdict(progress)))
        self.event(Updated((Running(task, None, 0.0, 1.0, progress),), None, self.number, self.total))

    def prepared(self, condition: str, tokens: int = 600) -> None:
        """Make what the data of a condition leave."""
        recipe = self.recipes[condition]
        self._complete(recipe.tokenizer_dir, recipe, {})
        split = {"tokens": tokens, "source_bytes": 2000}
        self._complete(recipe.corpus_dir, recipe, {"reported": {"validation": split}})
        self.ended(condition, "prepare_data", 20.0)

    def trains(self, condition: str, stage: str, rows: Sequence[dict[str, object]], after: str = "") -> Path:
        """Make what a training stage has while it runs; returns the folder of its checkpoints."""
        work = stage_paths(self.recipes[condition])[stage].work
        work.mkdir(parents=True, exist_ok=True)
        write_json(work / "inputs.json", {"seed": 0})
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (work / "metrics.jsonl").write_text(lines + after, encoding="utf-8")
        return work

    def finished(self, condition: str, stage: str, kind: str, seconds: float = 100.0) -> None:
        """Make what a finished training stage leaves, where its metrics are there already."""
        recipe = self.recipes[condition]
        paths = stage_paths(recipe)[stage]
        self._complete(paths.final, recipe, {"ledger": [{"steps": 4}], "wall_time_s": seconds})
        self.ended(condition, kind, seconds)

    def evaluated(self, condition: str) -> None:
        for folder, kind in (("eval", "eval"), ("eval/checkpoints", "eval_checkpoints")):
            write_json(self.recipes[condition].run_dir / folder / "manifest.json", {"stage": kind, "inputs": {}})
            self.ended(condition, kind, 30.0)

    def _complete(self, folder: Path, recipe: Recipe, manifest: dict[str, object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run_config.yaml").write_text(to_yaml(recipe), encoding="utf-8")
        write_json(folder / "manifest.json", manifest)


def save_checkpoint(work: Path, step: int) -> Path:
    """Write a checkpoint of a tiny model, as a stage does."""
    begin_checkpoint(work)
    staged = checkpoint_folder(staging_folder(work), step)
    staged.mkdir()
    save_file({"wte": np.zeros((64, 8), dtype=np.float32)}, staged / "model.safetensors")
    (staged / "trainer_state.json").write_text(json.dumps({"max_steps": 4, "global_step": step}))
    (staged / "optimizer.pt").write_bytes(b"moments" * 20)
    finish_checkpoint(work, step, keeps_weights=False)
    return checkpoint_folder(work, step)


def rows(first: int, last: int, *, step_time_s: float = 2.0, start: float = 4.0) -> list[dict[str, object]]:
    """Return lines of a log: a loss that falls by a tenth a step, and at every second step a validation loss."""
    found: list[dict[str, object]] = []
    for step in range(first, last + 1):
        speed = {"step_time_s": step_time_s, "tokens_per_s": 1234.5, "epoch": step / 4}
        found.append({"step": step, "loss": start - step / 10} | speed)
        if step % 2 == 0:
            found.append({"step": step, "eval_loss": start - step / 10 + 0.05, "epoch": step / 4})
    return found
