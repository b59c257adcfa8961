"""The comparison as a page and as Markdown.

`report.html` is one file without scripts that asks the network for nothing: its policy allows the one style sheet (by
its hash) and embedded images. All text is escaped by the template engine, whatever a model wrote; facts are marked in
text that is escaped already.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from domain_tokens.analysis import plots, tables
from domain_tokens.tokenization.facts import TOKEN_NAME

_TEMPLATE = "report_template.html"
_FACT = re.compile(TOKEN_NAME.replace("<", "&lt;").replace(">", "&gt;"))


def to_html(results: dict[str, Any], images: dict[str, bytes]) -> str:
    """Return the report as one HTML page.

    Args:
        results (`dict`): what `results.json` holds.
        images (`dict[str, bytes]`): image files by name; the SVG ones are embedded.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["mark_facts"] = mark_facts
    environment.filters["csp_hash"] = _csp_hash
    return environment.get_template(_TEMPLATE).render(
        results=results,
        result_table=tables.result_table(results),
        criteria_table=tables.criteria_table(results),
        tables=[tables.text_table(results), tables.use_table(results)],
        reference_table=tables.reference_table(results),
        details=[tables.ledger_table(results), tables.software_table(results), tables.hash_table(results)],
        figures=[
            {
                "caption": plots.caption(name.removesuffix(".svg"), results),
                "source": f"data:image/svg+xml;base64,{base64.b64encode(image).decode()}",
            }
            for name, image in images.items()
            if name.endswith(".svg")
        ],
    )


def to_markdown(results: dict[str, Any]) -> str:
    """Return the verdict and the tables as Markdown: what `results.md` holds."""
    write = tables.escape_markdown
    verdict = results["verdict"]
    parts = [
        f"# {write(results['experiment'])}: {write(results['other'])} against {write(results['reference'])}",
        f"**{write(verdict['sentence'])}**",
        f"- H0: {write(verdict['h0'])}\n- H1: {write(verdict['h1'])}\n- Rule: {write(verdict['rule'])}",
    ]
    makers = (
        tables.result_table,
        tables.criteria_table,
        tables.text_table,
        tables.use_table,
        tables.reference_table,
        tables.ledger_table,
        tables.software_table,
        tables.hash_table,
    )
    parts += [tables.to_markdown(make(results)) for make in makers]
    commands = [f"    {tables.printable(command)}" for command in results["reproduce"]]
    parts.append("\n".join(["## How to reproduce", "", *commands]))
    return "\n\n".join(parts) + "\n"


def mark_facts(text: Any) -> Markup:
    """Escape text, then mark each fact token in it: `<MUL_6_9_54>` is shown as written, highlighted."""
    escaped = str(escape("" if text is None else text))
    return Markup(_FACT.sub(r"<mark>\g<0></mark>", escaped))


def _csp_hash(style: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(str(style).encode()).digest()).decode()}"
