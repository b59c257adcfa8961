"""Where the numbers come from: software, hashes, and the commands that reproduce them."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic import JsonValue

from domain_tokens.analysis.results_model import Provenance, PublishedResults, ValueRow
from domain_tokens.recipe import flatten
from domain_tokens.runs.layout import RUN_CONFIG
from domain_tokens.runs.records import CorpusAccount, Environment
from domain_tokens.runs.results import Condition, Pair, SeedRun

_ENVIRONMENT = ("python", "git_commit", "git_dirty", "code_sha256", "machine", "system", "device", "packages")
_EVALUATION_HASHES = ("tokenizer_sha256", "data_sha256")
_INJECTED = (
    "documents",
    "source bytes",
    "tokens",
    "sites rewritten to a token",
    "their share of all tokens",
    "tokens that hardly occur",
    "the commonest",
)

Values = dict[str, JsonValue]
"""Recorded values by what they are."""


def provenance(pair: Pair) -> Provenance:
    """Return the software of all runs and the hashes of each run.

    A value that changed between a condition's stages or seeds is the list of its values, in order of appearance.
    """
    return Provenance(
        software=_rows(_software(pair.reference), _software(pair.other)),
        hashes=_rows(_hashes(pair.reference), _hashes(pair.other)),
    )


def injection(pair: Pair) -> tuple[ValueRow, ...]:
    """Return what each tokenizer did to the corpus; `None` if it was not recorded."""
    return _rows(*(_injected(condition.corpus) for condition in pair.sides))


def reproduce(pair: Pair) -> tuple[str, ...]:
    """Return the commands that run every stage of every seed again, from the resolved recipes kept with the results.

    `output_dir=outputs_again` keeps a new run apart from the recorded one, whose complete stages would be skipped.
    """
    commands = []
    for condition in pair.sides:
        for run in condition.seeds.values():
            for folder, environment in _environments(run):
                if environment.command is not None:
                    script = Path("scripts") / Path(environment.command).name
                    config = folder / RUN_CONFIG
                    commands.append(f"python {_quote(script)} {_quote(config)} output_dir=outputs_again")
    again = (Path("outputs_again") / condition.folder.parent.name / condition.folder.name for condition in pair.sides)
    compare = f"python scripts/compare.py {' '.join(_quote(folder) for folder in again)}"
    return *dict.fromkeys(commands), compare


def published_results() -> PublishedResults:
    """Return the numbers of an earlier, published run; they are shown, and nothing is computed from them."""
    path = Path(__file__).with_name("published_results.yaml")
    return PublishedResults.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def _rows(reference: Values, other: Values) -> tuple[ValueRow, ...]:
    return tuple(
        ValueRow(what=what, reference=reference.get(what), other=other.get(what))
        for what in dict.fromkeys((*reference, *other))
    )


def _injected(corpus: CorpusAccount | None) -> Values:
    if corpus is None:
        return dict.fromkeys(_INJECTED)
    counts = sorted(corpus.facts_by_token.items(), key=lambda item: -item[1])
    values: tuple[JsonValue, ...] = (
        corpus.documents,
        corpus.source_bytes,
        corpus.tokens,
        corpus.facts,
        f"{corpus.facts / corpus.tokens:.3%}",
        len(corpus.rare_facts),
        ", ".join(f"{name} {count:,}" for name, count in counts[:5] if count) or None,
    )
    return dict(zip(_INJECTED, values, strict=True)) | _dose(corpus)


def _dose(corpus: CorpusAccount) -> Values:
    """Return the sites per million tokens of each source, by spelling; nothing for a corpus of version 0.3."""
    sources = {} if corpus.sites is None else corpus.sites.sources
    return {
        f"sites per million tokens, {name}": ", ".join(
            f"{spelling} {rate:,.4g}" for spelling, rate in source.per_million_tokens.items()
        )
        or "none"
        for name, source in sources.items()
    }


def _environments(run: SeedRun) -> Iterator[tuple[Path, Environment]]:
    for stage in run.stages.values():
        yield stage.folder, stage.manifest.environment
    for (model, _), evaluation in run.evaluations.items():
        yield evaluation.path.parents[2] / model, evaluation.result.environment or Environment()


def _software(condition: Condition) -> Values:
    seen: dict[str, list[JsonValue]] = {}
    for run in condition.seeds.values():
        for _, environment in _environments(run):
            recorded = environment.as_json()
            kept = {key: recorded[key] for key in _ENVIRONMENT if key in recorded}
            for name, value in flatten(kept).items():
                values = seen.setdefault(name.removeprefix("packages."), [])
                if value not in values:
                    values.append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in seen.items()}


def _hashes(condition: Condition) -> Values:
    hashes: Values = {}
    for seed, run in condition.seeds.items():
        for model, stage in run.stages.items():
            for name, value in flatten(stage.manifest.reported).items():
                if name.endswith("_sha256"):
                    hashes[f"seed {seed}, {model}, {name}"] = value
        for (model, task), evaluation in run.evaluations.items():
            for name in _EVALUATION_HASHES:
                hashes[f"seed {seed}, {model}, {task}, {name}"] = getattr(evaluation.result, name)
    return hashes


def _quote(path: Path) -> str:
    return shlex.quote(path.as_posix())
