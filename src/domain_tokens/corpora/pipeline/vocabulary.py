"""Trains a base vocabulary by itself, on the documents that pretraining would read; nothing else is written."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from datatrove.data import Document

from domain_tokens.corpora.contamination.gate import check_sources
from domain_tokens.corpora.documents import ReadSources
from domain_tokens.corpora.held_out import gate_of, refuse_test_files
from domain_tokens.corpora.pipeline.texts import check_not_empty
from domain_tokens.corpora.preparation.mixture import with_limits
from domain_tokens.recipe import Recipe
from domain_tokens.runs.records import RemovalsOfTask, read_record
from domain_tokens.tokenization.bpe.base_vocabulary import TRAINERS, BaseVocabulary, base_without_training

logger = logging.getLogger(__name__)

_MOST_HELD_OUT = 1000


class Documents:
    """Documents that are read once: those that train are handed on, some of the held-out ones are kept.

    Attributes:
        num_texts: how many were handed on.
        num_bytes: of these.
        held_out: the texts of the first 1,000 documents that are held out.
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self._documents = documents
        self.num_texts = self.num_bytes = 0
        self.held_out: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for document in self._documents:
            if document.metadata["split"] == "train":
                self.num_texts += 1
                self.num_bytes += len(document.text.encode())
                yield document.text
            elif len(self.held_out) < _MOST_HELD_OUT:
                self.held_out.append(document.text)


def train_by_itself(recipe: Recipe) -> tuple[BaseVocabulary, Documents]:
    """Train the base vocabulary of a recipe on its sources, without questions of evaluation sets.

    Args:
        recipe (`Recipe`): its `corpus` and `base_vocabulary` are read, and its evaluation sets to leave them out.

    Returns:
        `tuple[BaseVocabulary, Documents]`: the base, and what it was trained on.

    Raises:
        RecipeError: if a source is missing, empty, damaged or a test set, or has too few words for so many ids.
    """
    corpus, base = with_limits(recipe.corpus), recipe.base_vocabulary
    refuse_test_files(recipe, corpus.sources, "corpus")
    check_not_empty(corpus)
    index = gate_of(recipe, "corpus", corpus.sources).index
    with TemporaryDirectory() as removals:
        reader = ReadSources(corpus, index, recipe.contamination == "refuse", Path(removals))
        documents = Documents(reader.run())
        trained = TRAINERS[base.kind](documents, base.num_ids) if base.is_trained else _read(documents, base.kind)
        (removed,) = (read_record(file, RemovalsOfTask) for file in Path(removals).iterdir())
    check_sources(index, "corpus", removed.removals, removed.texts)
    if removed.removals:
        logger.warning("%d questions of evaluation sets were removed from the documents", len(removed.removals))
    return trained, documents


def _read(documents: Documents, kind: str) -> BaseVocabulary:
    for _ in documents:
        pass
    return base_without_training(kind)
