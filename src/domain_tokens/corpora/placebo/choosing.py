"""The placebo: an intervention with as many tokens as another, for frequent phrases without arithmetic.

An intervention makes a text shorter, and a shorter text alone may change what a model learns. The placebo shortens the
same corpus by the same number of tokens: for each fact it has an n-gram that saves about what the fact saves. An
n-gram is two to four words of letters, each with the space before it. A fact that never occurs gets an n-gram that
never occurs, so that its row is as untrained. The n-grams are chosen for one corpus; another one needs others.

If a corpus has too little text without arithmetic, no placebo exists and this is an error. The demo's is
of that kind: the facts save 67,472 of its 289,647 tokens, and n-grams of all its other words, however many one took,
would save 35,878. So is the pilot's: its facts save 72,096, the 45 n-grams that come closest 51,850.
"""

import json
import logging
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from zlib import crc32

import numpy as np
from tokenizers import Encoding, Tokenizer

from domain_tokens.corpora.placebo.ngrams import NgramCounter, ngrams
from domain_tokens.corpora.placebo.savings import TOLERANCE, Documents, training_documents_sha256
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.stage_folder import require
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.facts import FIRST_FACT_ID
from domain_tokens.tokenization.intervention import Intervention, Phrase

logger = logging.getLogger(__name__)

_AIM = 0.001  # exchanges go on until the totals are this close
_ALIKE = 0.01  # of n-grams this close to a fact's savings, the one that occurs as often as the fact is taken
_ROOM = (0.05, 0.2, 1.0)  # how far an exchange may take an n-gram from its fact's savings: first a little, then more
_ROUNDS = 5
_SAME_SAVINGS = 50  # n-grams kept of those that save the same
_NEVER = 2000  # n-grams that never occur, tried for facts that never do


@dataclass(frozen=True)
class Saving:
    """What one token saves: the text that it stands for, at how many sites, and how many tokens in all of them."""

    text: str
    sites: int
    tokens: int


@dataclass(frozen=True)
class Placebo:
    """A placebo and how well it matches.

    Attributes:
        intervention: its 45 n-grams as tokens, the i-th for the i-th fact.
        facts: what each fact of the matched intervention saves.
        ngrams: what each n-gram saves, counted with the real tokenizer.
        num_documents: how many documents were read.
        num_all_documents: how many there are.
        plain_tokens: what they have under plain GPT-2.
    """

    intervention: Intervention
    facts: list[Saving]
    ngrams: list[Saving]
    num_documents: int
    num_all_documents: int
    plain_tokens: int

    @property
    def ratio(self) -> float:
        """The tokens that the placebo saves for each that the matched intervention saves."""
        return _total(self.ngrams) / _total(self.facts)


