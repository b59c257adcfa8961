"""Runs one task through lighteval, offline, on rows and a task of our own.

Importing this module turns gradients off for the whole process, because lighteval 0.13's model module does; `evaluate`
imports it where that is undone again.
"""

import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import datasets
from accelerate import Accelerator
from lighteval.logging.evaluation_tracker import EvaluationTracker
from lighteval.logging.info_loggers import DetailsLogger
from lighteval.models.model_output import ModelResponse
from lighteval.models.transformers.transformers_model import TransformersModel, TransformersModelConfig
from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters
from lighteval.tasks.lighteval_task import LightevalTask, LightevalTaskConfig
from lighteval.tasks.registry import Registry
from lighteval.tasks.requests import Doc
from transformers import PreTrainedModel

from domain_tokens.evaluation.tasks.base import SPLIT, Row


class UncachedModel(TransformersModel):
    """lighteval's transformers model without its cache of answers, and with progress bars on terminals alone.

    lighteval 0.13 keys its cache by the model's path and not by its weights: a model trained again in the same folder
    would be scored on its old answers.
    """

    def greedy_until(self, docs: list[Doc]) -> list[ModelResponse]:
        # By default the scores of every step are kept: 26 MB a step at batch size 128, and nothing reads them.
        self.generation_config_dict["output_scores"] = False
        return self._padded_greedy_until(docs)

    def loglikelihood(self, docs: list[Doc]) -> list[ModelResponse]:
        return self._loglikelihood_tokens(docs)

    @property
    def disable_tqdm(self) -> bool:
        return not sys.stderr.isatty() or super().disable_tqdm


def run_task(
    config: LightevalTaskConfig, rows: list[Row], model: PreTrainedModel, tokenizer_dir: Path, batch_size: int
) -> list[DetailsLogger.Detail]:
    """Run a model through a task.

    Args:
        config (`LightevalTaskConfig`): the task.
        rows (`list[Row]`): its items, all of which are run.
        model (`PreTrainedModel`): the model, in the precision in which it is to be evaluated.
        tokenizer_dir (`Path`): the model's tokenizer.
        batch_size (`int`): items at a time; for choice tasks lighteval divides it by the number of choices and rounds
            it to a multiple of 8, or to 1.

    Returns:
        For each row, in order: the document, the model's response and the scores by metric.
    """
    with tempfile.TemporaryDirectory() as folder, _quiet(), _only_this_task(config, rows):
        accelerator = Accelerator()
        settings = TransformersModelConfig(
            # Not a name that the Hub could have: lighteval would ask the Hub for it.
            model_name=f"evaluated/model/{config.name}",
            tokenizer=str(tokenizer_dir),
            batch_size=batch_size,
            # The prompts are already in the chat template's format where a task asks for it, and plain where not.
            override_chat_template=False,
            cache_dir=folder,
        )
        pipeline = Pipeline(
            tasks=config.name,
            pipeline_parameters=PipelineParameters(
                launcher_type=ParallelismManager.ACCELERATE, remove_reasoning_tags=False, bootstrap_iters=0
            ),
            evaluation_tracker=EvaluationTracker(output_dir=folder, save_details=False),
            model=UncachedModel.from_model(model, settings, accelerator),
        )
        pipeline.evaluate()
        details = pipeline.get_details()[config.full_name]
    return sorted(details, key=lambda detail: int(detail.doc.id))  # lighteval shuffles; an id is a row's index


@contextmanager
def _only_this_task(config: LightevalTaskConfig, rows: list[Row]) -> Iterator[None]:
    def load_configs(custom_tasks: None, load_multilingual: bool) -> dict[str, LightevalTaskConfig]:
        return {config.name: config}

    def load_rows(task: LightevalTask) -> dict[str, list[Row]]:
        return {SPLIT: [dict(row) for row in rows]}  # copies: lighteval writes into them

    # lighteval 0.13 builds its registry by importing every bundled task, one of which downloads a pickle from the
    # network when it is imported; and it reads a task's data from files alone.
    with (
        patch.object(Registry, "load_all_task_configs", staticmethod(load_configs)),
        patch.object(LightevalTask, "download_dataset_worker", staticmethod(load_rows)),
    ):
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    # What lighteval warns of (few-shot examples, splits, its own rounding of batch sizes) is decided here or stands in
    # the results; transformers warns that choices come without a mask, which padding on the right does not need.
    names = ("lighteval", "transformers.generation", "transformers.modeling_utils")
    loggers = {name: logging.getLogger(name) for name in names}
    levels = {name: logger.level for name, logger in loggers.items()}
    for logger in loggers.values():
        logger.setLevel(logging.ERROR)
    bars = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        for name, logger in loggers.items():
            logger.setLevel(levels[name])
        if not bars:
            datasets.enable_progress_bars()
