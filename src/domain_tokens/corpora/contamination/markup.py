r"""What a text says without its markup: emphasis, tags, comments, entities, escapes, list numbers and ligatures.

Two copies of one text that differ in these are the same to a reader, and to the gate. What is replaced is recorded, so
that a place in the plain text can be found in the original. Signs of arithmetic are no markup: `6*9` keeps its `*`.
"""

import html
import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

_MOST_SPACES = 8
"""A comment or a tag with so many spaces may hold a question itself; only its brackets are taken off."""

# `<MUL_6_9_54>`, or `< MUL_6_9_54>` as data is written.
_TOKEN = re.compile(r"< ?([A-Z][A-Z0-9]*)_(\d{1,9})_(\d{1,9})(?:_(\w+))?>")
_NAMED = {"MUL": "*", "ADD": "+", "SUM": "+"}
_INLINE = frozenset(
    ("a", "abbr", "b", "big", "code", "del", "em", "font", "i", "ins", "kbd", "mark", "s", "small", "span", "strong")
    + ("sub", "tt", "u", "var", "wbr")
)
_TAG_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)")

# Commands of LaTeX by what they say; others keep their name as a word.
_FONTS = ("text", "textbf", "textit", "textrm", "textsf", "texttt", "emph", "mathrm", "mathbf", "mathit", "underline")
_SPACES = ("left", "right", "displaystyle", "item", "quad", "qquad", "newline", "par")
_COMMANDS = {"times": "*", "cdot": "*", "div": "/", **dict.fromkeys(_FONTS, ""), **dict.fromkeys(_SPACES, " ")}
_LINE_BREAKS = "nrt"

# The first look-ahead is what makes the search fast: 136 MB/s on web text, 47 without.
LONGEST_TAG = 300
"""Characters behind the first letter of a tag's name."""
STANDING_FOR_OTHERS = (0x1D400, 0x1D7FF)
"""The mathematical letters beyond the basic plane, the first and the last."""
_FIRST = "<&\\\\*~`\\[\\]\\r\\n"
_PATTERN = r"""
  <!--.{0,2000}?-->
| <\ ?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+>
| </?[A-Za-z][^<>]{0,LONGEST}>
| &(?:amp;)*(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});
| \\+(?:u[0-9a-fA-F]{4}|(?:begin|end)\{[a-z*]+\}|[A-Za-z]+|[^\sA-Za-z])
| (?<=[^\W\d_]|['’])[*~`]{1,3}(?=[^\W\d_]|['’])
| \]\([^()\s]{0,300}\)
| \[(?:title|header|step|substeps|[\ xX]|\^?[0-9]{1,3})\]
| (?<=[A-Za-z]-)\r?\n[\ \t>]*(?=[a-z])
| \n[\ \t]*\[[^\]\n]*\]:\ *(?:\#|<>)\ *[("'][^\n]*
| \n[\ \t>]*\(?(?:[0-9]{1,3}[.)]|[a-z]\))[\ \t]+
"""
_PATTERN = _PATTERN.replace("LONGEST", str(LONGEST_TAG))
_ASCII = re.compile(f"(?=[{_FIRST}])(?:{_PATTERN})", re.VERBOSE | re.DOTALL)
_REMOVED = "*~`[]"
_ENDS_A_LINE = ".?!:;,>*\n"
_BRACKETS = re.compile(r"<!--|-->|[<>]")


class Edit(NamedTuple):
    """A piece of a text that its plain form has otherwise.

    Attributes:
        start, end: where it stands in the text.
        plain: what the plain form has in its place.
    """

    start: int
    end: int
    plain: str


def edits(text: str) -> Iterator[Edit]:
    """Yield what has to be replaced in a text, in its order, to have it without markup."""
    led = "\n" + text  # so that the first line is a line like others
    for match in _pattern(text).finditer(led):
        if (one := _meaning(match)) is not None:
            yield Edit(max(match.start() - 1, 0), max(match.start() - 1 + one[0], 0), one[1])


def markup_at(led: str, place: int) -> tuple[int, int, str | None] | None:
    """Return what markup a text, led by a line break, has at a place.

    Returns:
        `tuple[int, int, str | None] | None`: where the markup ends, how much of it is replaced and by what; the latter
        is `None` for what looks like markup and stays. `None` if there is none.
    """
    if (match := _pattern(led).match(led, place)) is None:
        return None
    one = _meaning(match)
    return (match.end(), 0, None) if one is None else (match.end(), *one)


def _pattern(text: str) -> "re.Pattern[str]":
    return _ASCII if text.isascii() else _all()