def choose_placebo(recipe: Recipe, matched: Intervention, max_documents: int = 200_000) -> Placebo:
    """Choose n-grams that save as many tokens of a recipe's documents as the facts of an intervention do.

    Args:
        recipe (`Recipe`): whose documents are read; `scripts/prepare_data.py` has written them.
        matched (`Intervention`): whose savings are matched.
        max_documents (`int`, *optional*, defaults to 200,000): a larger corpus is read in part.

    Raises:
        RecipeError: if there are no documents, if the intervention saves nothing in them, or if the totals cannot be
            brought within 1% of each other.
    """
    _check(recipe, matched)
    documents = Documents(recipe.documents_dir / "train", max_documents)
    plain = build_tokenizer(Intervention(name="none", num_ids=matched.num_ids)).backend_tokenizer
    counter = NgramCounter()
    facts, plain_tokens = _savings(documents, plain, matched, counter)
    if _total(facts) <= 0:
        raise RecipeError(
            f"{documents.files[0].parent}: {matched.name} saves {_total(facts)} tokens in {documents.num_read:,} "
            "documents; there is nothing to match"
        )
    candidates = candidate_savings(documents, plain, counter)
    chosen = _nearest(facts, candidates)
    about = (
        f"A control. Tokens for {len(facts)} frequent phrases that save as many tokens as those of {matched.name}; "
        f"chosen for the corpus of {recipe.experiment}, to be chosen anew for another."
    )
    for _ in range(_ROUNDS):
        _exchange(facts, chosen, candidates)
        phrases = [Phrase(_token(number, len(chosen)), ngram.text) for number, ngram in enumerate(chosen, 1)]
        intervention = Intervention("placebo", about, matched.num_ids, tokens=tuple(phrases))
        measured, _ = _savings(documents, plain, intervention)
        logger.info("%s saves %d tokens, the placebo %d", matched.name, _total(facts), _total(measured))
        placebo = Placebo(intervention, facts, measured, documents.num_read, documents.num_all, plain_tokens)
        if abs(placebo.ratio - 1) <= TOLERANCE:
            return placebo
        if measured == chosen:
            break
        exact = dict(zip([ngram.text for ngram in chosen], measured, strict=True))
        candidates = _in_order(exact.get(ngram.text, ngram) for ngram in candidates)
        chosen = measured
    raise RecipeError(
        f"{documents.files[0].parent}: {matched.name} saves {_total(facts):,} of {plain_tokens:,} tokens there, and "
        f"the {len(facts)} n-grams that come closest save {_total(measured):,} ({100 * placebo.ratio:.1f}%; within "
        f"{100 * TOLERANCE:.0f}% is expected): the corpus has too little non-arithmetic text; "
        "choose a placebo on a corpus with more of it (corpus.sources)"
    )


def _check(recipe: Recipe, matched: Intervention) -> None:
    require(recipe.documents_dir, "scripts/prepare_data.py")
    if (kind := recipe.base_vocabulary.kind) != "gpt2":
        raise RecipeError(f"base_vocabulary.kind: a placebo is chosen in GPT-2's tokens; expected gpt2, got {kind}")
    if not matched.token_names():
        raise RecipeError(f"{matched.name}: adds no token; expected an intervention whose tokens make a text shorter")


def candidate_savings(documents: Documents, plain: Tokenizer, counter: NgramCounter) -> list[Saving]:
    """Return n-grams to choose from, in order of what they save.

    Args:
        documents (`Documents`): read again if the counter has dropped n-grams; then all counts are exact.
        plain (`Tokenizer`): GPT-2's, for the lengths of the n-grams.
        counter (`NgramCounter`): the n-grams of the documents.
    """

    @cache
    def length(word: str) -> int:
        return len(plain.encode(f" {word}", add_special_tokens=False).ids)

    counts = counter.kept()
    for ngram, _ in counts.most_common(_NEVER):
        counts.setdefault(" " + " ".join(reversed(ngram.split())), 0)  # what is never said is said backwards
    found = _thinned(_saving(ngram, count, length) for ngram, count in counts.items())
    if counter.one_in > 1:
        # The count of a frequent n-gram may lack what was dropped before it was frequent.
        exact = dict.fromkeys((ngram.text for ngram in found), 0)
        for texts in documents.batches("counting the candidates"):
            for ngram in (ngram for text in texts for ngram in ngrams(text) if ngram in exact):
                exact[ngram] += 1
        found = [_saving(ngram, count, length) for ngram, count in exact.items()]
    return _in_order(found)


