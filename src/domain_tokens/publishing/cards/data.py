"""Which data led to a model: each source with what was read of it and its licence, as recipes and manifests say."""

from collections.abc import Mapping
from dataclasses import dataclass

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from domain_tokens.corpora.preparation.records import SHARDS, ShardsRecord
from domain_tokens.publishing.cards.run import DeclaredSource, Stage, TrainedModel
from domain_tokens.recipe import GENERATOR_VERSION
from domain_tokens.runs.layout import EVALUATION, MANIFEST
from domain_tokens.runs.records import Contamination, EvaluationManifest, Fields, Manifest, SourceRecord, read_record

NO_LICENCE = "licence not recorded"
_FILES_SHOWN = 3


@dataclass(frozen=True)
class UsedSource:
    """A source of data.

    Attributes:
        stages: the stages that read it, as the ledger names them; empty for data of an evaluation.
        name: its name in the recipe.
        kind: `synthetic`, `file` or `hub`.
        content: what it is, in words.
        hub_id: its id on the Hub, if it was read from there.
        revision: which version was read, in words.
        licence: in words, `licence not recorded` if the recipe has none.
    """

    stages: tuple[str, ...]
    name: str
    kind: str
    content: str
    hub_id: str | None
    revision: str
    licence: str


def training_sources(model: TrainedModel) -> list[UsedSource]:
    """Return the sources of all stages that led to a model; one that several stages read alike is one."""
    found: dict[tuple[str, ...], UsedSource] = {}
    for stage in model.stages:
        recorded = {one.name: one for one in _recorded(stage.manifest.inputs)}
        commits = _commits(stage, model)
        for source in stage.recipe.sources_of(stage.entry.stage):
            used = _used(source, recorded.get(source.name), commits.get(source.name), (stage.entry.stage,))
            key = (used.name, used.content, used.revision, used.licence)
            before = found[key].stages if key in found else ()
            stages = before if stage.entry.stage in before else (*before, stage.entry.stage)
            found[key] = UsedSource(**vars(used) | {"stages": stages})
    return list(found.values())


def evaluation_sources(model: TrainedModel) -> list[UsedSource]:
    """Return the data of the tasks that the model was asked."""
    commits = evaluation_commits(model)
    recorded = {one.name: one for one in _recorded(_evaluation_inputs(model))}
    asked = {one.result.source for one in model.evaluations}
    return [
        _used(source, recorded.get(source.name), commits.get(source.name), ())
        for source in {one.name: one for one in model.last.recipe.evaluation.data.values()}.values()
        if {source.name, f"generated {source.name}"} & asked
    ]


def evaluation_commits(model: TrainedModel) -> Mapping[str, str]:
    """Return the commit that was read of each data set of the evaluation, by source name."""
    path = model.run / EVALUATION / MANIFEST
    return (read_record(path, EvaluationManifest).hub_commits or {}) if path.is_file() else {}


def contaminations(model: TrainedModel) -> list[tuple[tuple[str, ...], Contamination]]:
    """Return what was found where texts that train were compared with questions of evaluation sets.

    Stages that found nothing among the same questions are one; a stage that compared with none is left out.
    """
    found: list[tuple[tuple[str, ...], Contamination]] = []
    for stage in model.stages:
        record = stage.manifest.contamination
        if record is None and stage.entry.kind == "pretrain" and (documents := _documents(stage)) is not None:
            record = documents.contamination
        if record is None or not record.questions:
            continue
        alike = found and not record.texts and not found[-1][1].texts and found[-1][1].questions == record.questions
        names = (*found.pop()[0], stage.entry.stage) if alike else (stage.entry.stage,)
        found.append((names, record))
    return found


def is_hub_id(text: str) -> bool:
    """Return whether a text can be the id of a repository on the Hub."""
    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return True


def _evaluation_inputs(model: TrainedModel) -> Fields:
    path = model.run / EVALUATION / MANIFEST
    return read_record(path, EvaluationManifest).inputs if path.is_file() else {}


def _recorded(inputs: Fields) -> list[SourceRecord]:
    """Return the sources among a stage's inputs, those of pretraining under `corpus`."""
    corpus = inputs.get("corpus")
    found = (corpus if isinstance(corpus, dict) else inputs).get("sources")
    return [SourceRecord.parse(one, "inputs.sources") for one in found] if isinstance(found, list) else []


def _documents(stage: Stage) -> Manifest | None:
    """Return the manifest of the documents that pretraining read, if they are still there."""
    experiment = stage.folder.parent.parent.parent
    path = experiment / f"documents_{stage.recipe.corpus.seed}" / MANIFEST
    return read_record(path, Manifest) if path.is_file() else None


def _commits(stage: Stage, model: TrainedModel) -> Mapping[str, str]:
    """Return the commit that was read of each source on the Hub, from the stage, its documents or its corpus."""
    if stage.entry.kind != "pretrain":
        return stage.manifest.hub_commits or {}
    if (documents := _documents(stage)) is not None and documents.hub_commits is not None:
        return documents.hub_commits
    shards = stage.folder.parent.parent / f"corpus_{stage.recipe.corpus.seed}" / SHARDS
    if not shards.is_file():
        return {}
    origins = read_record(shards, ShardsRecord).sources
    return {one.name: one.revision for one in origins if one.kind == "hub" and one.revision is not None}


def _used(
    source: DeclaredSource, recorded: SourceRecord | None, commit: str | None, stages: tuple[str, ...]
) -> UsedSource:
    content, revision, hub_id = source.kind, "revision not recorded", None
    licence = source.licence or NO_LICENCE
    if source.kind == "synthetic":
        version = (recorded.model_extra or {}).get("generator") if recorded is not None else None
        content, licence = f"generated by this project ({source.what})", "made by this project's generator"
        revision = f"generator version {version or GENERATOR_VERSION}"
    elif source.kind == "hub":
        hub_id = str(source.path) if is_hub_id(str(source.path)) else None
        parts = [str(source.path), source.config, None if source.split is None else f"split {source.split}"]
        content = ", ".join(part for part in parts if part)
        if commit is not None:
            revision = f"commit {commit}"
        elif source.revision is not None:
            revision = f"revision {source.revision}, its commit not recorded"
    elif source.kind == "file":
        hashes = () if recorded is None else recorded.sha256
        content = f"local data, {len(hashes)} file{'s' * (len(hashes) != 1)}" if hashes else "local data"
        shown = [f"{name} sha256 {sha256[:12]}" for name, sha256 in hashes[:_FILES_SHOWN]]
        more = len(hashes) - len(shown)
        revision = ", ".join(shown) + (f" and {more} more" if more else "") if shown else revision
    return UsedSource(stages, source.name, source.kind, content, hub_id, revision, licence)
