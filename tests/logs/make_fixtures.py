"""Writes small logs with lm-evaluation-harness, Inspect and lighteval themselves, for the tests of the readers.

    PYTHONPATH=src:tests python tests/logs/make_fixtures.py

The models are tables of answers, so nothing is downloaded and nothing is trained: two conditions, for lm_eval with two
seeds each, answer the same questions. `written.zip` was made by lm_eval 0.4.13, inspect_ai 0.3.285 and lighteval
0.13.0; what describes the machine was taken out of lm_eval's results. `test_written_logs.py` lets the installed
libraries write the logs again and compares.
"""

import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

WRITTEN = Path(__file__).with_name("written.zip")
CONDITIONS = ("baseline", "mul_tokens")
SEEDS = {"lm_eval": (0, 1), "inspect": (0,), "lighteval": (0,)}
NUM_QUESTIONS = 8
NUM_CHOICES = 3
EPOCHS = 2
LONG = "Write down every step that leads to the answer, and check each of them before the next one. "
"""Makes a question longer than the texts that Inspect keeps in place."""

Answer = Callable[[int, int], str]
"""What a model writes as an answer to a question, at a repetition."""


def question(index: int) -> str:
    return f"{LONG if index % 4 == 3 else ''}What is {index + 2} * {index + 3}?"


def target(index: int) -> str:
    return str((index + 2) * (index + 3))


def is_right(condition: str, seed: int, index: int, epoch: int = 0) -> bool:
    """A table that differs by condition, seed and repetition, and that anybody can compute."""
    hard = (index * 7 + seed * 5 + epoch * 3) % NUM_QUESTIONS
    return hard < (3 + seed if condition == "baseline" else 6)


def answers(condition: str, seed: int) -> Answer:
    def answer(index: int, epoch: int = 0) -> str:
        return target(index) if is_right(condition, seed, index, epoch) else "41"

    return answer


def choices(index: int) -> list[str]:
    return [str(int(target(index)) + more) for more in range(NUM_CHOICES)]


def gold(index: int) -> int:
    return 0


