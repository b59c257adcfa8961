"""Nothing depends on self-adaptation: nobody imports it but its own commands, and no other command loads it."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

from tiny import ROOT

PACKAGE = ROOT / "src" / "domain_tokens"
SEAL = "domain_tokens.seal"
OWN = ("seal/", "cli/seal.py", "cli/analyze_adaptation.py")
OWN_SCRIPTS = {"run_seal", "analyze_adaptation"}


def imported(source: str, package: str) -> Iterator[str]:
    """Yield what a module imports anywhere, by full name; a relative import is of its package."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):  # importlib.import_module and its like
            yield from (one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str))


def is_of(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@cache
def modules() -> dict[str, set[str]]:
    """Return what every module imports, by its path in the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        package = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts[:-1])
        found[path.relative_to(PACKAGE).as_posix()] = set(imported(path.read_text(encoding="utf-8"), package))
    return found


def test_nothing_but_its_own_commands_imports_it() -> None:
    found = {path for path, names in modules().items() if any(is_of(name, SEAL) for name in names)}
    own = {path for path in found if path.startswith(OWN)}
    assert {"cli/seal.py", "cli/analyze_adaptation.py", "seal/run.py"} <= own
    assert found - own == set()


def test_an_import_in_any_form_is_seen() -> None:
    sources = (
        "import domain_tokens.seal.run", "from domain_tokens.seal import run", "from domain_tokens import seal",
        "def f():\n    from domain_tokens.seal.run import adapt", "from .seal import run", "from . import seal",
        "import importlib\nimportlib.import_module('domain_tokens.seal.run')",
    )  # fmt: skip
    for source in sources:
        assert any(is_of(name, SEAL) for name in imported(source, "domain_tokens")), source
    assert any(is_of(name, SEAL) for name in imported("from ..seal import run", "domain_tokens.cli"))
    assert not any(is_of(name, SEAL) for name in imported("import domain_tokens.sealed", "domain_tokens"))


def test_nothing_imports_mlx() -> None:
    found = modules()
    assert any(is_of(name, "torch") for names in found.values() for name in names)
    assert [path for path, names in found.items() if any(is_of(name, "mlx") for name in names)] == []


_PROBE = """
import contextlib, io, json, runpy, sys
sys.dont_write_bytecode = True
for name in json.loads(sys.argv[1]):
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            runpy.run_path(name, run_name="__main__")
        except SystemExit:
            pass
    seal = sorted(one for one in sys.modules if one == "domain_tokens.seal" or one.startswith("domain_tokens.seal."))
    print(json.dumps([len(out.getvalue()), seal, "mlx" in sys.modules]))
"""


def test_the_help_of_no_other_command_loads_it() -> None:
    scripts = [path for path in sorted((ROOT / "scripts").glob("*.py")) if path.stem not in OWN_SCRIPTS]
    assert len(scripts) > 10
    command = [sys.executable, "-c", _PROBE, json.dumps([str(path) for path in scripts])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(scripts), done.stderr
    for script, (shown, seal, has_mlx) in zip(scripts, found, strict=True):
        assert shown, script
        assert seal == [], script
        assert not has_mlx, script
