"""The command line of `domain-tokens`: every script of the project by its name, from any folder."""

import argparse
import ast
import runpy
import sys
from importlib.metadata import version
from pathlib import Path

from domain_tokens.cli.common import Parser, started_as
from domain_tokens.recipe.errors import suggest
from domain_tokens.shipped import shipped

_ABOUT = """Run a script of the project by its name: domain-tokens NAME ... is python scripts/NAME.py ...

Outside of a checkout, begin with `domain-tokens copy-recipes DIR`, then work in DIR."""


def main() -> None:
    """Run the script that the first argument names, with the others."""
    scripts = commands()
    parser = Parser(
        prog="domain-tokens",
        usage="%(prog)s COMMAND ...",
        description=_ABOUT,
        epilog="commands:\n" + "\n".join(f"  {name:<20}{_about(path)}" for name, path in scripts.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", metavar="COMMAND", help="one of the names below; COMMAND --help explains it")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('domain-token-gpt2')}")
    name = parser.parse_args(sys.argv[1:2]).command
    if name not in scripts:
        parser.error(f"{name}: no such command{suggest(name, list(scripts)) or '; domain-tokens --help lists them'}")
    del sys.argv[1]
    with started_as(f"{parser.prog} {name}"):
        runpy.run_path(str(scripts[name]), run_name="__main__")  # under the script's own name, which manifests record


def commands() -> dict[str, Path]:
    """Return the script of each command: `pretrain` is `run_pretrain.py`, `prepare-data` is `prepare_data.py`."""
    scripts = {path.stem.removeprefix("run_").replace("_", "-"): path for path in shipped("scripts").glob("*.py")}
    return dict(sorted(scripts.items()))


def _about(script: Path) -> str:
    """Return the first sentence of a script's docstring, up to a colon."""
    docstring = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].partition(":")[0].rstrip(".")
