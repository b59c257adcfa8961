"""Embeds plots in a page: as data URLs that follow the reader's dark or light theme."""

import base64
from typing import Final

_DARK: Final = {
    "#1b1f24": "#e6edf3",
    "#57606a": "#9da7b3",
    "#dddddd": "#30363d",
    "#ffffff": "#0d1117",
    "#0072b2": "#58a6e0",
    "#d55e00": "#f0883e",
}
"""The colour on a dark page of each colour of the plots; the others are readable on both."""


def embedded(images: dict[str, bytes]) -> dict[str, str]:
    """Return the SVG images as data URLs, by name."""
    return {
        name.removesuffix(".svg"): f"data:image/svg+xml;base64,{base64.b64encode(themed(image)).decode()}"
        for name, image in images.items()
        if name.endswith(".svg")
    }


def themed(image: bytes) -> bytes:
    """Return an SVG image in which each colour of `_DARK` is a variable with another value for dark pages."""
    text = image.decode()
    start = text.index(">", text.index("<svg")) + 1
    head, body = text[:start], text[start:]
    for light in _DARK:
        body = body.replace(light, f"var(--c{light[1:]}, {light})")
    dark = "".join(f"--c{light[1:]}:{color};" for light, color in _DARK.items())
    return f"{head}<style>@media (prefers-color-scheme: dark) {{ svg {{ {dark} }} }}</style>{body}".encode()
