"""The preparation is killed at random moments and started again: the same shards, with any number of workers."""

import contextlib
import logging
import math
import os
import random
import re
import shutil
import signal
from pathlib import Path

import multiprocess
import psutil
import pytest
from tiny import ROOT, tiny_arguments

from domain_tokens.corpora.prepare import prepare_data, work_of
from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.runs.files import read_json, sha256_file

logger = logging.getLogger(__name__)

_OF_THE_PLACE = ("manifest.json", "run_config.yaml", ".lock")  # they name a time or a folder, as *.metadata do


def recipe_of(folder: Path, workers: int) -> Recipe:
    """Return a recipe with a small base, or reading GPT-2's 50,257 ids would take most of the time."""
    return load_recipe(
        tiny_arguments(
            folder, "mul_tokens", "corpus.num_shards=4", f"corpus.num_workers={workers}",
            "corpus.validation_fraction=0.1", "corpus.sources.0.max_items=200",
            "base_vocabulary={kind: trained, num_ids: 1500}",
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


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process and of all that it started, which load does not change as it does the clock."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def follow(process: multiprocess.Process, until: float) -> tuple[float, list[psutil.Process]]:
    """Wait until a run ends or has used some CPU time.

    Returns how much it used, and what it started that still ran.
    """
    watched, used, helpers = psutil.Process(process.pid), 0.0, list[psutil.Process]()
    while process.is_alive():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended just now
            used, helpers = max(used, cpu_seconds(watched)), watched.children(recursive=True)
        if used >= until:
            break
        process.join(0.02)
    return used, helpers


def check_kills(folder: Path, expected: dict[str, str | int], workers: int, number: int) -> None:
    """Kill runs at random moments; each goes on where the last was killed, and what is finished is as expected."""
    recipe = recipe_of(folder, workers)
    process = start(recipe)
    whole, _ = follow(process, math.inf)
    assert process.exitcode == 0
    assert made(recipe) == expected
    draw, killed, finished, left = random.Random(number), 0, 0, set()
    left_behind: list[psutil.Process] = []
    share = draw.random() / number
    # Two may both have come before there was any work, and then there are more.
    while killed < number or (not left and killed < 10):
        process = start(recipe)
        _, helpers = follow(process, share * whole)
        if process.is_alive():
            process.kill()
        process.join()
        # A run that was refused, because the killed one still held its folder, would end with 1.
        assert process.exitcode in (0, -signal.SIGKILL)
        for one in (recipe.documents_dir, recipe.corpus_dir):
            left |= {str(path.relative_to(work_of(one))) for path in work_of(one).rglob("*") if path.is_file()}
        if process.exitcode == 0:
            finished += 1
            assert made(recipe) == expected
            share *= draw.random()  # less was left to do than until this moment
        else:
            killed += 1
            left_behind += helpers
            share = (killed % number + draw.random()) / number  # no part of a run is left out
    process = start(recipe)
    process.join()
    assert process.exitcode == 0
    assert made(recipe) == expected
    assert left  # some were killed in the middle of their work
    # None of their own processes outlives them by more than a task.
    assert left_behind or number < 20
    assert not psutil.wait_procs(left_behind, timeout=300)[1]
    logger.info(
        "%d workers: %d kills, %d runs that finished, %.1f CPU-seconds a run", workers, killed, finished + 1, whole
    )


@pytest.mark.slow  # a full disk, and kills of other steps, are fast tests
def test_a_run_that_was_killed_twice_goes_on(undisturbed: tuple[Path, dict[str, str | int]]) -> None:
    check_kills(*undisturbed, workers=1, number=2)


@pytest.mark.slow
@pytest.mark.timeout(7200)  # half an hour of CPU time at most; a machine may be busy
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_run_that_was_killed_twenty_times_makes_the_same_shards(
    workers: int, undisturbed: tuple[Path, dict[str, str | int]]
) -> None:
    check_kills(*undisturbed, workers=workers, number=20)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_message_and_the_run_goes_on(
    undisturbed: tuple[Path, dict[str, str | int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    folder, expected = undisturbed
    recipe = recipe_of(folder, 1)
    for full in (
        work_of(recipe.documents_dir) / "text" / "train" / "00002.jsonl",
        work_of(recipe.corpus_dir) / "train" / "00001_unshuffled.ds",
    ):
        full.parent.mkdir(parents=True)
        full.symlink_to("/dev/full")  # every write to it fails as on a full disk
        with pytest.raises(RecipeError) as caught:
            prepare_data(recipe)
        message = (
            r"tiny: the disk is full \(No space left on device\): [\d.,]+ [MG]B free, .* need about 0\.\d MB in all, "
        )
        assert re.search(message, str(caught.value)), caught.value
        full.unlink()
    done = [path.name for path in (work_of(recipe.corpus_dir) / "state_train" / "completions").iterdir()]
    assert done == ["00000"]
    prepare_data(recipe)
    assert made(recipe) == expected
