"""The texts that tests read: the project's own samples in `tests/samples`, and the data folder where there is one.

The samples were written for the tests, in the files and columns of the data folder, so that a test of real data runs
on them in a fresh clone. `pages.jsonl` and `conversations.jsonl` hold what those files do not: markup, code, tables,
sizes, other scripts and unusual spaces.
"""

import json
import os
import random
import re
from pathlib import Path
from typing import NamedTuple

import pytest

SAMPLES = Path(__file__).with_name("samples")
NUM_OTHERS = 400
# Two digits with at most a sign, a word or punctuation between them: all that any rule could take for a fact, near
# misses too. Chosen without the code under test.
_CANDIDATE = re.compile(r"\d *(?:[*xX×·⋅]|\\times|\\cdot|times|multiplied by|by) *\$?\d")


class Data(NamedTuple):
    """A folder with GSM8K, SVAMP, TinyGSM and WikiText-2, or with samples of that shape."""

    folder: Path
    is_own: bool


def real_data() -> Data:
    """Return the folder that `DOMAIN_TOKENS_DATA` names, or `../shared/data`; skips the test without it."""
    folder = Path(os.environ.get("DOMAIN_TOKENS_DATA", SAMPLES.parents[2] / "shared" / "data"))
    if not (folder / "gsm8k" / "train.jsonl").is_file():
        pytest.skip(f"no data in {folder}; name a folder in DOMAIN_TOKENS_DATA")
    return Data(folder, is_own=False)


def real_texts(folder: Path) -> list[str]:
    """Return every text of the data folder, 8 MB."""
    texts = _texts(folder)
    assert sum(len(text.encode()) for text in texts) > 8_000_000
    return texts


def own_texts() -> list[str]:
    """Return every text of the project's samples, 40 kB."""
    texts = _texts(SAMPLES) + [row["text"] for row in _rows(SAMPLES / "pages.jsonl")]
    texts += [turn["content"] for row in _rows(SAMPLES / "conversations.jsonl") for turn in row["messages"]]
    assert 50 < sum(map(might_state_a_product, texts)) < len(texts) - 50
    return texts


def sample(texts: list[str]) -> list[str]:
    """Return every text with something like a product, and `NUM_OTHERS` others, always the same."""
    candidates, others = [], []
    for text in texts:
        (candidates if might_state_a_product(text) else others).append(text)
    assert len(candidates) > 2000
    return candidates + random.Random(0).sample(others, NUM_OTHERS)


def might_state_a_product(text: str) -> bool:
    return _CANDIDATE.search(text) is not None


def _texts(folder: Path) -> list[str]:
    """Return the texts of the files that samples and data folder share, WikiText-2 in its sections."""
    rows = json.loads((folder / "svamp" / "SVAMP.json").read_text(encoding="utf-8"))
    for name in ("gsm8k/train.jsonl", "gsm8k/test.jsonl", "tinygsm/sample_1000.jsonl"):
        rows += _rows(folder / name)
    texts = [value for row in rows for value in row.values() if isinstance(value, str)]
    for name in ("valid", "test"):
        texts += (folder / "wikitext2" / f"{name}.txt").read_text(encoding="utf-8").split("\n \n")
    return texts


def _rows(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
