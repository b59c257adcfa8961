"""The command line of `scripts/choose_placebo.py`."""

import logging
import os

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import local_path, whole_number
from domain_tokens.recipe import RecipeError, load_recipe, user_errors
from domain_tokens.tokenization.intervention import load_intervention

logger = logging.getLogger(__name__)


def main(description: str | None) -> None:
    """Run `scripts/choose_placebo.py`: choose a placebo and write its file.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = new_parser(description)
    parser.add_argument("recipe", nargs="+", metavar="RECIPE", help="recipe, overlays and key.path=value overrides")
    parser.add_argument("--matches", type=local_path, required=True, metavar="YAML", help="intervention to match")
    parser.add_argument("--output", type=local_path, required=True, metavar="YAML", help="file to write")
    parser.add_argument(
        "--max-documents",
        type=whole_number,
        default=200_000,
        metavar="N",
        help="maximum number of documents to read (default: %(default)s)",
    )
    arguments = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with user_errors():
        recipe, matched = load_recipe(arguments.recipe), load_intervention(arguments.matches)
        # Imported after parsing, so that --help and usage errors appear at once.
        from domain_tokens.corpora.placebo.choosing import choose_placebo, to_yaml

        placebo = choose_placebo(recipe, matched, arguments.max_documents)
        try:
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            file = os.path.relpath(arguments.matches, arguments.output.parent)
            arguments.output.write_text(to_yaml(placebo, recipe, matched, file), encoding="utf-8")
        except OSError as error:
            where = f"--output: {arguments.output}"
            raise RecipeError(f"{where}: {error.strerror}; choose a writable path") from error
        logger.info("ratio %.5f: %s", placebo.ratio, arguments.output)
