"""The command line of `scripts/import_nanogpt.py`."""

import logging
import shutil
from pathlib import Path

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import local_path, whole_number
from domain_tokens.recipe import RecipeError, user_errors

logger = logging.getLogger(__name__)


def main(description: str | None) -> None:
    """Write a nanoGPT-style checkpoint as a folder that transformers loads."""
    parser = new_parser(description)
    parser.add_argument("checkpoint", type=local_path, metavar="CHECKPOINT.pt", help="a file of torch.save")
    parser.add_argument(
        "folder", type=local_path, metavar="OUT_DIR", help="folder for the model, which must not exist"
    )
    parser.add_argument(
        "--activation",
        required=True,
        choices=["gelu", "gelu_pytorch_tanh"],
        help="what the earlier code computes, which no weight tells: nanoGPT gelu, build-nanogpt gelu_pytorch_tanh",
    )
    parser.add_argument("--num-heads", type=whole_number, help="attention heads, where the file does not say")
    parser.add_argument(
        "--tokenizer",
        type=local_path,
        metavar="DIR",
        help="tokenizer of this project to copy beside the model (scripts/build_tokenizer.py), as large as its "
        "embedding; scripts/sample.py then runs the model",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with user_errors():
        convert(arguments.checkpoint, arguments.folder, arguments.activation, arguments.num_heads, arguments.tokenizer)


def convert(
    checkpoint: Path, folder: Path, activation: str, num_heads: int | None = None, tokenizer: Path | None = None
) -> None:
    """Write a checkpoint as a folder of transformers, which appears only once it is complete.

    Raises:
        RecipeError: if the folder exists, the file is no such checkpoint, or the tokenizer is of another size.
    """
    if folder.exists():
        raise RecipeError(f"{folder}: already exists; choose another folder")
    from domain_tokens.tokenization.contract import copy_tokenizer, load_tokenizer
    from domain_tokens.training.model import num_parameters
    from domain_tokens.training.nanogpt import read_nanogpt

    model = read_nanogpt(checkpoint, activation, num_heads)
    config, end = model.config, None
    if tokenizer is not None:
        loaded = load_tokenizer(tokenizer)
        if len(loaded) != config.vocab_size:
            raise RecipeError(
                f"{tokenizer}: has {len(loaded):,} ids, and the checkpoint's embedding has {config.vocab_size:,} "
                "rows; expected as many"
            )
        end = loaded.eos_token_id
    for owner in (config, model.generation_config):
        owner.bos_token_id = owner.eos_token_id = owner.pad_token_id = end
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model.save_pretrained(partial)
    if tokenizer is not None:
        copy_tokenizer(tokenizer, partial)
    partial.rename(folder)
    logger.info(
        "%s: %d layers, %d heads, width %d, %d positions, %s ids, %s parameters",
        folder, config.n_layer, config.n_head, config.n_embd, config.n_positions, f"{config.vocab_size:,}",
        f"{num_parameters(model):,}",
    )  # fmt: skip
