"""The preparation is killed at random moments and started again: the same shards, with any number of workers."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import multiprocess
import psutil
import pytest
from tiny import ROOT, tiny_arguments

from domain_tokens.corpora.prepare import prepare_data, work_of
from domain_tokens.recipe import Recipe, load_recipe
from domain_tokens.runs.files import read_json, sha256_file

_OF_THE_PLACE = ("manifest.json", "run_config.yaml", ".lock")  # they name a time or a folder, as *.metadata do


def recipe_of(folder: Path, workers: int) -> Recipe:
    return load_recipe(
        tiny_arguments(
            folder, "mul_tokens", "corpus.num_shards=4", f"corpus.num_workers={workers}",
            "corpus.validation_fraction=0.1", "corpus.sources.0.max_items=200",
        )
    )  # fmt: skip


def prepare(recipe: Recipe) -> None:
    os.chdir(ROOT)
    prepare_data(recipe)


def start(recipe: Recipe) -> multiprocess.Process:
    process = multiprocess.get_context("fork").Process(target=prepare, args=(recipe,))
    process.start()
    return process


def made(recipe: Recipe) -> dict[str, str | int]:
    """Return the hashes of documents and shards and what was counted, and make room for the next run."""
    found: dict[str, str | int] = {}
    for folder in (recipe.documents_dir, recipe.corpus_dir):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.name not in _OF_THE_PLACE and file.suffix != ".metadata":
                found[f"{folder.name}/{file.relative_to(folder)}"] = sha256_file(file)
        assert not work_of(folder).exists()
    found["neutralized"] = read_json(recipe.documents_dir / "manifest.json")["neutralized_markers"]
    assert len(found) > 20
    remove(recipe)
    return found


def remove(recipe: Recipe) -> None:
    for folder in (recipe.documents_dir, recipe.corpus_dir):
        for path in (folder, work_of(folder)):
            shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str | int]]:
    """A folder with a finished tokenizer, and what a run makes there that nobody kills."""
    folder = tmp_path_factory.mktemp("kills")
    recipe = recipe_of(folder, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        prepare_data(recipe)
    return folder, made(recipe)


def kill_often(recipe: Recipe, seconds: float, number: int) -> set[str]:
    """Kill runs, each after a random time; return the files of unfinished work that lay there then."""
    draw, left, killed = random.Random(number), set(), 0
    helpers: list[psutil.Process] = []
    while killed < number:
        process = start(recipe)
        process.join(draw.uniform(0, seconds))
        children = []
        if process.is_alive():
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            killed += 1
        process.join()
        helpers += children
        # A run that was refused, because the killed one still held its folder, would end with 1.
        assert process.exitcode in (0, -signal.SIGKILL)
        if process.exitcode == 0:
            remove(recipe)
        for folder in (recipe.documents_dir, recipe.corpus_dir):
            left |= {str(path.relative_to(work_of(folder))) for path in work_of(folder).rglob("*") if path.is_file()}
    assert helpers  # each run has one at least, and none may outlive it by more than a task
    assert not psutil.wait_procs(helpers, timeout=30)[1]
    return left


def check_kills(folder: Path, expected: dict[str, str | int], workers: int, number: int) -> None:
    recipe = recipe_of(folder, workers)
    began = time.monotonic()
    process = start(recipe)
    process.join()
    seconds = time.monotonic() - began
    assert made(recipe) == expected
    assert kill_often(recipe, seconds, number)
    process = start(recipe)
    process.join()
    assert process.exitcode == 0
    assert made(recipe) == expected


def test_a_run_that_was_killed_twice_goes_on(undisturbed: tuple[Path, dict[str, str | int]]) -> None:
    check_kills(*undisturbed, workers=1, number=2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_run_that_was_killed_twenty_times_makes_the_same_shards(
    workers: int, undisturbed: tuple[Path, dict[str, str | int]]
) -> None:
    check_kills(*undisturbed, workers=workers, number=20)
