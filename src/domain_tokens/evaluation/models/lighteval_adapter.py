"""Runs one task through lighteval, offline, on rows, a task and an inference of our own."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import datasets
import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from domain_tokens.evaluation.models._lighteval import (
    DetailsLogger,
    Doc,
    EvaluationTracker,
    LightevalModel,
    LightevalTask,
    LightevalTaskConfig,
    LogLikelihoodAccMetric,
    LogProbCharNorm,
    ModelConfig,
    ModelResponse,
    ParallelismManager,
    Pipeline,
    PipelineParameters,
    Registry,
    SampleCache,
    SampleLevelComputation,
    SampleLevelMetric,
    SamplingMethod,
)
from domain_tokens.evaluation.models.inference import Decoding, generate, log_likelihoods
from domain_tokens.evaluation.tasks._base import SPLIT

Rows = Sequence[Mapping[str, object]]


class AnswerIsCorrect(SampleLevelComputation):
    """1 for a right answer, 0 for a wrong one.

    Args:
        is_right (`Callable[[str, str], bool]`): says it of what the model wrote and the right answer.
    """

    def __init__(self, is_right: Callable[[str, str], bool]) -> None:
        self.is_right = is_right

    def compute(self, doc: Doc, model_response: ModelResponse, **_: object) -> int:
        """Return the score of one answer."""
        return int(self.is_right(model_response.final_text[0], doc.choices[0]))


def generative_config(
    name: str,
    version: int,
    prompt: Callable[..., Doc],
    metric: str,
    is_right: Callable[[str, str], bool],
    max_new_tokens: int,
    stop: str,
) -> LightevalTaskConfig:
    """Return a task that is answered in writing, as lighteval knows it.

    Args:
        name (`str`): of the task.
        version (`int`): of the task.
        prompt (`Callable`): makes the document of a row and the task's name.
        metric (`str`): the name of the mean of `is_right`.
        is_right (`Callable`): whether what the model wrote gives the right answer, its second argument.
        max_new_tokens (`int`): the longest answer.
        stop (`str`): a text that ends an answer.
    """
    scorer = SampleLevelMetric(
        metric_name=metric,
        higher_is_better=True,
        category=SamplingMethod.GENERATIVE,
        sample_level_fn=AnswerIsCorrect(is_right),
        corpus_level_fn=np.mean,
    )
    return _config(name, version, prompt, [scorer], generation_size=max_new_tokens, stop_sequence=[stop])


def choice_config(name: str, version: int, prompt: Callable[..., Doc]) -> LightevalTaskConfig:
    """Return a task that is answered by the likeliest choice, as lighteval knows it.

    Its metrics are `acc`, by the log-probabilities of the choices, and `acc_norm`, by the same divided by the choices'
    numbers of characters.

    Args:
        name (`str`): of the task.
        version (`int`): of the task.
        prompt (`Callable`): makes the document of a row and the task's name.
    """
    metrics = [LogLikelihoodAccMetric(), LogLikelihoodAccMetric(LogProbCharNorm(ignore_first_space=True))]
    return _config(name, version, prompt, metrics)


def _config(
    name: str, version: int, prompt: Callable[..., Doc], metrics: list[SampleLevelMetric], **generation: object
) -> LightevalTaskConfig:
    return LightevalTaskConfig(
        name=name,
        prompt_function=prompt,
        hf_repo="",
        hf_subset="",
        hf_avail_splits=[SPLIT],
        evaluation_splits=[SPLIT],
        metrics=metrics,
        version=version,
        **generation,
    )


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
        encode (`Callable`, *optional*): how prompts are encoded, if not by the tokenizer.
    """

    is_async = False

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        batch_size: int,
        decoding: Decoding,
        folder: str,
        encode: Callable[[list[str]], list[list[int]]] | None,
    ) -> None:
        self.model = model
        self._tokenizer = tokenizer
        self.batch_size = batch_size
        self.decoding = decoding
        self.encode = encode
        # Not a name that the Hub could have: lighteval would ask the Hub for it.
        self.config = ModelConfig(model_name="evaluated/model/in-memory", cache_dir=folder)
        self._cache = SampleCache(self.config)

    @property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The model's tokenizer."""
        return self._tokenizer

    @property
    def add_special_tokens(self) -> bool:
        """Texts are encoded as they are."""
        return False

    @property
    def max_length(self) -> int:
        """The model's positions."""
        return int(self.model.config.n_positions)

    def greedy_until(self, docs: list[Doc]) -> list[ModelResponse]:
        """Return the answers to prompts; greedy unless the decoding draws."""
        stops = docs[0].stop_sequences or [None]
        decoding = replace(self.decoding, max_new_tokens=docs[0].generation_size, stop=stops[0])
        prompts = [doc.query for doc in docs]
        written = generate(self.model, self._tokenizer, prompts, decoding, self.batch_size, self.encode)
        return [
            ModelResponse(text=[self._text(ids, decoding.stop) for ids in answers], output_tokens=answers)
            for answers in written
        ]

    def loglikelihood(self, docs: list[Doc]) -> list[ModelResponse]:
        """Return how likely each choice is after its context, in nats."""
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
        """Not used by any task."""
        raise NotImplementedError("no task here scores whole texts through lighteval")

    def _text(self, token_ids: list[int], stop: str | None) -> str:
        text = self._tokenizer.decode(token_ids).split(self._tokenizer.eos_token)[0]
        return text.split(stop)[0] if stop else text


def run_task(
    config: LightevalTaskConfig,
    rows: Rows,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    batch_size: int,
    decoding: Decoding | None = None,
    encode: Callable[[list[str]], list[list[int]]] | None = None,
) -> list[DetailsLogger.Detail]:
    """Run a model through a task.

    Args:
        config (`LightevalTaskConfig`): the task.
        rows (`Rows`): its items, all of which are run.
        model (`PreTrainedModel`): the model, in the precision in which it is to be evaluated.
        tokenizer (`PreTrainedTokenizerFast`): the model's tokenizer.
        batch_size (`int`): texts at a time, fewer as long as they do not fit into memory.
        decoding (`Decoding`, *optional*): the likeliest tokens, none of them forbidden, if not given.
        encode (`Callable`, *optional*): how prompts to be continued are encoded, if not by the tokenizer.

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
            model=LocalModel(model, tokenizer, batch_size, decoding or Decoding(max_new_tokens=1), folder, encode),
        )
        pipeline.evaluate()
        details = pipeline.get_details()[config.full_name]
    return sorted(details, key=lambda detail: int(detail.doc.id))  # lighteval shuffles; an id is a row's index


@contextmanager
def _only_this_task(config: LightevalTaskConfig, rows: Rows) -> Iterator[None]:
    def load_configs(custom_tasks: None, load_multilingual: bool) -> dict[str, LightevalTaskConfig]:
        return {config.name: config}

    def load_rows(task: LightevalTask) -> dict[str, list[dict[str, object]]]:
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
