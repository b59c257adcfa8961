"""The command line of `scripts/preregister.py`."""

import argparse
from typing import TYPE_CHECKING

from domain_tokens.cli.common import add_recipes, new_parser, wide_console
from domain_tokens.cli.options import seed
from domain_tokens.recipe import RecipeError, load_recipe, user_errors
from domain_tokens.runs.layout import PREREGISTRATION

if TYPE_CHECKING:
    from domain_tokens.runs.preregistration import FrozenContent, FrozenEntry

_WIDTH = 125


def main(description: str | None) -> None:
    """Run `scripts/preregister.py`: show what would be frozen or what is frozen, and write it.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    with user_errors():
        _run(arguments)


def _run(arguments: argparse.Namespace) -> None:
    from domain_tokens.experiment.preregister import content_of, find_frozen, refuse_contradictions
    from domain_tokens.runs.preregistration import amend, code_differences, content_differences, freeze

    if arguments.amend is not None and not arguments.amend.strip():
        raise RecipeError("--amend: empty; expected the reason in a few words")
    if arguments.amend is not None and not arguments.amend.isprintable():
        raise RecipeError(f"--amend: expected printable characters in one line, got {arguments.amend!r}")
    shared = [*map(str, arguments.overlay), *arguments.overrides]
    lists = [[str(recipe), *shared] for recipe in arguments.recipes]
    folder = load_recipe(lists[0]).experiment_dir
    content, frozen = content_of(lists, arguments.seeds), find_frozen(folder)
    changed = [] if frozen is None else content_differences(frozen.latest, content)
    added = [] if frozen is None else sorted(content.conditions.keys() - frozen.latest.conditions.keys())
    if arguments.amend is None and frozen is not None and not arguments.dry_run:
        refuse_contradictions(folder, frozen, content)
    if arguments.amend is not None and frozen is not None:
        kept = {name: one for name, one in frozen.latest.conditions.items() if name not in content.conditions}
        content = content.model_copy(update={"conditions": {**kept, **content.conditions}})
        changed += code_differences(frozen.latest, content)
        if not changed and not added:
            raise RecipeError(f"--amend: nothing differs from what {folder} has frozen; nothing was written")
    console = wide_console(_WIDTH)
    for line in (*_describe(content), *_power(lists, content), *(f"changed: {one}" for one in (*changed, *added))):
        console.print(line, markup=False)
    if arguments.dry_run:
        console.print("nothing was written (--dry-run)")
        return
    if arguments.amend is not None:
        frozen = amend(folder, content, arguments.amend.strip())
    else:
        frozen, _ = freeze(folder, content)
    for entry in frozen.entries:
        console.print(_line(entry), markup=False)
    console.print(str(folder / PREREGISTRATION), markup=False)


def _describe(content: "FrozenContent") -> list[str]:
    """Return in lines what is frozen."""
    lines = [
        f"declaration: {content.prereg.file}, sha256 {content.prereg.sha256[:12]}",
        f"seeds: {', '.join(map(str, content.prereg.seeds))}",
    ]
    for name, condition in content.conditions.items():
        lines.append(f"{name}: {len(condition.recipe)} settings, training data: {', '.join(condition.sources) or '-'}")
    tasks = next(iter(content.conditions.values())).tasks
    for name, task in tasks.items():
        limit = "" if task.max_samples is None else f", max_samples {task.max_samples}"
        lines.append(
            f"{name}: {task.num_items} items, data {task.data_sha256[:12]}, version {task.task_version}{limit}"
        )
    return [*lines, f"scorer: {content.scorer_sha256[:12]}"]


def _power(lists: list[list[str]], content: "FrozenContent") -> list[str]:
    """Return a line about the power of the declared seeds; none if there is nothing to compare."""
    from domain_tokens.planning.questions import endpoint_questions
    from domain_tokens.planning.sensitivity import power_line

    recipes = [load_recipe(one) for one in lists]
    line = power_line(recipes, len(content.prereg.seeds), endpoint_questions(recipes, local=True))
    return [] if line is None else [line]


def _line(entry: "FrozenEntry") -> str:
    what = "frozen" if entry.reason is None else "amended"
    reason = "" if entry.reason is None else f": {entry.reason}"
    late = (
        f"; {len(entry.evaluations_before)} runs had been evaluated: exploratory" if entry.evaluations_before else ""
    )
    return f"{what} {entry.time_utc}, {entry.code}, sha256 {entry.sha256[:12]}{reason}{late}"


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    add_recipes(parser)
    parser.add_argument(
        "--seeds", nargs="+", type=seed, default=[], metavar="N", help="seeds beside the declared ones (default: none)"
    )
    parser.add_argument("--amend", metavar="REASON", help="add an amendment with this reason; the original stays")
    parser.add_argument("--dry-run", action="store_true", help="print what would be frozen or changed; write nothing")
    return parser
