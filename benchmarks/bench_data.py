"""Measure the preparation of a corpus from parquet to token shards, beside `datasets.map` and datatrove's own step.

make bench-data
.venv/bin/python benchmarks/bench_data.py --mb 10 100 --rounds 5

Prints MB of UTF-8 text per second of CPU time (user and system, all threads), as medians over rounds in which all take
turns, each in a process of its own. Each reads two amounts of text, and the speed is that of the difference, so that
what a process does once (making a tokenizer, checking it) does not count for a corpus in which it hardly matters.

    ours          the whole first stage: reading, the search for test questions, documents held out, JSON lines,
                  tokens, one order, the record of the shards
    datasets.map  a fast tokenizer of transformers in batches of 1,000, and its ids written as one array
    datatrove     ParquetReader and DocumentTokenizer, without a common order of its files

All write the same number of ids, which is checked. The texts are those of the data folder, cut into sentences that
are drawn anew for every amount.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from domain_tokens.cli.options import above_zero, whole_number
from domain_tokens.recipe import user_errors

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("DOMAIN_TOKENS_DATA", ROOT.parent / "shared" / "data"))
CONDITIONS = ("baseline", "mul_tokens")
WAYS = ("ours", "datasets.map", "datatrove")
DOCUMENT_CHARACTERS = 3500  # a web document has about 4 kB
TOKENS = 10e9
LEAST_MB = 2  # of which some documents are held out


def main() -> None:
    """Parse the command line, run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=whole_number, default=3, help="default: 3")
    parser.add_argument(
        "--mb", type=above_zero, nargs=2, default=(6, 36), metavar="MB", help="amounts (default: 6 36)"
    )
    parser.add_argument(
        "--cores", type=whole_number, default=64, help="for the time that 10B tokens take (default: 64)"
    )
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)  # way, condition, parquet, folder: in a process
    arguments = parser.parse_args()
    few, many = arguments.mb
    if not LEAST_MB <= few < many:
        parser.error(f"argument --mb: expected an amount of at least {LEAST_MB} and a larger one, got {few} {many}")
    if arguments.one:
        with user_errors():
            print(json.dumps(measure(*arguments.one)))  # noqa: T201
    else:
        compare(arguments.rounds, arguments.mb, arguments.cores)


