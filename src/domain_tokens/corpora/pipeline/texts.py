"""The documents of a corpus: text, written once for all conditions, without questions of evaluation sets."""

import shutil
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import tee
from pathlib import Path

import orjson
from datatrove.data import Document
from datatrove.pipeline.writers.jsonl import JsonlWriter
from tqdm import tqdm

from domain_tokens.corpora import synthetic
from domain_tokens.corpora.contamination.gate import account, check_sources, clean
from domain_tokens.corpora.contamination.index import ContaminationIndex
from domain_tokens.corpora.documents import ReadSources
from domain_tokens.corpora.held_out import gate_of, generated_questions, log_removals, refuse_test_files
from domain_tokens.corpora.hub import commits_of
from domain_tokens.corpora.pipeline.folders import LocalFolder
from domain_tokens.corpora.preparation.counting import CountDocuments, counted
from domain_tokens.corpora.preparation.executors import DOCUMENTS_JOB, Execution, run_steps, total_of
from domain_tokens.corpora.preparation.mixture import check_files_suffice, check_shares, with_limits
from domain_tokens.corpora.shards import SPLITS
from domain_tokens.corpora.sizes import estimate_bytes
from domain_tokens.corpora.sources import describe, read_documents
from domain_tokens.recipe import Corpus, Recipe, RecipeError
from domain_tokens.runs.files import link_files, read_json, write_json
from domain_tokens.runs.layout import COMMITS, CONTAMINATION, MANIFEST
from domain_tokens.runs.progress import watching
from domain_tokens.runs.records import Contamination, Fields, Removal, RemovalsOfTask, read_record, write_rows
from domain_tokens.runs.stage_folder import StageFolder


def documents_stage(recipe: Recipe) -> StageFolder:
    """Return the folder of the documents, with what it is made from; hashes the sources' local files.

    Raises:
        RecipeError: if a local file is missing, or a source is a test set.
    """
    if not recipe.corpus.sources:
        raise RecipeError("corpus.sources: empty; expected at least one source of documents")
    refuse_test_files(recipe, recipe.corpus.sources, "corpus")
    corpus = recipe.corpus
    inputs: Fields = {
        "seed": corpus.seed,
        "validation_fraction": corpus.validation_fraction,
        "num_shards": corpus.num_shards,
        "sources": [describe(source) for source in corpus.sources],
    }
    if corpus.num_tokens is not None:
        inputs = {**inputs, "num_tokens": corpus.num_tokens}
    return StageFolder("documents", recipe.documents_dir, inputs)


def work_of(folder: Path) -> Path:
    """Return where the unfinished work of a folder of documents or shards is kept."""
    return folder.with_name(f"{folder.name}.work")


def prepare_documents(recipe: Recipe, execution: Execution = Execution()) -> None:  # noqa: B008  (immutable)
    """Read, clean and write the documents of a recipe unless they are there already.

    Args:
        recipe (`Recipe`): the run.
        execution (`Execution`, *optional*): who reads; one task after the other in this process by default.

    Raises:
        RecipeError: if a source is missing, damaged or a test set, or complete documents hold a question of an
            evaluation set that has changed since.
    """
    corpus, stage = recipe.corpus, documents_stage(recipe)
    generated = [source for source in corpus.sources if source.kind == "synthetic"]
    questions = gate_of(recipe, "corpus", corpus.sources).index
    asked = (cluster for source in generated for cluster in synthetic.asked_by(source.what, "train"))
    by_number = generated_questions(recipe, "corpus", asked)
    if stage.is_complete():
        _compare_again(recipe, questions)
        return
    work = work_of(recipe.documents_dir)
    commits = commits_of(corpus.sources, read_json(work / COMMITS) if (work / COMMITS).is_file() else {})
    pinned = [replace(source, revision=commits.get(source.name, source.revision)) for source in corpus.sources]
    corpus = with_limits(replace(corpus, sources=pinned))
    check_files_suffice(corpus)
    check_not_empty(corpus)  # fail here on an unreadable source, not later in many processes
    stage.open_work(work, recipe)
    write_json(work / COMMITS, commits)
    reader = ReadSources(corpus, questions, recipe.contamination == "refuse", work / "removals")
    writer = JsonlWriter(
        LocalFolder(work / "text"), output_filename="${split}/${rank}.jsonl", compression=None, adapter=_as_row
    )
    counts = work / "counts"
    with watching("documents", partial(counted, counts), estimate_bytes(corpus)):
        steps = [reader, CountDocuments(counts), writer]
        run_steps(steps, work / "state", corpus.num_shards, execution, name=DOCUMENTS_JOB)
    removals, found = _checked(corpus, work, questions, *by_number)
    with stage.writing(recipe) as (folder, manifest):
        for split in SPLITS:
            # Linked and not moved: a kill before the folder is complete must not take the documents along.
            link_files(work / "text" / split, folder / split)
        if removals:
            write_rows(folder / CONTAMINATION, removals)
        manifest["contamination"] = found
        manifest["neutralized_markers"] = total_of(work / "state", "neutralized")
        if commits:
            manifest["hub_commits"] = commits
    shutil.rmtree(work)


