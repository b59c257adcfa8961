"""The certificate of a tokenizer: hashes of its contents and of the ids it gives 10,000 fixed strings.

The hashes of its files and parts show that the folder holds what was built; the hash of the ids shows that the
installed library still reads it the same way. The files are hashed at every load: 10 ms. The parts are hashed again
only if a file differs from the certified one: transformers rewrites a saved tokenizer in a different form. The strings
are encoded only if the certificate was made by another build of `tokenizers`, since one build always reads a tokenizer
the same way; a build is known by the sha256 of its binary, so two builds of one version are told apart.
"""

import hashlib
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json, sha256_file, sha256_json, write_json

CERTIFICATE = "certificate.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
# Keys that transformers adds when a loaded tokenizer is saved again, and the one that has a hash of its own.
_NOT_CERTIFIED = ("is_local", "local_files_only", "name_or_path", "intervention")
NUM_STRINGS = 10_000

# What the strings are made of: products right, wrong and out of range in every notation, their neighbours, plain
# words, other scripts, white space, and what controls or looks like a token.
_PIECES = (
    ["*", "×", "x", "·", r"\times", " * ", " × ", " x ", "+", "-", "=", " = ", "/", "^", ".", ",", "%", "$", "(", ")"]
    + [str(number) for number in range(21)]
    + [f"{a}*{b}={a * b}" for a in range(1, 10) for b in range(1, 10)]
    + ["6*9=55", "16*9", "6*95", "3.6*9", "2**3", "2*3*4", "1,006*9", "0x6", "-6*9", "6*9%", " times ", "six", "nine"]
    + ["the", " of", " and", " apples", "The", "What is", "?", "!", ". ", ", ", "\n", "\n\n", "\t", "  ", "    "]
    + [
        "日本",
        "六九五十四",
        "乘",
        "é",
        "naïve",
        "Ω",
        "👩‍👩‍👧",
        "\u00a0",
        "\u200b",
        "\u202e",
        "\r\n",
        "\x00",
        "ß",
        "I'll",
        "don't",
    ]
    + ["<MUL_6_9_54>", "<MUL_6_9", "_54>", "<|endoftext|>", "<|endof", "#### 54", "User:", "Assistant:", "2026-11-21"]
)


@dataclass(frozen=True)
class Parts:
    """The hashes of what a tokenizer's folder says. Files that say the same in other words have the same hashes."""

    vocabulary_sha256: str
    merges_sha256: str
    rules_sha256: str
    intervention_sha256: str
    configuration_sha256: str
    chat_template_sha256: str | None


@dataclass(frozen=True)
class Library:
    """The build of `tokenizers` that encoded the strings."""

    tokenizers: str
    binary_sha256: str


@cache
def fixed_strings() -> tuple[str, ...]:
    """Return the strings whose ids a certificate holds the hash of; the same everywhere."""
    draw = random.Random(0)
    return tuple("".join(draw.choice(_PIECES) for _ in range(draw.randint(1, 12))) for _ in range(NUM_STRINGS))


@cache
def installed_library() -> Library:
    """Return the installed build of `tokenizers`."""
    import tokenizers

    return Library(tokenizers.__version__, sha256_file(Path(tokenizers.tokenizers.__file__)))


# What this process knows: the parts of files by their hashes, and the hash of the ids, encoded here or certified for
# the installed library. A stage writes the tokenizer that it has read into half a dozen folders.
_parts_known: dict[tuple[tuple[str, str], ...], Parts] = {}
_ids_known: dict[Parts, str] = {}


def write_certificate(folder: Path) -> None:
    """Write `certificate.json` beside a tokenizer."""
    parts = folder_parts(folder)
    if parts not in _ids_known:
        _ids_known[parts] = _encode(folder)
    certificate = {
        **asdict(parts),
        "num_strings": NUM_STRINGS,
        "ids_sha256": _ids_known[parts],
        "library": asdict(installed_library()),
        "files": dict(_files(folder)),
    }
    write_json(folder / CERTIFICATE, certificate | {"certificate_sha256": _seal(certificate)})