def compare(num_rounds: int, amounts: tuple[float, float], cores: int) -> None:
    """Measure all ways in turns and print their speeds, and what 10B tokens take."""
    speeds: dict[tuple[str, str], list[float]] = {(way, condition): [] for way in WAYS for condition in CONDITIONS}
    last: dict[tuple[str, str], dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as work:
        files = [write_parquet(Path(work) / f"{number}.parquet", mb) for number, mb in enumerate(amounts)]
        for number in range(num_rounds):
            for key in list(speeds)[:: -1 if number % 2 else 1]:
                few, many = (run(*key, file, Path(work) / "out") for file in files)
                speeds[key].append((many["mb"] - few["mb"]) / (many["seconds"] - few["seconds"]))
                last[key] = many
    for condition in CONDITIONS:
        ids = {last[way, condition]["tokens"] for way in WAYS}
        if len(ids) > 1:
            sys.exit(f"{condition}: different numbers of ids {ids}")
    say(f"{'MB per CPU-second':18}" + "".join(f"{way:>24}" for way in WAYS))
    for condition in CONDITIONS:
        cells = []
        for way in WAYS:
            found, base = speeds[way, condition], speeds["datasets.map", condition]
            ratio = statistics.median(a / b for a, b in zip(found, base, strict=True))
            cells.append(f"{statistics.median(found):10.1f} ({ratio:5.1f} x map)")
        say(f"{condition:18}" + "".join(f"{cell:>24}" for cell in cells))
    for condition in CONDITIONS:
        tell_full_size(condition, statistics.median(speeds["ours", condition]), last["ours", condition], cores)


def tell_full_size(condition: str, speed: float, measured: dict[str, float], cores: int) -> None:
    """Print what 10B tokens take at the measured speed and size."""
    scale = TOKENS / measured["tokens"]
    mb = measured["mb"] * scale
    hours = mb / speed / 3600
    documents, shards = (measured[f"{name}_bytes"] * scale / 1e9 for name in ("documents", "corpus"))
    say(
        f"10B tokens, {condition}: {mb / 1e3:.0f} GB of text, {hours:.1f} core-hours "
        f"({hours / cores * 60:.0f} minutes if {cores} cores share them), {documents:.0f} GB of documents and "
        f"{shards:.0f} GB of shards, the latter twice while they are brought into one order"
    )


def run(way: str, condition: str, file: Path, folder: Path) -> dict[str, float]:
    """Return what one way measured in a process of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, __file__, "--one", way, condition, str(file), str(folder)]
    variables = os.environ | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def measure(way: str, condition: str, file: str, folder: str) -> dict[str, float]:
    """Prepare a parquet file in this process and return the CPU-seconds, the text's MB, and the ids."""
    import pyarrow.parquet

    from domain_tokens.tokenization.builder import build_tokenizer, save_tokenizer
    from domain_tokens.tokenization.intervention import load_intervention

    mb = sum(len(text.encode()) for text in pyarrow.parquet.read_table(file)["text"].to_pylist()) / 1e6
    tokenizer = Path(folder) / "tokenizer"
    name = {"baseline": "none"}.get(condition, condition)
    save_tokenizer(build_tokenizer(load_intervention(ROOT / f"recipes/interventions/{name}.yaml")), tokenizer)
    prepare = {"ours": of_ours, "datasets.map": of_map, "datatrove": of_datatrove}[way]
    start = os.times()
    measured = prepare(condition, file, Path(folder), tokenizer)
    end = os.times()
    return {"mb": mb, "seconds": sum(end[:4]) - sum(start[:4]), **measured}


def of_ours(condition: str, file: str, folder: Path, tokenizer: Path) -> dict[str, float]:
    """Run the first stage."""
    from domain_tokens.corpora.prepare import prepare_data
    from domain_tokens.recipe import load_recipe
    from domain_tokens.runs.files import read_json

    recipe = load_recipe(
        [
            f"recipes/{condition}.yaml", f"output_dir={folder}", "pretrain.max_steps=1", "corpus.num_shards=1",
            f"corpus.sources=[{{name: web, kind: file, path: {file}}}]", "corpus.validation_fraction=0.01",
            "evaluation.data.gsm8k={name: g, kind: file, path: tests/samples/gsm8k/test.jsonl}",
            "budget.pretrain_tokens_per_step=1024", "pretrain.per_device_train_batch_size=1",
        ]
    )  # fmt: skip
    shutil.copytree(tokenizer, recipe.tokenizer_dir, dirs_exist_ok=True)
    prepare_data(recipe)
    reported = read_json(recipe.corpus_dir / "manifest.json")["reported"]
    return {
        "tokens": sum(reported[split]["tokens"] for split in ("train", "validation")),
        "documents_bytes": size_of(recipe.documents_dir),
        "corpus_bytes": size_of(recipe.corpus_dir),
    }


def of_map(condition: str, file: str, folder: Path, tokenizer: Path) -> dict[str, float]:
    """Tokenize with `datasets.map` and write the ids."""
    import datasets
    import numpy as np
    from transformers import AutoTokenizer

    fast = AutoTokenizer.from_pretrained(tokenizer)
    read = datasets.load_dataset("parquet", data_files=file, split="train", cache_dir=str(folder / "cache"))
    mapped = read.map(lambda rows: {"ids": fast(rows["text"])["input_ids"]}, batched=True, remove_columns=["text"])
    ids = [np.array([*row, 50256], dtype=np.uint16) for row in mapped["ids"]]
    np.save(folder / "ids.npy", np.concatenate(ids))
    return {"tokens": int(sum(map(len, ids)))}


def of_datatrove(condition: str, file: str, folder: Path, tokenizer: Path) -> dict[str, float]:
    """Run datatrove's own steps."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.tokens import DocumentTokenizer

    steps = [
        ParquetReader(str(Path(file).parent), glob_pattern=Path(file).name),
        DocumentTokenizer(str(folder / "ids"), str(tokenizer / "tokenizer.json"), eos_token="<|endoftext|>", seed=0),
    ]
    LocalPipelineExecutor(steps, tasks=1, workers=1, logging_dir=str(folder / "logs")).run()
    return {"tokens": sum(one.stat().st_size for one in (folder / "ids").glob("*.ds")) // 2}


def write_parquet(path: Path, mb: float) -> Path:
    """Write documents of about 4 kB from sentences in a random order."""
    import pyarrow
    import pyarrow.parquet

    texts = []
    for file in sorted(DATA.glob("web/*.jsonl")) + sorted(DATA.glob("openstax/*.jsonl")):
        texts += [json.loads(line)["text"] for line in file.read_text(encoding="utf-8").splitlines()]
    texts += [file.read_text(encoding="utf-8") for file in sorted(DATA.glob("wikitext2/*.txt"))]
    if not texts:
        sys.exit(f"{DATA}: no texts; set DOMAIN_TOKENS_DATA to the data folder")
    sentences = [f"{part}. " for text in texts for part in text.split(". ") if part.strip()]
    draw, documents, size = random.Random(str(mb)), [], 0
    while size < mb * 1e6:
        document = ""
        while len(document) < DOCUMENT_CHARACTERS:
            document += draw.choice(sentences)
        documents.append({"text": document})
        size += len(document.encode())
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(documents), path)
    return path


def size_of(folder: Path) -> int:
    """Return the bytes of a folder's files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
