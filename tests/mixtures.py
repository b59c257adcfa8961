"""A mixture of three sources that is small enough to be prepared in a test."""

import json
from pathlib import Path

from tiny import tiny_arguments

from domain_tokens.recipe import Recipe, load_recipe

BUDGET = 2000
SMALL_BASE = "base_vocabulary={kind: trained, num_ids: 1500}"
"""GPT-2's takes a second to read wherever a text is encoded."""


def recipe_of(folder: Path, condition: str, *overrides: str) -> Recipe:
    """Text, a book of five pages that is read several times, and generated text, as 3 : 1 : 1."""
    folder.mkdir(exist_ok=True)
    for name, number, words in (("web", 400, 30), ("book", 5, 30)):
        rows = [{"text": " ".join(f"{name} {n * i % 97} 6*9 = 54" for i in range(words // 5))} for n in range(number)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sources = (
        f"corpus.sources=[{{name: web, kind: file, path: '{folder}/web.jsonl', weight: 3, licence: CC0}}, "
        f"{{name: book, kind: file, path: '{folder}/book.jsonl', weight: 1, max_epochs: 20}}, "
        "{name: web/made, kind: synthetic, what: text, weight: 1}]"
    )
    arguments = (
        "corpus.num_shards=2",
        "corpus.validation_fraction=0.1",
        "pretrain.max_steps=7",
        f"corpus.num_tokens={BUDGET}",
        SMALL_BASE,
    )
    return load_recipe(tiny_arguments(folder / "out", condition, sources, *arguments, *overrides))
