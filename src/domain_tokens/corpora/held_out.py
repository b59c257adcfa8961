"""The questions of a recipe's evaluation sets, and the gate that keeps them out of what trains.

`contamination` finds questions in text. Here it is said which questions are looked for, and what is compared with
them: the documents of a corpus, and the rows of fine-tuning and GRPO with all their columns and messages.

Generated sets are not compared as text: their questions share wording by design. They are disjoint by template and
numbers, which is checked by id. Nor are the problems of `renumbered_numbers` compared as others are: their words
train, with other numbers. They are found where one stands with all of its numbers.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from domain_tokens.corpora import synthetic
from domain_tokens.corpora.contamination.gate import Gate, Place
from domain_tokens.corpora.contamination.index import ContaminationIndex, Question
from domain_tokens.corpora.hub import NoConnection, no_connection
from domain_tokens.corpora.sources import check_one_split, local_files, read_rows, sources_to_train
from domain_tokens.local_data.row import Row
from domain_tokens.local_data.splits import names_test
from domain_tokens.recipe import Recipe, RecipeError, Source
from domain_tokens.runs.files import sha256_file
from domain_tokens.runs.layout import CONTAMINATION
from domain_tokens.runs.progress import begin
from domain_tokens.runs.records import Removal

logger = logging.getLogger(__name__)

# The columns of a question, first those that are one question together; as in the tasks that read such data.
_COLUMNS = (("Body", "Question"), ("body", "question"), ("problem",), ("ctx",), ("question",), ("prompt",))
_A_QUESTION = 24  # letters and digits: a shorter text in unknown columns is a label or a number
_SHORT = 64  # characters: a text that is looked for by itself, since a question of few words must be a whole text

# A hash of each question of GSM8K's published test file: none may train, whatever the recipe evaluates.
GSM8K_TEST = "GSM8K's published test set"
_GSM8K_TEST_SHA256 = "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14"
_GSM8K_TEST_FILE = Path(__file__).with_name("gsm8k_test_questions.json")

OTHER_NUMBERS = "renumbered_numbers"
"""The evaluation set that asks, with other numbers, problems whose words train."""

Known = dict[str, ContaminationIndex]
"""Questions of evaluation sets, by `evaluated_in`."""

_SPLIT = re.compile(r"[A-Za-z_]\w*")  # of `train+test[:10]`


def held_out_questions(recipe: Recipe, *, local: bool) -> ContaminationIndex:
    """Return the questions of a recipe's evaluation sets, all of their rows, and those of GSM8K's test set.

    Of data sets on the Hub, those that a task of the recipe reads. One that cannot be reached is named in a warning,
    or is an error if the recipe refuses contamination.

    Args:
        recipe (`Recipe`): the run.
        local (`bool`): leave out data sets on the Hub, where reading them may download them.

    Raises:
        RecipeError: if a local file is missing or damaged; with `contamination: refuse`, if a data set cannot be read.
    """
    questions: dict[str, Question] = {}
    unreachable: dict[str, NoConnection] = {}
    for key, source in recipe.evaluation.data.items():
        is_used = source.kind == "file" and _exists(source)
        if source.kind == "hub" and not local:
            is_used = any(data_of_task(task) in (key, None) for task in recipe.evaluation.tasks)
        if not is_used:
            continue
        begin(f"reading the questions of {source.name}")
        try:
            for row in _all_rows(source):
                for text in question_of(row, source.question_key):
                    # Of a question that other sets have too, nothing trains by design.
                    if text not in questions or (questions[text].is_whole and key != OTHER_NUMBERS):
                        questions[text] = Question(key, row.place, text, key == OTHER_NUMBERS)
        except RecipeError as error:
            if source.kind == "file":
                raise
            if recipe.contamination == "refuse":
                raise RecipeError(
                    f"evaluation.data.{key}: source {source.name}: its questions cannot be compared with the training "
                    f"data, and contamination: refuse: {error}"
                ) from error
            if isinstance(error, NoConnection):
                unreachable[key] = error
                continue
            logger.warning(
                "evaluation.data.%s: source %s: its questions are not compared with the training data: %s",
                key, source.name, error,
            )  # fmt: skip
    if unreachable:
        _say_unreachable(recipe, unreachable)
    return published_test_questions(list(questions.values()))


def _say_unreachable(recipe: Recipe, evaluated: Mapping[str, NoConnection]) -> None:
    """Say in one line which data sets no connection leads to: one reason for all of them."""
    trained = dict.fromkeys(source.name for source in sources_to_train(recipe) if source.kind == "hub")
    beside = f", and no stage can train on {', '.join(trained)}" if trained else ""
    logger.warning(
        "evaluation.data: the questions of %s are not compared with the training data%s: %s",
        ", ".join(evaluated), beside, no_connection(next(iter(evaluated.values()))),
    )  # fmt: skip


def published_test_questions(questions: Sequence[Question] = ()) -> ContaminationIndex:
    """Return an index of some questions, and of those of GSM8K's published test set."""
    return ContaminationIndex(list(questions), _gsm8k_test(), GSM8K_TEST)