def check_not_empty(corpus: Corpus) -> None:
    """Read the first document of every source. Raises `RecipeError` if there is none or it cannot be read."""
    for source in corpus.sources:
        if next(read_documents(source, corpus.seed, corpus.validation_fraction, 0, 1), None) is None:
            raise RecipeError(f"source {source.name}: no documents in {source.path}; expected at least one")


def _checked(
    corpus: Corpus, work: Path, questions: ContaminationIndex, taught: dict[str, int], held_out: dict[str, int]
) -> tuple[list[Removal], Contamination]:
    """Check what all tasks have written; return what they removed, and the account of it.

    What does not pass is removed: every task is finished, and only other sources or shares would help, which could not
    go on with this work.
    """
    try:
        removed = _removed(questions, work / "removals", taught, held_out)  # why there may be too little text
        check_shares(corpus, work / "state")
        _check_splits(corpus, work / "text")
        return removed
    except RecipeError:
        shutil.rmtree(work)
        raise


def _as_row(_: JsonlWriter, document: Document) -> dict[str, str]:
    """Return a document as the writer's own adapter does, which copies it deeply for twice the time of writing it."""
    return {"text": document.text, "id": document.id, **document.metadata}


def _check_splits(corpus: Corpus, text: Path) -> None:
    for split in SPLITS:
        if not list((text / split).glob("*.jsonl")):
            raise RecipeError(
                f"corpus: no document in the {split} split; add documents or change corpus.validation_fraction "
                f"(now {corpus.validation_fraction})"
            )


def _removed(
    questions: ContaminationIndex, folder: Path, taught: dict[str, int], held_out: dict[str, int]
) -> tuple[list[Removal], Contamination]:
    """Return what all tasks removed, and the account of it.

    Raises:
        RecipeError: if a source is a test set, or a task that was done before an interruption looked for others.
    """
    tasks = [read_record(file, RemovalsOfTask) for file in sorted(folder.iterdir())]
    if any(task.questions_sha256 != questions.sha256 for task in tasks):
        raise RecipeError(
            f"{folder.parent}: begun with other evaluation sets, and removed; run scripts/prepare_data.py again"
        )
    removals = [removal for task in tasks for removal in task.removals]
    texts: Counter[str] = Counter()
    for task in tasks:
        texts.update(task.texts)
    check_sources(questions, "corpus", removals, texts)
    log_removals("corpus", removals, warnings := sum(task.warnings for task in tasks))
    return removals, account(questions, removals, warnings, taught, held_out)


def _compare_again(recipe: Recipe, questions: ContaminationIndex) -> None:
    """Compare finished documents with the evaluation sets if these have changed since the documents were made."""
    folder = recipe.documents_dir
    manifest = read_json(folder / MANIFEST)
    never = {"questions": {}, "questions_sha256": ""}  # by an earlier version
    known = Contamination.parse(manifest.get("contamination", never), folder / MANIFEST)
    if known.texts and recipe.contamination == "refuse":
        raise RecipeError(
            f"{folder}: {sum(known.texts.values()):,} of its documents held a question of an evaluation set, now "
            f"removed ({CONTAMINATION} lists them); contamination: refuse, so nothing trains; remove them from their "
            f"sources, and {folder}, and run scripts/prepare_data.py again"
        )
    if questions.sha256 in (known.questions_sha256, *known.compared_later):
        return
    generated = {source.name for source in recipe.corpus.sources if source.kind == "synthetic"}
    for file in sorted(folder.glob("*/*.jsonl")):
        with file.open("rb") as lines:
            shown = tqdm(lines, desc=f"comparing {file.name}", unit=" docs", disable=None)
            documents = (one for one in map(orjson.loads, shown) if one["source"] not in generated)
            ours, theirs = tee(documents)
            for document, cleaned in zip(ours, clean(questions, (one["text"] for one in theirs)), strict=True):
                if cleaned.found:
                    question = questions.questions[cleaned.found[0].question]
                    raise RecipeError(
                        f"{file}: document {document['id']} contains a question of an evaluation set that was added "
                        f"or changed since: {question.source}, {question.item}; training stages must not read one; "
                        f"remove {folder} and run scripts/prepare_data.py again"
                    )
    known = known.model_copy(update={"compared_later": (*known.compared_later, questions.sha256)})
    write_json(folder / MANIFEST, manifest | {"contamination": known.as_json()})
