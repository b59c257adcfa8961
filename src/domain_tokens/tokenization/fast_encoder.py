"""Encodes many texts at once with a faster engine whose ids are checked against the tokenizer's.

A tokenizer's rules are its normalizer, and every document goes through all of them. Here the package `fastokens`
encodes the documents with a copy of the tokenizer that has no rules. Between two numbers a sign of one character is a
token alone, or ends with one, so the documents that the rules could rewrite are found among the ids, as a sign's
between a number's and a number's, or by a command of TeX in their text; they go through the same rules in Python
(`rewriter.py`) and are encoded again. Some documents are encoded by the tokenizer itself as well, and if one of them
differs nothing is returned.
"""

import logging
import os
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json
from domain_tokens.tokenization.batches.rewriting import batch_rewriter_of
from domain_tokens.tokenization.builder import rule_free
from domain_tokens.tokenization.certificate import fixed_strings
from domain_tokens.tokenization.facts import END_OF_TEXT, MAX_VOCAB_SIZE, IdRanges
from domain_tokens.tokenization.intervention import OPERATORS, Facts, Intervention
from domain_tokens.tokenization.rewriter import has_marks

logger = logging.getLogger(__name__)

_CHECKED_ONE_IN = 2000  # the tokenizer takes 60 to 130 times as long for a document: 3 to 7% of the time
_NUM_FIXED_STRINGS = 256
_DENSE = 0.5


class BulkEncoder:
    """Encodes the documents of a corpus to the ids of a condition's tokenizer.

    Checked against the tokenizer are 256 hard strings at the start, the documents 0, 1, 2, 4, 8 and so on by number,
    and every 2,000th one. Without the package `fastokens` the tokenizer does all the work.

    Memory is bounded: of 1 GB of text in which hardly a word occurs twice the first 50 MB take 90 MB, the rest nothing
    (`benchmarks/bench_tokenizer.py --memory 1024`).

    Args:
        folder (`Path`): a saved tokenizer of the experiment.

    Raises:
        RecipeError: if the engine gives other ids than the tokenizer.

    Example:
    ```python
    >>> encoder = BulkEncoder(Path("outputs/demo/exp_mul_tokens/tokenizer"))
    >>> [ids.tolist() for ids in encoder.encode_batch(["6 x 9 = 54", ""])]
    [[50342], []]
    ```
    """

    def __init__(self, folder: Path) -> None:
        self.reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
        assert self.reference.get_vocab_size() <= MAX_VOCAB_SIZE, "ids are stored in 16 bits"
        self._folder = folder
        self._num_seen = 0
        is_bpe = isinstance(self.reference.model, models.BPE)
        package = _fastokens() if is_bpe else None
        has_engine = package is not None or not is_bpe
        self._engine = _Engine(package, folder, self.reference) if has_engine else None
        if self._engine is not None:
            texts = list(fixed_strings()[:_NUM_FIXED_STRINGS])
            self._check(texts, self._encode(texts))

    def encode_batch(self, texts: list[str]) -> list[np.ndarray]:
        """Return the ids of each text, uint16 of shape `(tokens,)`, without an end-of-text token.

        Raises:
            RecipeError: if a document that is checked has other ids under the tokenizer.
        """
        if self._engine is None:
            return self._encode_slowly(texts)
        encoded = self._encode(texts)
        numbers = enumerate(range(self._num_seen, self._num_seen + len(texts)))
        checked = [index for index, number in numbers if number & (number - 1) == 0 or number % _CHECKED_ONE_IN == 0]
        self._check([texts[index] for index in checked], [encoded[index] for index in checked])
        self._num_seen += len(texts)
        return encoded

    def _encode(self, texts: list[str]) -> list[np.ndarray]:
        assert self._engine is not None
        encoded, for_reference = self._engine.encode(texts)
        ids = self._encode_slowly([texts[index] for index in for_reference])
        for index, ids_of_text in zip(for_reference, ids, strict=True):
            encoded[index] = ids_of_text
        return encoded

    def _encode_slowly(self, texts: list[str]) -> list[np.ndarray]:
        encodings = self.reference.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.uint16) for encoding in encodings]

    def _check(self, texts: list[str], encoded: list[np.ndarray]) -> None:
        for text, found, expected in zip(texts, encoded, self._encode_slowly(texts), strict=True):
            if not np.array_equal(found, expected):
                raise RecipeError(
                    f"{self._folder}: the fast encoder does not give the tokenizer's ids for the document that begins "
                    f"{text[:80]!r}; set corpus.encoder: reference, or install fastokens and tokenizers as "
                    "constraints.txt pins them"
                )


