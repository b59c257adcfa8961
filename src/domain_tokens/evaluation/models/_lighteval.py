"""What is used of lighteval, imported without its side effect.

lighteval 0.13 turns gradients off for the whole process when its model modules are imported. Whoever needs lighteval
imports it from here, where the setting is restored, so that a process that evaluates can train too.
"""

import torch

with torch.set_grad_enabled(torch.is_grad_enabled()):  # restored when the block is left
    from lighteval.logging.evaluation_tracker import EvaluationTracker
    from lighteval.logging.info_loggers import DetailsLogger
    from lighteval.metrics.dynamic_metrics import LogLikelihoodAccMetric
    from lighteval.metrics.metrics_sample import SampleLevelComputation
    from lighteval.metrics.normalizations import LogProbCharNorm
    from lighteval.metrics.utils.metric_utils import SampleLevelMetric
    from lighteval.models.abstract_model import LightevalModel, ModelConfig
    from lighteval.models.model_output import ModelResponse
    from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters
    from lighteval.tasks.lighteval_task import LightevalTask, LightevalTaskConfig
    from lighteval.tasks.registry import Registry
    from lighteval.tasks.requests import Doc, SamplingMethod
    from lighteval.utils.cache_management import SampleCache

__all__ = [
    "DetailsLogger",
    "Doc",
    "EvaluationTracker",
    "LightevalModel",
    "LightevalTask",
    "LightevalTaskConfig",
    "LogLikelihoodAccMetric",
    "LogProbCharNorm",
    "ModelConfig",
    "ModelResponse",
    "ParallelismManager",
    "Pipeline",
    "PipelineParameters",
    "Registry",
    "SampleCache",
    "SampleLevelComputation",
    "SampleLevelMetric",
    "SamplingMethod",
]
