"""What the preparation says when the disk is full."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from domain_tokens.corpora.sizes import estimate_disk
from domain_tokens.recipe import Recipe, RecipeError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def full_disk(recipe: Recipe) -> Iterator[None]:
    """Turn the system's error of a full disk, or of a quota that is used up, into a message with sizes."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        folder = recipe.documents_dir.parent
        free = shutil.disk_usage(folder).free
        size = estimate_disk(recipe.corpus, recipe.base_vocabulary.kind)
        needed = "an unknown size (a source has no limit)" if size is None else f"about {_shown(size)}"
        raise RecipeError(
            f"{folder}: the disk is full ({error.strerror}): {_shown(free)} free, and documents and tokens of this "
            f"recipe need {needed} in all, {_shown(_there(recipe))} of which are there; make room and run the same "
            "command again: finished tasks are kept"
        ) from error


def _there(recipe: Recipe) -> int:
    """Return the size of what the preparation has written so far, finished or not."""
    made = (recipe.documents_dir, recipe.corpus_dir)
    folders = [folder.with_name(folder.name + ending) for folder in made for ending in ("", ".work", ".partial")]
    files = {file for folder in folders for file in folder.rglob("*") if file.is_file() and not file.is_symlink()}
    return sum({file.stat().st_ino: file.stat().st_size for file in files}.values())


def _shown(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