def _meaning(match: "re.Match[str]") -> tuple[int, str] | None:
    found = match.group()
    return _line(match, found) if found[0] in "\r\n" else read(found)


def plain_text(text: str) -> str:
    """Return a text without markup."""
    parts, end = [], 0
    for edit in edits(text):
        parts += [text[end : edit.start], edit.plain]
        end = edit.end
    return "".join([*parts, text[end:]])


@lru_cache(maxsize=4096)
def read(found: str) -> tuple[int, str]:
    """Return how much of a piece of markup goes, and what takes its place."""
    if found[0] == "\\":
        plain = _backslash(found)
        name = len(found) - len(found.lstrip("\\")) + 1  # `\nMara` is a line break and a name
        return (name, "\n") if plain.startswith("\n") else (len(found), plain)
    if found[0] in "<&":
        return len(found), _angle(found) if found[0] == "<" else _entity(found)
    return len(found), "" if found[0] in _REMOVED else _expanded(found)


def _angle(found: str) -> str:
    if (token := _TOKEN.fullmatch(found)) is not None and (sign := _sign_of(*token.groups())):
        return f" {token[2]}{sign}{token[3]} "
    if found.count(" ") >= _MOST_SPACES:
        return _BRACKETS.sub(" ", found)
    if (tag := _TAG_NAME.match(found)) is None:
        return ""
    name = tag[1].lower()
    return "^" if name == "sup" and found[1] != "/" else "" if name in _INLINE or name == "sup" else "\n"


def _sign_of(name: str, first: str, second: str, result: str | None) -> str:
    """Return the sign of what a token states; nothing for a name that states no product and no sum, `<FIG_2_3>`.

    By the name or by the numbers, and not by the tokens of a recipe: the gate takes the same out in every condition.
    """
    if name in _NAMED:
        return _NAMED[name]
    values = {str(int(first) * int(second)): "*", str(int(first) + int(second)): "+"}
    return values.get(result or "", "")


def _entity(found: str) -> str:
    read = html.unescape(found.replace("amp;", "") if found.count(";") > 1 else found)
    return "".join(map(_expanded, read)) if not read.isascii() else read


def _backslash(found: str) -> str:
    name = found.lstrip("\\")
    if re.fullmatch("u[0-9a-fA-F]{4}", name):
        return _expanded(chr(int(name[1:], 16)))
    if name.startswith(("begin{", "end{")):
        return " "
    if not name[:1].isalpha():
        return name
    if name in _COMMANDS:
        return _COMMANDS[name]
    return f"\n{name[1:]}" if name[0] in _LINE_BREAKS else f" {name}"


def _line(match: "re.Match[str]", found: str) -> tuple[int, str] | None:
    """Take off a comment of Markdown, or the number of a list's item: one that begins a line after a full stop.

    A line break within a word goes too.
    """
    if match.string[match.start() - 1] == "-" and not found.strip("\r\n \t>"):
        return len(found), ""
    if found.lstrip("\n \t").startswith("["):
        return None if found.count(" ") >= _MOST_SPACES else (len(found), "\n")
    before = match.string[max(match.start() - 40, 0) : match.start()].rstrip(" \t\r")
    return (len(found), "\n") if not before or before[-1] in _ENDS_A_LINE else None


def _expanded(character: str) -> str:
    """Return a character that stands for several: `½` is 1/2, `²` ^2, `ﬁ` fi; a mathematical letter is a letter."""
    plain = unicodedata.normalize("NFKC", character)
    if "\N{FRACTION SLASH}" in plain:
        return f" {plain}"
    return f"^{plain}" if plain.isdigit() and "SUPERSCRIPT" in unicodedata.name(character, "") else plain


def expands(character: str) -> bool:
    """Return whether a character of the basic plane stands for others and is not one letter."""
    if character.isascii():
        return False
    return len(unicodedata.normalize("NFKC", character)) > 1 or "SUPERSCRIPT" in unicodedata.name(character, "")


@cache
def _all() -> "re.Pattern[str]":
    """Return the pattern with the characters that stand for others and are not one letter of the basic plane."""
    several = filter(expands, map(chr, range(0x10000)))
    sets = re.escape("".join(several)) + "-".join(map(chr, STANDING_FOR_OTHERS))
    assert sys.maxunicode > STANDING_FOR_OTHERS[1]
    return re.compile(f"(?=[{_FIRST}{sets}])(?:{_PATTERN}| [{sets}])", re.VERBOSE | re.DOTALL)
