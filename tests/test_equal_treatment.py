"""No line outside the tokenizer may ask which condition it is in, or decide by what its intervention has."""

import ast
from pathlib import Path

import pytest
from condition_flow import PARTS, YIELDS, Package

SOURCE = Path(__file__).parents[1] / "src" / "domain_tokens"
ELSEWHERE = sorted(path for path in SOURCE.rglob("*.py") if "tokenization" not in path.parts)
# These hold conditions apart by their names, whatever they are.
LABELS = ("analysis", "experiment", "logs", "playground", "publishing", "studies", "watch")


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

ALLOWED = {
    "cli/build_tokenizer.py:build": "prints the description that the file has, if it has one",
    "cli/dry_run.py:_size": "formats a number, for one that is multiplied by the number of conditions",
    "cli/run_study.py:_write": "prints a line for every run of a study",
    "cli/verify_matched.py:read_recorded": "refuses a folder with manifests of two conditions",
    "corpora/placebo/choosing.py:_check": "refuses to match an intervention without tokens",
    "corpora/placebo/choosing.py:_exchange": "chooses the phrases of a placebo, once, before any experiment",
    "corpora/placebo/choosing.py:_nearest": "the same",
    "corpora/placebo/choosing.py:_savings": "the same",
    "corpora/placebo/choosing.py:choose_placebo": "the same",
    "corpora/placebo/choosing.py:to_yaml": "the same",
    "corpora/placebo/savings.py:load_matched": "a placebo declares what it matches; others have nothing to check",
    "corpora/placebo/savings.py:check_savings": "measures and refuses; changes no document and no token",
    "corpora/preparation/accounts.py:_site_counter": "counts in every condition: its own sites, or the table's",
    "corpora/preparation/accounts.py:_statistics": "warns of tokens that are rare in the documents",
    "corpora/shards.py:fact_counts": "refuses a shard with ids that the tokenizer does not have",
    "corpora/preparation/accounts.py:_groups_of_digits": "counts groups where numbers are cut, for the report",
    "evaluation/answers/answer.py:AnswerReader._read": "marks what of an answer was written as a token, for reports",
    "evaluation/answers/answer.py:texts_by_token": "reads a token of an answer as the text that it stands for",
    "evaluation/answers/answer.py:expand_tokens": "the same",
    "evaluation/checkpoints.py:_Evaluation._identify": "refuses a checkpoint of another intervention",
    "evaluation/models/bits_per_byte.py:encode": "checks that a rewritten document is restored",
    "evaluation/models/embedding_rows.py:row_norms": "names the rows that have a token; reserved rows have none",
    "evaluation/models/side_codes.py:answer_side_code": "where nothing is rewritten, nothing is dropped",
    "planning/sensitivity.py:_pilot": "looks for a finished pilot of the same conditions, to plan with",
    "planning/whole_recipe.py:check_recipes": "names the recipe in a message if there are several",
    "corpora/programs/interpreter.py:_Interpreter._if": "the condition of an `if` in a program",
    "publishing/cards/loading.py:_expanding": "writes how the tokens of an answer are read, if there are any",
    "publishing/cards/loading.py:expansions": "the same",
    "publishing/cards/markup.py:code": "writes a name as code",
    "publishing/cards/tables.py:identity_table": "lists what a model is, for its card",
    "publishing/cards/words.py:_differences": "says in words how conditions differ, for a card",
    "recipe/arguments.py:flatten": "joins the keys of a record",
    "recipe/checks.py:check_among": "refuses another name, as of the condition whose model a run starts with",
    "recipe/checks.py:check_name": "refuses a name that cannot be a folder's",
    "recipe/checks.py:check_unique": "refuses a name that is there twice",
    "recipe/loading.py:expand": "expands `~` in a path",
    "recipe/prereg.py:counted_main": "counts the declared comparisons that a command trains",
    "runs/ledger.py:_allowed": "settings outside the tokenizer that a recipe declares, `budget.equal_to` among them",
    "runs/ledger.py:differences": "compares what two conditions recorded, and names what differs",
    "runs/preregistration.py:_short": "cuts a long value in a message",
    "runs/preregistration.py:differences": "compares what was used with what was frozen, and names what differs",
    "runs/results.py:_load_stage": "refuses a manifest of another seed than its folder's",
    "runs/results.py:load_condition": "refuses a folder with manifests of two conditions",
    "training/model.py:start_at_digits": "a setting that a recipe declares; rows of tokens that have digits",
}
# What the playground shows of facts, and what a visitor forbids or swaps; nothing there trains or is scored.
ALLOWED |= dict.fromkeys(
    [
        *(f"playground/chances.py:{name}" for name in ("_says", "chances")),
        *(f"playground/vocabulary.py:{name}" for name in ("check_swap", "swapped_ids")),
        *(
            f"playground/vocabulary.py:Vocabulary.{name}"
            for name in (
                "_operands", "beginning_with", "chip", "ending", "fact_named", "fact_texts", "kind", "text", "written",
            )
        ),
        "playground/writing.py:Writing.circumstances",
    ],
    "shows facts on a page",
)  # fmt: skip


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


