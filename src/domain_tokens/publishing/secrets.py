"""Looks for secrets in what is about to be sent: values of the environment, and the known shapes of keys.

Every byte of every file is looked at, weights too. A secret is named by its variable or its kind, never shown.
"""

import base64
import html
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
from urllib.parse import quote, quote_plus

import yaml

from domain_tokens.publishing.cards.markup import prose
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
_NO_WIDTH = 2**31
_PERCENT = re.compile("%[0-9A-F]{2}")
_IN_ADDRESSES = bytes.maketrans(b"+/", b"-_")  # base64 as addresses and signed tokens have it
_OVERLAP = 2**12  # a secret across the border of two pieces is whole in one of them

# A key begins a word, or stands behind an escape of JSON or of an address, which may end in a letter: `\\n`, `%3D`.
_TEXT = rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))"
# What a key begins with, and its whole shape. A file is searched for the beginnings, and only where it holds as many
# printable bytes in a row as a key has. Half a GB of weights takes 2.2 s; to search it for the shapes took 23 s.
_SHAPES = (
    ("a token of the Hugging Face Hub", b"hf_", _TEXT + rb"hf_(?:oauth_[A-Za-z0-9_.-]{30,}|[A-Za-z0-9]{30,})"),
    ("an API key (sk-...)", b"sk-", _TEXT + rb"sk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}"),
    ("an API key of Stripe", b"k_live_", rb"(?<=[sr])k_live_[A-Za-z0-9]{16,}"),
    ("a token of GitHub", b"gh", _TEXT + rb"gh[pousr]_[A-Za-z0-9]{36}"),
    ("a token of GitHub", b"github_pat_", _TEXT + rb"github_pat_[A-Za-z0-9_]{40,}"),
    ("a token of GitLab", b"glpat-", _TEXT + rb"glpat-[A-Za-z0-9_-]{20,}"),
    ("a token of npm", b"npm_", _TEXT + rb"npm_[A-Za-z0-9]{36}"),
    ("an access key of AWS", b"AKIA", _TEXT + rb"AKIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("an access key of AWS", b"ASIA", _TEXT + rb"ASIA(?=[A-Z]*[0-9])[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("an API key of Google", b"AIza", _TEXT + rb"AIza[A-Za-z0-9_-]{35}"),
    ("a token of Slack", b"xox", _TEXT + rb"xox[abprs]-[A-Za-z0-9-]{20,}"),
    # Header and claims are JSON objects, `{"` in base64.
    ("a signed token (JWT)", b"eyJ", _TEXT + rb"eyJ[\w-]{10,2000}\.eyJ[\w-]{10,2000}\.[\w-]{20,}"),
    ("a private key", b"-----BEGIN", rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    *(
        (
            "an address with a password",
            start,
            re.escape(start) + rb"[^\s/:@\\\"'<>`]*:[^\s/:@\\\"'<>{}$*`]{4,}@[A-Za-z0-9[]",
        )
        for start in (b"://", rb":\/\/")
    ),
)
_COMPILED = tuple((kind, start, re.compile(shape)) for kind, start, shape in _SHAPES)

_RUN = b"\x01" * 20
_IS_TEXT = bytes(32 <= byte < 127 or chr(byte).isspace() and byte < 127 for byte in range(256))
"""Makes 1 of every printable byte and of the ends of lines, and 0 of the others."""


@dataclass(frozen=True)
class Secret:
    """A value that must not be sent, and the bytes by which it is found. It is never shown.

    Attributes:
        name: the variable that holds it.
        spellings: as text, in UTF-16, JSON, YAML, HTML, Markdown and an address, and in base64 at each place that it
            can have there.
        in_text: those of them that stand in a run of text, so that weights need not be searched for them.
        folded: finds it where a line ends in it, if it is several words.
    """

    name: str
    spellings: frozenset[bytes]
    in_text: frozenset[bytes]
    folded: re.Pattern[bytes] | None

    def is_in(self, piece: bytes, *, has_text: bool) -> bool:
        """Return whether some bytes hold it."""
        if any(one in piece for one in (self.spellings if has_text else self.spellings - self.in_text)):
            return True
        return has_text and self.folded is not None and self.folded.search(piece) is not None

    def __repr__(self) -> str:
        return f"Secret({self.name})"


def known_secrets(environment: Mapping[str, str] = os.environ) -> list[Secret]:
    """Return the secrets of this process: what variables hold that are named so, and the saved token of the Hub."""
    found = [(name, value.strip()) for name, value in environment.items() if _NAMED_AS_SECRETS.search(name.upper())]
    found += [(name, one) for name, value in environment.items() for one in _IN_ADDRESS.findall(value)]
    found += [("the saved token of the Hub", token) for token in _saved_tokens()]
    return [_secret(name, value) for name, value in found if _is_secret(value)]


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
        has_text = _RUN in piece.translate(_IS_TEXT)
        for secret in secrets:
            if secret.is_in(piece, has_text=has_text):
                raise _refused(path, f"the value of {secret.name}")
        for kind, start, shape in _COMPILED if has_text else ():
            if any(shape.match(piece, place) is not None for place in _places(piece, start)):
                raise _refused(path, kind)


def _refused(path: str, kind: str) -> RecipeError:
    return RecipeError(f"{path}: holds {kind}, so nothing was sent; remove it from the file, and change the secret")


def _is_secret(value: str) -> bool:
    is_word = value.isalpha() and len(value) < _LONGEST_WORD
    return len(value) >= _SHORTEST and not is_word and not os.path.exists(value)  # SSH_KEY=/home/me/.ssh/id is a path


def _secret(name: str, value: str) -> Secret:
    spellings: set[bytes] = set()
    in_base64: set[bytes] = set()
    for one in {value, value.strip("\"'")}:  # some shells and files of variables keep the quotes
        if len(one) >= _SHORTEST:
            spellings |= {text.encode() for text in _texts(one)} | _in_utf16(one)
            in_base64 |= _in_base64(one.encode())
    in_text = in_base64 | {one for one in spellings if _RUN in one.translate(_IS_TEXT)}
    return Secret(name, frozenset(spellings | in_base64), frozenset(in_text), _folded(value))


def _texts(value: str) -> set[str]:
    """Return how a value is written in JSON, YAML, HTML, Markdown and addresses."""
    marked = html.escape(value)
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    return {
        value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], value.replace("/", "\\/"),
        marked, html.escape(value, quote=False), marked.replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
        prose(value), prose(f"x {value}")[2:], *_in_yaml(value), *quoted,
        *(_PERCENT.sub(lambda match: match.group().lower(), one) for one in quoted),
    }  # fmt: skip


def _in_yaml(value: str) -> set[str]:
    return {
        yaml.safe_dump(value, default_style=style, allow_unicode=is_unicode, width=_NO_WIDTH).strip()[1:-1]
        for style in "\"'"
        for is_unicode in (True, False)
    }


def _in_utf16(value: str) -> set[bytes]:
    little = value.encode("utf-16-le")
    # Without its last zero, it is in the other order too.
    return {little[:-1]} if value.isascii() else {little, value.encode("utf-16-be")}


def _in_base64(plain: bytes) -> set[bytes]:
    """Return what of a value is seen in base64, wherever it begins and a line ends in it."""
    if len(plain) < _SHORTEST_IN_BASE64:
        return set()
    found = set()
    for shift in range(3):
        # Three bytes are four characters: what is at their border depends on the bytes around the value. The half of a
        # part that is shorter than a line (76) is whole on one.
        inside = base64.b64encode(bytes(shift) + plain)[4:-4][:56]
        found |= {inside[: len(inside) // 2], inside[len(inside) // 2 :]}
    return found | {one.translate(_IN_ADDRESSES) for one in found}


def _folded(value: str) -> re.Pattern[bytes] | None:
    """Return what finds a value of several words that a line ends in, as YAML folds it; `None` if it is one word."""
    if len(value.split()) < 2:
        return None
    ways = sorted({text.encode() for text in (value, *_in_yaml(value))})
    return re.compile(b"|".join(rb"[\s\\]+".join(map(re.escape, way.split())) for way in ways))


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
