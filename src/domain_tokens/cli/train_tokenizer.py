"""The command line of `scripts/train_tokenizer.py`."""

import argparse
import logging
from pathlib import Path

from domain_tokens.cli.build_tokenizer import check_output, write_tokenizer
from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import local_path, whole_number
from domain_tokens.recipe import Corpus, Recipe, RecipeError, Source, load_recipe, user_errors
from domain_tokens.recipe.schema import BYTES_IDS, BaseVocabulary
from domain_tokens.shipped import shipped
from domain_tokens.tokenization.intervention import load_intervention

logger = logging.getLogger(__name__)

_KINDS = ("trained", "unigram", "bytes")
_HELD_OUT = 0.05


def main(description: str | None) -> None:
    """Run `scripts/train_tokenizer.py`: train a base vocabulary, and write a tokenizer on it."""
    parser = new_parser(description)
    parser.add_argument("recipe", nargs="*", metavar="RECIPE", help="recipe, overlays and key.path=value overrides")
    parser.add_argument("folder", type=local_path, metavar="OUT_DIR", help="folder for the tokenizer")
    parser.add_argument(
        "--texts", type=local_path, action="append", metavar="PATH", help="file or folder of texts; may be repeated"
    )
    parser.add_argument(
        "--kind", choices=_KINDS, help="bytes, trained (BPE) or unigram (default: the recipe's, with --texts: trained)"
    )
    parser.add_argument("--num-ids", type=whole_number, metavar="N", help="its size (default: the recipe's)")
    parser.add_argument(
        "--intervention",
        type=local_path,
        metavar="YAML",
        help="what is added to it (default: the recipe's, with --texts: nothing)",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing tokenizer")
    arguments = parser.parse_intermixed_args()
    if bool(arguments.recipe) == bool(arguments.texts):
        parser.error("expected a recipe before OUT_DIR, or --texts PATH, and not both")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with user_errors():
        recipe = _recipe_of_texts(arguments) if arguments.texts else _recipe(arguments)
        train(recipe, arguments.folder, arguments.force)


def train(recipe: Recipe, folder: Path, force: bool) -> None:
    """Train the base vocabulary of a recipe on its documents, and write a tokenizer on it with the base beside it.

    Args:
        recipe (`Recipe`): says what is read, which base is trained, and what an intervention does to it.
        folder (`Path`): the tokenizer's folder, in which `base_vocabulary` holds the base.
        force (`bool`): whether an existing tokenizer is replaced.

    Raises:
        RecipeError: if a source or the folder cannot be used, or there are too few words for so many ids.
    """
    intervention = load_intervention(Path(recipe.tokenizer))
    check_output(folder, force)
    from domain_tokens.corpora.pipeline.vocabulary import train_by_itself  # imports transformers
    from domain_tokens.tokenization.builder import build_tokenizer

    base, documents = train_by_itself(recipe)
    logger.info(
        "%s: %s ids, from %s documents with %s bytes",
        recipe.base_vocabulary.kind, f"{base.ids.num_base:,}", f"{documents.num_texts:,}", f"{documents.num_bytes:,}",
    )  # fmt: skip
    tokenizer = build_tokenizer(intervention, base)
    ids = base.ids
    logger.info(
        "%s ids in all: the base's, %d that fill them up to a multiple of 64, and %d of the intervention (%s)",
        f"{len(tokenizer):,}", ids.first_added - ids.num_base, len(tokenizer) - ids.first_added, intervention.name,
    )  # fmt: skip
    num_bytes = sum(len(text.encode()) for text in documents.held_out)
    if documents.held_out:
        encoded = tokenizer.backend_tokenizer.encode_batch_fast(documents.held_out)
        num_tokens = sum(len(one.ids) for one in encoded)
        logger.info(
            "%.3f bytes per token on %s held-out documents with %s bytes",
            num_bytes / num_tokens, f"{len(documents.held_out):,}", f"{num_bytes:,}",
        )  # fmt: skip
    else:
        logger.info("bytes per token are not known: of so few documents none is held out")
    write_tokenizer(tokenizer, folder, base)
    logger.info("saved in %s", folder)


def _recipe(arguments: argparse.Namespace) -> Recipe:
    given = {"base_vocabulary.kind": arguments.kind, "base_vocabulary.num_ids": _num_ids(arguments)}
    given["tokenizer"] = arguments.intervention
    overrides = [f"{key}={value}" for key, value in given.items() if value is not None]
    recipe = load_recipe([*arguments.recipe, *overrides])
    if recipe.base_vocabulary.kind not in _KINDS:
        raise RecipeError(
            f"base_vocabulary.kind: {recipe.base_vocabulary.kind} is not trained; expected {', '.join(_KINDS)}: add "
            "--kind and --num-ids"
        )
    return recipe


def _recipe_of_texts(arguments: argparse.Namespace) -> Recipe:
    """Return a recipe that reads some files and evaluates nothing."""
    if (num_ids := _num_ids(arguments)) is None:
        raise RecipeError("--num-ids: missing; expected the size of the vocabulary, for example --num-ids 4096")
    base = BaseVocabulary(arguments.kind or "trained", num_ids)
    base.check("base_vocabulary")
    texts = Source(name="texts", kind="file", path=[str(path) for path in arguments.texts])
    corpus = Corpus(sources=[texts], validation_fraction=_HELD_OUT)
    tokenizer = str(arguments.intervention or shipped("recipes") / "interventions/none.yaml")
    return Recipe("texts", "texts", tokenizer, base_vocabulary=base, corpus=corpus)


def _num_ids(arguments: argparse.Namespace) -> int | None:
    return BYTES_IDS if arguments.kind == "bytes" and arguments.num_ids is None else arguments.num_ids
