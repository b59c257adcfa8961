"""Where the numbers come from: software, seeds, hashes, and the commands that make them again."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from domain_tokens.recipe import flatten
from domain_tokens.runs.layout import RUN_CONFIG
from domain_tokens.runs.records import CorpusAccount, Environment
from domain_tokens.runs.results import Condition, SeedRun

_ENVIRONMENT = ("python", "git_commit", "git_dirty", "machine", "system", "packages")
_EVALUATION_HASHES = ("tokenizer_sha256", "data_sha256")


def provenance(reference: Condition, other: Condition) -> dict[str, Any]:
    """Return the software of all runs and the hashes of each run, as rows with a `reference` and an `other` value.

    A value that changed between a condition's stages or seeds is the list of its values, in order of appearance.
    """
    software = _software(reference), _software(other)
    hashes = _hashes(reference), _hashes(other)
    return {
        "software": [
            {"what": what, "reference": software[0].get(what), "other": software[1].get(what)}
            for what in dict.fromkeys((*software[0], *software[1]))
        ],
        "hashes": [
            {"what": what, "reference": hashes[0].get(what), "other": hashes[1].get(what)}
            for what in dict.fromkeys((*hashes[0], *hashes[1]))
        ],
    }


def injection(reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return what each tokenizer did to the corpus: rows of `what`, `reference`, `other`, `None` if not recorded."""
    sides = [condition.corpus for condition in (reference, other)]

    def row(what: str, read: Callable[[CorpusAccount], Any]) -> dict[str, Any]:
        values = [None if side is None else read(side) for side in sides]
        return {"what": what, "reference": values[0], "other": values[1]}

    def commonest(side: CorpusAccount) -> str | None:
        counts = sorted(side.facts_by_token.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {count:,}" for name, count in counts[:5] if count) or None

    return [
        row("documents", lambda side: side.documents),
        row("source bytes", lambda side: side.source_bytes),
        row("tokens", lambda side: side.tokens),
        row("sites rewritten to a token", lambda side: side.facts),
        row("their share of all tokens", lambda side: f"{side.facts / side.tokens:.3%}"),
        row("tokens that hardly occur", lambda side: len(side.rare_facts)),
        row("the commonest", commonest),
    ]


def reproduce(reference: Condition, other: Condition) -> list[str]:
    """Return the commands that run every stage of every seed again, from the resolved recipes kept with the results.

    `output_dir=outputs_again` keeps a new run apart from the recorded one, whose complete stages would be skipped.
    """
    commands = []
    for condition in (reference, other):
        for run in condition.seeds.values():
            for folder, environment in _environments(run):
                if environment.command is not None:
                    script = Path("scripts") / Path(environment.command).name
                    config = folder / RUN_CONFIG
                    commands.append(f"python {_quote(script)} {_quote(config)} output_dir=outputs_again")
    again = (
        Path("outputs_again") / condition.folder.parent.name / condition.folder.name
        for condition in (reference, other)
    )
    compare = f"python scripts/compare.py {' '.join(_quote(folder) for folder in again)}"
    return [*dict.fromkeys(commands), compare]


def reference_results() -> dict[str, Any]:
    """Return the numbers of the earlier, published run: for comparison alone, nothing is computed from them."""
    path = Path(__file__).with_name("reference_results.yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _environments(run: SeedRun) -> Iterator[tuple[Path, Environment]]:
    for stage in run.stages.values():
        yield stage.folder, stage.manifest.environment
    for (model, _), evaluation in run.evaluations.items():
        yield run.folder / model, evaluation.result.environment or Environment()


def _software(condition: Condition) -> dict[str, Any]:
    seen: dict[str, list[Any]] = {}
    for run in condition.seeds.values():
        for _, environment in _environments(run):
            recorded = environment.as_json()
            kept = {key: recorded[key] for key in _ENVIRONMENT if key in recorded}
            for name, value in flatten(kept).items():
                values = seen.setdefault(name.removeprefix("packages."), [])
                if value not in values:
                    values.append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in seen.items()}


def _hashes(condition: Condition) -> dict[str, Any]:
    hashes = {}
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
