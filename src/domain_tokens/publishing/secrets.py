"""Looks for secrets in what is about to be sent: values of the environment, and the known shapes of keys.

Every byte of every file is looked at, weights too. A secret is named by its variable or its kind, never shown.
"""

import base64
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

from domain_tokens.recipe import RecipeError

logger = logging.getLogger(__name__)

_NAMED_AS_SECRETS = re.compile(
    r"TOKEN(?!S|IZER)|SECRET|PASSW|PASSPHRASE|CREDENTIAL|KEY(?:_?[0-9]+)?$|(?:^|_)(?:PASS|PWD|PAT)(?:_?[0-9]+)?$"
)
_IN_ADDRESS = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")  # the password of a DATABASE_URL
_SHORTEST = 8  # services without keys are given words such as `none`
_LONGEST_WORD = 16
_SHORTEST_IN_BASE64 = 20  # of a shorter one too few bytes would be compared, and weights hold every few bytes
_PIECE = 2**24
_OVERLAP = 2**12  # a secret across the border of two pieces is whole in one of them

# A key begins a word, or stands behind an escape of JSON or of an address, which may end in a letter: `\\n`, `%3D`.
_TEXT = rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))"
# What a key begins with, and its whole shape. A file is searched for the beginnings: half a GB of weights takes 4.5 s,
# and took 23 s when it was searched for the shapes.
_SHAPES = (
    ("a token of the Hugging Face Hub", b"hf_", _TEXT + rb"hf_[A-Za-z0-9]{30,}"),
    ("an API key (sk-...)", b"sk-", _TEXT + rb"sk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}"),
    *(
        ("a token of GitHub", start, _TEXT + start + rb"[A-Za-z0-9]{36}")
        for start in (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_")
    ),
    ("a token of GitHub", b"github_pat_", _TEXT + rb"github_pat_[A-Za-z0-9_]{40,}"),
    ("a token of GitLab", b"glpat-", _TEXT + rb"glpat-[A-Za-z0-9_-]{20,}"),
    ("an access key of AWS", b"AKIA", _TEXT + rb"AKIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("an API key of Google", b"AIza", _TEXT + rb"AIza[A-Za-z0-9_-]{35}"),
    ("a token of Slack", b"xox", _TEXT + rb"xox[abprs]-[A-Za-z0-9-]{20,}"),
    ("a private key", b"-----BEGIN", rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
)
_COMPILED = tuple((kind, start, re.compile(shape)) for kind, start, shape in _SHAPES)


@dataclass(frozen=True)
class Secret:
    """A value that must not be sent, and the bytes by which it is found. It is never shown.

    Attributes:
        name: the variable that holds it.
        spellings: as text, in UTF-16, in JSON and in an address, and in base64 at each place that it can have there.
    """

    name: str
    spellings: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Secret({self.name})"


def known_secrets(environment: Mapping[str, str] = os.environ) -> list[Secret]:
    """Return the secrets of this process: what variables hold that are named so, and the saved token of the Hub."""
    found = [(name, value.strip()) for name, value in environment.items() if _NAMED_AS_SECRETS.search(name.upper())]
    found += [(name, one) for name, value in environment.items() for one in _IN_ADDRESS.findall(value)]
    found += [("the saved token of the Hub", token) for token in _saved_tokens()]
    return [Secret(name, _spellings(value)) for name, value in found if _is_secret(value)]


def _saved_tokens() -> list[str]:
    """Return the tokens that `hf auth login` has saved, also those that a variable overrules."""
    from huggingface_hub import constants, get_token

    saved = [get_token() or ""]
    if (file := Path(constants.HF_TOKEN_PATH)).is_file():
        saved.append(file.read_text(encoding="utf-8").strip())
    stored = ConfigParser(interpolation=None)
    try:
        stored.read(constants.HF_STORED_TOKENS_PATH)
    except ConfigParserError:
        logger.warning("%s: cannot be read, so its tokens are not looked for", constants.HF_STORED_TOKENS_PATH)
    saved += [section.get("hf_token", "") for section in stored.values()]
    return [token for token in dict.fromkeys(saved) if token]


def check_no_secret(path: str, content: Path | bytes, secrets: list[Secret]) -> None:
    """Search a file for secrets.

    Args:
        path (`str`): its name, for the message.
        content (`Path | bytes`): the file, or what it will hold.
        secrets (`list[Secret]`): what `known_secrets` returned.

    Raises:
        RecipeError: naming the file and what kind of secret it holds, not the secret.
    """
    for piece in _pieces(content):
        for name in (one.name for one in secrets if any(spelling in piece for spelling in one.spellings)):
            raise _refused(path, f"the value of {name}")
        for kind, start, shape in _COMPILED:
            if any(shape.match(piece, place) is not None for place in _places(piece, start)):
                raise _refused(path, kind)


def _refused(path: str, kind: str) -> RecipeError:
    return RecipeError(f"{path}: holds {kind}, so nothing was sent; remove it from the file, and change the secret")


def _is_secret(value: str) -> bool:
    is_word = value.isalpha() and len(value) < _LONGEST_WORD
    return len(value) >= _SHORTEST and not is_word and not os.path.exists(value)  # SSH_KEY=/home/me/.ssh/id is a path


def _spellings(value: str) -> tuple[bytes, ...]:
    plain = value.encode()
    # In base64, three bytes are four characters: what is at their border depends on the bytes around the value.
    shifts = range(3 if len(plain) >= _SHORTEST_IN_BASE64 else 0)
    inside = {base64.b64encode(bytes(shift) + plain)[4:-4] for shift in shifts}
    texts = {value, json.dumps(value)[1:-1], value.replace("/", "\\/"), quote(value, safe="")}
    return tuple(sorted({*(one.encode() for one in texts), value.encode("utf-16-le"), *inside}))


def _places(piece: bytes, start: bytes) -> Iterator[int]:
    """Yield where some bytes stand."""
    place = piece.find(start)
    while place >= 0:
        yield place
        place = piece.find(start, place + 1)


def _pieces(content: Path | bytes) -> Iterator[bytes]:
    """Yield a file in pieces that overlap."""
    with content.open("rb") if isinstance(content, Path) else BytesIO(content) as file:
        piece = file.read(_PIECE)
        while piece:
            yield piece
            more = file.read(_PIECE)
            piece = piece[-_OVERLAP:] + more if more else b""
