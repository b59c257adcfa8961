"""`scripts/pull_from_hub.py`: brings published runs back and lays them out as runs made here."""

import argparse
import sys
from pathlib import Path

from domain_tokens.cli.common import new_parser, show_messages_of_the_hub
from domain_tokens.cli.options import local_path
from domain_tokens.recipe import user_errors


def main(description: str | None) -> None:
    """Run `scripts/pull_from_hub.py`.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_intermixed_args()
    show_messages_of_the_hub()
    with user_errors():
        from domain_tokens.publishing.pull import pull

        for repository in arguments.repositories:
            pulled = pull(repository, arguments.revision, arguments.output_dir)
            state = "verified" if pulled.is_new else "verified, was here already"
            sys.stdout.write(f"{pulled.folder}: {pulled.repository}, commit {pulled.commit[:12]}, {state}\n")


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    parser.add_argument(
        "repositories", nargs="+", metavar="REPO", help="namespace/name, of a model or of the results of an experiment"
    )
    parser.add_argument(
        "--revision", metavar="R", help="a branch such as step-1000, a tag or a commit (default: the newest)"
    )
    parser.add_argument(
        "--output-dir",
        type=local_path,
        default=Path("outputs"),
        metavar="D",
        help="where experiments are, as output_dir in a recipe (default: %(default)s)",
    )
    return parser
