"""Copy the pins of constraints.txt into `[tool.uv]` of pyproject.toml, and its dependencies into requirements.txt.

python .ci/uv_constraints.py
"""

import re
import tomllib
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


def as_requirements(pyproject: str) -> str:
    """Return requirements.txt: the dependencies of pyproject.toml, at the versions of constraints.txt."""
    head = "# The dependencies of pyproject.toml, written by `make uv-constraints`. Without the project itself.\n"
    return head + "\n".join(["-c constraints.txt", *tomllib.loads(pyproject)["project"]["dependencies"]]) + "\n"


if __name__ == "__main__":
    path = ROOT / "pyproject.toml"
    pins = read_pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    path.write_text(with_pins(path.read_text(encoding="utf-8"), pins), encoding="utf-8")
    (ROOT / "requirements.txt").write_text(as_requirements(path.read_text(encoding="utf-8")), encoding="utf-8")
