"""Texts that models and people write, as they are shown: nothing in them hides, and nothing acts."""


def visible(text: bytes | str) -> str:
    r"""Return a text in which nothing hides: control characters, marks of direction and broken bytes are spelled out.

    A line break is `↵`, a tab is `⇥`; a space is left.

    Example:
    ```python
    >>> visible("6\u202e9\n"), visible(b"\xc3")
    ('6\\u202e9↵', '\\xc3')
    ```
    """
    if isinstance(text, bytes):
        text = text.decode(errors="backslashreplace")
    known = {"\n": "↵", "\t": "⇥", " ": " "}
    return "".join(known.get(one, one if one.isprintable() else _spelled(one)) for one in text)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode()
