"""Checks what is pushed, and what was downloaded before any of it has its place.

Every downloaded file is listed somewhere, and is as it was listed. The lists are the manifest of a stage,
`verified.json` of a checkpoint, and for all else `published.json`, which has a hash of itself. They find damage and
mistakes, and are no signature.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from domain_tokens.publishing.allowed import (
    PLACEMENT,
    TOKENIZER_RECORDS,
    is_of_checkpoint,
    is_of_results,
    is_of_stage,
)
from domain_tokens.publishing.names import Placement, is_final_of
from domain_tokens.recipe import RecipeError, read_resolved
from domain_tokens.runs.checkpoints.verified import damage_of
from domain_tokens.runs.files import read_json, sha256_file, sha256_weights
from domain_tokens.runs.layout import ADAPTER_CONFIG, INPUTS, MANIFEST, README, RUN_CONFIG, TOKENIZER, VERIFIED
from domain_tokens.runs.records import Manifest, read_record
from domain_tokens.tokenization.certificate import CERTIFICATE, check_certificate
from domain_tokens.tokenization.contract import tokenizer_sha256

_ADVICE_FOR_A_MAKER = re.compile(r"; (?=[^;]*\b(?:run|build|rebuild|remove)\b)[^;]*$")


def check_stage(folder: Path, manifest: Manifest) -> None:
    """Check the files of a final folder against its manifest, and its tokenizer against the certificate.

    Raises:
        RecipeError: naming the first file that is missing or was changed.
    """
    for name, digest in manifest.files.items():
        if not (folder / name).is_file():
            raise RecipeError(f"{folder / name}: missing, but the manifest lists it; expected the folder as it was")
        if sha256_file(folder / name) != digest:
            raise RecipeError(f"{folder / name}: changed since the manifest was written; expected the file as it was")
    if sha256_weights(folder) != manifest.weights_sha256:
        raise RecipeError(f"{folder}: the weights are not those that the manifest records; expected them as they were")
    check_certificate(folder)


def check_tokenizer_records(folder: Path, model: Path) -> None:
    """Check the records of a condition's tokenizer: its manifest and its recipe, as far as they are there.

    Args:
        folder (`Path`): where they are.
        model (`Path`): the final folder of a stage that used the tokenizer.

    Raises:
        RecipeError: if they are of another tokenizer, or the recipe is not the one that the manifest lists.
    """
    if not (folder / MANIFEST).is_file():
        return
    manifest = read_record(folder / MANIFEST, Manifest)
    if manifest.tokenizer_sha256 != tokenizer_sha256(model):
        raise RecipeError(f"{folder / MANIFEST}: is of another tokenizer; expected that beside the weights")
    recipe = folder / RUN_CONFIG
    if recipe.is_file() and manifest.files.get(RUN_CONFIG) != sha256_file(recipe):
        raise RecipeError(f"{recipe}: changed since the manifest beside it was written; expected the file as it was")


def experiment_of(run_config: Path) -> str | None:
    """Return the experiment that a resolved recipe names; `None` without the file, or if it names none."""
    found = read_resolved(run_config).get("experiment") if run_config.is_file() else None
    return None if found is None else str(found)


@contextmanager
def as_downloaded(folder: Path) -> Iterator[None]:
    """Word what the checks of a run say for somebody who has not made it: by the file's name in the repository."""
    try:
        yield
    except RecipeError as error:
        message = str(error).replace(f"{folder}/", "").replace(f"{folder}: ", "")
        raise RecipeError(_ADVICE_FOR_A_MAKER.sub("; expected the files as they were pushed", message)) from error


def check_download(folder: Path, placement: Placement) -> None:
    """Check every file that will be laid out, and that they are of what `published.json` says.

    Args:
        folder (`Path`): the files of one revision.
        placement (`Placement`): what it is of.

    Raises:
        RecipeError: naming the file that is wrong.
    """
    with as_downloaded(folder):
        _check_hashes(folder, placement.files or {})
        if placement.kind == "results":
            found = [path for path in files_in(folder) if is_of_results(path)]
            _refuse_unlisted(found, placement, {})
            _check_experiment(folder.glob(f"exp_*/{TOKENIZER}/{RUN_CONFIG}"), placement)
        elif placement.kind == "checkpoint":
            _check_checkpoint(folder, placement)
        else:
            _check_final_folder(folder, placement)