def write_inspect(folder: Path, condition: str, seed: int) -> None:
    """Write one `.eval` file: two scorers, of which one scores in letters, and two epochs."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import Score, Scorer, Target, accuracy, match, mean, scorer
    from inspect_ai.solver import TaskState, generate

    answer, asked = answers(condition, seed), [0] * NUM_QUESTIONS
    by_text = {question(index): index for index in range(NUM_QUESTIONS)}

    def outputs(messages: list[Any], *_: object) -> ModelOutput:
        index = by_text[messages[-1].text]
        output = ModelOutput.from_content("mockllm/model", answer(index, asked[index]))
        asked[index] += 1
        output.usage = ModelUsage(input_tokens=9, output_tokens=1, total_tokens=10)  # or Inspect downloads a tokenizer
        return output

    @scorer(metrics={"digits": [mean()], "close": [accuracy()]}, name="parts")
    def parts() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score:
            text = state.output.completion
            return Score(value={"digits": len(text), "close": abs(int(text) - int(target.text)) < 3}, answer=text)

        return score

    samples = [Sample(id=f"q{i}", input=question(i), target=target(i)) for i in range(NUM_QUESTIONS)]
    task = Task(
        name="products", dataset=MemoryDataset(samples), solver=generate(), scorer=[match(), parts()], epochs=EPOCHS
    )
    model = get_model("mockllm/model", custom_outputs=outputs)
    (log,) = eval(task, model=model, log_dir=str(folder), max_samples=1, display="none", log_level="error")
    assert log.status == "success", log.error


def write_lm_eval(folder: Path, condition: str, seed: int) -> None:
    """Write `samples_*.jsonl` and `results_*.json` of a task that is answered in writing and one with choices."""
    import datasets
    import lm_eval
    from lm_eval.api.model import LM
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.loggers import EvaluationTracker

    answer = answers(condition, seed)
    rows = [
        {"index": i, "question": question(i), "answer": target(i), "choices": choices(i), "gold": gold(i)}
        for i in range(NUM_QUESTIONS)
    ]
    by_text = {f"Question: {question(index)}\nAnswer:": index for index in range(NUM_QUESTIONS)}

    class Table(LM):
        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            return [f" The answer is {answer(by_text[request.args[0]], 0)}." for request in requests]

        def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            return [self._score(*request.args) for request in requests]

        def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
            raise NotImplementedError

        def _score(self, context: str, continuation: str) -> tuple[float, bool]:
            index = by_text[context]
            chosen = gold(index) if is_right(condition, seed, index) else 1
            return (-1.0 if continuation.strip() == choices(index)[chosen] else -3.0 - 0.1 * seed, False)

    shared = {
        "dataset_path": "made up",
        "custom_dataset": lambda **_: datasets.DatasetDict(test=datasets.Dataset.from_list(rows)),
        "test_split": "test",
        "doc_to_text": "Question: {{question}}\nAnswer:",
    }
    number = [
        {"name": name, "filter": [{"function": "regex", "regex_pattern": pattern}, {"function": "take_first"}]}
        for name, pattern in (("strict-match", r"The answer is (\d+)\."), ("first-number", r"(\d+)"))
    ]
    mean = {"aggregation": "mean", "higher_is_better": True}
    written = shared | {
        "task": "products",
        "output_type": "generate_until",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["\n"], "do_sample": False},
        "filter_list": number,
        "metric_list": [{"metric": "exact_match", **mean}],
    }
    chosen = shared | {
        "task": "products_choice",
        "output_type": "multiple_choice",
        "doc_to_target": "gold",
        "doc_to_choice": "choices",
        "metric_list": [{"metric": "acc", **mean}, {"metric": "acc_norm", **mean}],
    }
    results = lm_eval.simple_evaluate(
        model=Table(),
        tasks=[ConfigurableTask(config=config) for config in (written, chosen)],
        log_samples=True,
        bootstrap_iters=0,
    )
    samples = results.pop("samples")
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.log_experiment_args("table", f"pretrained={condition}", None, None, False)
    tracker.save_results_aggregated(results=results, samples=samples)
    for name in results["configs"]:
        tracker.save_results_samples(task_name=name, samples=samples[name])


def write_lighteval(folder: Path, condition: str, seed: int) -> None:
    """Write `details_*.parquet` and `results_*.json` of a task that is answered in writing and one with choices."""
    from domain_tokens.evaluation.models import lighteval_adapter as adapter
    from domain_tokens.evaluation.models._lighteval import (
        Doc,
        EvaluationTracker,
        LightevalModel,
        ModelConfig,
        ModelResponse,
        ParallelismManager,
        Pipeline,
        PipelineParameters,
        SampleCache,
    )

    answer = answers(condition, seed)
    rows = [{"index": i} for i in range(NUM_QUESTIONS)]

    class Table(LightevalModel):
        is_async = False
        tokenizer, add_special_tokens, max_length = None, False, 100

        def __init__(self, cache: str) -> None:
            self.config = ModelConfig(model_name=f"table/{condition}", cache_dir=cache)
            self._cache = SampleCache(self.config)

        def greedy_until(self, docs: list[Doc]) -> list[ModelResponse]:
            return [ModelResponse(text=[answer(doc.specific["index"], 0)], input=doc.query) for doc in docs]

        def loglikelihood(self, docs: list[Doc]) -> list[ModelResponse]:
            found = []
            for doc in docs:
                chosen = 0 if is_right(condition, seed, doc.specific["index"]) else 1
                logprobs = [-1.0 if place == chosen else -3.0 for place in range(len(doc.choices))]
                found.append(ModelResponse(input=doc.query, logprobs=logprobs, argmax_logits_eq_gold=[False] * 3))
            return found

        def loglikelihood_rolling(self, docs: list[Doc]) -> list[ModelResponse]:
            raise NotImplementedError

    def written(row: dict[str, Any], name: str) -> Doc:
        i = row["index"]
        return Doc(query=question(i), choices=[target(i)], gold_index=0, task_name=name, specific={"index": i})

    def chosen(row: dict[str, Any], name: str) -> Doc:
        i = row["index"]
        return Doc(query=question(i), choices=choices(i), gold_index=gold(i), task_name=name, specific={"index": i})

    configs = (
        adapter.generative_config(
            "products", 0, written, "accuracy", lambda text, right: text == right, max_new_tokens=8, stop="\n"
        ),
        adapter.choice_config("products_choice", 0, chosen),
    )
    for config in configs:  # a folder of its own for each, as two calls of the command make
        with tempfile.TemporaryDirectory() as cache, adapter._quiet(), adapter._only_this_task(config, rows):
            pipeline = Pipeline(
                tasks=config.name,
                pipeline_parameters=PipelineParameters(
                    launcher_type=ParallelismManager.ACCELERATE, remove_reasoning_tags=False, bootstrap_iters=0
                ),
                evaluation_tracker=EvaluationTracker(output_dir=str(folder / config.name), save_details=True),
                model=Table(cache),
            )
            pipeline.evaluate()
            pipeline.save_and_push_results()


WRITERS: dict[str, Callable[[Path, str, int], None]] = {
    "lm_eval": write_lm_eval,
    "inspect": write_inspect,
    "lighteval": write_lighteval,
}


def write_all(folder: Path, harness: str) -> None:
    """Write the logs of one library: `<folder>/<harness>/<condition>_<seed>/...`."""
    for condition in CONDITIONS:
        for seed in SEEDS[harness]:
            WRITERS[harness](folder / harness / f"{condition}_{seed}", condition, seed)


def without_machine(folder: Path) -> None:
    """Take the description of the machine out of lm_eval's results."""
    for file in folder.rglob("results_*.json"):
        values = json.loads(file.read_text(encoding="utf-8"))
        for key in ("pretty_env_info", "git_hash"):
            values.pop(key, None)
        file.write_text(json.dumps(values), encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        for name in WRITERS:
            write_all(Path(made), name)
        without_machine(Path(made) / "lm_eval")
        with zipfile.ZipFile(WRITTEN, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Path(made).rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(made))
