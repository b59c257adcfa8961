"""Publishes runs: what is chosen, what would be sent, and sending it."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.publishing.cards import collection_card, model_card
from domain_tokens.publishing.contents import (
    Contents,
    PublishedFile,
    Stage,
    checkpoint_contents,
    find_stages,
    results_contents,
    stage_at,
    stage_contents,
)
from domain_tokens.publishing.grouping import group
from domain_tokens.publishing.names import model_repository, results_repository
from domain_tokens.publishing.problems import hub_problems
from domain_tokens.publishing.secrets import known_secrets
from domain_tokens.publishing.uploading import Pushed, push, show_progress_in_terminals_alone
from domain_tokens.recipe import RecipeError, read_resolved
from domain_tokens.recipe.sections.hub import check_namespace
from domain_tokens.runs.layout import MANIFEST, RUN_CONFIG

if TYPE_CHECKING:
    from huggingface_hub import HfApi

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How to publish.

    Attributes:
        namespace: a user or an organization on the Hub; by default that of the runs' recipes.
        private: whether repositories that are made are private.
        checkpoints: whether checkpoints are published too.
        results: whether results are published where no whole experiment is named.
    """

    namespace: str | None = None
    private: bool = True
    checkpoints: bool = False
    results: bool = False


@dataclass(frozen=True)
class Repository:
    """A revision that would be pushed, with all of its files."""

    contents: Contents
    files: list[PublishedFile]

    @property
    def num_bytes(self) -> int:
        """The size of all of its files."""
        return sum(file.num_bytes for file in self.files)


@dataclass(frozen=True)
class Plan:
    """What a push would send.

    Attributes:
        namespace: where to.
        repositories: in the order in which they are pushed.
        experiments: the names of the experiments whose repositories are grouped.
    """

    namespace: str
    repositories: list[Repository]
    experiments: list[str]


def plan_push(folders: Sequence[Path], options: Options) -> Plan:
    """Return what a push of folders would send, after searching it for secrets. Nothing is asked of the Hub.

    Args:
        folders (`Sequence[Path]`): of experiments, conditions, runs or stages.
        options (`Options`): how.

    Raises:
        RecipeError: if a folder holds no finished stage, a file was changed, a secret is in one, or it is not said
            where to.
    """
    stages, experiments = _chosen(folders)
    if options.results:
        experiments = list(dict.fromkeys([*experiments, *(one.run.parents[1] for one in stages)]))
    namespace = options.namespace or _recorded_namespace(stages)
    check_namespace("--namespace", namespace)
    found = list(_contents(stages, experiments, namespace, options))
    _check_names(found)
    secrets = known_secrets()
    repositories = []
    for contents in found:
        repository = Repository(contents, contents.with_card())
        contents.check_no_secrets(secrets, repository.files)
        repositories.append(repository)
    return Plan(namespace, repositories, [one.name for one in experiments])


def push_all(plan: Plan, options: Options, done: Callable[[Repository, Pushed], object]) -> None:
    """Send what the Hub lacks of a plan, a repository after the other.

    Args:
        plan (`Plan`): what `plan_push` returned.
        options (`Options`): how.
        done: called after each repository.

    Raises:
        HubProblem: saying in one line what went wrong and what to do. What was pushed before stays.
    """
    from huggingface_hub import HfApi

    show_progress_in_terminals_alone()
    api = HfApi()
    check_token(api)
    for repository in plan.repositories:
        done(repository, push(api, repository.contents, repository.files, private=options.private))
    for experiment in plan.experiments:
        contents = [one.contents for one in plan.repositories if one.contents.placement.experiment == experiment]
        group(api, plan.namespace, experiment, contents, private=options.private)


def check_token(api: "HfApi") -> None:
    """Check that the Hub knows the token, and that it may write. Raises `HubProblem` or `RecipeError` if not."""
    with hub_problems("asking whose token it is", "run the same command again", is_reading=True):
        known = api.whoami()
    role = ((known.get("auth") or {}).get("accessToken") or {}).get("role")
    if role == "read":
        raise RecipeError(
            "the token of the Hub may only read; expected one with write access, in HF_TOKEN or by hf auth login"
        )


