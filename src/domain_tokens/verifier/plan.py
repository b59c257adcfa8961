"""What a verifier's command would do: `--dry-run`."""

from collections.abc import Iterator

from domain_tokens.recipe import Recipe
from domain_tokens.runs.layout import MANIFEST, SAMPLES, sample_paths, verifier_paths
from domain_tokens.training.inputs import predecessor_folder, training_sources
from domain_tokens.verifier.evaluating import read_tasks
from domain_tokens.verifier.sampling import check_others
from domain_tokens.verifier.training import PROBLEMS


def plan(recipe: Recipe) -> Iterator[str]:
    """Yield lines that say what would be sampled and trained, after checking the tasks and their data.

    Raises:
        RecipeError: as `read_tasks`, or if finished samples are of other questions or settings.
    """
    settings = recipe.verifier
    wanted = read_tasks(recipe)
    for one in wanted:
        check_others(recipe, one.part)
    folder, made_by = predecessor_folder(recipe, "verifier")
    there = "complete" if (folder / MANIFEST).is_file() else f"missing; run {made_by} first"
    yield f"model: {folder}: {there}"
    names = ", ".join(source.name for source in training_sources(recipe, "verifier")) or "none: add verifier.problems"
    yield (
        f"training problems: {names}; {settings.validation_problems} held out; {settings.samples_per_problem} samples "
        f"of each at temperature {settings.temperature:g}: {_state(recipe, PROBLEMS)}"
    )
    for one in wanted:
        number = len(one.part.questions)
        yield (
            f"{one.task.name}: {number:,} questions x {settings.num_samples} samples = "
            f"{number * settings.num_samples:,}, of up to {one.part.max_new_tokens} tokens: "
            f"{_state(recipe, one.task.name)}"
        )
    paths = verifier_paths(recipe)
    trained = "complete" if (paths.final / MANIFEST).is_file() else "begun" if paths.work.is_dir() else "not started"
    yield (
        f"verifier: {paths.final}: {settings.loss} after every token, {settings.solutions_per_step} solutions a step: "
        f"{trained}"
    )
    yield "Dry run: nothing was changed."


def _state(recipe: Recipe, part: str) -> str:
    paths = sample_paths(recipe, part)
    if (paths.final / MANIFEST).is_file():
        return "complete"
    file = paths.work / SAMPLES
    if not file.is_file():
        return "not started"
    with file.open("rb") as lines:
        return f"begun, {sum(1 for _ in lines):,} questions so far"
