"""Reads `details_<task>_<date>.parquet` of lighteval, and the `results_<date>.json` of the same evaluation.

The rendered question is the document's query with its instruction and choices. Examples in the prompt and the chat
template are no part of it; the number of examples is part of the task's name.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from domain_tokens.logs.table import Aggregate, Item, Read, TaskLog, as_score, item_key, setting, what_is_wrong
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.values.types import Values

NAME: Final = "lighteval"
PATTERN: Final = "details_*.parquet"
_FILE = re.compile(r"details_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+)\.parquet")
_COLUMNS: Final = ("doc", "metric", "model_response")


class _Doc(Read):
    query: str
    choices: list[str] | None = None
    gold_index: int | list[int] | None = None
    instruction: str | None = None
    id: str | None = None

    @property
    def targets(self) -> list[str]:
        """The right choices; their numbers where there are no texts."""
        gold = self.gold_index if isinstance(self.gold_index, list) else [self.gold_index]
        texts = self.choices or []
        return [texts[i] if i is not None and 0 <= i < len(texts) else str(i) for i in gold]


class _Response(Read):
    text: list[str] | None = None
    logprobs: list[float] | None = None


class _Detail(Read):
    """A row."""

    doc: _Doc
    metric: Values
    model_response: _Response = Field(default_factory=_Response)


class _Metric(Read):
    metric_name: Any = None
    higher_is_better: Any = None
    corpus_level_fn: Any = None


class _Config(Read):
    metrics: list[_Metric] = Field(default_factory=list)
    version: Any = None
    generation_size: int | None = None
    stop_sequence: Any = None


class _ModelConfig(Read):
    generation_parameters: Values = Field(default_factory=dict)
    system_prompt: str | None = None


class _General(Read):
    max_samples: int | None = None
    model_name: str | None = None
    model_config_: _ModelConfig = Field(default_factory=_ModelConfig, alias="model_config")


class _Results(Read):
    """The file of results, as far as it is read."""

    results: dict[str, Values]
    config_general: _General = Field(default_factory=_General)
    config_tasks: dict[str, _Config] = Field(default_factory=dict)


def read(path: Path) -> TaskLog:
    """Read a task of a run. Raises `RecipeError` if the file is cut off or has no details."""
    named = _FILE.fullmatch(path.name)
    task = named["task"] if named else path.stem
    items = [_item(path, number, row) for number, row in enumerate(_rows(path))]
    results = _results(path, named["date"]) if named else None
    if results is None or task not in results.results:
        return TaskLog(path, NAME, task, items)
    config, general = results.config_tasks.get(task, _Config()), results.config_general
    return TaskLog(
        path=path,
        harness=NAME,
        task=task,
        items=items,
        model=general.model_name,
        aggregates={
            name: Aggregate(score, _method(config, name))
            for name, value in results.results[task].items()
            if isinstance(score := as_score(value), float)
        },
        settings={
            "task version": setting(config.version),
            "limit": setting(general.max_samples),
            "longest answer": setting(config.generation_size),
            "stop texts": setting(config.stop_sequence),
            "generation": setting(general.model_config_.generation_parameters),
            "system prompt": setting(general.model_config_.system_prompt),
        },
        lower_is_better=frozenset(
            one.metric_name
            for one in config.metrics
            if isinstance(one.metric_name, str) and one.higher_is_better is False
        ),
    )


def _rows(path: Path) -> list[Mapping[str, Any]]:
    try:
        file = pq.ParquetFile(path)
        missing = [name for name in _COLUMNS if name not in file.schema_arrow.names]
        if missing:
            raise RecipeError(
                f"{path}: has no column {missing[0]!r}; expected the details that lighteval writes with "
                f"--save-details ({', '.join(_COLUMNS)})"
            )
        rows: list[Mapping[str, Any]] = file.read(columns=list(_COLUMNS)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise RecipeError(f"{path}: is no whole parquet file ({error}); copy it again") from error
    return rows


def _item(path: Path, number: int, row: Mapping[str, Any]) -> Item:
    try:
        detail = _Detail.model_validate(row)
    except ValidationError as error:
        raise RecipeError(f"{path}, row {number}: is no detail of {NAME} ({what_is_wrong(error)})") from error
    doc, response = detail.doc, detail.model_response
    texts = response.text or []
    return Item(
        key=item_key([doc.instruction or "", doc.query, doc.choices or []], doc.targets),
        name=doc.id or str(number),
        question=doc.query,
        target=" | ".join(doc.targets),
        scores={name: as_score(value) for name, value in detail.metric.items()},
        answer=texts[0] if texts else _chosen(doc, response),
        num_answers=max(len(texts), 1),
    )


def _chosen(doc: _Doc, response: _Response) -> str | None:
    values, texts = response.logprobs or [], doc.choices or []
    return texts[values.index(max(values))] if values and len(values) == len(texts) else None


def _results(path: Path, date: str) -> _Results | None:
    """Return the results of the evaluation that wrote a file of details; `None` if they are not in their place.

    It is `results/<model>/` beside `details/<model>/<date>/`, or above the details, as in a repository on the Hub.
    """
    name = f"results_{date}.json"
    places = [parent.parent / "results" for parent in path.parents if parent.name == "details"][:1]
    found = [file for place in places for file in sorted(place.rglob(name))]
    found += [folder / name for folder in (path.parent, path.parent.parent) if (folder / name).is_file()]
    if not found:
        return None
    try:
        return _Results.model_validate_json(found[0].read_bytes())
    except ValidationError as error:
        raise RecipeError(
            f"{found[0]}: is no file of results of {NAME} ({what_is_wrong(error)}); remove it to compare without"
        ) from error


def _method(config: _Config, metric: str) -> str | None:
    for one in config.metrics:
        if one.metric_name == metric or (isinstance(one.metric_name, list) and metric in one.metric_name):
            method = one.corpus_level_fn
            method = method.get(metric) if isinstance(method, Mapping) else method
            return method if isinstance(method, str) else None
    return None