def files_in(folder: Path) -> list[str]:
    """Return the downloaded files, without what the library keeps beside them."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if path.parts[0] != ".cache")


def _check_hashes(folder: Path, listed: Mapping[str, str]) -> None:
    there = {*files_in(folder)}
    for path, digest in listed.items():
        if path not in there:
            raise RecipeError(f"{path}: missing, but {PLACEMENT} lists it; expected the files that were pushed")
        if sha256_file(folder / path) != digest:
            raise RecipeError(f"{path}: changed since {PLACEMENT} was written; expected the files that were pushed")


def _refuse_unlisted(found: Collection[str], placement: Placement, listed: Collection[str]) -> None:
    for path in found:
        if path not in listed and path not in (placement.files or {}) and path not in (README, PLACEMENT):
            raise RecipeError(f"{path}: nothing lists it with its hash; expected the files that were pushed")


def _refuse_others(listed: Collection[str], allowed: Collection[str], where: str) -> None:
    """Refuse names that would be files elsewhere on this machine, or files that are never published."""
    if others := sorted({*listed} - {*allowed}):
        raise RecipeError(
            f"{where}: lists {others[0]!r}, which is no file that is published; expected a list of those"
        )


def _check_final_folder(folder: Path, placement: Placement) -> None:
    if not (folder / MANIFEST).is_file():
        raise RecipeError(f"it has no {MANIFEST}, so nothing of it can be checked; expected a finished stage")
    manifest = read_record(folder / MANIFEST, Manifest)
    trained = manifest.ledger[-1].stage.replace("/", "_", 1) if manifest.ledger else None
    if trained != placement.stage or not is_final_of(str(placement.model), str(trained)):
        raise RecipeError(
            f"{MANIFEST} is of the stage {trained}, and {PLACEMENT} of {placement.stage} ({placement.model}); "
            "expected them to agree"
        )
    if (manifest.condition, manifest.seed) != (placement.condition, placement.seed):
        raise RecipeError(
            f"{MANIFEST} is of {manifest.condition}, seed {manifest.seed}, and {PLACEMENT} of {placement.condition}, "
            f"seed {placement.seed}; expected them to agree"
        )
    _check_experiment([folder / RUN_CONFIG], placement)
    _refuse_others(manifest.files, [name for name in manifest.files if is_of_stage(name)], MANIFEST)
    found = [path for path in files_in(folder) if is_of_stage(path) or path in TOKENIZER_RECORDS]
    _refuse_unlisted(found, placement, manifest.files)
    check_stage(folder, manifest)
    record = folder / TOKENIZER / MANIFEST
    if record.is_file():
        beside = [name for name in read_record(record, Manifest).files if is_of_stage(name) and name != MANIFEST]
        _refuse_others(read_record(record, Manifest).files, beside, TOKENIZER_RECORDS[0])
    check_tokenizer_records(folder / TOKENIZER, folder)


def _check_checkpoint(folder: Path, placement: Placement) -> None:
    damage = damage_of(folder, to_resume=False)
    if damage is not None:
        raise RecipeError(f"{damage}; expected the files that were pushed")
    listed = read_json(folder / VERIFIED)
    _refuse_others(listed, [name for name in listed if is_of_checkpoint(name)], VERIFIED)
    _refuse_unlisted([path for path in files_in(folder) if is_of_checkpoint(path)], placement, listed)
    # A checkpoint of adapters holds them alone: `adapter_config.json` names the model below them.
    is_whole = CERTIFICATE in listed and ({"config.json", ADAPTER_CONFIG} & listed.keys())
    if not is_whole or not any(one.endswith(".safetensors") for one in listed):
        raise RecipeError(f"{VERIFIED}: lists no whole model; expected weights, config.json and {CERTIFICATE} in it")
    if not {VERIFIED, INPUTS} <= {*(placement.files or {})}:
        raise RecipeError(f"{PLACEMENT}: lists no {VERIFIED} or no {INPUTS}; expected both, with their hashes")
    check_certificate(folder)
    inputs = read_json(folder / INPUTS)
    if not isinstance(inputs, dict):
        raise RecipeError(f"{INPUTS}: expected a mapping, as the stage wrote it, got {type(inputs).__name__}")
    corpus = inputs.get("corpus")  # of pretraining; the other stages say it themselves
    tokenizer = (corpus if isinstance(corpus, dict) else inputs).get("tokenizer_sha256")
    if (inputs.get("seed"), tokenizer) != (placement.seed, tokenizer_sha256(folder)):
        raise RecipeError(
            f"{INPUTS} is of seed {inputs.get('seed')} and the tokenizer {str(tokenizer)[:12]}, and {PLACEMENT} of "
            f"{placement.condition}, seed {placement.seed}, with the tokenizer {tokenizer_sha256(folder)[:12]} beside "
            "it; expected them to agree"
        )


def _check_experiment(run_configs: Collection[Path] | Iterator[Path], placement: Placement) -> None:
    for path in run_configs:
        if (experiment := experiment_of(path)) not in (None, placement.experiment):
            raise RecipeError(
                f"{path}: is of {experiment}, and {PLACEMENT} of {placement.experiment}; expected them to agree"
            )
