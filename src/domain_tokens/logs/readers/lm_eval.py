"""Reads `samples_<task>_<date>.jsonl` of lm-evaluation-harness, and the `results_<date>.json` beside it.

A question is written once for each of the task's filters; its metrics are called as in the results, `metric,filter`.
The rendered question is the whole prompt with examples and chat template, and the choices where there are some.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ConfigDict, Field, ValidationError

from domain_tokens.local_data.text import read_lines
from domain_tokens.logs.table import Aggregate, Item, Read, Score, TaskLog, as_score, item_key, setting, what_is_wrong
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.values.types import Values

NAME: Final = "lm-evaluation-harness"
PATTERN: Final = "samples_*.jsonl"
_FILE = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+)\.jsonl")
_NO_FILTER: Final = "none"
_NOT_METRICS: Final = {"schema", "model", "timestamp"}  # keys that other programs add to the lines

Arguments = Mapping[str, Mapping[str, Any]] | list[list[Any]]


class _Sample(Read):
    """A line. Older versions write no `filter` and no `metrics`, and arguments as lists."""

    model_config = ConfigDict(extra="allow", frozen=True)

    doc_id: int | str
    target: Any
    arguments: Arguments
    resps: list[Any] = Field(default_factory=list)
    filter: str = _NO_FILTER
    metrics: list[str] | None = None
    doc: Any = None
    filtered_resps: Any = None
    doc_hash: str | None = None
    prompt_hash: str | None = None
    target_hash: str | None = None

    @property
    def scores(self) -> dict[str, Score]:
        """The scores by `metric,filter`."""
        found = self.model_extra or {}
        names = self.metrics if self.metrics is not None else [name for name in found if name not in _NOT_METRICS]
        return {f"{name},{self.filter}": as_score(found.get(name)) for name in names}

    @property
    def requests(self) -> list[list[str]]:
        """The texts of each request: the prompt, and what was to follow it."""
        values = self.arguments
        requests = [list(one.values()) for one in values.values()] if isinstance(values, Mapping) else values
        return [[text for text in request if isinstance(text, str)] for request in requests]


class _Metric(Read):
    metric: Any = None
    aggregation: Any = None


class _Config(Read):
    metric_list: list[_Metric] = Field(default_factory=list)
    generation_kwargs: Any = None
    repeats: int | None = None


class _Limits(Read):
    limit: Any = None
    gen_kwargs: Any = None


class _Results(Read):
    """The file of results, as far as it is read."""

    results: dict[str, Values]
    configs: dict[str, _Config] = Field(default_factory=dict)
    config: _Limits = Field(default_factory=_Limits)
    versions: Values = Field(default_factory=dict)
    shots: Values = Field(default_factory=dict, alias="n-shot")
    higher_is_better: dict[str, dict[str, bool | None]] = Field(default_factory=dict)
    lm_eval_version: str | None = None
    model_name: str | None = None
    chat_template_sha: str | None = None
    system_instruction_sha: str | None = None
    fewshot_as_multiturn: bool | None = None


def read(path: Path) -> TaskLog:
    """Read a task of a run. Raises `RecipeError` if a line is cut or is none of this kind; it names the line."""
    named = _FILE.fullmatch(path.name)
    task = named["task"] if named else path.stem
    items = _items(path, _samples(path))
    results = _results(path, named["date"]) if named else None
    if results is None or task not in results.results:
        return TaskLog(path, NAME, task, items)
    config = results.configs.get(task, _Config())
    return TaskLog(
        path=path,
        harness=NAME,
        task=task,
        items=items,
        version=results.lm_eval_version,
        model=results.model_name,
        aggregates=_aggregates(results.results[task], config),
        settings={
            "task version": setting(results.versions.get(task)),
            "examples in the prompt": setting(results.shots.get(task)),
            "limit": setting(results.config.limit),
            "generation": setting(config.generation_kwargs),
            "generation, command line": setting(results.config.gen_kwargs),
            "repeats": setting(config.repeats),
            "chat template": setting(results.chat_template_sha),
            "system instruction": setting(results.system_instruction_sha),
            "examples as turns": setting(results.fewshot_as_multiturn),
        },
        lower_is_better=frozenset(
            metric for metric, higher in results.higher_is_better.get(task, {}).items() if higher is False
        ),
    )


def _samples(path: Path) -> Iterator[tuple[int, _Sample]]:
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            values = json.loads(line)
        except ValueError as error:
            raise RecipeError(
                f"{where}: not readable as JSON ({error}); expected one sample a line. If the evaluation was "
                "interrupted, run it again"
            ) from error
        try:
            yield number, _Sample.model_validate(values)
        except ValidationError as error:
            raise RecipeError(
                f"{where}: is no sample of {NAME} ({what_is_wrong(error)}); expected a file that --log_samples wrote"
            ) from error


def _items(path: Path, samples: Iterable[tuple[int, _Sample]]) -> list[Item]:
    """Return the questions, each with the scores of all its filters."""
    by_id: dict[str, dict[str, _Sample]] = {}
    for number, sample in samples:
        filters = by_id.setdefault(str(sample.doc_id), {})
        if sample.filter in filters:
            raise RecipeError(
                f"{path}, line {number}: doc_id {sample.doc_id} is in it twice with the filter {sample.filter!r}; "
                "expected one evaluation in a file"
            )
        filters[sample.filter] = sample
    return [_item(name, filters) for name, filters in by_id.items()]


def _item(name: str, filters: Mapping[str, _Sample]) -> Item:
    first = next(iter(filters.values()))
    requests = first.requests
    answers = first.resps[0] if first.resps and isinstance(first.resps[0], list) else []
    return Item(
        key=item_key(requests, str(first.target)),
        name=name,
        question=requests[0][0] if requests and requests[0] else "",
        target=_text_of_target(first, requests),
        scores={metric: score for sample in filters.values() for metric, score in sample.scores.items()},
        answer=_chosen(first, requests) if len(requests) > 1 else _written(answers),
        num_answers=max(len(answers), 1),
    )


def _text_of_target(sample: _Sample, requests: list[list[str]]) -> str:
    """Return the right choice where the target is its number."""
    target = str(sample.target)
    if len(requests) > 1 and target.isdecimal() and int(target) < len(requests):
        return requests[int(target)][-1].strip()
    return target


def _written(answers: list[Any]) -> str | None:
    return answers[0] if answers and isinstance(answers[0], str) else None


def _chosen(sample: _Sample, requests: list[list[str]]) -> str | None:
    """Return the likeliest choice: a response is `[[log-probability, is greedy]]`, both as texts."""
    try:
        values = [float(response[0][0]) for response in sample.resps]
    except (TypeError, ValueError, IndexError, KeyError):
        return None
    if len(values) != len(requests) or not values:
        return None
    return requests[values.index(max(values))][-1].strip()


def _results(path: Path, date: str) -> _Results | None:
    """Return the results that were written with a file of samples; `None` if they are not beside it."""
    found = sorted(path.parent.glob(f"*_{date}.json"))
    if not found:
        return None
    try:
        return _Results.model_validate_json(found[0].read_bytes())
    except ValidationError as error:
        raise RecipeError(
            f"{found[0]}: is no file of results of {NAME} ({what_is_wrong(error)}); remove it to compare without"
        ) from error


def _aggregates(values: Mapping[str, Any], config: _Config) -> dict[str, Aggregate]:
    methods = {str(one.metric): str(one.aggregation) for one in config.metric_list if one.aggregation is not None}
    return {
        name: Aggregate(score, methods.get(name.partition(",")[0]))
        for name, value in values.items()
        if isinstance(score := as_score(value), float)
    }