def data_of_task(name: str) -> str | None:
    """Return the key of `evaluation.data` that a task of the package reads; `None` for a task in a file of its own."""
    return None if name.endswith(".py") else "gsm8k" if name in ("gsm8k_direct", "gold_bits") else name


def gate_of(
    recipe: Recipe, stage: str, sources: Iterable[Source], *, local: bool = False, known: Known | None = None
) -> Gate:
    """Return the gate of a stage that trains on some sources; it looks for nothing if all of them are generated.

    Args:
        recipe (`Recipe`): the run, whose evaluation sets are compared, and GSM8K's test set.
        stage (`str`): the stage, for messages.
        sources (`Iterable[Source]`): what trains.
        local (`bool`, *optional*): leave out evaluation sets on the Hub.
        known (`Known`, *optional*): the questions that were read for other stages or conditions; those that are read
            here are added.

    Raises:
        RecipeError: as `held_out_questions`.
    """
    questions = ContaminationIndex([])
    if any(source.kind != "synthetic" for source in sources):
        known, key = {} if known is None else known, evaluated_in(recipe, local)
        if key not in known:
            known[key] = held_out_questions(recipe, local=local)
        questions = known[key]
    return Gate(questions, stage, refuses=recipe.contamination == "refuse")


def evaluated_in(recipe: Recipe, local: bool) -> str:
    """Return all that the questions of a recipe's evaluation sets depend on, as a key."""
    return repr((recipe.evaluation.data, recipe.evaluation.tasks, recipe.contamination, local))


def refuse_test_data(
    recipe: Recipe, sources: list[Source], stage: str, *, local: bool = True, known: Known | None = None
) -> Gate:
    """Stop a stage that trains if one of its sources is a test set, whatever it is called and however it is written.

    Local files are read, with all their columns and rows. What they hold of evaluation sets is removed where the stage
    reads them.

    Args:
        recipe (`Recipe`): the run, whose evaluation sets are compared, and GSM8K's test set.
        sources (`list[Source]`): what trains.
        stage (`str`): the stage, for messages.
        local, known: as of `gate_of`.

    Returns:
        `Gate`: the account of what was found.

    Raises:
        RecipeError: as `refuse_test_files`; if a source holds more than half of an evaluation set; with
            `contamination: refuse`, if one holds a question, naming its row and the question's.
    """
    refuse_test_files(recipe, sources, stage)
    files = [source for source in sources if source.kind == "file"]
    gate = gate_of(recipe, stage, files, local=local, known=known)
    for source in files:
        rows = _all_rows(source)
        begin(f"comparing {len(rows):,} rows of {source.name} with the questions of the evaluation")
        kept_rows(gate, source, rows)
    gate.finish()
    return gate


def kept_rows(gate: Gate, source: Source, rows: Sequence[Row]) -> list[Row]:
    """Return the rows of a source that hold no question of an evaluation set, in any of their columns and messages.

    Raises:
        RecipeError: as `Gate.examples`, or if none is left.
    """
    if source.kind == "synthetic":
        return list(rows)
    given = ((Place(source.name, row.place), list(_compared(row, source.question_key))) for row in rows)
    kept = [row for row, keep in zip(rows, gate.examples(given), strict=True) if keep]
    if rows and not kept:
        gate.finish()
        raise RecipeError(
            f"source {source.name}: each of its {len(rows):,} rows holds a question of an evaluation set, for example "
            f"{gate.removals[-1].place}; training stages must not read one; remove the source"
        )
    return kept


def log_removals(stage: str, removals: Sequence[Removal], warnings: int) -> None:
    """Say what was removed, if anything was, and what only looks alike."""
    if removals:
        first = removals[0]
        logger.warning(
            "%s: the training data held %d questions of evaluation sets, which were removed; the first: source %s: "
            "%s: %s, %s (%s); %s in the stage's folder lists all",
            stage, len(removals), first.source, first.place, first.evaluation_set, first.question, first.kind,
            CONTAMINATION,
        )  # fmt: skip
    if warnings:
        logger.info("%s: %d texts share a phrase with a question of an evaluation set", stage, warnings)


