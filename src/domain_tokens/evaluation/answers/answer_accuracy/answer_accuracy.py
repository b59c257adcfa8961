"""The accuracy of written answers as a module of Hugging Face `evaluate`; the scorers are those of `scorers`."""

from pathlib import Path

import datasets
import evaluate  # type: ignore[import-untyped]

from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.evaluation.answers.extraction import read_number
from domain_tokens.evaluation.answers.scorers import SCORES, score
from domain_tokens.tokenization.intervention import default_intervention, load_intervention

_DESCRIPTION = """\
The share of right answers to questions like those of GSM8K: by the scorer of domain_tokens, which reads the number
after `####` as an exact fraction, and by three published ones. Tokens that stand for facts are written as text first.
"""
_INPUTS = """
Args:
    predictions (`list[str]`): what a model wrote, with fact tokens or without.
    references (`list[str]`): the right numbers, or GSM8K's solutions, which end with `#### <number>`.
    written_by (`str`, *optional*): the intervention file of the model's tokenizer; the experiment's own intervention
        if not given.

Returns:
    `accuracy`, `accuracy_original` (openai/grade-school-math), `accuracy_strict` and `accuracy_flexible`
    (lm-evaluation-harness): each from 0 to 1.

Example:

>>> metric = evaluate.load("src/domain_tokens/evaluation/answers/answer_accuracy")
>>> metric.compute(predictions=["6*9=54\\n#### 54.0"], references=["54"])
{'accuracy': 1.0, 'accuracy_original': 0.0, 'accuracy_strict': 0.0, 'accuracy_flexible': 0.0}
"""
_CITATION = """\
@article{cobbe2021training,
  title={Training Verifiers to Solve Math Word Problems},
  author={Cobbe, Karl and others},
  journal={arXiv preprint arXiv:2110.14168},
  year={2021}
}
"""


class AnswerAccuracy(evaluate.Metric):
    """The accuracy of written answers, by four scorers."""

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(features),
            reference_urls=["https://arxiv.org/abs/2110.14168"],
        )

    def _compute(
        self, predictions: list[str], references: list[str], written_by: str | None = None
    ) -> dict[str, float]:
        if not predictions:
            raise ValueError("predictions: empty; an accuracy needs at least one answer")
        own = default_intervention()
        reader = AnswerReader(own if written_by is None else load_intervention(Path(written_by)), own)
        golds = [reference.rpartition("####")[2].strip() for reference in references]
        for row, gold in enumerate(golds):
            if read_number(gold) is None:
                raise ValueError(
                    f"references: row {row}: expected one number, or `#### <number>` at its end, got {gold!r}"
                )
        scores = [score(reader.read(written), gold) for written, gold in zip(predictions, golds, strict=True)]
        return {
            name.replace("correct", "accuracy"): sum(found[name] for found in scores) / len(scores) for name in SCORES
        }
