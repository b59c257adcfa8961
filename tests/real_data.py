"""The texts of the data folder, GSM8K, SVAMP, TinyGSM and WikiText-2: all 8 MB, and a sample."""

import json
import random
import re
from pathlib import Path

NUM_OTHERS = 400
# Two digits with at most a sign, a word or punctuation between them: all that any rule could take for a fact, near
# misses too. Chosen without the code under test.
_CANDIDATE = re.compile(r"\d *(?:[*xX×·⋅]|\\times|\\cdot|times|multiplied by|by) *\$?\d")


def real_texts(folder: Path) -> list[str]:
    """Return every text of the data folder, WikiText-2 in its sections."""
    rows = json.loads((folder / "svamp" / "SVAMP.json").read_text(encoding="utf-8"))
    for name in ("gsm8k/train.jsonl", "gsm8k/test.jsonl", "tinygsm/sample_1000.jsonl"):
        rows += map(json.loads, (folder / name).read_text(encoding="utf-8").splitlines())
    texts = [value for row in rows for value in row.values() if isinstance(value, str)]
    for name in ("valid", "test"):
        texts += (folder / "wikitext2" / f"{name}.txt").read_text(encoding="utf-8").split("\n \n")
    assert sum(len(text.encode()) for text in texts) > 8_000_000
    return texts


def sample(texts: list[str]) -> list[str]:
    """Return every text with something like a product, and `NUM_OTHERS` others, always the same."""
    candidates, others = [], []
    for text in texts:
        (candidates if _CANDIDATE.search(text) else others).append(text)
    assert len(candidates) > 2000
    return candidates + random.Random(0).sample(others, NUM_OTHERS)
