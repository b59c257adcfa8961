"""The command line of `scripts/build_tokenizer.py`."""

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import local_path
from domain_tokens.recipe import RecipeError, user_errors
from domain_tokens.recipe.checks import check_folder
from domain_tokens.runs.files import read_json
from domain_tokens.tokenization.certificate import CERTIFICATE
from domain_tokens.tokenization.intervention import load_intervention

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from domain_tokens.tokenization.bpe.base_vocabulary import BaseVocabulary

logger = logging.getLogger(__name__)


def main(description: str | None) -> None:
    """Build a tokenizer from an intervention file and show how it tokenizes an example."""
    parser = new_parser(description)
    parser.add_argument(
        "intervention",
        type=local_path,
        metavar="INTERVENTION.yaml",
        help="for example recipes/interventions/mul_tokens.yaml",
    )
    parser.add_argument("folder", type=local_path, metavar="OUT_DIR", help="folder for the tokenizer")
    parser.add_argument(
        "--base",
        type=local_path,
        metavar="DIR",
        help="base_vocabulary folder that scripts/prepare_data.py or scripts/train_tokenizer.py has written; "
        "default: GPT-2's",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing tokenizer")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with user_errors():
        build(arguments.intervention, arguments.folder, arguments.force, arguments.base)


def build(file: Path, folder: Path, force: bool = False, base_folder: Path | None = None) -> None:
    """Build a tokenizer from an intervention file. The folder appears only once it is complete.

    Args:
        file (`Path`): the intervention.
        folder (`Path`): the tokenizer's folder.
        force (`bool`): whether an existing tokenizer is replaced.
        base_folder (`Path`, *optional*): a trained base vocabulary; GPT-2's by default.

    Raises:
        RecipeError: if the file or the base is invalid, or the folder is not empty and holds no tokenizer or `force`
            is not set.
    """
    intervention = load_intervention(file)
    check_output(folder, force)
    from domain_tokens.tokenization.bpe.base_vocabulary import gpt2_base, read_base
    from domain_tokens.tokenization.builder import build_tokenizer  # imports transformers

    base = gpt2_base() if base_folder is None else read_base(base_folder)
    tokenizer = build_tokenizer(intervention, base)
    write_tokenizer(tokenizer, folder)
    names = intervention.token_names()
    logger.info("%s: %s", intervention.name, intervention.about or "no description")
    logger.info(
        "vocabulary size %d: %s %s tokens, %d added tokens starting at id %d, the rest reserved",
        len(tokenizer), "GPT-2's" if base_folder is None else "the base's", f"{base.ids.num_base:,}", len(names),
        base.ids.first_added,
    )  # fmt: skip
    for entry in intervention.entries()[:1]:
        ids = tokenizer.encode(entry.text)
        logger.info("%r becomes %s", entry.text, tokenizer.convert_ids_to_tokens(ids))
    certificate = read_json(folder / CERTIFICATE)
    logger.info("sha256 of the ids of %d test strings: %s", certificate["num_strings"], certificate["ids_sha256"])
    logger.info("saved in %s", folder)


def check_output(folder: Path, force: bool) -> None:
    """Check that a tokenizer can be written into a folder: one that is empty, or with `force` holds a tokenizer."""
    check_folder("OUT_DIR", folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not (folder / CERTIFICATE).is_file():
            raise RecipeError(f"{folder}: exists, but holds no tokenizer of this project; choose another folder")
        if not force:
            raise RecipeError(f"{folder}: already holds a tokenizer; choose another folder or add --force")


def write_tokenizer(tokenizer: "PreTrainedTokenizerFast", folder: Path, base: "BaseVocabulary | None" = None) -> None:
    """Write a tokenizer into a folder that appears only once it is complete.

    Args:
        tokenizer: from `build_tokenizer`.
        folder (`Path`): checked by `check_output`; what it holds is replaced.
        base (`BaseVocabulary`, *optional*): written into `base_vocabulary` there.
    """
    from domain_tokens.tokenization.builder import save_tokenizer

    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_tokenizer(tokenizer, partial)
    if base is not None:
        (partial / "base_vocabulary").mkdir()
        base.save(partial / "base_vocabulary")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
