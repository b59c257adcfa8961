"""Lists of words, written as text."""


def word_list(text: str) -> list[str]:
    """Return the words of a text."""
    return text.split()


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text, each once."""
    return frozenset(text.split())
