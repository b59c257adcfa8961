"""What an experiment says and freezes before its first step, and whether a command contradicts what was frozen.

A dry run says the same and freezes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from domain_tokens.corpora.sources import describe
from domain_tokens.evaluation.modes import TaskRun, load_tasks, read_questions, scorer_sha256
from domain_tokens.planning.questions import endpoint_questions
from domain_tokens.planning.sensitivity import power_line
from domain_tokens.recipe import Recipe, RecipeError, Source, flatten, load_prereg, load_recipe, to_dict
from domain_tokens.runs.files import sha256_json
from domain_tokens.runs.layout import PREREGISTRATION
from domain_tokens.runs.preregistration import (
    FrozenCondition,
    FrozenContent,
    FrozenPreregistration,
    FrozenTask,
    amend,
    binds,
    code_differences,
    comparable,
    content_differences,
    freeze,
    read_frozen,
)
from domain_tokens.runs.provenance import CODE_SHA256, describe_prereg
from domain_tokens.runs.records import Fields
from domain_tokens.tokenization.intervention import load_intervention

_SHOWN = 5
"""Differences that a message names."""
_UNREAD = (
    "; note: data on the Hub is not read in a dry run, so whether this command agrees with what is frozen is checked "
    "only when it starts"
)


def frozen_content(
    recipes: Sequence[Recipe], arguments: Sequence[Sequence[str]], seeds: Sequence[int], *, local: bool = False
) -> FrozenContent | None:
    """Return what a command would freeze; `None` if its recipes declare nothing.

    Args:
        recipes (`Sequence[Recipe]`): one for each condition, the reference first.
        arguments (`Sequence[Sequence[str]]`): for each condition its recipe, overlays and overrides, without a seed.
        seeds (`Sequence[int]`): the seeds that are about to be run.
        local (`bool`, *optional*): leave out tasks whose data is on the Hub. If there are any, the command is not
            compared with what is frozen.

    Raises:
        RecipeError: if the command contradicts what binds it, or data is missing.
    """
    if all(recipe.prereg is None for recipe in recipes):
        return None
    content = content_of(arguments, seeds, local=local)
    frozen = find_frozen(recipes[0].experiment_dir)
    if frozen is not None and not (local and _reads_the_hub(recipes[0])):
        refuse_contradictions(recipes[0].experiment_dir, frozen, content)
    return content


def announcement(
    recipes: Sequence[Recipe], content: FrozenContent | None, seeds: Sequence[int], *, dry_run: bool = False
) -> list[str]:
    """Freeze the experiment unless it is frozen, and return in lines what is to be known before the first step.

    These are how the conditions read the declared endpoints, with what power they are compared, and what is frozen.

    Args:
        recipes, seeds: as for `frozen_content`.
        content (`FrozenContent`, *optional*): what `frozen_content` returned.
        dry_run (`bool`, *optional*): say it and write nothing.
    """
    lines = questions(recipes, len(seeds), local=dry_run)
    folder = recipes[0].experiment_dir
    if content is None:
        return [*lines, "preregistration: the recipes declare nothing (prereg), so the result will be exploratory"]
    if not dry_run:
        return [*lines, bind(folder, content, seeds)]
    unread = (folder / PREREGISTRATION).is_file() and _reads_the_hub(recipes[0])
    return [*lines, preview_bind(folder, content, seeds) + _UNREAD * unread]


def questions(recipes: Sequence[Recipe], num_seeds: int, *, local: bool = False) -> list[str]:
    """Return in lines how the conditions read the declared endpoints, and with what power they are compared.

    Args:
        recipes (`Sequence[Recipe]`): one for each condition, the reference first.
        num_seeds (`int`): of each condition.
        local (`bool`, *optional*): leave out endpoints whose data is on the Hub.
    """
    if len(recipes) < 2:
        return []
    found = endpoint_questions(recipes, local=local)
    power = power_line(recipes, num_seeds, found)
    return [one.line() for one in found] + ([] if power is None else [power])


def _reads_the_hub(recipe: Recipe) -> bool:
    return any(task.data is not None and task.source(recipe).kind == "hub" for task in load_tasks(recipe).values())


def content_of(arguments: Sequence[Sequence[str]], seeds: Sequence[int], *, local: bool = False) -> FrozenContent:
    """Return what would be frozen: the declaration, and each condition's recipe, data, questions and decoding.

    Reads the data of every task, and hashes the local files of every source.

    Args:
        arguments (`Sequence[Sequence[str]]`): for each condition its recipe, overlays and overrides, without a seed.
        seeds (`Sequence[int]`): the seeds that are about to be run; the declared ones are frozen in any case.
        local (`bool`, *optional*): leave out tasks whose data is on the Hub.

    Raises:
        RecipeError: if a recipe is invalid, names no declaration or another than the first, or data is missing.
    """
    first = load_recipe(list(arguments[0]))
    if first.prereg is None:
        raise RecipeError(f"{arguments[0][0]}: prereg: missing; expected the file that declares what will be tested")
    path = Path(first.prereg)
    wanted = sorted({*load_prereg(path).seeds, *seeds})
    conditions = {}
    for one in arguments:
        recipe = load_recipe([*one, f"seed={wanted[0]}"])
        if recipe.prereg is None or Path(recipe.prereg).resolve() != path.resolve():
            raise RecipeError(f"{one[0]}: prereg: expected {path}, as in {arguments[0][0]}, got {recipe.prereg}")
        conditions[recipe.condition] = _condition(recipe, _by_seed(one, wanted, _flat(recipe)), local)
    return FrozenContent(
        prereg=describe_prereg(path),
        conditions=conditions,
        scorer_sha256=scorer_sha256(),
        code_sha256=CODE_SHA256,
    )


def bind(experiment_dir: Path, content: FrozenContent, seeds: Sequence[int]) -> str:
    """Freeze an experiment unless it is frozen, and check that the command agrees with what is frozen.

    What a run froze that never began is amended to this command's values, so that a corrected mistake needs no other
    command; the amendment names what changed.

    Args:
        experiment_dir (`Path`): the experiment's folder.
        content (`FrozenContent`): what the command would freeze.
        seeds (`Sequence[int]`): the seeds that are about to be run.

    Returns:
        `str`: one line that says what is frozen.

    Raises:
        RecipeError: if the command contradicts what is frozen, naming the first differences and what to do.
    """
    frozen, is_new = freeze(experiment_dir, content, by_run=True)
    if not is_new:
        refuse_contradictions(experiment_dir, frozen, content)
        if reason := _correction(frozen, content):
            kept = {name: one for name, one in frozen.latest.conditions.items() if name not in content.conditions}
            whole = content.model_copy(update={"conditions": {**kept, **content.conditions}})
            frozen = amend(experiment_dir, whole, reason, by_run=True)
    return describe_frozen(experiment_dir, frozen, content, seeds, is_new)


def preview_bind(experiment_dir: Path, content: FrozenContent, seeds: Sequence[int]) -> str:
    """Return the line that `bind` would return, and write nothing."""
    frozen = find_frozen(experiment_dir)
    if frozen is not None:
        reason = _correction(frozen, content)
        would = f"; would be amended, {reason}" if reason else ""
        return describe_frozen(experiment_dir, frozen, content, seeds, is_new=False) + would
    path = experiment_dir / PREREGISTRATION
    return f"preregistration: would be frozen before the first step: {path}{_notes(content, content, seeds)}"


def refuse_contradictions(experiment_dir: Path, frozen: FrozenPreregistration, content: FrozenContent) -> None:
    """Raise `RecipeError` if a command contradicts what binds it. Code that has changed since is no contradiction."""
    found = content_differences(frozen.latest, content)
    if found and binds(experiment_dir, frozen):
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise RecipeError(
            f"{experiment_dir / PREREGISTRATION}: frozen at {frozen.entries[-1].time_utc} with other values than this "
            f"command's: {'; '.join(found[:_SHOWN])}{more}. Either amend it, with the same recipes and settings: "
            'scripts/preregister.py ... --amend "REASON"; or choose another experiment name: experiment=NAME'
        )


def _correction(frozen: FrozenPreregistration, content: FrozenContent) -> str:
    """Return the reason of an amendment before the first stage; nothing if nothing differs."""
    found = content_differences(frozen.latest, content)
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"before the first stage: {'; '.join(found[:_SHOWN])}{more}" if found else ""


def describe_frozen(
    experiment_dir: Path, frozen: FrozenPreregistration, content: FrozenContent, seeds: Sequence[int], is_new: bool
) -> str:
    """Return one line about what is frozen, with a warning if this command alone makes the verdict exploratory."""
    last, path = frozen.entries[-1], experiment_dir / PREREGISTRATION
    amended = f", amended {len(frozen.amendments)} times" if frozen.amendments else ""
    text = (
        f"preregistration: {'frozen now' if is_new else f'frozen at {frozen.original.time_utc}{amended}'}: {path} "
        f"(sha256 {last.sha256[:12]}, {last.code})"
    )
    return text + _notes(frozen.latest, content, seeds)


def _notes(frozen: FrozenContent, content: FrozenContent, seeds: Sequence[int]) -> str:
    """Return what of a command makes the verdict exploratory, or may; nothing if nothing does."""
    text = ""
    if code := code_differences(frozen, content):
        text += f"; note: {' and '.join(code)} differs from what was frozen, so the verdict will be exploratory"
    declared = frozen.prereg.seeds
    left = [seed for seed in declared if seed not in seeds]
    if left and len(left) < len(declared):
        text += (
            f"; note: of the declared seeds, {', '.join(map(str, left))} are not in this command. Evaluating some "
            "declared seeds before all are trained makes the later verdict exploratory; give a pilot other seeds"
        )
    if extra := [seed for seed in seeds if seed not in declared]:
        text += f"; note: not declared, so the verdict will be exploratory: seeds {', '.join(map(str, extra))}"
    if new := sorted(content.conditions.keys() - frozen.conditions.keys()):
        text += f"; note: not frozen, so exploratory: {', '.join(new)} (--amend adds them)"
    return text


def find_frozen(experiment_dir: Path) -> FrozenPreregistration | None:
    """Return what an experiment froze; `None` if nothing. Raises `RecipeError` if the file was changed by hand."""
    frozen = read_frozen(experiment_dir)
    if frozen is not None and not frozen.is_intact:
        raise RecipeError(
            f"{experiment_dir / PREREGISTRATION}: changed by hand (its hashes do not fit); restore it from a copy, or "
            "use another experiment name"
        )
    return frozen


def _by_seed(arguments: Sequence[str], seeds: Sequence[int], base: dict[str, object]) -> dict[int, dict[str, object]]:
    """Return by seed what differs from the recipe of the first: keys that are derived from the seed, if there are any.

    Reading a recipe takes a tenth of a second. If that of the last seed differs in no key, none of the others is read.
    """
    found: dict[int, dict[str, object]] = {seed: {} for seed in seeds}
    for seed in reversed(seeds[1:]):
        one = _flat(load_recipe([*arguments, f"seed={seed}"]))
        found[seed] = {key: one.get(key) for key in one.keys() | base.keys() if one.get(key) != base.get(key)}
        if not found[seed]:
            break
    return found


def _flat(recipe: Recipe) -> dict[str, object]:
    return comparable(_as_json(flatten(to_dict(recipe))))


def _condition(recipe: Recipe, by_seed: Mapping[int, Mapping[str, object]], local: bool) -> FrozenCondition:
    """Return one condition, from its recipe for the first seed and what differs for others."""
    fine_tuned = [source for stage in recipe.sft_stages for source in stage.portions]
    trained = [*recipe.corpus.sources, *fine_tuned, *recipe.grpo_prompts]
    files = {source.name: _file_hashes(source) for source in trained if source.kind == "file"}
    return FrozenCondition.parse(
        {
            "recipe": _flat(recipe),
            "by_seed": {str(seed): changed for seed, changed in by_seed.items()},
            "intervention": load_intervention(Path(recipe.tokenizer)).as_json(),
            "sources": {name: sha256_json(hashes) for name, hashes in files.items()},
            "tasks": {run.name: _task(recipe, run).as_json() for run in read_questions(recipe, local=local)},
        },
        recipe.condition,
    )


def _file_hashes(source: Source) -> list[JsonValue]:
    """Return the hashes of a source's files in their order, whatever their names."""
    files = describe(source)["sha256"]
    return [file[1] for file in (files if isinstance(files, list) else []) if isinstance(file, list)]


def _task(recipe: Recipe, run: TaskRun) -> FrozenTask:
    identity = run.identify(recipe)
    return FrozenTask(
        data_sha256=identity.data_sha256,
        num_items=len(run.rows),
        max_samples=identity.max_samples,
        generation=identity.generation,
        outcomes=identity.outcomes,
        task_version=identity.task_version,
        items_version=identity.items_version,
        task_sha256=identity.task_sha256,
        canonical_table_sha256=identity.canonical_table_sha256,
    )


def _as_json(value: Mapping[str, object]) -> Fields:
    """Return values as they read back from a file."""
    read: Fields = json.loads(json.dumps(value))
    return read
