"""The command line of `scripts/renumber_gsm8k.py`."""

import argparse
import logging
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.cli.common import local_copy_by, new_parser
from domain_tokens.cli.options import fraction, local_path, seed, whole_number
from domain_tokens.evaluation.answers.answer import AnswerReader, is_correct
from domain_tokens.evaluation.equations import read_equations
from domain_tokens.recipe import RecipeError, Source, user_errors
from domain_tokens.tokenization.intervention import default_intervention

if TYPE_CHECKING:
    from domain_tokens.corpora.renumbering.making import Split

logger = logging.getLogger(__name__)

_GSM8K = "openai/gsm8k"


def main(description: str | None) -> None:
    """Run `scripts/renumber_gsm8k.py`: write problems with other numbers, pairs for evaluation, and their record.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with user_errors(), local_copy_by("name the files of a local copy with --file"):
        source = _source(arguments)
        # Imported after parsing, so that --help and usage errors appear at once.
        from domain_tokens.corpora.renumbering import making

        settings = making.Settings(
            arguments.seed,
            arguments.variants,
            arguments.annotations,
            arguments.evaluation_share,
            arguments.pairs,
            arguments.numbers,
            arguments.max_problems,
        )
        held_out = [
            Source(f"held out {number}", kind="file", path=str(path), annotations="keep")
            for number, path in enumerate(arguments.held_out, 1)
        ]
        if arguments.dry_run:
            questions = making.held_out_questions(held_out)
            problems = making.read_problems(source, settings.max_problems)
            split = making.split_problems(problems, settings, questions)
            making.check_may_train(source, split, len(problems))
            _print_split(split)
            return
        record = making.make(
            source,
            settings,
            held_out,
            arguments.output,
            equations_hold,
            arguments.processes or making.default_processes(),
        )
        for name, number in record.rows.items():
            logger.info("%s: %s rows", arguments.output / name, f"{number:,}")
        for side, reasons in record.reasons.items():
            known = record.templates[side] + sum(reasons.values())
            logger.info("%s: %s of %s problems became templates", side, f"{record.templates[side]:,}", f"{known:,}")
            for reason, number in reasons.items():
                logger.info("  %6s  %s", f"{number:,}", reason)


def _print_split(split: "Split") -> None:
    """Print the problems of each side, and why others are on neither."""
    from domain_tokens.corpora.renumbering.making import count_reasons

    for side, kept in split.sides.items():
        reasons = count_reasons(split.rejected, side)
        left_out = "".join(f"; {number:,} left out: {why}" for why, number in reasons.items())
        sys.stdout.write(f"{side}: {len(kept):,} problems{left_out}\n")


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--file", type=local_path, action="append", metavar="PATH", help="problems in a local file")
    source.add_argument("--hub", default=_GSM8K, metavar="NAME", help="problems on the Hub (default: %(default)s)")
    parser.add_argument("--config", metavar="NAME", help=f"configuration of the Hub's data set (main of {_GSM8K})")
    parser.add_argument("--split", default="train", help="split of the Hub's data set (default: %(default)s)")
    parser.add_argument("--question-key", default="question", metavar="COLUMN", help="default: %(default)s")
    parser.add_argument(
        "--answer-key", default="answer", metavar="COLUMN",
        help="worked solutions that end with #### and the number (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--revision", help="commit, tag or branch of the Hub's data set")
    parser.add_argument("--licence", help=f"of the data, for the record (default: MIT of {_GSM8K}, else not stated)")
    parser.add_argument(
        "--held-out", type=local_path, action="append", default=[], metavar="FILE",
        help="an evaluation set, none of whose questions becomes a template; GSM8K's test set is one always",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=local_path, default=Path("data/gsm8k_renumbered"), help="default: %(default)s"
    )
    parser.add_argument("--variants", type=whole_number, default=50, metavar="N", help="of a problem (default: 50)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of split and draws (default: 0)")
    parser.add_argument(
        "--annotations", choices=("keep", "strip"), default="keep", help="what to do with <<a*b=c>> (default: keep)"
    )
    parser.add_argument(
        "--evaluation-share", type=fraction, default=0.04, metavar="X", help="of the problems (default: %(default)s)"
    )
    parser.add_argument(
        "--pairs", type=whole_number, default=5, metavar="N", help="of a template, at most (default: 5)"
    )
    parser.add_argument(
        "--numbers", type=whole_number, default=1, metavar="N",
        help="variants of a problem that trains which are kept for evaluation (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--max-problems", type=whole_number, metavar="N", help="the first N problems alone")
    parser.add_argument("--processes", type=whole_number, metavar="N", help="default: one for each core")
    parser.add_argument("--dry-run", action="store_true", help="read and split the problems, and write nothing")
    return parser


def _source(arguments: argparse.Namespace) -> Source:
    from domain_tokens.corpora.sources import check_one_split
    from domain_tokens.local_data.splits import names_test

    columns = {"question_key": arguments.question_key, "answer_key": arguments.answer_key}
    if arguments.file:
        path = [str(one) for one in arguments.file]
        source = Source("problems", kind="file", path=path, annotations="keep", licence=arguments.licence, **columns)
        check_one_split(source, "--file")
        return source
    if names_test(arguments.split):
        raise RecipeError(f"--split: a test split must not become training data, got {arguments.split!r}")
    is_gsm8k = arguments.hub == _GSM8K
    return Source(
        "problems", kind="hub", path=arguments.hub, config=arguments.config or ("main" if is_gsm8k else None),
        split=arguments.split, revision=arguments.revision, annotations="keep",
        licence=arguments.licence or ("MIT" if is_gsm8k else None), **columns,
    )  # fmt: skip


@cache
def _reader() -> AnswerReader:
    return AnswerReader(default_intervention(), default_intervention())


def equations_hold(answer: str, final: str) -> bool:
    """Return whether every equation that a solution states is true, and its final number is the right one."""
    read = _reader().read(answer)
    return is_correct(read, final) and all(equation.right for equation in read_equations(read))
