"""No line outside the tokenizer may ask which condition it is in, or decide by what its intervention has."""

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


# --- What an intervention has must decide nothing either -------------------------------------------------------------

# What an intervention consists of, and what yields one. `num_ids` is not here: it is the same in every condition.
PARTS = (
    "name",
    "entries",
    "token_names",
    "token_contents",
    "matches",
    "permutation_seed",
    "numbers",
    "tokens",
    "facts",
    "rules",
)
YIELDS = ("intervention_of", "load_intervention", "default_intervention", "load_matched", "from_json")
ALLOWED = {
    "cli/build_tokenizer.py:build": "prints the description that the file has, if it has one",
    "corpora/placebo/choosing.py:_check": "refuses to match an intervention without tokens",
    "corpora/placebo/savings.py:load_matched": "a placebo declares what it matches; others have nothing to check",
    "corpora/placebo/savings.py:check_savings": "measures and refuses; changes no document and no token",
    "corpora/preparation/accounts.py:_site_counter": "counts in every condition: its own sites, or the table's",
    "corpora/preparation/accounts.py:_groups_of_digits": "counts groups where numbers are cut, for the report",
    "evaluation/checkpoints.py:_Evaluation._identify": "refuses a checkpoint of another intervention",
    "evaluation/models/bits_per_byte.py:encode": "checks that a rewritten document is restored",
    "evaluation/models/embedding_rows.py:row_norms": "names the rows that have a token; reserved rows have none",
    "evaluation/models/side_codes.py:answer_side_code": "where nothing is rewritten, nothing is dropped",
}


def decisions(path: Path, source: str) -> list[str]:
    """Return the functions in which what an intervention has decides something, as `path:function`."""
    named = ("intervention", "token_names", "token_contents", "recipe.tokenizer", *YIELDS)
    if not any(word in source for word in named):
        return []
    found = []
    for function in functions(ast.parse(source)):
        own = derived(function[1])
        for node in ast.walk(function[1]):
            if any(is_of_intervention(part, own) for test in decided_by(node) for part in ast.walk(test)):
                found.append(f"{path}:{function[0]}")
    return sorted(set(found))


def functions(tree: ast.AST, within: str = "") -> list[tuple[str, ast.AST]]:
    """Return the functions of a module and of its classes, by dotted name."""
    found: list[tuple[str, ast.AST]] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            found.append((f"{within}{node.name}", node))
        elif isinstance(node, ast.ClassDef):
            found += functions(node, f"{within}{node.name}.")
    return found


def decided_by(node: ast.AST) -> list[ast.expr]:
    """Return the expressions by which a node decides."""
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        return [node.test]
    if isinstance(node, ast.comprehension):
        return node.ifs
    if isinstance(node, ast.BoolOp):
        return node.values
    return [node.subject] if isinstance(node, ast.Match) else []


def derived(function: ast.AST) -> set[str]:
    """Return the names in a function that stand for a part of an intervention."""
    names: set[str] = set()
    for node in ast.walk(function):
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) else None
        if value is not None and any(is_of_intervention(part, set()) for part in ast.walk(value)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]  # type: ignore[union-attr]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def is_of_intervention(node: ast.AST, names: set[str]) -> bool:
    """Return whether an expression is a part of an intervention, or a name that stands for one."""
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.Compare):
        is_whole = any("intervention" in name_of(part) or name_of(part) in YIELDS for part in ast.walk(node))
        return is_whole and not any(isinstance(side, ast.Constant) and side.value is None for side in node.comparators)
    if isinstance(node, ast.Attribute) and node.attr == "tokenizer" and name_of(node.value) == "recipe":
        return True  # the path of its file
    if not isinstance(node, ast.Attribute) or node.attr not in (*PARTS, "about"):
        return False
    name = name_of(node.value)
    is_one = name in YIELDS or any(word in name for word in ("intervention", "placebo", "matched"))
    return is_one or node.attr in ("token_names", "token_contents", "permutation_seed")


def name_of(node: ast.AST) -> str:
    """Return the last part of a name, or the name of what is called: `intervention` for `self.intervention`."""
    if isinstance(node, ast.Call):
        return name_of(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_what_an_intervention_has_decides_nothing_that_is_not_listed_with_its_reason() -> None:
    paths = {path.relative_to(SOURCE): path for path in ELSEWHERE}
    found = {one for path, file in paths.items() for one in decisions(path, file.read_text())}
    assert sorted(found - ALLOWED.keys()) == []
    assert sorted(ALLOWED.keys() - found) == []  # what is gone is taken off the list


@pytest.mark.parametrize(
    "line",
    [
        "if intervention.entries(): steps *= 2",
        "rate = 1 if intervention_of(tokenizer).entries() else 2",
        "names = recipe_intervention.token_names()\n    if len(names) > 3: steps *= 2",
        "if load_intervention(Path(recipe.tokenizer)).name == 'none': steps *= 2",
        "if recipe.tokenizer.endswith('none.yaml'): steps *= 2",
        "if intervention != default_intervention(): steps *= 2",
        "return [step for step in steps if self.intervention.facts]",
        "steps = intervention.tokens and 3",
        "match intervention.numbers:\n        case 'base': steps = 3",
    ],
)
def test_a_branch_on_an_intervention_is_seen(line: str) -> None:
    assert decisions(Path("training/stage.py"), f"class Stage:\n  def run(self):\n    {line}\n") == [
        "training/stage.py:Stage.run"
    ]


def test_what_all_conditions_share_is_no_branch() -> None:
    line = "if intervention is None or recipe.seed > 3 or entries: steps = intervention.num_ids"
    assert decisions(Path("a.py"), f"def run(self):\n    {line}\n") == []
