"""Logs that the libraries wrote, and logs made up for a case."""

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from logs.make_fixtures import WRITTEN

from domain_tokens.logs.comparison import Options, compare_logs
from domain_tokens.logs.records import LogComparison
from domain_tokens.logs.runs import Named

Scores = Mapping[str, object]
DATE = "2026-01-02T03-04-05.678901"


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The logs that the libraries wrote: `<harness>/<condition>_<seed>/`."""
    folder = tmp_path_factory.mktemp("written")
    with zipfile.ZipFile(WRITTEN) as archive:
        archive.extractall(folder)
    return folder


def write_samples(
    folder: Path,
    scores: Sequence[object | Scores],
    task: str = "sums",
    own: Mapping[str, object] | None = None,
    **changed: Any,
) -> Path:
    """Write a log of lm-evaluation-harness with a question for each score, and its results if `own` is given.

    Args:
        scores: of the metric `acc`, or of several metrics by name.
        own: the results of the task, such as `{"acc,none": 0.5}`.
        changed: fields of all lines that are other than usual.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"samples_{task}_{DATE}.jsonl"
    lines = []
    for index, score in enumerate(scores):
        values = score if isinstance(score, Mapping) else {"acc": score}
        line = {
            "doc_id": index,
            "doc": {"run": folder.name},
            "target": str(index),
            "filter": "none",
            "metrics": list(values),
        }
        line |= {
            "arguments": {"gen_args_0": {"arg_0": f"What is {index} + 0?", "arg_1": {}}},
            "resps": [[f"<{index}>"]],
        }
        lines.append(json.dumps(line | values | changed))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if own is not None:
        metrics = [{"metric": name.partition(",")[0], "aggregation": "mean"} for name in own]
        results = {"results": {task: own}, "configs": {task: {"metric_list": metrics}}}
        (folder / f"results_{DATE}.json").write_text(json.dumps(results), encoding="utf-8")
    return path


Compare = Callable[..., LogComparison]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    """A function that writes a log for each run, by the run's name, and compares them."""

    def call(runs: Mapping[str, Sequence[object | Scores]], **options: Any) -> LogComparison:
        named = []
        for name, scores in runs.items():
            condition, _, seed = name.partition(":")
            write_samples(tmp_path / name, scores)
            named.append(Named(condition, seed, tmp_path / name))
        return compare_logs(named, Options(**options))

    return call
