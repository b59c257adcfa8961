"""The text of a condition, as its tokenizer rewrites it, in files to look at."""

import json
import logging
from pathlib import Path

from tqdm import tqdm

from domain_tokens.corpora.shards import SPLITS
from domain_tokens.recipe import Recipe
from domain_tokens.tokenization.facts import END_OF_TEXT
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.rewriter import rewriter_of

logger = logging.getLogger(__name__)


def text_file(recipe: Recipe, split: str) -> Path:
    """Return where the text of a split is written: `text_0/train_mul_tokens.txt` in the condition's folder."""
    return recipe.corpus_dir.with_name(f"text_{recipe.corpus.seed}") / f"{split}_{recipe.condition}.txt"


def write_texts(recipe: Recipe) -> None:
    """Write the documents of a run as its tokenizer reads them, in the order of their files, a marker after each."""
    rewriter = rewriter_of(load_intervention(Path(recipe.tokenizer)))
    for split in SPLITS:
        path = text_file(recipe, split)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        with partial.open("w", encoding="utf-8", newline="") as written:
            for file in sorted((recipe.documents_dir / split).glob("*.jsonl")):
                with file.open(encoding="utf-8") as lines:
                    for line in tqdm(lines, desc=f"writing {path.name}", unit=" docs", disable=None):
                        written.write(f"{rewriter.inject(json.loads(line)['text'])}{END_OF_TEXT}\n")
        partial.replace(path)
        logger.info("text: %s", path)