def to_yaml(placebo: Placebo, recipe: Recipe, matched: Intervention, file: str) -> str:
    """Return the intervention file of a placebo, with what it was made from and how well it matches in comments.

    Args:
        placebo (`Placebo`): the placebo.
        recipe (`Recipe`): whose documents it was chosen on.
        matched (`Intervention`): the intervention that it matches.
        file (`str`): that intervention's file, from the folder of the placebo's.
    """
    sha256 = training_documents_sha256(require(recipe.documents_dir, "scripts/prepare_data.py"))
    intervention = placebo.intervention
    facts, ngrams = placebo.facts, placebo.ngrams
    pairs = list(zip(facts, ngrams, strict=True))
    off = [abs(ngram.tokens / fact.tokens - 1) for fact, ngram in pairs if fact.tokens > 0]
    sources = [f"{source.name} ({source.max_items or 'all'} items)" for source in recipe.corpus.sources]
    read = f"{placebo.num_documents:,} of {placebo.num_all_documents:,}"
    saved = f"{matched.name} {_total(facts):,}, placebo {_total(ngrams):,}, ratio {placebo.ratio:.5f}"
    sites = f"{matched.name} {sum(fact.sites for fact in facts):,}, placebo {sum(one.sites for one in ngrams):,}"
    lines = [
        "# Written by scripts/choose_placebo.py; choose it anew rather than change it.",
        f"# corpus: {recipe.experiment}, seed {recipe.corpus.seed}: {', '.join(sources)}",
        f"# documents read: {read}, {placebo.plain_tokens:,} tokens under plain GPT-2",
        f"# tokens saved: {saved}",
        f"# sites: {sites}",
        f"# off the fact's savings: {100 * float(np.median(off)):.1f}% in the median, {100 * max(off):.1f}% at most",
        f"name: {intervention.name}",
        f"about: {intervention.about}",
        f"num_ids: {intervention.num_ids}",
        "matches: # refused on a corpus where the two save amounts that differ by more than 1%",
        f"  intervention: {file}",
        f"  documents_sha256: {sha256}",
        f"  tokens_saved: {_total(ngrams)}",
        "tokens:",
    ]
    for phrase, (fact, ngram) in zip(intervention.tokens, pairs, strict=True):
        lines.append(
            f"  - {{token: {phrase.token}, text: {json.dumps(phrase.text, ensure_ascii=False)}}} "
            f"# saves {ngram.tokens:,} at {ngram.sites:,} sites; {fact.text} {fact.tokens:,} at {fact.sites:,}"
        )
    return "\n".join(lines) + "\n"


def _savings(
    documents: Documents, plain: Tokenizer, intervention: Intervention, counter: NgramCounter | None = None
) -> tuple[list[Saving], int]:
    """Return what each token of an intervention saves, and the tokens of all documents under plain GPT-2."""
    tokenizer = build_tokenizer(intervention).backend_tokenizer
    sites: Counter[int] = Counter()
    saved: Counter[int] = Counter()
    plain_tokens = 0
    for texts in documents.batches(f"reading as {intervention.name}"):
        if counter is not None:
            for text in texts:
                counter.add(text)
        encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
        # A text without an added token has GPT-2's own ids.
        changed = [index for index, one in enumerate(encoded) if max(one.ids, default=0) >= FIRST_FACT_ID]
        plain_tokens += sum(len(one) for one in encoded)
        plainly = plain.encode_batch([texts[index] for index in changed], add_special_tokens=False)
        for index, one in zip(changed, plainly, strict=True):
            plain_tokens += len(one) - len(encoded[index])
            for token_id, tokens in _saved_by_token(one, encoded[index]):
                sites[token_id] += 1
                saved[token_id] += tokens
    id_of = {name: FIRST_FACT_ID + index for index, name in enumerate(intervention.token_names())}
    entries = [(entry, id_of[entry.token]) for entry in intervention.entries() if entry.token is not None]
    return [Saving(entry.text, sites[i], saved[i]) for entry, i in entries], plain_tokens


def _saved_by_token(plain: Encoding, shorter: Encoding) -> Iterator[tuple[int, int]]:
    """Yield the id of every added token of a text and the tokens that it saves there.

    Behind an added token both encodings are the same until the next one, so it has saved what they are apart where it
    ends, less what they were apart where the one before it ended. Where it begins cannot be asked: the offsets of a
    token that a rule wrote cover the last character of its source alone (tokenizers 0.23).
    """
    plain_ends = np.array([end for _, end in plain.offsets])
    before = 0
    for index, (token_id, (_, end)) in enumerate(zip(shorter.ids, shorter.offsets, strict=True)):
        if token_id >= FIRST_FACT_ID:
            apart = int(np.searchsorted(plain_ends, end, side="right")) - (index + 1)
            yield token_id, apart - before
            before = apart


