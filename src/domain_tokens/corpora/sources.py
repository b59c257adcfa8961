"""Reads data from every kind of source: the synthetic generator, local files, or a data set on the Hub."""

import hashlib
import itertools
import logging
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from domain_tokens.corpora import synthetic
from domain_tokens.corpora.hub import hub_rows, open_hub, pinned
from domain_tokens.corpora.lessons import making as lessons
from domain_tokens.corpora.worlds import passages as worlds
from domain_tokens.local_data.files import find_files
from domain_tokens.local_data.row import Row
from domain_tokens.local_data.rows import read_rows as read_file_rows
from domain_tokens.local_data.splits import check_splits
from domain_tokens.recipe import GENERATOR_VERSION, Recipe, RecipeError, Source
from domain_tokens.runs.files import sha256_file
from domain_tokens.runs.layout import MANIFEST

if TYPE_CHECKING:
    from pydantic import JsonValue

logger = logging.getLogger(__name__)

# GPT-2 on English web text has 4.3 to 4.7 bytes a token. More is assumed, so that more text is read than the steps
# need: at 4, the corpus for 10B tokens would have had 9.1 to 9.8B.
BYTES_PER_TOKEN = 5
_SHUFFLED_ROWS = 100_000
AGAIN = "#"
"""In the id of a document that is read again, before the number of the epoch: `web/17#2`."""
_TRAIN = ("train", synthetic.PROMPTS)
# A calculation with its result, which every annotation of GSM8K is; `cout << n << endl; x = y >> 1` is not.
_CALCULATOR = re.compile(r"<<([0-9 .,+\-*/()%$]*=[0-9 .,+\-*/()%$=]*)>>")


class Document(NamedTuple):
    """A document of a corpus: its id within its source, its text, and its file and row."""

    id: str
    text: str
    place: str


def read_rows(
    source: Source, seed: int, split: str, stream: str = "", columns: Sequence[str] | None = None
) -> list[Row]:
    """Read the rows of a data set of questions or items.

    Generated items have columns `cluster` and `group`; those that do not train are distinct in template and numbers.
    Of `max_items` rows of other data, those that train are a sample, in their order, and others are the first.

    Args:
        source (`Source`): the data set.
        seed (`int`): seeds a synthetic source, and the sample of another.
        split (`str`): `train`, `prompts` (of GRPO), `validation` or `test`: what the rows are for. The recipe says
            which part of a Hub data set is read.
        stream (`str`, *optional*): names the use of a synthetic source; two uses draw independently.
        columns (`Sequence[str]`, *optional*): the columns that are read of a parquet file; all by default.

    Raises:
        RecipeError: if the data is missing, unreadable or empty, or more distinct items are asked for than exist.
    """
    if source.kind == "synthetic":
        assert source.max_items is not None
        check_distinct(source, split)
        if source.what == "cloze":
            return _placed(synthetic.clozes(source.max_items, seed, split, stream))
        if source.what == "lessons":
            return _placed(example._asdict() for example in _lesson_examples(source, seed, split, stream))
        make = synthetic.problems
        if source.what == "drills" and split in _TRAIN:
            make, split = synthetic.drills, "train"
        elif source.what == "drills":
            make = synthetic.distinct_drills
        return _placed(example._asdict() for example in make(source.max_items, seed, split, stream))
    if source.kind == "hub":
        pinned(source)  # fail here, and not after a long wait, if the Hub cannot be reached
    if split in _TRAIN:
        rows = _sample(source, seed, columns)
    else:
        rows = list(itertools.islice(rows_in_order(source, columns), source.max_items))
    if not rows:
        raise RecipeError(f"source {source.name}: no rows in {source.path}")
    return rows


def _lesson_examples(source: Source, seed: int, split: str, stream: str) -> Iterable[synthetic.Example]:
    """Return questions on lessons, distinct if they do not train."""
    assert source.max_items is not None
    if split in _TRAIN:
        return lessons.examples(source.max_items, seed, split, stream, source.kinds)
    found = lessons.distinct_examples(source.max_items, seed, split, stream, source.kinds)
    if len(found) < source.max_items:
        raise RecipeError(
            f"source {source.name}: max_items: the generator found {len(found):,} different questions of these kinds "
            f"in its {split} split, got {source.max_items:,}; expected at most {len(found):,}"
        )
    return found


def _placed(rows: Iterable[Mapping[str, object]]) -> list[Row]:
    return [Row.at(f"item {number}", row) for number, row in enumerate(rows, 1)]


def _sample(source: Source, seed: int, columns: Sequence[str] | None) -> list[Row]:
    """Return all rows, or as many as the source limits them to, drawn by a seed and in their order.

    Of a data set on the Hub that is longer than `_SHUFFLED_ROWS`, `datasets` draws from a moving window.
    """
    if source.max_items is None:
        return list(rows_in_order(source, columns))
    if source.kind == "hub":
        shuffled = open_hub(source).shuffle(seed=seed, buffer_size=_SHUFFLED_ROWS)
        return list(itertools.islice(hub_rows(source, shuffled, shuffled=True), source.max_items))
    rows = list(rows_in_order(source, columns))
    drawn = random.Random(f"sample {seed}").sample(range(len(rows)), min(source.max_items, len(rows)))
    return [rows[index] for index in sorted(drawn)]


