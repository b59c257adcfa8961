"""Copy the pins of constraints.txt into `[tool.uv]` of pyproject.toml, where uv looks for them.

python .ci/uv_constraints.py
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
BEGIN = "# The pins of constraints.txt; written by `make uv-constraints`.\nconstraint-dependencies = ["


def read_pins(constraints: str) -> list[str]:
    """Return the lines of a constraints file without comments."""
    return [line for line in constraints.splitlines() if line and not line.startswith("#")]


def with_pins(pyproject: str, pins: list[str]) -> str:
    """Return the text of pyproject.toml with these pins in `[tool.uv]`, its last section."""
    rest = re.sub(re.escape(BEGIN) + r".*?\n\]\n", "", pyproject, flags=re.DOTALL).rstrip("\n")
    lines = "".join(f'    "{pin}",\n' for pin in pins)
    return f"{rest}\n{BEGIN}\n{lines}]\n"


if __name__ == "__main__":
    path = ROOT / "pyproject.toml"
    pins = read_pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    path.write_text(with_pins(path.read_text(encoding="utf-8"), pins), encoding="utf-8")
