"""Publishes the stages of a recipe with `push_to_hub: true`, each when it is done. No failure of it loses a stage."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.publishing.contents import MAIN, checkpoint_contents, stage_at
from domain_tokens.publishing.names import Placement, model_repository
from domain_tokens.publishing.problems import HubProblem
from domain_tokens.publishing.push import check_token, contents_of
from domain_tokens.publishing.secrets import known_secrets
from domain_tokens.publishing.uploading import push, show_progress_in_terminals_alone
from domain_tokens.recipe import Recipe, RecipeError, first_line
from domain_tokens.recipe.errors import NotPublished
from domain_tokens.runs.files import sha256_file
from domain_tokens.runs.layout import MANIFEST, PUSHED, StagePaths, stage_paths
from domain_tokens.runs.records import PushedRecord, write_record

if TYPE_CHECKING:
    from huggingface_hub import HfApi

logger = logging.getLogger(__name__)


def check_publishing(recipe: Recipe) -> None:
    """Check before work begins that a recipe's stages could be published, if it asks for that.

    A Hub that cannot be reached now is no reason not to train: the stage tries again when it is done.

    Raises:
        RecipeError: if there is no token, or the Hub does not take it.
    """
    if not recipe.publishes:
        return
    from huggingface_hub import HfApi, constants, get_token

    _check_names(recipe)
    if get_token() is None:
        raise RecipeError(
            "push_to_hub: there is no token for the Hub; set HF_TOKEN to one with write access to "
            f"{recipe.hub.namespace}, log in with hf auth login, or set push_to_hub=false"
        )
    if constants.HF_HUB_OFFLINE:
        raise RecipeError("push_to_hub: HF_HUB_OFFLINE is set; unset it, or set push_to_hub=false")
    try:
        check_token(HfApi())
    except HubProblem as problem:
        if problem.status in (401, 403):
            raise RecipeError(f"push_to_hub: {problem}") from problem
        logger.warning("push_to_hub: %s; the stage is trained and then tries again", problem)


def _check_names(recipe: Recipe) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    for stage, paths in stage_paths(recipe).items():
        placement = Placement(
            kind="stage", experiment=recipe.experiment, condition=recipe.condition, seed=recipe.seed, stage=stage,
            model=paths.final.name,
        )  # fmt: skip
        name = model_repository(str(recipe.hub.namespace), placement)
        try:
            validate_repo_id(name)
        except HFValidationError as error:
            raise RecipeError(f"push_to_hub: {name} is no name of a repository: {first_line(error)}") from error


def publish_stages(recipe: Recipe, kind: str) -> None:
    """Publish the finished stages that one script has run, as far as the Hub lacks them.

    Args:
        recipe (`Recipe`): the run.
        kind (`str`): `pretrain`, `sft` or `grpo`.

    Raises:
        NotPublished: saying why. The stages are complete, and the next start of the script tries again.
    """
    if not recipe.publishes:
        return
    from huggingface_hub import HfApi

    show_progress_in_terminals_alone()
    own = [paths for stage, paths in stage_paths(recipe).items() if stage.partition("_")[0] == kind]
    finals = [paths.final for paths in own]
    try:
        for paths in own:
            _publish(HfApi(), recipe, paths)
    except Exception as error:  # whatever happens here, the stages are complete
        if not isinstance(error, RecipeError):
            logger.exception("publishing failed in a way that nobody foresaw")
        raise NotPublished(
            f"{first_line(error)}; {_named(finals)} complete: run the same command again to publish"
        ) from error


def _publish(api: "HfApi", recipe: Recipe, paths: StagePaths) -> None:
    namespace, stage = str(recipe.hub.namespace), stage_at(paths.final)
    revisions = [contents_of(stage, namespace)]
    revisions += checkpoint_contents(stage, namespace) if recipe.hub.checkpoints else []
    secrets = known_secrets()
    whole = [(contents, contents.with_card()) for contents in revisions]
    for contents, files in whole:
        contents.check_no_secrets(secrets, files)
    pushed = {contents.revision: push(api, contents, files, private=recipe.hub.private) for contents, files in whole}
    repository, last = revisions[0].repository, pushed[MAIN]
    state = f"{last.num_sent} files, {last.num_bytes / 1e6:.1f} MB" if last.num_sent else "unchanged"
    logger.info("%s: published as %s (%s, commit %s)", paths.final.name, repository, state, last.commit[:12])
    record = PushedRecord(
        repository=repository,
        commit=last.commit,
        manifest_sha256=sha256_file(paths.final / MANIFEST),
        checkpoints=recipe.hub.checkpoints,
    )
    write_record(paths.work / PUSHED, record)


def _named(finals: Sequence[Path]) -> str:
    return f"{', '.join(map(str, finals))} {'is' if len(finals) == 1 else 'are'}"