def check_distinct(source: Source, split: str) -> None:
    """Check that the generator has as many distinct items as a source that does not train asks for.

    Raises:
        RecipeError: if it has fewer, or the source generates documents.
    """
    if source.kind != "synthetic":
        return
    if source.what in ("text", "text_without_products", "worlds"):
        raise RecipeError(
            f"source {source.name}: what: `{source.what}` generates documents, not questions; expected drills, "
            "problems or lessons"
        )
    if source.what == "lessons":
        if silent := [kind for kind, share in (source.kinds or {}).items() if share and kind not in lessons.ASKING]:
            raise RecipeError(
                f"source {source.name}: kinds: {', '.join(silent)} ask no questions; expected some of "
                f"{', '.join(lessons.ASKING)}"
            )
        return  # how many there are, drawing tells
    assert source.max_items is not None
    if split in _TRAIN and source.what in ("drills", "problems"):
        return  # practice repeats
    if source.max_items > (available := synthetic.num_distinct(source.what, split)):
        raise RecipeError(
            f"source {source.name}: max_items: the generator has {available:,} different {source.what} in its {split} "
            f"split, got {source.max_items:,}; expected at most {available:,}"
        )


def read_documents(
    source: Source,
    seed: int,
    validation_fraction: float,
    rank: int,
    world_size: int,
    gate: Callable[[Iterator[Document]], Iterator[Document]] | None = None,
) -> Iterator[tuple[str, str, bool]]:
    """Yield `(id within the source, text, held out for validation)` for one task's share of a source's documents.

    Generated documents are held out by what they ask, all others by a hash of their text, so that nothing is on both
    sides. These others pass a `gate` first, which may shorten them or leave them out.

    Raises:
        RecipeError: if a column is missing or a document is empty, naming source and row.
    """
    if source.kind == "synthetic":
        yield from _generated(source, seed, validation_fraction, rank, world_size)
        return
    documents = _documents(source, rank, world_size)
    for document in documents if gate is None else gate(documents):
        held_out = _is_held_out(document.text, validation_fraction)
        if not (held_out and AGAIN in document.id):
            yield document.id, document.text, held_out


def _documents(source: Source, rank: int, world_size: int) -> Iterator[Document]:
    """Yield one task's share of the documents of files or of a data set on the Hub."""
    keys = [str(key) for key in source.text_key] if isinstance(source.text_key, list) else [source.text_key]
    num_bytes = 0
    for number, index, row, share in _passes(source, keys, rank, world_size):
        if source.max_items is not None and index >= source.max_items * share:
            return
        if source.max_tokens is not None and num_bytes >= source.max_tokens * share * BYTES_PER_TOKEN:
            return
        text = "\n".join(row.text(key, f"source {source.name}: text_key", is_document=True) for key in keys)
        num_bytes += len(text.encode())
        if source.kind == "file" and index % world_size != rank:
            continue
        text = without_annotations(text, source.annotations)
        if not text.strip():
            raise RecipeError(
                f"source {source.name}: {row.place}: the text is empty after its calculator annotations are removed; "
                "remove the row or set annotations: keep"
            )
        yield Document(number, text, row.place)


def _passes(source: Source, keys: list[str], rank: int, world_size: int) -> Iterator[tuple[str, int, Row, float]]:
    """Yield `(id, row number, row, share of the limits)` of a task's rows, as often as the source may be read."""
    for epoch in range(1, (source.max_epochs or 1) + 1):
        rows, share = rows_in_order(source, keys), 1.0  # the limits count rows of the whole source
        if source.kind == "hub":
            rows, share = _hub_share(source, rank, world_size)
        again = "" if epoch == 1 else f"{AGAIN}{epoch}"
        for index, row in enumerate(rows):
            yield f"{rank}/{index}{again}" if source.kind == "hub" else f"{index}{again}", index, row, share


def without_annotations(text: str, annotations: str) -> str:
    """Handle GSM8K's calculator annotations as a source says.

    With `strip`, `48/2 = <<48/2=24>>24` becomes `48/2 = 24`. With `unwrap`, `<<48/2=24>>` becomes `48/2=24`, for data
    whose steps are nothing else. With `keep`, the text stays.
    """
    if annotations == "keep":
        return text
    return _CALCULATOR.sub("" if annotations == "strip" else r"\1", text)


def describe(source: Source) -> "dict[str, JsonValue]":
    """Return what identifies a source's content: its recipe, and each file's hash or the generator's version."""
    described: dict[str, JsonValue] = {
        key: value for key, value in vars(source).items() if value is not None and key != "licence"
    }
    if source.kind == "synthetic":
        described["generator"] = GENERATOR_VERSION
    if source.kind == "file":
        described["sha256"] = [[path.name, sha256_file(path)] for path in local_files(source)]
    return described


