"""Runs one task through lighteval, offline, on rows, a task and an inference of our own.

Importing this module turns gradients off for the whole process, because lighteval 0.13's model module does; `evaluate`
imports it where that is undone again.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import datasets
from lighteval.logging.evaluation_tracker import EvaluationTracker
from lighteval.logging.info_loggers import DetailsLogger
from lighteval.models.abstract_model import LightevalModel, ModelConfig
from lighteval.models.model_output import ModelResponse
from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters
from lighteval.tasks.lighteval_task import LightevalTask, LightevalTaskConfig
from lighteval.tasks.registry import Registry
from lighteval.tasks.requests import Doc
from lighteval.utils.cache_management import SampleCache
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from domain_tokens.evaluation.models.inference import Decoding, generate, log_likelihoods
from domain_tokens.evaluation.tasks._base import SPLIT, Row


class LocalModel(LightevalModel):
    """A model in memory, as lighteval calls it.

    lighteval's own model for transformers computes the logits of all positions, encodes text by text, and keeps a
    cache of answers by the model's path and not by its weights, so that a model trained again in the same folder would
    be scored on its old answers.

    Args:
        model (`PreTrainedModel`): the model, in the precision in which it is to be evaluated.
        tokenizer (`PreTrainedTokenizerFast`): its tokenizer.
        batch_size (`int`): texts at a time, fewer as long as they do not fit into memory.
        decoding (`Decoding`): how answers are written; length and stop text are the task's.
        folder (`str`): for lighteval's cache, which stays empty.
    """

    is_async = False

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        batch_size: int,
        decoding: Decoding,
        folder: str,
    ) -> None:
        self.model = model
        self._tokenizer = tokenizer
        self.batch_size = batch_size
        self.decoding = decoding
        # Not a name that the Hub could have: lighteval would ask the Hub for it.
        self.config = ModelConfig(model_name="evaluated/model/in-memory", cache_dir=folder)
        self._cache = SampleCache(self.config)

    @property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        return self._tokenizer

    @property
    def add_special_tokens(self) -> bool:
        return False

    @property
    def max_length(self) -> int:
        return int(self.model.config.n_positions)

    def greedy_until(self, docs: list[Doc]) -> list[ModelResponse]:
        stops = docs[0].stop_sequences or [None]
        decoding = replace(self.decoding, max_new_tokens=docs[0].generation_size, stop=stops[0])
        written = generate(self.model, self._tokenizer, [doc.query for doc in docs], decoding, self.batch_size)
        return [
            ModelResponse(text=[self._text(ids, decoding.stop) for ids in answers], output_tokens=answers)
            for answers in written
        ]

    def loglikelihood(self, docs: list[Doc]) -> list[ModelResponse]:
        pairs = [(doc.query, choice) for doc in docs for choice in doc.choices]
        values = iter(log_likelihoods(self.model, self._tokenizer, pairs, self.batch_size))
        return [
            ModelResponse(
                logprobs=(logprobs := [next(values) for _ in doc.choices]),
                argmax_logits_eq_gold=[False] * len(logprobs),  # no metric here reads it
            )
            for doc in docs
        ]

    def loglikelihood_rolling(self, docs: list[Doc]) -> list[ModelResponse]:
        raise NotImplementedError("no task here scores whole texts through lighteval")

    def _text(self, token_ids: list[int], stop: str | None) -> str:
        text = self._tokenizer.decode(token_ids).split(self._tokenizer.eos_token)[0]
        return text.split(stop)[0] if stop else text


def run_task(
    config: LightevalTaskConfig,
    rows: list[Row],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    batch_size: int,
    decoding: Decoding | None = None,
) -> list[DetailsLogger.Detail]:
    """Run a model through a task.

    Args:
        config (`LightevalTaskConfig`): the task.
        rows (`list[Row]`): its items, all of which are run.
        model (`PreTrainedModel`): the model, in the precision in which it is to be evaluated.
        tokenizer (`PreTrainedTokenizerFast`): the model's tokenizer.
        batch_size (`int`): texts at a time, fewer as long as they do not fit into memory.
        decoding (`Decoding`, *optional*): the likeliest tokens, none of them forbidden, if not given.

    Returns:
        For each row, in order: the document, the model's response and the scores by metric.
    """
    with tempfile.TemporaryDirectory() as folder, _quiet(), _only_this_task(config, rows):
        pipeline = Pipeline(
            tasks=config.name,
            pipeline_parameters=PipelineParameters(
                launcher_type=ParallelismManager.ACCELERATE, remove_reasoning_tags=False, bootstrap_iters=0
            ),
            evaluation_tracker=EvaluationTracker(output_dir=folder, save_details=False),
            model=LocalModel(model, tokenizer, batch_size, decoding or Decoding(max_new_tokens=1), folder),
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
    # What lighteval warns of (few-shot examples, splits) is decided here or stands in the results; transformers warns
    # of generation settings that are ours.
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