@pytest.mark.timeout(300)
def test_what_an_intervention_has_decides_nothing_that_is_not_listed_with_its_reason() -> None:
    paths = {path.relative_to(SOURCE): path for path in ELSEWHERE}
    sources = {path: file.read_text() for path, file in paths.items()}
    found = {one for path, source in sources.items() for one in decisions(path, source)}
    found |= set(Package(sources, LABELS).decisions())
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


# --- Through variables, calls and files ------------------------------------------------------------------------------

HELPERS = """
def name_of(recipe): return recipe.condition
def again(recipe): return name_of(recipe)
def unchanged(value, other=0): return value
def longer(name): return 2 if name.endswith('tokens') else 1
def given(steps, *, name=''): return longer(name)
def has_tokens(intervention): return bool(intervention.entries())
def label(recipe): return f'run of {recipe.condition}'
"""
CALLER = "from domain_tokens.runs.helpers import again, given, has_tokens, label, longer, name_of, unchanged\n"
HERE, THERE = "training/stage.py:Stage.run", "runs/helpers.py:longer"


def planted(lines: str, more: str = "") -> list[str]:
    """Return the decisions in a package of two files, one of whose functions has some lines."""
    body = lines.replace("\n", "\n        ")
    stage = f"{CALLER}class Stage:\n    def run(self, recipe, steps):\n        {body}\n{more}"
    return Package({Path("runs/helpers.py"): HELPERS, Path("training/stage.py"): stage}, LABELS).decisions()


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ("name = recipe.condition\nif name == 'a': steps *= 2", HERE),
        ("first = recipe.condition\nsecond = first\nthird = second.lower()\nif third == 'a': steps *= 2", HERE),
        ("if 'mul' in recipe.condition: steps *= 2", HERE),
        ("name = recipe.condition\nsteps *= 1 + ('mul' in name)", HERE),
        ("name = recipe.condition\nsteps *= 1 + name.startswith('mul')", HERE),
        ("steps *= 2 if re.match('mul', recipe.condition) else 1", HERE),
        ("steps *= {'mul_tokens': 2}.get(recipe.condition, 1)", HERE),
        ("name = recipe.condition\nsteps *= {'mul_tokens': 2, 'baseline': 1}[name]", HERE),
        ("steps *= STEPS[recipe.condition]", HERE),
        ("name = f'{recipe.condition}'\nif name == 'a': steps *= 2", HERE),
        ("if (name := recipe.condition) > 'b': steps *= 2", HERE),
        ("name, steps = recipe.condition, 3\nif name == 'a': steps *= 2", HERE),
        ("match recipe.condition:\n    case 'a': steps *= 2", HERE),
        ("if Path(recipe.tokenizer).stem == 'none': steps *= 2", HERE),
        ("if recipe.condition_dir.name.endswith('mul_tokens'): steps *= 2", HERE),
        ("if name_of(recipe) == 'a': steps *= 2", HERE),
        ("if again(recipe) == 'a': steps *= 2", HERE),
        ("name = unchanged(again(recipe))\nif name == 'a': steps *= 2", HERE),
        ("steps *= longer(recipe.condition)", THERE),
        ("steps *= given(1, name=again(recipe))", THERE),
        ("own = intervention_of(tokenizer)\nif has_tokens(own): steps *= 2", HERE),
        ("for one in intervention_of(tokenizer).entries():\n    if one.token: steps *= 2", HERE),
        ("steps += len([one for one in load_intervention(path).entries() if one.operands])", HERE),
        ("names = intervention_of(tokenizer).token_names()\nwhile len(names) > steps: steps *= 2", HERE),
        ("if load_intervention(path) == default_intervention(): steps *= 2", HERE),
    ],
)
def test_what_decides_is_followed_through_variables_and_calls(lines: str, where: str) -> None:
    assert planted(lines) == [where]


@pytest.mark.parametrize(
    "more",
    [
        "    def keep(self, recipe): self.kept = recipe.condition",
        "    @property\n    def kept(self): return again(self.recipe)",
    ],
)
def test_what_decides_is_followed_through_an_object(more: str) -> None:
    assert planted("if self.kept == 'a': steps *= 2", more) == [HERE]
    assert planted("if self.other == 'a': steps *= 2", more) == []


@pytest.mark.parametrize(
    "lines",
    [
        "logger.info('%s begins', recipe.condition)\nif steps > 3: steps *= 2",
        "if unchanged(steps, recipe.condition) > 3: steps *= 2",
        "name = recipe.condition\nif (folder / name).is_dir(): steps *= 2",
        "if label(recipe) in done: steps *= 2",
        "if intervention_of(tokenizer).num_ids > 3 or intervention is None: steps *= 2",
        "names = {'a': recipe.condition}\nif recipe.seed > 3: steps *= 2",
    ],
)
def test_what_decides_nothing_is_not_reported(lines: str) -> None:
    assert planted(lines) == []


def test_names_are_labels_where_conditions_are_held_apart() -> None:
    source = "def run(recipe, names):\n    return recipe.condition in names or {intervention}.entries() == []"
    assert Package({Path("analysis/a.py"): source.replace("{intervention}.entries()", "[]")}, LABELS).decisions() == []
    whole = source.replace("{intervention}", "recipe_intervention")
    assert Package({Path("analysis/a.py"): whole}, LABELS).decisions() == ["analysis/a.py:run"]
