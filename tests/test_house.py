"""The house rules: small functions, typed data, terminals in `cli` alone, and documents that name what exists.

Every rule is a function from a file's path and source to what breaks it, and is tried on a source that does.
"""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "domain_tokens"
SOURCES = {path.relative_to(PACKAGE): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}

MAX_UNTYPED = 25
MAX_LINES = 50
MAX_FILES = 12
# Rooms of one file a command and one file a task: a list, however long.
LISTS = {"cli", "evaluation/tasks"}

parse = cache(ast.parse)  # one tree of a source for all rules: nobody may change it
Rule = Callable[[Path, str], Iterator[str]]


def long_functions(path: Path, source: str) -> Iterator[str]:
    """Yield the functions of more than `MAX_LINES` lines, the docstring among them."""
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > MAX_LINES:
                yield f"{path}: {node.name} has {lines} lines"


def terminals(path: Path, source: str) -> Iterator[str]:
    """Yield the imports of argparse and rich outside `cli`, inside functions too."""
    if path.parts[0] == "cli":
        return
    for node in ast.walk(parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            if name.partition(".")[0] in ("argparse", "rich"):
                yield f"{path}, line {node.lineno}: imports {name}"


def stray_file_names(path: Path, source: str) -> Iterator[str]:
    """Yield the string constants that are names of result files, which `runs/layout.py` has constants for."""
    if path == Path("runs/layout.py"):
        return
    known = names_of_result_files()
    for text, line in constants(source):
        if text in known:
            yield f"{path}, line {line}: {text!r}"


def file_names(source: str) -> Iterator[str]:
    """Yield the constants that are names of files, or their ends."""
    for text, _ in constants(source):
        if re.fullmatch(r"[\w.*-]*\.(json|jsonl|yaml|md|html|txt)", text):
            yield text


@cache
def names_of_result_files() -> set[str]:
    return set(file_names(SOURCES[Path("runs/layout.py")]))


def constants(source: str) -> Iterator[tuple[str, int]]:
    """Yield every string in a source that is no docstring, and its line."""
    tree = parse(source)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value, node.lineno


def unchecked_numbers(path: Path, source: str) -> Iterator[str]:
    """Yield the options of a command line that take any number: `cli/options.py` has types that say what is wrong."""
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            for word in node.keywords:
                if word.arg == "type" and isinstance(word.value, ast.Name) and word.value.id in ("int", "float"):
                    yield f"{path}, line {node.lineno}: type={word.value.id}"


BROKEN = {
    long_functions: "def f():\n" + "    pass\n" * MAX_LINES,
    terminals: "def f():\n    from rich.table import Table\n",
    stray_file_names: '"""manifest.json"""\nname = "manifest.json"\n',
}


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(rule: Rule) -> None:
    assert len(list(rule(Path("training/broken.py"), BROKEN[rule]))) == 1
    assert [broken for path, source in SOURCES.items() for broken in rule(path, source)] == []


def test_numbers_given_to_a_benchmark_are_checked() -> None:
    files = sorted((ROOT / "benchmarks").glob("*.py"))
    assert len(files) > 5
    assert len(list(unchecked_numbers(ROOT, 'parser.add_argument("--mb", nargs=2, type=float)'))) == 1
    assert [broken for file in files for broken in unchecked_numbers(file, file.read_text())] == []


def test_names_of_result_files_are_found_in_the_layout() -> None:
    assert {"manifest.json", "metrics.jsonl"} <= set(file_names(SOURCES[Path("runs/layout.py")]))


def test_data_has_types() -> None:
    counts = {path: source.count("dict[str, Any]") for path, source in SOURCES.items()}
    assert sum(counts.values()) <= MAX_UNTYPED, Counter(counts).most_common(10)


def test_no_room_is_a_hall() -> None:
    files = Counter(str(path.parent) for path in SOURCES if path.name != "__init__.py")
    assert len(files) > 10
    assert [room for room, number in files.items() if number > MAX_FILES and room not in LISTS] == []


PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("recipes/**/*.md"))]
FOLDERS = "recipes|scripts|src|tests|docs|accelerate_configs|benchmarks"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert missing(page.read_text(), targets) == []


def missing(text: str, targets: set[str]) -> list[str]:
    """Return the make targets and paths that a page names and that do not exist."""
    named = re.findall(r"`make ([a-z-]+)", text) + re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)
    paths = re.findall(rf"(?<![\w/])((?:{FOLDERS})/[\w./-]+)", text)
    return [f"make {name}" for name in named if name not in targets] + [
        path for path in paths if not (ROOT / path.rstrip(".")).exists()
    ]


def test_a_target_and_a_path_that_do_not_exist_are_found() -> None:
    text = "`make demo`, `make dmeo`, recipes/base.yaml, recipes/nowhere.yaml."
    assert missing(text, {"demo"}) == ["make dmeo", "recipes/nowhere.yaml."]


def test_the_architecture_has_a_line_for_every_file() -> None:
    text = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    tree = text.split("## Rooms", 1)[1].split("```")[1]
    found, folders = set(), []
    for line in filter(None, tree.splitlines()):
        name, _, about = line.strip().partition(" ")
        assert about.strip(), line
        depth = (len(line) - len(line.lstrip())) // 4
        folders = folders[:depth]
        if name.endswith("/"):
            folders.append(name.removesuffix("/"))
        else:
            found.add(Path(*folders, name))
    files = {path for path in SOURCES if path.name != "__init__.py" and "answer_accuracy" not in path.parts}
    assert len(files) > 100
    assert found == files


def test_the_architecture_tells_the_layers_that_are_checked() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ][0]
    layers = [layer.split(" : ") for layer in contract["layers"]]
    assert len(layers) > 10
    text = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    told = text.split("(`tool.importlinter` in `pyproject.toml`): ", 1)[1].split(". ", 1)[0]
    assert [re.findall(r"`(\w+)`", layer) for layer in told.split(" >")] == layers