def generated_questions(
    recipe: Recipe, stage: str, trained: Iterable[str | None]
) -> tuple[dict[str, int], dict[str, int]]:
    """Check by template and numbers that no generated question of an evaluation set trains, but the times table.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): what trains, for messages.
        trained (`Iterable[str | None]`): the clusters of the generated questions that train (`synthetic.cluster_of`).

    Returns:
        `tuple[dict[str, int], dict[str, int]]`: by evaluation set, how many different questions are taught, because
            they are the times table, and how many are held out.

    Raises:
        RecipeError: naming a question that trains and is evaluated.
    """
    known = set(trained)
    taught, held_out = {}, {}
    for key, source in recipe.evaluation.data.items():
        if source.kind != "synthetic":
            continue
        asked = {str(row["cluster"]) for row in read_rows(source, synthetic.EVALUATION_SEED, "test")}
        taught[key] = len(asked & synthetic.TAUGHT)
        held_out[key] = len(asked - synthetic.TAUGHT)
        if both := (asked & known) - synthetic.TAUGHT:
            raise RecipeError(
                f"{stage}: generated questions train that evaluation.data.{key} asks, for example {min(both)}; the "
                "generator's splits must be disjoint; use a release in which they are"
            )
    return taught, held_out


def refuse_test_files(recipe: Recipe, sources: list[Source], stage: str) -> None:
    """Stop a stage that trains if one of its sources is a test set by its name or its bytes; nothing else is read.

    Raises:
        RecipeError: if a Hub source names a test split or one that the evaluation reads, a file is one that the
            evaluation reads (under whatever name) or GSM8K's test set or one of a renumbered set that does not train,
            or a folder holds files of several splits or of a test split.
    """
    on_hub = {
        (_repository(task), split)
        for task in recipe.evaluation.data.values()
        if task.kind == "hub"
        for split in _SPLIT.findall(task.split)
    }
    evaluated = {
        sha256_file(path)
        for task in recipe.evaluation.data.values()
        if task.kind == "file" and _exists(task)
        for path in local_files(task)
    } | {_GSM8K_TEST_SHA256}
    for source in sources:
        splits = _SPLIT.findall(source.split) if source.kind == "hub" else []
        if any(names_test(split) or (_repository(source), split) in on_hub for split in splits):
            raise RecipeError(
                f"{stage}: source {source.name}: split: training stages must not read a test split, nor 'all', got "
                f"{source.split!r}"
            )
        if source.kind == "file":
            check_one_split(source, stage)
            for path in local_files(source):
                if sha256_file(path) in evaluated:
                    raise RecipeError(
                        f"{stage}: source {source.name}: {path} is a test set; training stages must not read one"
                    )


def _repository(source: Source) -> str:
    """Return the name of a data set as the Hub reads it, which takes `foo/bar` for `Foo/Bar`."""
    return str(source.path).strip("/").lower()


def _all_rows(source: Source) -> list[Row]:
    return read_rows(replace(source, max_items=None), 0, "test")


def _exists(source: Source) -> bool:
    try:
        return bool(local_files(source))
    except RecipeError:
        return False  # said where the recipe is checked


def question_of(row: Mapping[str, object], question_key: str | list[str]) -> Iterator[str]:
    """Yield the question of a row of an evaluation set; of a row with unknown columns, all its texts.

    Args:
        row (`Mapping[str, object]`): the row, with the columns of its publishers.
        question_key (`str | list[str]`): the column that the recipe names, or several.
    """
    keys = (question_key,) if isinstance(question_key, str) else tuple(map(str, question_key))
    named = () if keys == ("question",) else (keys,)
    for names in (*named, *_COLUMNS):
        texts = [text for name in names if isinstance(text := row.get(name), str)]
        if len(texts) == len(names):
            yield " ".join(texts)
            return
    for text in texts_of(row):
        if sum(map(str.isalnum, text)) >= _A_QUESTION:
            yield text


def texts_of(value: object) -> Iterator[str]:
    """Yield every text in a row, those in lists and in the messages of a conversation too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from texts_of(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from texts_of(part)


def _compared(row: Row, question_key: str | list[str]) -> Iterator[str]:
    """Yield what of a row is compared: its question, all its texts as one, and the short ones by themselves."""
    texts = list(texts_of(row))
    yield "\n\n".join(texts)
    if len(texts) > 1:
        yield from (text for text in texts if len(text) < _SHORT)
        yield from (text for text in question_of(row, question_key) if text not in texts)


@cache
def _gsm8k_test() -> frozenset[str]:
    return frozenset(json.loads(_GSM8K_TEST_FILE.read_text(encoding="utf-8")))
