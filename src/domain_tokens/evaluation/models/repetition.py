"""Keeps answers from repeating themselves, by the bytes of their text.

transformers' `no_repeat_ngram_size` counts tokens, so that it would hold the conditions to different rules: an
equation is one token in one of them and five in another. Nor are the base vocabulary's tokens a common measure:
` 6*9=54` begins with the token ` 6` where it is written in digits, and with a space of its own before a fact token;
and some conditions cut numbers differently. The bytes of a text are the same however it is cut into tokens.

What remains is that a token is chosen as a whole: a model that writes an equation in digits may be turned back in its
middle, and then end it falsely; one that writes a fact token is turned back before it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import torch
from transformers import LogitsProcessor, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from domain_tokens.evaluation.answers.answer import expand_tokens, texts_by_token
from domain_tokens.tokenization.contract import id_ranges, intervention_of

_BYTES = {character: byte for byte, character in bytes_to_unicode().items()}


def repeated_at(text: bytes, added: bytes, size: int) -> int:
    """Return behind how many of the added bytes a sequence stands in the text a second time; 0 if none does.

    The two may overlap.

    Args:
        text (`bytes`): the text so far.
        added (`bytes`): what would follow.
        size (`int`): the length of a sequence.

    Example:
    ```python
    >>> repeated_at(b"6*9=54, so ", b"6*9=54", 4)
    4
    ```
    """
    whole = text + added
    for end in range(max(len(text) + 1, size + 1), len(whole) + 1):
        if whole.find(whole[end - size : end], 0, end - 1) >= 0:
            return end - len(text)
    return 0


class TokenTexts:
    """The text that each token of a vocabulary stands for, as bytes: a fact token is the bytes of its equation.

    Args:
        texts (`Sequence[bytes]`): by id.
    """

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._texts = texts
        self._ids = sorted(range(len(texts)), key=texts.__getitem__)
        self._sorted = [texts[index] for index in self._ids]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast) -> "TokenTexts":
        """Return those of a tokenizer; the end-of-text token has no text."""
        num_base, names = id_ranges(tokenizer).num_base, texts_by_token(intervention_of(tokenizer))
        base = tokenizer.convert_ids_to_tokens(list(range(num_base)))
        texts = [bytes(_BYTES[character] for character in token) for token in base]
        texts[tokenizer.eos_token_id] = b""
        added = tokenizer.batch_decode([[index] for index in range(num_base, len(tokenizer))])
        return cls([*texts, *(expand_tokens(written, names)[0].encode() for written in added)])

    def __getitem__(self, token_id: int) -> bytes:
        return self._texts[token_id]

    def text(self, token_ids: Sequence[int]) -> bytes:
        """Return the text of several tokens, one after the other."""
        return b"".join(map(self._texts.__getitem__, token_ids))

    def beginning_with(self, start: bytes) -> list[int]:
        """Return the ids whose texts begin in one way."""
        first = bisect_left(self._sorted, start)
        behind = bisect_right(self._sorted, start, lo=first, key=lambda text: text[: len(start)])
        return self._ids[first:behind]


class NoRepeatedBytes(LogitsProcessor):
    """Lets no answer of a batch have a sequence of bytes twice.

    Belongs behind everything else that changes scores, and to greedy choice alone: it lowers scores only until the
    highest of a row may be taken. The end-of-text token repeats nothing, so a choice is always left. Prompt and
    padding do not count. For one call of `generate`, whose first step tells the prompt's length.

    Args:
        texts (`TokenTexts`): what the tokens stand for.
        size (`int`): the length of a sequence in bytes.
    """

    def __init__(self, texts: TokenTexts, size: int) -> None:
        self.texts = texts
        self.size = size
        self._prompt: int | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores with the highest of each row one that may be taken; both of shape `(rows, ids)`."""
        if self._prompt is None:
            self._prompt = input_ids.shape[1]
        scores = scores.clone()
        answers, chosen = input_ids[:, self._prompt :].tolist(), scores.argmax(dim=1).tolist()
        for row, (answer, best) in enumerate(zip(answers, chosen, strict=True)):
            text = self.texts.text(answer)
            while blocked := repeated_at(text, self.texts[best], self.size):
                # Whatever begins like this repeats the same.
                scores[row, self.texts.beginning_with(self.texts[best][:blocked])] = -torch.inf
                best = int(scores[row].argmax())
        return scores
