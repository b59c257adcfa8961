"""The texts of the data folder, GSM8K, SVAMP, TinyGSM and WikiText-2: all 8 MB, and a sample."""

import json
import random
from pathlib import Path

from domain_tokens.tokenization import rewrite

NUM_WITHOUT_SITE = 400


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
    """Return every text that `mul_tokens` rewrites, and `NUM_WITHOUT_SITE` others, always the same."""
    with_site, others = [], []
    for text in texts:
        (with_site if rewrite(text).edits else others).append(text)
    assert len(with_site) > 1500
    return with_site + random.Random(0).sample(others, NUM_WITHOUT_SITE)
