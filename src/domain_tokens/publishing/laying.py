"""Lays a downloaded repository out where a stage would have made it, after every file of it was checked."""

import filecmp
import os
import shutil
from pathlib import Path

from domain_tokens.publishing.allowed import TOKENIZER_RECORDS, is_of_checkpoint, is_of_results, is_of_stage
from domain_tokens.publishing.checking import check_download, check_stage, files_in
from domain_tokens.publishing.names import Placement
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.checkpoints.verified import damage_of
from domain_tokens.runs.files import read_json, sha256_json
from domain_tokens.runs.layout import (
    INPUTS,
    MANIFEST,
    SIDE_CODE,
    TOKENIZER,
    VERIFIED,
    weights_folder,
)
from domain_tokens.runs.records import Manifest, read_record
from domain_tokens.tokenization.contract import copy_tokenizer, tokenizer_sha256

_ACCOUNT = "_published"
"""The end of the name of a folder with the manifest of a corpus alone. In the corpus's own folder, it would say that
the shards are there."""


def lay(folder: Path, placement: Placement, output_dir: Path) -> tuple[Path, bool]:
    """Check what was downloaded and move it to its place.

    Args:
        folder (`Path`): the files of one revision.
        placement (`Placement`): what it is of.
        output_dir (`Path`): where experiments are.

    Returns:
        `tuple[Path, bool]`: where it is, and whether it was not there before.

    Raises:
        RecipeError: naming the file that is wrong, or what is in its place. Nothing was laid out then.
    """
    check_download(folder, placement)
    if placement.kind == "results":
        return _lay_results(folder, placement, placement.experiment_dir(output_dir))
    if placement.kind == "checkpoint":
        return _lay_checkpoint(folder, placement, placement.run_dir(output_dir))
    return _lay_stage(folder, placement, placement.run_dir(output_dir))


def _lay_stage(folder: Path, placement: Placement, run: Path) -> tuple[Path, bool]:
    target = run / str(placement.model)
    if (target / MANIFEST).is_file():
        if read_json(target / MANIFEST) != read_json(folder / MANIFEST):
            raise RecipeError(f"{target}: another run of this stage is there; expected another --output-dir")
        check_stage(target, read_record(target / MANIFEST, Manifest))
        _lay_tokenizer(folder, run.parent / TOKENIZER)
        return target, False
    _refuse_what_is_there(target)
    _lay_tokenizer(folder, run.parent / TOKENIZER)
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for path in files_in(folder):
        if is_of_stage(path):
            _move(folder / path, partial / path)
    partial.rename(target)
    return target, True


def _lay_tokenizer(folder: Path, target: Path) -> None:
    """Make the condition's tokenizer of the copy beside a model, unless it is there."""
    if (target / "tokenizer.json").is_file():
        if tokenizer_sha256(target) != tokenizer_sha256(folder):
            raise RecipeError(f"{target}: the condition has another tokenizer here; expected another --output-dir")
        return
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    copy_tokenizer(folder, partial)
    for record in TOKENIZER_RECORDS:
        if (folder / record).is_file():
            shutil.copyfile(folder / record, partial / Path(record).name)
    partial.rename(target)


def _lay_checkpoint(folder: Path, placement: Placement, run: Path) -> tuple[Path, bool]:
    listed = read_json(folder / VERIFIED)
    work = run / "checkpoints" / str(placement.stage)
    target = weights_folder(work, placement.step or 0)
    inputs = read_json(folder / INPUTS)
    if (work / INPUTS).is_file() and sha256_json(read_json(work / INPUTS)) != sha256_json(inputs):
        raise RecipeError(f"{work}: checkpoints of a stage with other inputs are there; expected another --output-dir")
    if target.is_dir() and damage_of(target, to_resume=False) is None:
        if not listed.items() <= read_json(target / VERIFIED).items():
            raise RecipeError(f"{target}: another model of this step is there; expected another --output-dir")
        return target, False
    _refuse_what_is_there(target)
    _lay_tokenizer(folder, run.parent / TOKENIZER)
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for path in files_in(folder):
        if is_of_checkpoint(path) and path != INPUTS:
            _move(folder / path, partial / path)
    if not (work / INPUTS).is_file():
        _move(folder / INPUTS, work / INPUTS)
    partial.rename(target)
    return target, True


def _lay_results(folder: Path, placement: Placement, experiment: Path) -> tuple[Path, bool]:
    found = [path for path in files_in(folder) if is_of_results(path)]
    places = {path: experiment / _place_of(path) for path in found}
    for path, place in places.items():
        if os.path.lexists(place) and not (place.is_file() and filecmp.cmp(folder / path, place, shallow=False)):
            raise RecipeError(f"{place}: is there and differs from {path}; expected another --output-dir")
    missing = {path: place for path, place in places.items() if not place.is_file()}
    for path, place in missing.items():
        _move(folder / path, place)
    return experiment, bool(missing)


def _place_of(path: str) -> Path:
    """Return where a file of the results goes: the manifest of a corpus not where the corpus would be.

    What evaluation needs of a corpus goes where it is looked for.
    """
    condition, _, rest = path.partition("/")
    corpus, _, name = rest.partition("/")
    is_record = corpus.startswith("corpus_") and name != SIDE_CODE
    return Path(condition, f"{corpus}{_ACCOUNT}", name) if is_record else Path(path)


def _refuse_what_is_there(target: Path) -> None:
    if os.path.lexists(target):
        raise RecipeError(f"{target}: something unfinished is there; remove it, or expected another --output-dir")


def _move(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, place)
