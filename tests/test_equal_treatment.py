"""No line outside the tokenizer may ask which condition it is in."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "domain_tokens"
ELSEWHERE = sorted(path for path in SOURCE.rglob("*.py") if "tokenization" not in path.parts)
LABELS = ("analysis", "experiment")  # these hold conditions apart by their names, whatever they are


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_condition_is_named_or_compared(path: Path) -> None:
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            assert node.value not in ("baseline", "mul_tokens"), f"line {node.lineno}: {node.value!r}"
        if isinstance(node, ast.Compare) and not set(LABELS) & set(path.parts):
            compared = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
            assert "condition" not in compared, f"line {node.lineno} compares a condition"
