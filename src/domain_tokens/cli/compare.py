"""The command line of `scripts/compare.py`."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.cli.common import declaration_of, new_parser
from domain_tokens.cli.options import local_path
from domain_tokens.recipe import RecipeError, user_errors
from domain_tokens.recipe.checks import check_folder
from domain_tokens.runs.layout import DIFFERENT_VOCABULARIES, LOOKS
from domain_tokens.runs.preregistration import record_look

if TYPE_CHECKING:
    from domain_tokens.analysis.compare import Comparison

logger = logging.getLogger(__name__)


def main(description: str | None) -> None:
    """Run `scripts/compare.py`: compare, then print what was found and the path of the report.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = _parser(description)
    arguments = parser.parse_args()
    if arguments.different_vocabularies and len(arguments.others) > 1:
        parser.error(f"{DIFFERENT_VOCABULARIES}: expected two conditions, got {1 + len(arguments.others)}")
    # Imported after parsing, so that --help and usage errors appear at once.
    from domain_tokens.analysis.compare import compare_all
    from domain_tokens.cli.outcome import show_comparison, show_overview

    with user_errors():
        prereg = arguments.prereg or declaration_of(arguments.reference)
        output_dir = arguments.output or _common_folder(arguments.reference, *arguments.others)
        check_folder("--output" if arguments.output else f"{output_dir} (--output DIR chooses another)", output_dir)
        comparisons, overview = compare_all(
            arguments.reference,
            arguments.others,
            output_dir,
            prereg,
            different_vocabularies=arguments.different_vocabularies,
        )
        _record(comparisons, arguments.reference, *arguments.others)
    if overview is None:
        show_comparison(comparisons[0].results, output_dir)
    else:
        show_overview(overview, [comparison.results for comparison in comparisons], output_dir)


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    parser.add_argument(
        "reference", type=local_path, metavar="EXP_A", help="reference, e.g. outputs/demo/exp_baseline"
    )
    parser.add_argument("others", type=local_path, nargs="+", metavar="EXP_B", help="conditions to compare with it")
    parser.add_argument("--output", type=local_path, help="output folder (default: the conditions' parent folder)")
    parser.add_argument(
        "--prereg",
        type=local_path,
        help="current preregistration, checked against the one that the runs recorded (default: the file that the "
        "recipe of EXP_A names)",
    )
    parser.add_argument(
        DIFFERENT_VOCABULARIES,
        action="store_true",
        help="compare two conditions whose base vocabularies differ, of one experiment or two, in bits per byte and "
        "accuracies; the report says what is not matched",
    )
    return parser


def _record(comparisons: "list[Comparison]", reference: Path, *others: Path) -> None:
    """Record in the experiment's folder that its conditions were compared, if it can be written to."""
    for comparison, other in zip(comparisons, others, strict=True):
        results = comparison.results
        for folder in dict.fromkeys((reference.parent, other.parent)):
            try:
                names = [name.rpartition("/")[2] for name in (results.reference, results.other)]  # of no experiment
                record_look(folder, "comparison", names, list(results.seeds))
            except OSError as error:
                logger.warning("%s: the comparison was not recorded: %s", folder / LOOKS, error)


def _common_folder(reference: Path, *others: Path) -> Path:
    for other in others:
        if reference.resolve().parent != other.resolve().parent:
            raise RecipeError(
                f"{reference} and {other} are in different folders; choose an output folder with --output DIR"
            )
    return _beside_overview(reference.parent, [reference, *others])


def _beside_overview(folder: Path, compared: list[Path]) -> Path:
    """Return an experiment's folder, or one in it if a comparison of more conditions would be overwritten there."""
    from domain_tokens.analysis.results_model import Overview

    reference, *others = (one.name.removeprefix("exp_") for one in compared)
    written = folder / "overview.json"
    if not written.is_file():
        return folder
    overview = Overview.model_validate_json(written.read_text(encoding="utf-8"))
    lost = {pair.folder for pair in overview.pairs} - {f"{reference}_{other}" for other in others}
    if not lost:
        return folder
    logger.warning("%s has other pairs too (%s), and is kept", written, ", ".join(sorted(lost)))
    return folder / "_".join(("only", reference, *others))
