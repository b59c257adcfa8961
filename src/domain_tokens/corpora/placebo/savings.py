"""A placebo saves as many tokens as the intervention that it matches: measured on every corpus, not taken for granted.

Phrases chosen for one corpus save something else on another. Symbols at the same sites save the same everywhere, which
is measured as well.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.recipe.loading import expand
from domain_tokens.runs.files import sha256_json
from domain_tokens.runs.records import Manifest, Savings
from domain_tokens.runs.stage_folder import require
from domain_tokens.tokenization.bpe.base_vocabulary import BaseVocabulary
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.fast_encoder import BulkEncoder
from domain_tokens.tokenization.intervention import Intervention, load_intervention

TOLERANCE = 0.01  # how far the savings may be apart
_MAX_DOCUMENTS = 200_000  # as many as a placebo is chosen on
_BATCH = 256


class Documents:
    """The training documents of a corpus, or a sample of them at even distances.

    Args:
        folder (`Path`): where `scripts/prepare_data.py` wrote them, `*.jsonl` with a `text` in each row.
        max_documents (`int`): how many are read.
    """

    def __init__(self, folder: Path, max_documents: int) -> None:
        self.files = sorted(folder.glob("*.jsonl"))
        self.num_all = sum(_num_lines(file) for file in self.files)
        self.num_read = min(self.num_all, max_documents)

    def batches(self, doing: str) -> Iterator[list[str]]:
        """Yield the texts in lists of up to 256, with a progress bar that says what is done to them."""
        lines = (line for file in self.files for line in _lines(file))
        taken = (
            json.loads(line)["text"]
            for index, line in enumerate(lines)
            if (index + 1) * self.num_read // self.num_all > index * self.num_read // self.num_all
        )
        with tqdm(total=self.num_read, desc=doing, unit=" docs", disable=None) as bar:
            while batch := list(islice(taken, _BATCH)):
                yield batch
                bar.update(len(batch))


def training_documents_sha256(documents: Manifest) -> str:
    """Return the hash of a corpus's training documents, from the manifest of its documents."""
    return sha256_json({name: sha256 for name, sha256 in documents.files.items() if name.startswith("train/")})


def load_matched(recipe: Recipe) -> Intervention | None:
    """Return the intervention that a recipe's placebo matches; `None` if its intervention is no placebo.

    Raises:
        RecipeError: if the file is missing or wrong.
    """
    file = Path(recipe.tokenizer)
    matches = load_intervention(file).matches
    return (
        None
        if matches is None
        else load_intervention(file.parent / expand(matches.intervention, f"{file}: matches.intervention"))
    )


def check_savings(recipe: Recipe, base: BaseVocabulary) -> Savings | None:
    """Measure what a recipe's placebo and the intervention that it matches save of its training documents.

    Reads at most 200,000 documents, three times.

    Args:
        recipe (`Recipe`): whose documents `scripts/prepare_data.py` has written.
        base (`BaseVocabulary`): of the tokenizer.

    Returns:
        `Savings`, or `None` if the intervention is no placebo.

    Raises:
        RecipeError: if the two save amounts that differ by more than 1%, or the placebo saves another amount than its
            file says of these documents.
    """
    placebo, matched = load_intervention(Path(recipe.tokenizer)), load_matched(recipe)
    if placebo.matches is None or matched is None:
        return None
    documents = Documents(recipe.documents_dir / "train", _MAX_DOCUMENTS)
    plain, facts, own = (
        _num_tokens(documents, one, base) for one in (Intervention("plain", num_ids=placebo.num_ids), matched, placebo)
    )
    found = Savings(
        matched=matched.name,
        documents=documents.num_read,
        plain_tokens=plain,
        matched_saved=plain - facts,
        saved=plain - own,
    )
    sha256 = training_documents_sha256(require(recipe.documents_dir, "scripts/prepare_data.py"))
    expected = placebo.matches.tokens_saved if placebo.matches.documents_sha256 == sha256 else None
    if expected is not None and not _alike(found.saved, expected):
        raise RecipeError(
            f"{recipe.tokenizer}: matches.tokens_saved: {expected:,} of these documents, but {found.saved:,} are "
            "saved; choose the placebo anew with scripts/choose_placebo.py"
        )
    if not _alike(found.saved, found.matched_saved):
        chosen = placebo.matches.documents_sha256
        belongs = f" It was chosen for the documents {chosen[:12]}, and these are {sha256[:12]}." if chosen else ""
        raise RecipeError(
            f"{recipe.tokenizer}: of {plain:,} tokens in {recipe.documents_dir}, {placebo.name} saves {found.saved:,} "
            f"and {matched.name} {found.matched_saved:,}; expected the same within {100 * TOLERANCE:.0f}%.{belongs} "
            "Choose a placebo for this corpus with scripts/choose_placebo.py, or take recipes/conditions/"
            "placebo_sites.yaml, which saves the same on every corpus"
        )
    return found


def _alike(saved: int, expected: int) -> bool:
    return abs(saved - expected) <= TOLERANCE * abs(expected)


def _num_tokens(documents: Documents, intervention: Intervention, base: BaseVocabulary) -> int:
    with TemporaryDirectory() as folder:
        # Without a certificate, which takes a second: the encoder compares its ids with the tokenizer's.
        build_tokenizer(intervention, base).save_pretrained(folder)
        encoder = BulkEncoder(Path(folder))
        batches = documents.batches(f"counting the tokens of {intervention.name}")
        return sum(len(ids) for texts in batches for ids in encoder.encode_batch(texts))


def _lines(file: Path) -> Iterator[bytes]:
    with file.open("rb") as lines:
        yield from lines


def _num_lines(file: Path) -> int:
    return sum(1 for _ in _lines(file))