def _generated(
    source: Source, seed: int, validation_fraction: float, rank: int, world_size: int
) -> Iterator[tuple[str, str, bool]]:
    assert source.max_items is not None
    num_held_out = round(source.max_items * validation_fraction)
    made: Iterator[tuple[int, str]]
    for split, number in (("train", source.max_items - num_held_out), ("validation", num_held_out)):
        if source.what == "lessons":
            made = lessons.documents(number, seed, split, source.kinds, rank, world_size)
        else:
            all_documents = enumerate(_synthetic_documents(source, number, seed, split))
            made = itertools.islice(all_documents, rank, None, world_size)
        for index, text in made:
            yield f"{split}/{index}", text, split == "validation"


def _synthetic_documents(source: Source, number: int, seed: int, split: str) -> Iterator[str]:
    if source.what == "text":
        yield from synthetic.texts(number, seed, split)
    elif source.what == "text_without_products":
        yield from synthetic.texts_without_products(number, seed, split)
    elif source.what == "worlds":
        yield from worlds.documents(number, seed, split)
    elif source.what in ("drills", "problems"):
        make = synthetic.drills if source.what == "drills" else synthetic.repeated_problems
        for example in make(number, seed, split):
            yield f"{example.question}\n{example.answer}"
    else:
        raise RecipeError(
            f"source {source.name}: what: expected text, text_without_products, drills, problems, lessons or "
            f"worlds for a corpus, got {source.what!r}"
        )


def _is_held_out(text: str, fraction: float) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) < fraction * 2**64


def _hub_share(source: Source, rank: int, world_size: int) -> tuple[Iterator[Row], float]:
    """Return one task's files of a Hub data set, streamed, and which share of the data set's limits they are given."""
    dataset = open_hub(source)
    num_shares = min(world_size, dataset.num_shards)
    if rank >= num_shares:
        return iter(()), 1.0
    share = dataset.shard(num_shards=num_shares, index=rank)
    part = f" of part {rank + 1} of {num_shares}" if num_shares > 1 else ""
    return hub_rows(source, share, part), 1 / num_shares


def rows_in_order(source: Source, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Yield all rows of files or of a data set on the Hub, one at a time.

    Args:
        source (`Source`): the data set.
        columns (`Sequence[str]`, *optional*): the columns that are read of a parquet file; all by default.

    Raises:
        RecipeError: if it is missing, or cannot be read to its end.
    """
    if source.kind == "hub":
        yield from hub_rows(source, open_hub(source))
        return
    for path in local_files(source):
        if path.suffix.lower() == ".txt" and source.text_key != "text":
            raise RecipeError(f"source {source.name}: text_key: a .txt file has no columns, got {source.text_key!r}")
        try:
            yield from read_file_rows(path, columns, source.document_separator)
        except RecipeError as error:
            raise RecipeError(f"source {source.name}: {error}") from error


def source_of(document: str, names: Iterable[str]) -> str:
    """Return the name of the source of a document, from its id and the names of all sources."""
    return max((name for name in names if document.startswith(f"{name}/")), key=len)


def _paths(source: Source) -> list[str]:
    if isinstance(source.path, list):
        return source.path
    assert source.path is not None, "a recipe's check asks for the path of files"
    return [source.path]


def sources_to_train(recipe: Recipe) -> list[Source]:
    """Return what stages that train will still read; a corpus whose documents are complete is not read again."""
    corpus = [] if (recipe.documents_dir / MANIFEST).is_file() else recipe.corpus.sources
    return [*corpus, *_fine_tuning(recipe), *recipe.grpo_prompts]


def check_files(recipe: Recipe) -> None:
    """Check that the files of all of a recipe's sources exist, and that the generator has enough; nothing is read.

    Raises:
        RecipeError: naming the source and the path that matches no file, or the number of items that exist.
    """
    fine_tuning = _fine_tuning(recipe)
    for source in (*recipe.corpus.sources, *fine_tuning, *recipe.grpo_prompts, *recipe.evaluation.data.values()):
        if source.kind == "file":
            local_files(source)
    for source in (*fine_tuning, *recipe.grpo_prompts):
        check_distinct(source, "train")
    for source in recipe.evaluation.data.values():
        check_distinct(source, "test")


def _fine_tuning(recipe: Recipe) -> list[Source]:
    return [source for stage in recipe.sft_stages for source in stage.portions]


def local_files(source: Source) -> list[Path]:
    """Return the data files that a source of kind `file` names. Raises `RecipeError` if one cannot be read."""
    try:
        return find_files(_paths(source))
    except RecipeError as error:
        raise RecipeError(f"source {source.name}: {error}") from error


def check_one_split(source: Source, stage: str) -> None:
    """Check that a folder or a pattern of data that trains reaches one split. Raises `RecipeError` naming files."""
    try:
        check_splits(_paths(source))
    except RecipeError as error:
        raise RecipeError(f"{stage}: source {source.name}: {error}") from error
