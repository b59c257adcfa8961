"""Pages that hold text from strangers: escaped by the template engine, without scripts, nothing from the network."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup


def render(folder: Path, template: str, style: str, filters: dict[str, Callable[..., Any]], **values: Any) -> str:
    """Render a template with all that is put into it escaped.

    Args:
        folder (`Path`): holds template and style sheet.
        template (`str`): the template's file. It is given the style sheet as `style`, and the filter `csp_hash`, which
            returns the hash under which a content security policy allows the sheet.
        style (`str`): the style sheet's file.
        filters: further filters by name.
        values: what the template uses; a name that is missing is an error.
    """
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"csp_hash": csp_hash} | filters
    sheet = Markup((folder / style).read_text(encoding="utf-8").strip())
    return environment.get_template(template).render(style=sheet, **values)


def csp_hash(text: str) -> str:
    """Return a text's hash as a content security policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(str(text).encode()).digest()).decode()}"
