"""The bits of a given answer after its question, by the same rules as bits per byte of documents.

Question and answer are encoded together, as in fine-tuning: the model reads the question's tokens, and the answer's
tokens and its end are predicted. The question's tokens must not depend on the answer, or each answer would be measured
after a question of its own; this is checked. What rewriting dropped from the answer is coded after what it dropped
from the question, which the reader has.

Bits belong to the sites of an answer or to the rest of it. Sites are the spans that the canonical table finds in the
source, each with the space before it, so they are the same bytes in every condition; a token belongs to a site if it
stands for a part of one. The answer's end belongs to the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from domain_tokens.evaluation.models.token_scores import score_sequences
from domain_tokens.tokenization.contract import intervention_of
from domain_tokens.tokenization.edits import Rewriting
from domain_tokens.tokenization.intervention import Intervention
from domain_tokens.tokenization.rewriter import rewriter_of
from domain_tokens.tokenization.side_record.code import SideCode
from domain_tokens.tokenization.side_record.record import record_of

Span = tuple[int, int]
_BYTES = {character: byte for byte, character in bytes_to_unicode().items()}


@dataclass(frozen=True)
class EncodedAnswer:
    """A question and its answer as one tokenizer reads them: all that does not depend on the model.

    Attributes:
        ids: of the question, the answer and its end, shape `(tokens,)`.
        num_prompt: how many of them are the question's.
        at_site: which of the others belong to a site, shape `(tokens - num_prompt,)`.
        num_bytes: UTF-8 bytes of the answer.
        num_sites: sites in the answer.
        side_bits: what the answer's side record costs.
        site_side_bits: the part of it that belongs to sites.
    """

    ids: np.ndarray
    num_prompt: int
    at_site: np.ndarray
    num_bytes: int
    num_sites: int
    side_bits: float
    site_side_bits: float


@dataclass(frozen=True)
class AnswerBits:
    """A model's bits for an answer: of all its tokens and its end, and of those tokens that belong to sites."""

    all: float
    sites: float


class AnswerEncoder:
    """Encodes answers as one condition reads them.

    Args:
        tokenizer (`PreTrainedTokenizerFast`): the condition's.
        canonical_table (`Intervention`): finds the sites, the same in every condition.
        code (`SideCode`): of the side record.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, canonical_table: Intervention, code: SideCode) -> None:
        self._tokenizer = tokenizer
        self._intervention = intervention_of(tokenizer)
        self._table = canonical_table
        self._code = code
        self._added = set(tokenizer.get_added_vocab().values())

    def encode(self, prompt: str, answer: str) -> EncodedAnswer:
        """Encode an answer after its prompt.

        Args:
            prompt (`str`): as the model is asked, up to `Assistant:`.
            answer (`str`): without white space at its ends.

        Raises:
            RuntimeError: if the prompt's tokens depend on the answer, or the tokens are not those of the text.
        """
        assert answer == answer.strip() != ""
        source = f"{prompt} {answer}"
        prompt_ids, ids = self._tokenizer([prompt, source])["input_ids"]
        if ids[: len(prompt_ids)] != prompt_ids:
            raise RuntimeError(f"the tokens of the prompt depend on the answer: {prompt!r}, {answer!r}")
        rewriting = rewriter_of(self._intervention).rewrite(source)
        sites = [site for site in _sites(source, self._table) if site[1] > len(prompt)]
        spans = self._token_spans(ids, rewriting)[len(prompt_ids) :]
        at_site = [_overlaps(span, sites) for span in spans]
        dropped = record_of(rewriting, self._intervention)
        places = _source_spans(rewriting, [(one.start, one.end) for one in dropped])
        costs = [
            (bits, _overlaps(place, sites))
            for bits, place in zip(self._code.bits(rewriting.text, dropped), places, strict=True)
            if place[1] > len(prompt)
        ]
        return EncodedAnswer(
            ids=np.array([*ids, self._tokenizer.eos_token_id]),
            num_prompt=len(prompt_ids),
            at_site=np.array([*at_site, False]),
            num_bytes=len(answer.encode()),
            num_sites=len(sites),
            side_bits=sum(bits for bits, _ in costs),
            site_side_bits=sum(bits for bits, of_site in costs if of_site),
        )

    def _token_spans(self, ids: list[int], rewriting: Rewriting) -> list[Span]:
        """Return the span of the source that each token stands for, in characters."""
        names = self._tokenizer.convert_ids_to_tokens(ids)
        texts = [
            name.encode() if id in self._added else bytes(map(_BYTES.__getitem__, name))
            for id, name in zip(ids, names, strict=True)
        ]
        if b"".join(texts) != rewriting.text.encode():
            raise RuntimeError(f"the tokens are not those of the text {rewriting.text!r}")
        # The character to which each byte of the rewritten text belongs: a token may be a part of a character.
        owner = [index for index, character in enumerate(rewriting.text) for _ in character.encode()]
        ends = np.cumsum([len(text) for text in texts])
        spans = [(owner[end - len(text)], owner[end - 1] + 1) for end, text in zip(ends, texts, strict=True)]
        return _source_spans(rewriting, spans)


def measure_answers(model: PreTrainedModel, answers: Sequence[EncodedAnswer]) -> list[AnswerBits]:
    """Return a model's bits for answers after their questions; the batch changes nothing."""
    scores = score_sequences(model, [one.ids for one in answers], [one.num_prompt - 1 for one in answers])
    found = []
    for answer, score in zip(answers, scores, strict=True):
        bits = score.bits[answer.num_prompt - 1 :].astype(np.float64)
        found.append(AnswerBits(all=float(bits.sum()), sites=float(bits[answer.at_site].sum())))
    return found


def _sites(source: str, table: Intervention) -> list[Span]:
    """Return the spans in which the table finds a fact, each with the space before it."""
    rewriting = rewriter_of(table).rewrite(source)
    spans = _source_spans(rewriting, [(edit.start, edit.end) for edit in rewriting.edits])
    return [(start - source[:start].endswith(" "), end) for start, end in spans]


def _source_spans(rewriting: Rewriting, spans: Sequence[Span]) -> list[Span]:
    """Return the spans of the source for which spans of the rewritten text stand; a part of an edit stands for all."""
    found = []
    for start, end in spans:
        begin, stop = start, end
        for edit in rewriting.edits:
            gained = len(edit.source) - (edit.end - edit.start)
            if edit.end <= start:
                begin += gained
            elif edit.start < start:
                begin -= start - edit.start
            if edit.end <= end:
                stop += gained
            elif edit.start < end:
                stop += gained + edit.end - end
        found.append((begin, stop))
    return found


def _overlaps(span: Span, sites: Sequence[Span]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in sites)
