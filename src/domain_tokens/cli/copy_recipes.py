"""The command line of `scripts/copy_recipes.py`."""

import filecmp
import logging
import shutil
from pathlib import Path

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import local_path
from domain_tokens.recipe import RecipeError, user_errors
from domain_tokens.recipe.checks import check_folder
from domain_tokens.shipped import shipped

logger = logging.getLogger(__name__)

_FOLDERS = ("recipes", "accelerate_configs")


def main(description: str | None) -> None:
    """Run `scripts/copy_recipes.py`: copy the files that are missing.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = new_parser(description)
    parser.add_argument(
        "folder", type=local_path, metavar="DIR", help="the folder to work in; it is made if it is missing"
    )
    folder = parser.parse_args().folder
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with user_errors():
        copied = copy_recipes(folder)
    logger.info("%d files copied; recipes and launcher configurations are in %s", copied, folder.resolve())


def copy_recipes(folder: Path) -> int:
    """Copy the recipes and launcher configurations of this version, and return how many files were not there.

    Raises:
        RecipeError: before anything is copied, if a file of the same name has another content.
    """
    sources = {
        folder / name / path.relative_to(shipped(name)): path
        for name in _FOLDERS
        for path in sorted(shipped(name).rglob("*"))
        if path.is_file()
    }
    check_folder("DIR", folder)
    there = [target for target in sources if target.exists()]
    for target in there:
        if not target.is_file() or not filecmp.cmp(target, sources[target], shallow=False):
            raise RecipeError(
                f"{target}: exists and differs from this version's; nothing was copied; move it, or choose another "
                "folder"
            )
    for target in sources.keys() - set(there):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sources[target], target)
    return len(sources) - len(there)