class _Engine:
    """fastokens, and the rules in Python for the documents that need them.

    Without the package, which knows BPE alone, the library encodes what the rules in Python have rewritten.
    """

    def __init__(self, package: Any, folder: Path, reference: Tokenizer) -> None:
        # datatrove starts one process per core. A second thread took 30% more CPU time for the same text, and each
        # thread holds a cache of up to 130 MB.
        os.environ.setdefault("FASTOKENS_BPE_THREADS", "1")
        plain = rule_free((folder / "tokenizer.json").read_text(encoding="utf-8"))
        self._tokenizer: Any = _Slow(plain) if package is None else package.Tokenizer.from_json_str(plain)
        intervention = Intervention.from_json(read_json(folder / "tokenizer_config.json")["intervention"])
        self._rewriter = batch_rewriter_of(intervention)
        self._end_of_text = IdRanges(reference.get_vocab_size(with_added_tokens=False)).end_of_text
        signs = _signs(intervention)
        self._commands = [sign for sign in signs or [] if len(sign) > 1]  # of several tokens: `\times`
        self._rewrites_anywhere = signs is None
        self._is_dense = False  # whether most of the last texts were rewritten: then all are, and encoded once
        self._signs, self._before, self._behind = self._tables(intervention.facts, signs or [])

    def _tables(self, facts: Facts | None, signs: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return for each id whether it ends a sign, and whether it may stand before or behind the sign of a fact.

        The tokens there are a number of the table's length, spaces, or anything that is not ASCII.
        """
        length = 1 if facts is None else len(str(facts.operands[1]))
        number = f"[0-9]{{1,{length}}}"
        # As the vocabulary writes bytes: Ġ is a space, and what is not ASCII here is none that can be seen.
        before, behind = re.compile(rf"(?:.*[^0-9])?{number}|.*[^!-~]"), re.compile(f"Ġ?{number}|Ġ*(?:[^!-~Ġ].*)?")
        names = [self._tokenizer.id_to_token(token_id) or "" for token_id in range(MAX_VOCAB_SIZE)]
        sign_ids = {self._tokenizer.encode(f"{space}{sign}").ids[-1] for sign in signs for space in ("", " ")}
        return (
            np.isin(np.arange(MAX_VOCAB_SIZE), list(sign_ids)),
            np.array([before.fullmatch(name) is not None for name in names]),
            np.array([behind.fullmatch(name) is not None for name in names]),
        )

    def encode(self, texts: list[str]) -> tuple[list[np.ndarray], list[int]]:
        """Return the ids of each text, and the indices of the texts that the tokenizer itself has to encode."""
        if self._is_dense:
            written = self._rewriter.written(texts)
            encoded = self._cut(written)
            for_reference = [index for index, text in enumerate(texts) if END_OF_TEXT in text]
            num_rewritten = sum(new is not text for new, text in zip(written, texts, strict=True))
        else:
            encoded, for_reference, num_rewritten = self._encode_sparse(texts)
        self._is_dense = num_rewritten > _DENSE * len(texts)
        return encoded, for_reference

    def _encode_sparse(self, texts: list[str]) -> tuple[list[np.ndarray], list[int], int]:
        """Return what `encode` returns, and how many texts are rewritten; reads the rules where the ids ask for it."""
        flat, ends = self._flat(texts)
        encoded = [flat[start:end] for start, end in pairwise([0, *ends.tolist()])]
        suspects, special = self._suspects(flat, ends)
        if self._rewrites_anywhere:
            suspects = list(range(len(texts)))
        else:
            suspects += [index for index, text in enumerate(texts) if has_marks(text) or self._has_command(text)]
        # fastokens 0.3.5 takes a reserved name for its token, which `tokenizers` does not. Corpora hold none.
        for_reference = [index for index in special if END_OF_TEXT in texts[index]]
        plain = sorted({*suspects, *special} - set(for_reference))
        written = self._rewriter.written([texts[index] for index in plain])
        rewritten = {index: new for index, new in zip(plain, written, strict=True) if new != texts[index]}
        for index, ids in zip(rewritten, self._cut(list(rewritten.values())), strict=True):
            encoded[index] = ids
        return encoded, for_reference, len(rewritten)

    def _has_command(self, text: str) -> bool:
        return any(command in text for command in self._commands)

    def _cut(self, texts: list[str]) -> list[np.ndarray]:
        flat, ends = self._flat(texts)
        return [flat[start:end] for start, end in pairwise([0, *ends.tolist()])]

    def _flat(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of all texts, one after another, and where each text ends."""
        ids, offsets = self._tokenizer.encode_batch_flat(texts)
        return np.frombuffer(ids, dtype="<u4").astype(np.uint16), np.frombuffer(offsets, dtype="<u8")[1:]

    def _suspects(self, flat: np.ndarray, ends: np.ndarray) -> tuple[list[int], list[int]]:
        """Return the indices of texts with a sign between numbers, and of those with a token beyond the base's."""
        signs = np.flatnonzero(self._signs[flat])
        signs = signs[(signs > 0) & (signs < len(flat) - 1)]
        between = signs[self._before[flat[signs - 1]] & self._behind[flat[signs + 1]]]
        special = np.flatnonzero(flat >= self._end_of_text)
        of_between, of_special = (np.searchsorted(ends, one, side="right") for one in (between, special))
        return np.unique(of_between).tolist(), np.unique(of_special).tolist()


class _Slow:
    """The part of fastokens' `Tokenizer` that is used, for a Unigram."""

    def __init__(self, tokenizer_json: str) -> None:
        core = Tokenizer.from_str(tokenizer_json)
        self.id_to_token, self.encode, self._encode_batch = core.id_to_token, core.encode, core.encode_batch_fast

    def encode_batch_flat(self, texts: list[str]) -> tuple[bytes, bytes]:
        """Return the ids of all texts, one after another, and where each text begins and ends."""
        found = [encoding.ids for encoding in self._encode_batch(texts, add_special_tokens=False)]
        ends = np.cumsum([0, *map(len, found)], dtype="<u8")
        return np.array([one for ids in found for one in ids], dtype="<u4").tobytes(), ends.tobytes()


def _signs(intervention: Intervention) -> list[str] | None:
    """Return signs such that every rewritten text has one; `None` if the rules also rewrite text without a sign."""
    facts, rules = intervention.facts, intervention.rules
    if intervention.tokens or (facts is not None and (rules.words or rules.chinese)):
        return None
    if facts is None:
        return []
    spelled = {operator: OPERATORS[facts.operation][operator] for operator in rules.operators}
    return [sign for key, pattern in spelled.items() for sign in (pattern[1:-1] if pattern[0] == "[" else [key])]


@cache
def _fastokens() -> Any:
    """Return the package, or `None` if it is not installed. Logs that once."""
    try:
        import fastokens
    except ImportError:
        logger.info("fastokens is not installed: falling back to the tokenizer itself, which is about 50 times slower")
        return None
    return fastokens
