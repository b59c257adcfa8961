"""Reads sources into documents on disk. Both conditions share the files; held-out documents are separate."""

import logging
import re
from functools import partial

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from tqdm import tqdm

from domain_tokens.corpora.held_out import HeldOut, keep_document
from domain_tokens.corpora.preparation.mixture import bytes_of
from domain_tokens.corpora.sources import read_documents
from domain_tokens.recipe import Corpus
from domain_tokens.tokenization.facts import END_OF_TEXT, TOKEN_NAME
from domain_tokens.tokenization.patterns import NONCHARACTERS

logger = logging.getLogger(__name__)

# Whatever has the shape of a token's name, in every condition; and the noncharacters that the rules work with.
_CONTROL = re.compile(f"{re.escape(END_OF_TEXT)}|{TOKEN_NAME}|[{NONCHARACTERS}]")


class ReadSources(PipelineStep):
    """The datatrove step that reads a corpus: one task reads its share of every source.

    A document's id gives its position in its source; its metadata hold the source and the split. Runs under
    any datatrove executor; a finished task is not run again.
    """

    name = "sources"
    type = "reader"

    def __init__(self, corpus: Corpus, questions: HeldOut) -> None:
        super().__init__()
        self.corpus = corpus
        self.questions = questions

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Yield the documents of one task."""
        for source in self.corpus.sources:
            keep = partial(keep_document, self.questions, source)
            documents = read_documents(
                source, self.corpus.seed, self.corpus.validation_fraction, rank, world_size, keep
            )
            for number, text, held_out in tqdm(
                documents, desc=f"reading {source.name}", unit=" docs", disable=None if rank == 0 else True
            ):
                text, num_neutralized = neutralize(text)
                self.stat_update("neutralized", value=num_neutralized, unit="marker")
                metadata = {"split": "validation" if held_out else "train", "source": source.name}
                self.stat_update(bytes_of(source.name), value=len(text.encode()), unit="byte")
                yield Document(text=text, id=f"{source.name}/{number}", metadata=metadata)


def neutralize(text: str) -> tuple[str, int]:
    """Insert a space into text that would be read as a control or fact token: `< |endoftext|>`, `< MUL_6_9_54>`.

    Data is text: only the tokenizer's own rules write tokens, and only the pipeline ends a document. The noncharacters
    that the rules use as marks become U+FFFD, the character for what cannot be shown.

    Returns:
        `tuple[str, int]`: the text, and how many markers were broken up.
    """
    return _CONTROL.subn(_broken_up, text)


def _broken_up(match: "re.Match[str]") -> str:
    found = match.group()
    return "\N{REPLACEMENT CHARACTER}" if len(found) == 1 else f"{found[0]} {found[1:]}"
