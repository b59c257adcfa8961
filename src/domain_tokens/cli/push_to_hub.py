"""`scripts/push_to_hub.py`: publishes runs on the Hub, or shows what would be published."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.cli.common import new_parser, show_messages_of_the_hub
from domain_tokens.recipe import load_recipe, user_errors
from domain_tokens.recipe.sections.hub import Hub

if TYPE_CHECKING:
    from domain_tokens.publishing.push import Plan, Repository
    from domain_tokens.publishing.uploading import Pushed

_SHOWN_CARDS = 1


def main(description: str | None) -> None:
    """Run `scripts/push_to_hub.py`.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_intermixed_args()
    show_messages_of_the_hub()
    with user_errors():
        from domain_tokens.publishing.push import Options, plan_push, push_all

        folders, section = _folders(arguments.what)
        options = Options(
            namespace=arguments.namespace or section.namespace,
            private=section.private and not arguments.public,
            checkpoints=section.checkpoints or arguments.checkpoints,
            results=arguments.results,
        )
        plan = plan_push(folders, options)
        if arguments.dry_run:
            _show(plan, options.private)
            return
        push_all(plan, options, _say)


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    parser.add_argument(
        "what",
        nargs="+",
        metavar="RUN_OR_RECIPE",
        help="folders of experiments, conditions, runs or stages; or a recipe with its overlays and overrides",
    )
    parser.add_argument(
        "--namespace",
        metavar="NAME",
        help="a user or an organization on the Hub (default: the recipe's hub.namespace)",
    )
    parser.add_argument(
        "--public", action="store_true", help="let everybody read what is made (default: members of the namespace)"
    )
    parser.add_argument(
        "--checkpoints", action="store_true", help="publish checkpoints too, each as the revision step-N of its stage"
    )
    parser.add_argument(
        "--results",
        action="store_true",
        help="publish the experiment's results too where single runs are named (an experiment's folder implies it)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="list files with their sizes and print a card; send nothing"
    )
    return parser


def _folders(what: list[str]) -> tuple[list[Path], Hub]:
    """Return the folders that arguments name, and how their recipe says that they are published, if they are one."""
    folders = [Path(one).expanduser() for one in what]
    # A folder that does not exist is said to be none.
    if all(folder.is_dir() or (not folder.suffix and "=" not in str(folder)) for folder in folders):
        return folders, Hub()
    recipe = load_recipe(what)
    return [recipe.run_dir], recipe.hub


def _say(repository: "Repository", pushed: "Pushed") -> None:
    contents = repository.contents
    revision = "" if contents.revision == "main" else f" ({contents.revision})"
    what = f"{pushed.num_sent} files sent" if pushed.num_sent or pushed.num_removed else "unchanged, nothing sent"
    _print(f"{contents.kind:<8}{contents.repository}{revision}: {what}, commit {pushed.commit[:12]}")


def _show(plan: "Plan", private: bool) -> None:
    """Print what a push would send."""
    visible = "private" if private else "public"
    for repository in plan.repositories:
        contents = repository.contents
        _print(f"{contents.kind} {contents.repository}, revision {contents.revision}, {visible}")
        for file in repository.files:
            _print(f"  {file.num_bytes:>14,}  {file.path}")
        _print(f"  {repository.num_bytes:>14,}  bytes in {len(repository.files)} files")
        if contents.left:
            _print(f"  not published: {', '.join(contents.left)}")
        _print("")
    for repository in plan.repositories[:_SHOWN_CARDS]:
        _print(f"README.md of {repository.contents.repository}:\n\n{repository.contents.card()}")
    _print("A dry run: nothing was sent. Each file was searched for secrets.")


def _print(text: str) -> None:
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(text, markup=False)
