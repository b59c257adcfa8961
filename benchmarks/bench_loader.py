"""Measure how fast pretraining's sequences are read, with worker processes and without.

make bench-loader
.venv/bin/python benchmarks/bench_loader.py --workers 0 4 --tokens 200e6

Writes shards of random ids, of documents of 100 to 2,000 tokens, and reads them in the order that a seed draws, as the
Trainer does: packed sequences, its collator, batches of the given size. Prints the median of the rounds in tokens per
second, for the whole of the data and for the first batch of a pass, with workers that are started for every pass and
with workers that stay.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader, SequentialSampler

from domain_tokens.cli.options import above_zero, whole_number
from domain_tokens.corpora.shards import DrawnDocuments, PackedSequences, Shards, draw_documents
from domain_tokens.training.trainers.full_batches import with_labels

LEAST_TOKENS = 100_000  # so that each of the files has documents


def number_of_workers(text: str) -> int:
    """Parse 0, for reading in this process, or a number of workers."""
    return 0 if text == "0" else whole_number(text)


def write_shards(folder: Path, num_tokens: int, num_files: int = 4) -> None:
    """Write shards of random ids as datatrove does: ids as uint16, and an index of where documents end."""
    rng = np.random.default_rng(0)
    for number in range(num_files):
        lengths = rng.integers(100, 2000, size=num_tokens // num_files // 1050)
        ends = np.cumsum(lengths)
        file = folder / f"{number:05d}.ds"
        rng.integers(0, 50_257, size=int(ends[-1]), dtype=np.uint16).tofile(file)
        ends.astype(np.uint64).tofile(f"{file}.index")


def read_all(loader: DataLoader) -> tuple[float, float, int]:
    """Return the seconds to the first batch, those of the whole pass, and the tokens read."""
    started, first, tokens = time.perf_counter(), 0.0, 0
    for batch in loader:
        first = first or time.perf_counter() - started
        tokens += batch["input_ids"].numel()
    return first, time.perf_counter() - started, tokens


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--workers",
        type=number_of_workers,
        nargs="+",
        default=[0, 4],
        help="numbers of worker processes (default: 0 4)",
    )
    parser.add_argument("--tokens", type=above_zero, default=50e6, help="tokens on disk (default: 50e6)")
    parser.add_argument("--length", type=whole_number, default=1024, help="tokens of a sequence (default: 1024)")
    parser.add_argument("--batch", type=whole_number, default=64, help="sequences of a batch (default: 64)")
    parser.add_argument("--rounds", type=whole_number, default=3, help="passes over the data (default: 3)")
    arguments = parser.parse_args()
    if arguments.tokens < (least := max(LEAST_TOKENS, 2 * arguments.length)):
        parser.error(f"argument --tokens: expected at least {least:,}, got {arguments.tokens:g}")
    with tempfile.TemporaryDirectory() as name:
        write_shards(Path(name), int(arguments.tokens))
        shards = Shards(Path(name))
        documents = DrawnDocuments(shards, draw_documents(len(shards.document_ends), seed=0))
        sequences = PackedSequences(documents, arguments.length)
        variants = [
            (number, stays) for number in arguments.workers for stays in ((True, False) if number else (False,))
        ]
        loaders = {
            (number, stays): DataLoader(
                sequences,  # type: ignore[arg-type]  # three methods are what it needs
                batch_size=arguments.batch, sampler=SequentialSampler(sequences), num_workers=number,
                persistent_workers=stays, collate_fn=with_labels,
            )
            for number, stays in variants
        }  # fmt: skip
        measured: dict[tuple[int, bool], list[tuple[float, float]]] = {variant: [] for variant in variants}
        for variant in variants:
            read_all(loaders[variant])  # the files are in memory, and workers that stay are there
        for _ in range(arguments.rounds):
            for variant in variants:
                first, whole, tokens = read_all(loaders[variant])
                measured[variant].append((first, tokens / whole))
        sys.stdout.write(f"{'workers':8} {'stay':5} {'million tokens/s':>17} {'first batch, ms':>16}\n")
        for (number, stays), rounds in measured.items():
            first, speed = (statistics.median(column) for column in zip(*rounds, strict=True))
            sys.stdout.write(f"{number:<8} {'yes' if stays else 'no':5} {speed / 1e6:17.1f} {1000 * first:16.1f}\n")


if __name__ == "__main__":
    main()
