"""What self-adaptation would do: `--dry-run`."""

from collections.abc import Iterator

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.layout import MANIFEST
from domain_tokens.seal.kept import num_inner_loops
from domain_tokens.seal.records import ARMS, ROWS, SEAL
from domain_tokens.seal.run import check_unfinished, make_policy, read_subject, stage_folder


def plan(recipe: Recipe) -> Iterator[str]:
    """Yield lines that say what would be tried and compared.

    Raises:
        RecipeError: if self-adaptation is not enabled, or the model is there and something does not fit it.
    """
    settings, run = recipe.seal, recipe.run_dir
    if not settings.enabled:
        raise RecipeError("seal.enabled: self-adaptation is off in this recipe; add seal.enabled=true")
    model = run / settings.model
    if (model / MANIFEST).is_file():
        subject = read_subject(recipe)
        folder = stage_folder(recipe, subject)
        if not folder.is_complete():
            check_unfinished(folder, run / "checkpoints" / SEAL)
            make_policy(subject)
        yield f"model: {model}: complete"
    else:
        yield f"model: {model}: missing; train it first"
    yield (
        f"policy: {settings.policy}; {settings.rounds} rounds of {settings.train_passages} passages x "
        f"{settings.edits_per_passage} edits x {settings.inner_seeds} inner seeds, rewarded by {settings.reward}"
    )
    chained = f", and in chains of {settings.chain}" if settings.chain else ""
    yield f"test: {settings.test_passages} passages x {len(ARMS)} arms x {settings.inner_seeds} inner seeds{chained}"
    yield (
        f"inner loops: {num_inner_loops(settings):,} if every edit can be read, of {min(settings.steps)} to "
        f"{max(settings.steps)} steps of {settings.tokens_per_step:,} tokens, side by side in {settings.workers}: "
        f"{_state(recipe)}"
    )
    yield "Dry run: nothing was changed."


def _state(recipe: Recipe) -> str:
    if (recipe.run_dir / SEAL / MANIFEST).is_file():
        return "complete"
    file = recipe.run_dir / "checkpoints" / SEAL / ROWS
    if not file.is_file():
        return "not started"
    with file.open("rb") as lines:
        return f"begun, {sum(1 for _ in lines):,} so far"
