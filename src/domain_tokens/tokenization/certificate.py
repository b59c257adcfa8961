"""The certificate beside a tokenizer: what it is, in hashes, and what it makes of 10,000 fixed strings.

The hashes of its parts show that the folder holds what was built; the hash of the ids shows that the installed
libraries still read it the same way.
"""

import hashlib
import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json, sha256_file, sha256_json, write_json

CERTIFICATE = "certificate.json"
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


@cache
def fixed_strings() -> tuple[str, ...]:
    """Return the strings whose ids a certificate holds the hash of; the same everywhere."""
    draw = random.Random(0)
    return tuple("".join(draw.choice(_PIECES) for _ in range(draw.randint(1, 12))) for _ in range(NUM_STRINGS))


_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
# A stage reads and writes the same tokenizer in half a dozen folders, and each certificate takes a second.
_certified: dict[tuple[str | None, ...], dict[str, Any]] = {}


def certify(folder: Path) -> dict[str, Any]:
    """Return the certificate of the tokenizer in a folder, as it is now; files that are known are not read again."""
    key = tuple(sha256_file(folder / name) if (folder / name).is_file() else None for name in _FILES)
    if key not in _certified:
        _certified[key] = _certify(folder)
    return dict(_certified[key])


def _certify(folder: Path) -> dict[str, Any]:
    saved = read_json(folder / "tokenizer.json")
    model = saved.pop("model")
    vocabulary, merges = model.pop("vocab"), model.pop("merges")
    config = read_json(folder / "tokenizer_config.json")
    template = folder / "chat_template.jinja"
    core = Tokenizer.from_file(str(folder / "tokenizer.json"))
    digest = hashlib.sha256()
    for encoding in core.encode_batch_fast(list(fixed_strings())):
        ids = encoding.ids
        digest.update(np.array([len(ids), *ids], dtype="<u4").tobytes())
    return {
        "vocabulary_sha256": sha256_json(vocabulary),
        "merges_sha256": sha256_json(merges),
        "rules_sha256": sha256_json([model, saved]),
        "intervention_sha256": sha256_json(config.get("intervention")),
        "configuration_sha256": sha256_json(
            {key: value for key, value in config.items() if key not in _NOT_CERTIFIED}
        ),
        "chat_template_sha256": sha256_file(template) if template.is_file() else None,
        "num_strings": NUM_STRINGS,
        "ids_sha256": digest.hexdigest(),
    }


def write_certificate(folder: Path) -> None:
    """Write `certificate.json` beside a tokenizer."""
    write_json(folder / CERTIFICATE, certify(folder))


def check_certificate(folder: Path) -> None:
    """Compare a tokenizer with its certificate.

    Raises:
        RecipeError: if there is none, or naming what differs from it.
    """
    if not (folder / CERTIFICATE).is_file():
        raise RecipeError(
            f"{folder}: no {CERTIFICATE}, so this tokenizer cannot be trusted; build it again with "
            "scripts/build_tokenizer.py or scripts/prepare_data.py"
        )
    expected, found = read_json(folder / CERTIFICATE), certify(folder)
    if not isinstance(expected, dict):
        raise RecipeError(f"{folder / CERTIFICATE}: no certificate; build the tokenizer again")
    for key, value in found.items():
        if expected.get(key) != value:
            why = (
                "the installed tokenizers library reads it differently from the one that built it; "
                "install the versions of constraints.txt"
                if key == "ids_sha256"
                else "the folder was changed after it was built; build it again with scripts/build_tokenizer.py"
            )
            raise RecipeError(f"{folder}: {key} is {value!r}, its certificate says {expected.get(key)!r}: {why}")
