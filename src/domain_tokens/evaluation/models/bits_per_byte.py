"""Bits per source byte: a loss that can be compared between tokenizers.

Tokenizers cut one text into different tokens, so their losses per token measure different things. What compares is
what it takes to send the text: the model's bits for the tokens, each document's end included, and the bits of what the
rewriting dropped (`6 x 9` and `6*9=54` are one token), over the UTF-8 bytes of the text as it was. Both parts together
give back every byte, which is checked for every document.

Nothing is free, and nothing is counted twice. The side record is coded by a small context model that learned from the
training split (`tokenization/side_record/code.py`), as the language model did. It knows less than a language model, so
the sum is an upper bound, which errs against the condition that rewrites. The model's bits alone are a lower bound:
they leave out what the text said beyond its tokens. A claim about a loss rests on both. A text could also be cut into
other tokens than the tokenizer's; their share of its probability is left out in every condition.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel

from domain_tokens.evaluation.models.token_scores import TokenScores, default_stride, ids_of, score_tokens
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import sha256_json
from domain_tokens.runs.records import (
    BitsSummary,
    BitsTotals,
    DocumentBits,
    PlainTextBits,
    TextIdentity,
)
from domain_tokens.tokenization.contract import intervention_of, load_tokenizer, tokenizer_sha256
from domain_tokens.tokenization.facts import IdRanges
from domain_tokens.tokenization.fast_encoder import BulkEncoder
from domain_tokens.tokenization.intervention import Intervention
from domain_tokens.tokenization.rewriter import rewriter_of
from domain_tokens.tokenization.side_record.code import SideCode
from domain_tokens.tokenization.side_record.record import record_of, restore


@dataclass(frozen=True)
class Document:
    """One document of a text: its id, the name of its source, and its text."""

    id: str
    source: str
    text: str


@dataclass(frozen=True)
class EncodedText:
    """Documents as one tokenizer reads them: all that does not depend on the model.

    Attributes:
        documents: in their order, the same in every condition.
        ids: the token ids of each document, uint16, without an end-of-text token.
        num_sites: how many sites each document has in the reading of `canonical_table`, the same in every condition.
        num_dropped: how many replacements the tokenizer's own rules make in each document.
        side_bits: what each document's side record costs.
    """

    documents: list[Document]
    ids: list[np.ndarray]
    num_sites: list[int]
    num_dropped: list[int]
    side_bits: list[float]


@dataclass(frozen=True)
class Bits:
    """A model's bits for a text: totals, one record a document, and the score of every token."""

    totals: BitsTotals
    documents: list[DocumentBits]
    scores: list[TokenScores]


