"""The command line of `scripts/research_tables.py`."""

import sys
from pathlib import Path

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import local_path, number_of_processes
from domain_tokens.recipe import user_errors


def main(description: str | None) -> None:
    """Run `scripts/research_tables.py`: run the experiments and write their tables.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = new_parser(description)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these experiments (default: all)")
    parser.add_argument("--file", type=local_path, default=Path("recipes/research.yaml"), help="default: %(default)s")
    parser.add_argument("--jobs", type=number_of_processes, metavar="N", help="how many runs to do at a time")
    parser.add_argument("--only-tables", action="store_true", help="run nothing; read the results that exist")
    arguments = parser.parse_args()
    # Imported after parsing, so that --help and usage errors appear at once.
    from domain_tokens.cli.running import running_experiments
    from domain_tokens.experiment.research import load_research, update_tables

    with user_errors():
        research = load_research(arguments.file, arguments.names)
        if arguments.only_tables:
            update_tables(research, arguments.jobs, None)
        else:
            with running_experiments() as display:
                update_tables(research, arguments.jobs, display)
    sys.stdout.write(f"{research.page}: {', '.join(research.experiments)}\n")