def _chosen(folders: Sequence[Path]) -> tuple[list[Stage], list[Path]]:
    """Return the stages below some folders, each once, and the folders that are whole experiments."""
    stages: dict[Path, Stage] = {}
    experiments = []
    for folder in folders:
        if not folder.is_dir():
            raise RecipeError(f"{folder}: no such folder; expected that of an experiment, a run or a stage")
        found = _stages_below(folder)
        if not found:
            raise RecipeError(
                f"{folder}: no finished stage in it; expected outputs/<experiment>, or in it exp_<condition>, "
                "seed_<n>, or a stage such as sft_final, and a stage that has ended"
            )
        stages |= {stage.folder: stage for stage in found}
        if any(folder.glob("exp_*/seed_*")):
            experiments.append(folder.resolve())
    return list(stages.values()), list(dict.fromkeys(experiments))


def _stages_below(folder: Path) -> list[Stage]:
    if (folder / MANIFEST).is_file():
        return [stage_at(folder)]
    runs = [folder, *sorted(folder.glob("seed_*")), *sorted(folder.glob("exp_*/seed_*"))]
    return [stage for run in runs if run.is_dir() for stage in find_stages(run)]


def _recorded_namespace(stages: Sequence[Stage]) -> str:
    found = {read_resolved(stage.folder / RUN_CONFIG).get("hub.namespace") for stage in stages} - {None}
    if len(found) != 1:
        why = f"the recipes name several: {', '.join(sorted(map(str, found)))}" if found else "no recipe names one"
        raise RecipeError(
            f"--namespace: {why} (hub.namespace); expected the user or the organization on the Hub to publish under"
        )
    return str(found.pop())


def _contents(
    stages: Sequence[Stage], experiments: Sequence[Path], namespace: str, options: Options
) -> Iterator[Contents]:
    for stage in stages:
        has_results = any(stage.folder.is_relative_to(one) for one in experiments)
        yield contents_of(stage, namespace, has_results=has_results)
        if options.checkpoints:
            yield from checkpoint_contents(stage, namespace)
    for experiment in experiments:
        repository = results_repository(namespace, experiment.name)
        repositories = {
            stage.folder.relative_to(experiment).as_posix(): model_repository(namespace, stage.placement)
            for stage in stages
            if stage.folder.is_relative_to(experiment)
        }
        yield results_contents(experiment, namespace, partial(collection_card, experiment, repositories, repository))


def contents_of(stage: Stage, namespace: str, *, has_results: bool = False) -> Contents:
    """Return what is published of a stage, with its model card.

    Args:
        stage (`Stage`): the stage.
        namespace (`str`): where to.
        has_results (`bool`, *optional*): whether the results of its experiment are published too, so that its card
            can name them.
    """
    repository = model_repository(namespace, stage.placement)
    before = _stage_before(stage)
    card = partial(
        model_card,
        stage.run,
        stage.folder.name,
        repository,
        base_repo=None if before is None else model_repository(namespace, before.placement),
        results_repo=results_repository(namespace, stage.placement.experiment) if has_results else None,
    )
    return stage_contents(stage, namespace, card)


def _stage_before(stage: Stage) -> Stage | None:
    """Return the stage of the same run from whose model a stage began; `None` if it began with none of it."""
    if stage.manifest.start is not None:
        return None
    stages = find_stages(stage.run)
    index = [one.folder for one in stages].index(stage.folder)
    return stages[index - 1] if index > 0 else None


def _check_names(found: Sequence[Contents]) -> None:
    """Refuse two stages that would be one repository: the Hub takes fewer signs in a name than a recipe does."""
    places: dict[tuple[str, str], Contents] = {}
    for contents in found:
        key = contents.repository.casefold(), contents.revision
        if (other := places.setdefault(key, contents)) is not contents:
            raise RecipeError(
                f"{contents.repository}: would be the name of two stages ({other.placement.condition}, "
                f"{other.placement.model} and {contents.placement.condition}, {contents.placement.model}); push one "
                "of them under another namespace"
            )
