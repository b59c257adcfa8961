"""What runs code that comes with data: pickles, unsafe YAML, `eval`, shells, remote code. A rule for each."""

import ast
import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from tiny import ROOT

from domain_tokens.recipe.values.scalars import Loader

Rule = Callable[[ast.AST], bool]

PICKLES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "jsonpickle"}


def pickles(node: ast.AST) -> bool:
    """Whether a module that executes what it reads is imported."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return any(name.partition(".")[0] in PICKLES for name in names)


def torch_load(node: ast.AST) -> bool:
    """Whether torch reads a pickle without `weights_only=True`."""
    return _calls(node, "torch", "load") and not _has(node, "weights_only", True)


def numpy_pickles(node: ast.AST) -> bool:
    """Whether numpy or pandas may read a pickle."""
    return _has(node, "allow_pickle", True) or _calls(node, None, "read_pickle")


def yaml_load(node: ast.AST) -> bool:
    """Whether YAML is read in another way than by `safe_load`, or by the recipe's own safe loader."""
    if any(_calls(node, "yaml", name) for name in ("full_load", "full_load_all", "unsafe_load", "unsafe_load_all")):
        return True
    return any(_calls(node, "yaml", name) for name in ("load", "load_all")) and not _is_ours(node)


def evaluates(node: ast.AST) -> bool:
    """Whether Python evaluates a text."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec")


def shells(node: ast.AST) -> bool:
    """Whether a shell reads a command."""
    return _has(node, "shell", True) or any(_calls(node, "os", name) for name in ("system", "popen"))


def remote_code(node: ast.AST) -> bool:
    """Whether a repository's code may run."""
    pairs = zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else []
    return _has(node, "trust_remote_code", True) or any(
        isinstance(key, ast.Constant) and key.value == "trust_remote_code" and not _is(value, False)
        for key, value in pairs
    )


def other_weights(node: ast.AST) -> bool:
    """Whether a model may be read from other files than safetensors."""
    if not (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "from_pretrained"
    ):
        return False
    return "Model" in ast.unparse(node.func.value) and not _has(node, "use_safetensors", True)


def _calls(node: ast.AST, module: str | None, name: str) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name):
        return False
    return module is None or (isinstance(node.func.value, ast.Name) and node.func.value.id == module)


def _has(node: ast.AST, argument: str, value: bool) -> bool:
    """Whether a call has a keyword with a value, or with one that is not known here."""
    if not isinstance(node, ast.Call):
        return False
    values = [keyword.value for keyword in node.keywords if keyword.arg == argument]
    return any(
        _is(found, value) or (value and argument != "weights_only" and not _is(found, False)) for found in values
    )


def _is(node: ast.AST, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _is_ours(node: ast.AST) -> bool:
    assert isinstance(node, ast.Call)
    return any(keyword.arg == "Loader" and ast.unparse(keyword.value) == "Loader" for keyword in node.keywords)


UNSAFE: dict[Rule, list[str]] = {
    pickles: ["import pickle", "from dill import loads", "import os, marshal", "import joblib.memory"],
    torch_load: ["torch.load(p)", "torch.load(p, weights_only=False)", "torch.load(p, weights_only=flag)"],
    numpy_pickles: ["np.load(p, allow_pickle=True)", "np.load(p, allow_pickle=flag)", "pd.read_pickle(p)"],
    yaml_load: [
        "yaml.load(t)",
        "yaml.load(t, yaml.FullLoader)",
        "yaml.unsafe_load(t)",
        "yaml.load(t, Loader=yaml.Loader)",
    ],
    evaluates: ["eval(t)", "exec(t, {})"],
    shells: ["subprocess.run(c, shell=True)", "run(c, shell=flag)", "os.system(c)", "os.popen(c)"],
    remote_code: ["load(p, trust_remote_code=True)", "{'trust_remote_code': True}", "load(p, trust_remote_code=flag)"],
    other_weights: [
        "GPT2LMHeadModel.from_pretrained(p)",
        "AutoModelForCausalLM.from_pretrained(p, use_safetensors=False)",
    ],
}
SAFE = """
import json
torch.load(p, weights_only=True)
np.load(p)
yaml.safe_load(t)
yaml.load(t, Loader=Loader)
model.eval()
subprocess.run(c)
load(p, trust_remote_code=False)
{"trust_remote_code": False}
AutoTokenizer.from_pretrained(p)
GPT2LMHeadModel.from_pretrained(p, use_safetensors=True)
"""

# Text that Python evaluates, and where it comes from.
ALLOWED = {
    ("src/domain_tokens/jail/programs.py", "evaluates"): "untrusted programs, in a confined child",
    ("src/domain_tokens/warm_process/server.py", "evaluates"): "the project's scripts",
    ("src/domain_tokens/evaluation/tasks/__init__.py", "evaluates"): "a task in a file that the recipe names",
    ("src/domain_tokens/corpora/lessons/problems/filling.py", "evaluates"): "the project's templates",
}


@pytest.mark.parametrize("rule", UNSAFE, ids=lambda rule: rule.__name__)
def test_a_rule_finds_what_it_is_for(rule: Rule) -> None:
    for source in UNSAFE[rule]:
        assert [line for line, _ in _found(source, rule)] == [1], source
    assert list(_found(SAFE, rule)) == []


def test_no_code_comes_with_data() -> None:
    files = [path for folder in ("src", "scripts") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(files) > 200
    sources = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}
    found = {(path, rule.__name__) for path, source in sources.items() for _, rule in _found(source, *UNSAFE)}
    assert found == set(ALLOWED)


def test_the_recipes_yaml_loader_builds_nothing_but_data() -> None:
    assert issubclass(Loader, yaml.SafeLoader | yaml.CSafeLoader)
    for tag in ("python/object/apply:os.getpid", "python/name:os.system", "python/module:os"):
        with pytest.raises(yaml.YAMLError):
            yaml.load(f"x: !!{tag} []", Loader=Loader)


def test_the_trainer_resumes_without_executing_pickles() -> None:
    # What a checkpoint holds beside safetensors (`optimizer.pt`, `scheduler.pt`, `rng_state.pth`) is read by
    # transformers.
    spec = importlib.util.find_spec("transformers.trainer")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    # A call without it would swallow the next one, so there would be fewer matches than calls.
    assert len(re.findall(r"torch\.load\(.*?weights_only=True", source, re.DOTALL)) == source.count("torch.load(") > 5


def _found(source: str, *rules: Rule) -> Iterator[tuple[int, Rule]]:
    """Yield the lines that break a rule, with the rule."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call | ast.Dict | ast.Import | ast.ImportFrom):
            yield from ((node.lineno, rule) for rule in rules if rule(node))
