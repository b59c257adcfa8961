"""The command line of `scripts/playground.py`: several models side by side in the browser."""

import argparse
import sys
import webbrowser
from pathlib import Path

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import local_path, port, seed
from domain_tokens.playground.models import find_models, load, quieten
from domain_tokens.recipe import user_errors

DEMO = Path("outputs/demo")


def main(description: str | None) -> None:
    """Run `scripts/playground.py`: load the models, then serve the page until Ctrl-C.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = new_parser(description)
    add_models(parser)
    parser.add_argument("--port", type=port, default=0, help="port of the page (default: 0, one that is free)")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    arguments = parser.parse_args()
    with user_errors():
        folders = find_models(arguments.models or [DEMO], arguments.run_seed)
        sys.stderr.write(f"Loads {len(folders)} models ...\n")
        # Imported after parsing, so that --help and usage errors appear at once.
        from domain_tokens.playground.server import PlayServer
        from domain_tokens.playground.session import Session

        quieten()
        with PlayServer(Session(load(folders)), arguments.port) as server:
            sys.stdout.write(f"{server.url}\n")
            sys.stdout.flush()
            sys.stderr.write("Open this address in a browser on this machine; Ctrl-C ends.\n")
            if arguments.open:
                webbrowser.open(server.url)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                sys.stderr.write("\n")


def add_models(parser: argparse.ArgumentParser) -> None:
    """Add the models of a command that tries them, and `--run-seed`.

    Args:
        parser (`argparse.ArgumentParser`): gets `models` and `run_seed`.
    """
    parser.add_argument(
        "models",
        nargs="*",
        type=local_path,
        metavar="MODEL",
        help=f"folder of a model, a run, a condition or an experiment (default: {DEMO})",
    )
    parser.add_argument(
        "--run-seed",
        type=seed,
        metavar="N",
        help="of an experiment, the runs with this seed (default: the lowest that all conditions have)",
    )