def read_documents(folder: Path, max_bytes: int | None = None) -> list[Document]:
    """Read the documents of one split, `recipe.documents_dir / "validation"`, in the order of its files.

    Args:
        folder (`Path`): holds the split's `.jsonl` files.
        max_bytes (`int`, *optional*): leave out documents beyond this size, at least one is kept. Which ones stay is
            decided by a hash of their ids, so that every source keeps about its share; all if not given.

    Raises:
        RecipeError: if there are no documents.
    """
    documents = []
    for file in sorted(folder.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            rows = map(json.loads, lines)
            documents += [Document(row["id"], row.get("source", ""), row["text"]) for row in rows]
    if not documents:
        raise RecipeError(f"{folder}: no documents; run scripts/prepare_data.py with the same recipe first")
    if max_bytes is None:
        return documents
    by_hash = sorted(range(len(documents)), key=lambda index: sha256_json(documents[index].id))
    sizes = np.cumsum([len(documents[index].text.encode()) for index in by_hash])
    kept = by_hash[: max(1, int(np.searchsorted(sizes, max_bytes, side="right")))]
    return [documents[index] for index in sorted(kept)]


def encode(
    documents: list[Document], tokenizer_dir: Path, canonical_table: Intervention, code: SideCode
) -> EncodedText:
    """Encode documents and code what their rewriting drops.

    Args:
        documents (`list[Document]`): the text.
        tokenizer_dir (`Path`): the condition's tokenizer.
        canonical_table (`Intervention`): says which documents have sites, the same in every condition.
        code (`SideCode`): of the side record, trained on documents of the training split.

    Raises:
        RuntimeError: if tokens and side record do not give back a document.
    """
    tokenizer = load_tokenizer(tokenizer_dir)
    intervention = intervention_of(tokenizer)
    texts = [document.text for document in documents]
    ids = BulkEncoder(tokenizer_dir).encode_batch(texts)
    decoded = tokenizer.backend_tokenizer.decode_batch([one.tolist() for one in ids], skip_special_tokens=False)
    rewritings = [rewriter_of(intervention).rewrite(text) for text in texts]
    records = [record_of(rewriting, intervention) for rewriting in rewritings]
    for document, tokens, dropped in zip(documents, decoded, records, strict=True):
        if restore(tokens, dropped, intervention) != document.text:
            raise RuntimeError(f"{document.id}: tokens and side record do not give back the text")
    measured = rewriter_of(canonical_table)
    return EncodedText(
        documents=documents,
        ids=ids,
        num_sites=[len(measured.rewrite(text).edits) for text in texts],
        num_dropped=[len(rewriting.edits) for rewriting in rewritings],
        side_bits=[sum(code.bits(text, dropped)) for text, dropped in zip(decoded, records, strict=True)],
    )


def text_identity(
    documents: list[Document], tokenizer_dir: Path, canonical_table: Intervention, code: SideCode
) -> TextIdentity:
    """Return hashes of what `encode` reads; nothing is encoded."""
    return TextIdentity(
        documents_sha256=sha256_json([asdict(document) for document in documents]),
        tokenizer_sha256=tokenizer_sha256(tokenizer_dir),
        canonical_table_sha256=sha256_json(canonical_table.as_json()),
        side_code_sha256=code.sha256(),
    )


def measure(model: PreTrainedModel, text: EncodedText, stride: int | None = None) -> Bits:
    """Return a model's bits for a text, in total and for each document.

    The totals are given for all documents, for those with sites and for those without; of the last also `loss_nats`,
    the mean loss of a predicted token, which compares between conditions that read the same tokens there: whose
    `tokens_sha256` is the same. `num_rewritten` says how many of these documents the tokenizer rewrites all the same.

    Args:
        model (`PreTrainedModel`): on any device and in any precision; the head's softmax is in 32 bits.
        text (`EncodedText`): read with the model's own tokenizer.
        stride (`int`, *optional*): see `score_tokens`.
    """
    scores = score_tokens(model, text.ids, stride)
    parts = zip(text.documents, text.ids, text.num_sites, text.num_dropped, text.side_bits, scores, strict=True)
    documents = [
        DocumentBits(
            id=document.id,
            source=document.source,
            bytes=len(document.text.encode()),
            tokens=len(ids) + 1,
            sites=num_sites,
            dropped=num_dropped,
            model_bits=float(score.bits.sum(dtype=np.float64)),
            side_bits=side_bits,
        )
        for document, ids, num_sites, num_dropped, side_bits, score in parts
    ]
    totals = BitsTotals(
        all=summarize(documents),
        with_sites=summarize([one for one in documents if one.sites]),
        without_sites=_summarize_plain(documents, text, ids_of(model)),
        window=model.config.n_positions,
        stride=default_stride(model) if stride is None else stride,
    )
    return Bits(totals, documents, scores)


def summarize(documents: Sequence[DocumentBits]) -> BitsSummary:
    """Return the sums over some documents and the bits per source byte, `None` where there is no byte."""
    num_bytes = sum(one.bytes for one in documents)
    model_bits = sum(one.model_bits for one in documents)
    side_bits = sum(one.side_bits for one in documents)
    return BitsSummary(
        documents=len(documents),
        bytes=num_bytes,
        tokens=sum(one.tokens for one in documents),
        sites=sum(one.sites for one in documents),
        dropped=sum(one.dropped for one in documents),
        model_bits=model_bits,
        side_bits=side_bits,
        model_bits_per_byte=model_bits / num_bytes if num_bytes else None,
        bits_per_byte=(model_bits + side_bits) / num_bytes if num_bytes else None,
    )


def _summarize_plain(documents: Sequence[DocumentBits], text: EncodedText, ids: IdRanges) -> PlainTextBits:
    """Return the sums over the documents without sites, and whether conditions may compare them."""
    plain = [index for index, num_sites in enumerate(text.num_sites) if num_sites == 0]
    sums = summarize([documents[index] for index in plain])
    return PlainTextBits(
        **dict(sums),
        loss_nats=sums.model_bits * math.log(2) / sums.tokens if sums.tokens else None,
        num_rewritten=sum(
            text.num_dropped[index] > 0 or bool((text.ids[index] >= ids.first_added).any()) for index in plain
        ),
        tokens_sha256=sha256_json([text.ids[index].tolist() for index in plain]),
    )
