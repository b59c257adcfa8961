"""The command line of `scripts/choose_placebo.py`."""

import argparse
import logging
from pathlib import Path

from domain_tokens.recipe import RecipeError, load_recipe, user_errors
from domain_tokens.tokenization.intervention import load_intervention

logger = logging.getLogger(__name__)


def main(description: str | None) -> None:
    """Read the command line of `scripts/choose_placebo.py`, choose, and write the file.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="+", metavar="RECIPE", help="a recipe, overlays, and overrides key.path=value")
    parser.add_argument("--matches", type=Path, required=True, metavar="YAML", help="the intervention to match")
    parser.add_argument("--output", type=Path, required=True, metavar="YAML", help="the file to write")
    parser.add_argument(
        "--max-documents", type=int, default=200_000, metavar="N", help="documents read (default: %(default)s)"
    )
    arguments = parser.parse_intermixed_args()
    if arguments.max_documents < 1:
        parser.error(f"--max-documents: expected a whole number of at least 1, got {arguments.max_documents}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with user_errors():
        recipe, matched = load_recipe(arguments.recipe), load_intervention(arguments.matches)
        # Imported after the command line was read, so that help and errors in it come at once.
        from domain_tokens.corpora.placebo import choose_placebo, to_yaml

        placebo = choose_placebo(recipe, matched, arguments.max_documents)
        try:
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            arguments.output.write_text(to_yaml(placebo, recipe, matched), encoding="utf-8")
        except OSError as error:
            where = f"--output: {arguments.output}"
            raise RecipeError(f"{where}: {error.strerror}; name a file that can be written") from error
        logger.info("ratio %.5f: %s", placebo.ratio, arguments.output)
