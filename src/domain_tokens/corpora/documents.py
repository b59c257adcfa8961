"""Reads sources into documents on disk. Both conditions share the files; held-out documents are separate."""

import logging
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from tqdm import tqdm

from domain_tokens.corpora.contamination.gate import Gate, Place
from domain_tokens.corpora.contamination.index import ContaminationIndex
from domain_tokens.corpora.preparation.mixture import bytes_of
from domain_tokens.corpora.sources import Document as SourceDocument
from domain_tokens.corpora.sources import read_documents
from domain_tokens.recipe import Corpus
from domain_tokens.runs.records import RemovalsOfTask, write_record
from domain_tokens.tokenization.facts import END_OF_TEXT, TOKEN_NAME
from domain_tokens.tokenization.patterns import NONCHARACTERS
from domain_tokens.tokenization.rewriter import has_marks

logger = logging.getLogger(__name__)

# Whatever has the shape of a token's name, in every condition; and the noncharacters that the rules work with.
_CONTROL = re.compile(f"{re.escape(END_OF_TEXT)}|{TOKEN_NAME}|[{NONCHARACTERS}]")


class ReadSources(PipelineStep):
    """The datatrove step that reads a corpus: one task reads its share of every source.

    A document's id gives its position in its source; its metadata hold the source and the split. Runs under
    any datatrove executor; a finished task is not run again.

    Args:
        corpus (`Corpus`): the sources.
        questions (`ContaminationIndex`): the questions of evaluation sets, which are removed.
        refuses (`bool`): whether such a question stops the task.
        removals (`Path`): the folder in which each task leaves what it removed.
    """

    name = "sources"
    type = "reader"

    def __init__(self, corpus: Corpus, questions: ContaminationIndex, refuses: bool, removals: Path) -> None:
        super().__init__()
        self.corpus = corpus
        self.questions = questions
        self.refuses = refuses
        self.removals = removals

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Yield the documents of one task."""
        gate = Gate(self.questions, "corpus", refuses=self.refuses)
        for source in self.corpus.sources:
            documents = read_documents(
                source,
                self.corpus.seed,
                self.corpus.validation_fraction,
                rank,
                world_size,
                partial(_through, gate, source.name),
            )
            for number, text, held_out in tqdm(
                documents, desc=f"reading {source.name}", unit=" docs", disable=None if rank == 0 else True
            ):
                text, num_neutralized = neutralize(text)
                self.stat_update("neutralized", value=num_neutralized, unit="marker")
                metadata = {"split": "validation" if held_out else "train", "source": source.name}
                self.stat_update(bytes_of(source.name), value=len(text.encode()), unit="byte")
                yield Document(text=text, id=f"{source.name}/{number}", metadata=metadata)
        gate.refuse()
        done = RemovalsOfTask(
            questions_sha256=self.questions.sha256, texts=dict(gate.texts), removals=tuple(gate.removals),
            warnings=gate.warnings,
        )  # fmt: skip
        write_record(self.removals / f"{rank:05d}.json", done)


def _through(gate: Gate, name: str, documents: Iterator[SourceDocument]) -> Iterator[SourceDocument]:
    """Pass the documents of a source through a gate."""
    given = ((Place(name, one.place, one.id), one.text) for one in documents)
    for place, text in gate.documents(given):
        yield SourceDocument(str(place.document), text, place.row)


def neutralize(text: str) -> tuple[str, int]:
    """Insert a space into text that would be read as a control or fact token: `< |endoftext|>`, `< MUL_6_9_54>`.

    Data is text: only the tokenizer's own rules write tokens, and only the pipeline ends a document. The noncharacters
    that the rules use as marks become U+FFFD, the character for what cannot be shown.

    Returns:
        `tuple[str, int]`: the text, and how many markers were broken up.
    """
    if "<" not in text and not has_marks(text):  # true of most documents, and found in a tenth of the time
        return text, 0
    return _CONTROL.subn(_broken_up, text)


def _broken_up(match: "re.Match[str]") -> str:
    found = match.group()
    return "\N{REPLACEMENT CHARACTER}" if len(found) == 1 else f"{found[0]} {found[1:]}"
