"""Renders HTML pages with untrusted text: all values escaped, no scripts, nothing loaded from the network."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup


def render(folder: Path, template: str, style: str, filters: dict[str, Callable[..., Any]], **values: Any) -> str:
    """Render a template, escaping all values.

    Args:
        folder (`Path`): the folder of the template and the style sheet.
        template (`str`): the template's file name. The template receives the style sheet as `style` and the filter
            `csp_hash`, which returns the hash that a content security policy needs to allow the sheet.
        style (`str`): the style sheet's file name.
        filters: additional filters by name.
        values: the template's variables; a missing variable is an error.
    """
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"csp_hash": csp_hash} | filters
    sheet = Markup((folder / style).read_text(encoding="utf-8").strip())
    return environment.get_template(template).render(style=sheet, **values)


def csp_hash(text: str) -> str:
    """Return a text's hash in the format of a content security policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(str(text).encode()).digest()).decode()}"
