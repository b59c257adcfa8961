"""Compares the shards of a corpus with its manifest before a model is trained on them."""

import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from domain_tokens.corpora.preparation.records import SHARDS
from domain_tokens.corpora.shards import SPLITS
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import sha256_file
from domain_tokens.runs.records import Manifest

logger = logging.getLogger(__name__)

_THREADS = 8  # hashing leaves Python's lock: one core does 2 GB/s, and disks are slower than a few of them


def check_shards(folder: Path, manifest: Manifest) -> None:
    """Compare the files of a corpus's splits with the hashes in its manifest: names first, then every byte.

    Args:
        folder (`Path`): the corpus.
        manifest (`Manifest`): its manifest.

    Raises:
        RecipeError: naming a file that is missing, that the corpus was made without, or whose content differs.
    """
    expected = {name: sha256 for name, sha256 in manifest.files.items() if _is_checked(name)}
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    remedy = f"remove {folder} and run scripts/prepare_data.py again"
    for name in sorted(expected.keys() - found):
        raise RecipeError(f"{folder / name}: missing; the manifest lists it; put it back, or {remedy}")
    for name in sorted(name for name in found - expected.keys() if _is_checked(name)):
        raise RecipeError(f"{folder / name}: not one of this corpus's files; move it elsewhere, or {remedy}")
    start = time.monotonic()
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        hashes = dict(zip(expected, pool.map(lambda name: sha256_file(folder / name), expected), strict=True))
    owners = {sha256: name for name, sha256 in expected.items()}
    for name, sha256 in sorted(hashes.items()):
        if sha256 != expected[name]:
            other = owners.get(sha256)
            what = "damaged or changed" if other is None else f"holds what belongs into {other}"
            raise RecipeError(
                f"{folder / name}: {what} (sha256 expected {expected[name][:12]}, got {sha256[:12]}); {remedy}"
            )
    size = sum((folder / name).stat().st_size for name in expected)
    logger.info("corpus: %d files, %.1f MB compared with the manifest in %.1f s", len(expected), size / 1e6,
                time.monotonic() - start)  # fmt: skip


def _is_checked(name: str) -> bool:
    """Return whether a file is read by training, or describes what is."""
    return name == SHARDS or name.partition("/")[0] in SPLITS
