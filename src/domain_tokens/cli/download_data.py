"""The command line of `scripts/download_data.py`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.cli.common import new_parser, wide_console
from domain_tokens.cli.options import local_path
from domain_tokens.recipe import RecipeError, load_recipe, user_errors

if TYPE_CHECKING:
    from rich.table import Table

    from domain_tokens.corpora.preparation.downloads import Need, Offer


def main(description: str | None) -> None:
    """Run `scripts/download_data.py`: list the data sets of a recipe, and copy those on the Hub.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_intermixed_args()
    with user_errors():
        recipe = load_recipe(arguments.recipe)
        from domain_tokens.corpora.preparation.downloads import download, needs

        found, errors = _ask(_chosen(needs(recipe), arguments.only), arguments.folder)
        console = wide_console(140)
        console.print(_table(found))
        if errors:
            raise RecipeError("\n".join(dict.fromkeys(errors)))
        if arguments.dry_run:
            return
        for need, one in found:
            if one is not None and one.place is not None:
                download(need.source, one)
                files = ", ".join(f"'{one.place / name}'" for name in one.files)
                for key in need.keys:
                    console.print(
                        f"{key}: kind: file, path: [{files}], without config, split and revision", markup=False
                    )


def _ask(wanted: "list[Need]", folder: Path) -> "tuple[list[tuple[Need, Offer | None]], list[str]]":
    """Return what is to be had of each data set, and in words why not. Without a connection, the Hub is asked once."""
    from domain_tokens.corpora.hub import NoConnection
    from domain_tokens.corpora.preparation.downloads import offer

    found: list[tuple[Need, Offer | None]] = []
    errors: list[str] = []
    unasked: list[str] = []
    is_cut_off = False
    for need in wanted:
        one = None
        if is_cut_off and need.source.kind == "hub":
            unasked.append(str(need.source.path))
        else:
            try:
                one = offer(need.source, folder)
            except RecipeError as error:
                is_cut_off = is_cut_off or isinstance(error, NoConnection)
                errors.append(str(error))
        found.append((need, one))
    if unasked:
        errors.append(f"not asked for, because they are on the Hub, too: {', '.join(dict.fromkeys(unasked))}")
    return found, errors


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    parser.add_argument("recipe", nargs="+", metavar="RECIPE", help="recipe, overlays and key.path=value overrides")
    parser.add_argument("--dry-run", action="store_true", help="list what is needed, and copy nothing")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=None, help="only sources of these names")
    parser.add_argument(
        "--folder", type=local_path, default=Path("data"), metavar="DIR", help="where copies go (default: %(default)s)"
    )
    return parser


def _chosen(all_needs: "list[Need]", only: list[str] | None) -> "list[Need]":
    names = [need.source.name for need in all_needs]
    for name in only or []:
        if name not in names:
            raise RecipeError(f"--only: no source {name!r} is read from a file or the Hub; expected one of {names}")
    return [need for need in all_needs if only is None or need.source.name in only]


def _table(found: "list[tuple[Need, Offer | None]]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in ("source", "from", "files", "MB", "licence", "goes to", "used as"):
        table.add_column(name, justify="right" if name in ("files", "MB") else "left")
    for need, one in found:
        source = need.source
        path = source.path if isinstance(source.path, str) else ", ".join(source.path or [])
        origin = " ".join(filter(None, [path, source.config, source.split])) if source.kind == "hub" else path
        licence = source.licence if one is None else one.licence
        sizes = ("?", "?") if one is None else (f"{len(one.files):,}", f"{one.num_bytes / 1e6:,.1f}")
        place = "?" if one is None else "is here" if one.place is None else str(one.place)
        table.add_row(*map(Text, (source.name, origin, *sizes, licence or "not stated", place, ", ".join(need.keys))))
    total = sum(one.num_bytes for _, one in found if one is not None and one.place is not None)
    table.caption = f"{total / 1e9:,.3f} GB to copy; the experiment itself streams from the Hub and needs no copy"
    return table