def _in_order(found: Iterable[Saving]) -> list[Saving]:
    return sorted(found, key=lambda ngram: (ngram.tokens, ngram.text))


def _saving(ngram: str, sites: int, length: Callable[[str], int]) -> Saving:
    return Saving(ngram, sites, sites * (sum(map(length, ngram.split())) - 1))


def _thinned(found: Iterable[Saving]) -> list[Saving]:
    """Return 50 of the n-grams that save the same at as many sites, and none that could overlap itself."""
    kept = []
    alike: Counter[tuple[int, int]] = Counter()
    for ngram in sorted(found, key=lambda ngram: (crc32(ngram.text.encode()), ngram.text)):
        alike[ngram.sites, ngram.tokens] += 1
        enough = ngram.sites and alike[ngram.sites, ngram.tokens] > _SAME_SAVINGS
        if not enough and len(set(ngram.text.split())) == len(ngram.text.split()):
            kept.append(ngram)
    return kept


def _nearest(facts: list[Saving], candidates: list[Saving]) -> list[Saving]:
    """Return for each fact the n-gram that saves most nearly the same; the facts that save most choose first."""
    chosen: dict[int, Saving] = {}
    for index in sorted(range(len(facts)), key=lambda index: -facts[index].tokens):
        fact = facts[index]

        def distance(ngram: Saving, fact: Saving = fact) -> tuple[float, int, str]:
            apart = abs(ngram.tokens - fact.tokens)
            return max(apart - _ALIKE * fact.tokens, 0), abs(ngram.sites - fact.sites), ngram.text

        ordered = (ngram for ngram in sorted(candidates, key=distance) if _fits(ngram, chosen.values()))
        found = next(ordered, None)
        if found is None:
            raise RecipeError(
                f"{len(candidates):,} n-grams occur in the documents, too few to choose {len(facts)} that do not "
                "overlap; choose a placebo on a larger corpus (corpus.sources)"
            )
        chosen[index] = found
    return [chosen[index] for index in range(len(facts))]


def _exchange(facts: list[Saving], chosen: list[Saving], candidates: list[Saving]) -> None:
    """Exchange n-grams in `chosen` until the totals are within 0.1% or no exchange brings them nearer.

    Each exchange is the one that leaves least missing. At first an n-gram may go 5% away from its fact's savings, so
    that what is missing is spread over many.
    """
    for room in _ROOM:
        while abs(missing := _total(facts) - _total(chosen)) > _AIM * _total(facts):
            best: tuple[int, Saving] | None = None
            least = (float(abs(missing)), 0.0, "")
            for index, fact in enumerate(facts):
                others = [*chosen[:index], *chosen[index + 1 :]]
                first = bisect_left(candidates, (1 - room) * fact.tokens, key=lambda ngram: ngram.tokens)
                last = bisect_right(candidates, (1 + room) * fact.tokens, key=lambda ngram: ngram.tokens)
                for ngram in candidates[first:last] if fact.tokens > 0 else ():
                    left = abs(missing - (ngram.tokens - chosen[index].tokens))
                    score = (left, abs(ngram.tokens / fact.tokens - 1), ngram.text)
                    if score < least and _fits(ngram, others):
                        least, best = score, (index, ngram)
            if best is None:
                break
            index, ngram = best
            chosen[index] = ngram


def _fits(ngram: Saving, others: Iterable[Saving]) -> bool:
    return not any(_overlap(ngram.text, other.text) for other in others)


def _overlap(one: str, two: str) -> bool:
    """Return whether two n-grams can share a word of a text: then it would matter which is replaced first."""
    if f"{one} " in f"{two} " or f"{two} " in f"{one} ":
        return True
    first, second = one.split(), two.split()
    return any(
        first[-size:] == second[:size] or second[-size:] == first[:size]
        for size in range(1, min(len(first), len(second)))
    )


def _token(number: int, of: int) -> str:
    return f"<PLACEBO_{number:0{max(2, len(str(of)))}}>"


def _total(savings: list[Saving]) -> int:
    return sum(saving.tokens for saving in savings)
