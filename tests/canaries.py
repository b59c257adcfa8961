"""Secrets that every process of the tests has in its environment, and the search for what they left in files."""

import base64
import gzip
import zipfile
from collections.abc import Iterator
from pathlib import Path

CANARIES = {
    "HF_TOKEN": "hf_canaryQ7mZt2LxVb9RkWc4NsJd8Yp",
    "OPENAI_API_KEY": "sk-canary-T5hGf3XqPz8BnMw6KvLc1Rj",
    "WANDB_API_KEY": "c0ffee5eed0ddba11ca9a3b1ade5ca1ab1e0fade",
}
"""Variables and their values, each with the form of a real one."""


def files_with_secrets(folder: Path) -> tuple[list[str], int]:
    """Return the files below a folder that hold a canary, each with its variable, and how many files were read.

    A secret is found as it is, in UTF-16 and in base64 with its name and a colon before it, as in a header. Archives,
    the checkpoints of torch among them, and gzip are searched inside.
    """
    forms = [(name, form) for name, value in CANARIES.items() for form in _forms(value)]
    found, read = [], 0
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            read += 1
            texts = [str(path).encode(), *_contents(path)]
            found += [f"{path}: {name}" for name, form in forms if any(form in text for text in texts)]
    return found, read


def _forms(value: str) -> list[bytes]:
    plain = value.encode()
    # As `user:key` of an address, and at each of the three places that a byte can have in base64.
    inner = [base64.b64encode(b"x" * shift + plain)[4:-4] for shift in range(3)]
    return [plain, value.encode("utf-16-le"), *inner]


def _contents(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    yield content
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from map(archive.read, archive.namelist())
    elif content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content)
