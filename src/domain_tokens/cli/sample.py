"""The command line of `scripts/sample.py`: the answers of saved models to a prompt, one after another."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import local_path, penalty, seed, temperature, whole_number
from domain_tokens.cli.typed import typed_lines
from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.playground.models import load_folder, quieten
from domain_tokens.recipe import user_errors
from domain_tokens.tokenization.intervention import default_intervention
from domain_tokens.tokenization.prompts import render_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from domain_tokens.evaluation.models.inference import Decoding

_LONGEST = 256
_SHOWN = "bold magenta"  # a token that an intervention added


def main(description: str | None) -> None:
    """Run `scripts/sample.py`: generate and print answers.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = _parser(description)
    arguments = parser.parse_args()
    if arguments.num_samples > 1 and arguments.temperature == 0:
        parser.error("--num-samples: without --temperature all answers are the same; add --temperature above 0")
    # Imported after parsing, so that --help and usage errors appear at once.
    from domain_tokens.evaluation.models.inference import Decoding
    from domain_tokens.evaluation.tasks._generative import STOP

    decoding = Decoding(
        max_new_tokens=arguments.max_new_tokens or _LONGEST,
        stop=None if arguments.plain else STOP,
        num_samples=arguments.num_samples,
        temperature=arguments.temperature,
        seed=arguments.seed,
        no_repeat_bytes=arguments.no_repeat_bytes,
        repetition_penalty=arguments.repetition_penalty,
    )
    console = Console(highlight=False, soft_wrap=True)
    quieten()
    with user_errors():
        models = {folder: load_folder(folder) for folder in arguments.models}
        shortest = min(model.config.n_positions for model, _ in models.values())
        if arguments.max_new_tokens is None:
            decoding = replace(decoding, max_new_tokens=min(_LONGEST, shortest // 2))
        if decoding.max_new_tokens >= shortest:
            parser.error(
                f"--max-new-tokens: {decoding.max_new_tokens} leaves no room for a prompt; expected less than the "
                f"context length, {shortest} tokens"
            )
        for prompt in map(_readable, arguments.prompt or _read_prompts(arguments.plain)):
            for folder, (model, tokenizer) in models.items():
                _answer(console, folder, model, tokenizer, prompt, decoding, arguments.plain)


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    parser.add_argument(
        "models", nargs="+", type=local_path, metavar="MODEL", help="model folder, e.g. .../seed_0/grpo_final"
    )
    parser.add_argument(
        "--prompt",
        action="append",
        help="question to answer; may be repeated (default: questions are read from standard input)",
    )
    parser.add_argument("--plain", action="store_true", help="complete the prompt without the chat template")
    parser.add_argument(
        "--max-new-tokens",
        type=whole_number,
        metavar="N",
        help="maximum length of an answer (default: 256, or half of the context length if that is less)",
    )
    parser.add_argument(
        "--temperature", type=temperature, default=0.0, help="sampling temperature (default: 0, greedy decoding)"
    )
    parser.add_argument(
        "--num-samples", type=whole_number, default=1, metavar="N", help="answers per prompt; requires --temperature"
    )
    parser.add_argument("--seed", type=seed, default=0, help="random seed for sampling (default: %(default)s)")
    parser.add_argument(
        "--no-repeat-bytes",
        type=whole_number,
        metavar="N",
        help="let no N bytes of text stand twice in an answer, as evaluation.repetition does (default: off)",
    )
    parser.add_argument(
        "--repetition-penalty",
        type=penalty,
        metavar="X",
        help="penalty on the logits of tokens that the answer has, at least 1 (default: off)",
    )
    return parser


def _readable(prompt: str) -> str:
    """Replace each byte of a prompt that cannot be decoded with a question mark."""
    return prompt.encode("utf-8", "replace").decode()


def _read_prompts(plain: bool) -> Iterator[str]:
    """Yield what is typed, a prompt a line. With `plain`, surrounding spaces are kept."""
    for line in typed_lines("Enter one question per line; Ctrl-D to quit."):
        yield line if plain else line.strip()


def _answer(
    console: Console,
    folder: Path,
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    prompt: str,
    decoding: "Decoding",
    plain: bool,
) -> None:
    from domain_tokens.evaluation.models.inference import generate
    from domain_tokens.evaluation.tasks._generative import trim
    from domain_tokens.tokenization.contract import intervention_of

    text = prompt if plain else render_prompt(prompt)
    num_cut = len(tokenizer.encode(text)) + decoding.max_new_tokens - model.config.n_positions
    intervention = intervention_of(tokenizer)
    reader = AnswerReader(written_by=intervention, table=default_intervention())
    (answers,) = generate(model, tokenizer, [text], decoding, batch_size=decoding.num_samples)
    for number, token_ids in enumerate(answers, start=1):
        token_ids, finished = trim(token_ids, tokenizer)
        answer = reader.read(tokenizer.decode(token_ids))
        title = str(folder) + (f", sample {number}" if decoding.num_samples > 1 else "")
        console.print(Text(title, style="bold"))
        shown = Text(f"{prompt}{answer.written}" if plain else answer.written.strip())
        shown.highlight_words(intervention.token_names(), _SHOWN)
        console.print(shown)
        notes = [f"{len(token_ids)} tokens", "" if finished else "unfinished"]
        if num_cut > 0:
            notes.append(f"the first {num_cut} tokens of the prompt were cut to fit the context")
        if not plain:
            notes.insert(0, "no number after ####" if answer.number is None else f"the answer is {answer.number}")
        console.print(Text(", ".join(note for note in notes if note), style="dim"))
        if answer.text != answer.written:
            console.print(Text(f"in full: {answer.text.strip()}", style="dim"))