def check_certificate(folder: Path) -> None:
    """Compare a tokenizer with its certificate.

    The strings are encoded if the certificate names another library than the installed one, if it names none (it was
    written before version 0.4), or if it was changed itself.

    Raises:
        RecipeError: if there is none, or naming what differs from it.
    """
    if not (folder / CERTIFICATE).is_file():
        raise RecipeError(
            f"{folder}: no {CERTIFICATE}, so this tokenizer cannot be verified; rebuild it with "
            "scripts/build_tokenizer.py or scripts/prepare_data.py"
        )
    expected = _read(folder)

    def expect(key: str, found: object, why: str) -> None:
        if expected.get(key) != found:
            raise RecipeError(f"{folder}: {key} is {found!r}, its certificate says {expected.get(key)!r}: {why}")

    changed = "the folder was changed after it was built; build it again with scripts/build_tokenizer.py"
    parts = folder_parts(folder)
    for key, found in (asdict(parts) | {"num_strings": NUM_STRINGS}).items():
        expect(key, found, changed)
    if not _is_whole(expected) or expected.get("library") != asdict(installed_library()):
        expect(
            "ids_sha256",
            _encode(folder),
            "the installed tokenizers library reads it differently from the one that built it; "
            "install the versions of constraints.txt",
        )
    if "certificate_sha256" in expected:
        expect("certificate_sha256", _seal(expected), changed)
    _ids_known[parts] = str(expected["ids_sha256"])


def certificate_sha256(folder: Path) -> str:
    """Return the seal of a tokenizer's certificate. Raises `RecipeError` if it has none."""
    return _seal(_read(folder))


def folder_parts(folder: Path) -> Parts:
    """Return the hashes of a tokenizer's parts; those of certified files are read from the certificate."""
    files = _files(folder)
    if files not in _parts_known:
        certificate = _read(folder) if (folder / CERTIFICATE).is_file() else {}
        if _is_whole(certificate) and certificate.get("files") == dict(files):
            _parts_known[files] = Parts(**{one.name: certificate[one.name] for one in fields(Parts)})
        else:
            _parts_known[files] = _hash_parts(folder)
    return _parts_known[files]


def _files(folder: Path) -> tuple[tuple[str, str], ...]:
    """Return the names and hashes of a tokenizer's files."""
    return tuple((name, sha256_file(folder / name)) for name in TOKENIZER_FILES if (folder / name).is_file())


def _read(folder: Path) -> dict[str, Any]:
    certificate = read_json(folder / CERTIFICATE)
    if not isinstance(certificate, dict):
        raise RecipeError(f"{folder / CERTIFICATE}: no certificate; build the tokenizer again")
    return certificate


def _seal(certificate: Mapping[str, object]) -> str:
    """Return the hash of a certificate's other entries."""
    return sha256_json({key: value for key, value in certificate.items() if key != "certificate_sha256"})


def _is_whole(certificate: Mapping[str, object]) -> bool:
    """Return whether a certificate is as it was written; those before version 0.4 cannot tell."""
    return certificate.get("certificate_sha256") == _seal(certificate)


def _hash_parts(folder: Path) -> Parts:
    saved = read_json(folder / "tokenizer.json")
    model = saved.pop("model")
    vocabulary, merges = model.pop("vocab"), model.pop("merges", [])  # a Unigram has none
    config = read_json(folder / "tokenizer_config.json")
    template = folder / "chat_template.jinja"
    return Parts(
        vocabulary_sha256=sha256_json(vocabulary),
        merges_sha256=sha256_json(merges),
        rules_sha256=sha256_json([model, saved]),
        intervention_sha256=sha256_json(config.get("intervention")),
        configuration_sha256=sha256_json({key: value for key, value in config.items() if key not in _NOT_CERTIFIED}),
        chat_template_sha256=sha256_file(template) if template.is_file() else None,
    )


def _encode(folder: Path) -> str:
    """Return the hash of the ids of the fixed strings: half a second of CPU time."""
    import numpy as np
    from tokenizers import Tokenizer

    core = Tokenizer.from_file(str(folder / "tokenizer.json"))
    digest = hashlib.sha256()
    for encoding in core.encode_batch_fast(list(fixed_strings())):
        ids = encoding.ids
        digest.update(np.array([len(ids), *ids], dtype="<u4").tobytes())
    return digest.hexdigest()
