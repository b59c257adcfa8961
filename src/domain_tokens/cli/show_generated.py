"""The command line of `scripts/show_generated.py`."""

import sys
from pathlib import Path

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import local_path, seed, whole_number
from domain_tokens.recipe import user_errors


def main(description: str | None) -> None:
    """Run `scripts/show_generated.py`: print examples of some kinds, or write those of all kinds into the page.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = new_parser(description)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="what to show (default: list the kinds)")
    parser.add_argument("--num", type=whole_number, default=10, metavar="N", help="of each kind (default: 10)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="default: 0")
    parser.add_argument("--update-page", action="store_true", help="write ten examples of every kind into the page")
    parser.add_argument("--page", type=local_path, default=Path("docs/GENERATED.md"), help="default: %(default)s")
    arguments = parser.parse_args()
    from domain_tokens.corpora import gallery

    if unknown := set(arguments.kinds) - set(gallery.kinds()):
        parser.error(f"KIND: expected some of {', '.join(gallery.kinds())}, got {', '.join(sorted(unknown))}")
    if arguments.update_page:
        with user_errors():
            gallery.update_page(arguments.page)
    elif not arguments.kinds:
        sys.stdout.write("\n".join([*gallery.kinds(), ""]))
    for kind in arguments.kinds:
        for number, text in enumerate(gallery.examples(kind, arguments.num, arguments.seed), 1):
            sys.stdout.write(f"[{kind} {number}]\n{text}\n\n")
