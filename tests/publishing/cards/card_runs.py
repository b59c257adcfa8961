"""Finished runs, made up, with all that a card reads: manifests, recipes, a tokenizer's configuration, results."""

import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from analysis.conftest import edit, freeze_tree, write_tree
from tiny import ROOT

from domain_tokens.analysis.compare import compare
from domain_tokens.tokenization.intervention import load_intervention

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ABOUT = {"baseline": "Nothing is rewritten.", "mul_tokens": "One token for each product."}
SOURCES: dict[str, list[dict[str, Any]]] = {
    "pretrain": [
        {
            "name": "web",
            "kind": "hub",
            "path": "lab/web-text",
            "config": "small",
            "split": "train",
            "licence": "ODC-By",
        },
        {"name": "made", "kind": "synthetic", "what": "text"},
    ],
    "drills": [{"name": "made", "kind": "synthetic", "what": "drills"}],
    "gsm8k": [
        {"name": "own", "kind": "file", "path": "/home/somebody/secret/own.jsonl"},
        {"name": "problems", "kind": "hub", "path": "openai/gsm8k", "split": "train", "licence": "MIT"},
    ],
    "grpo": [{"name": "problems", "kind": "hub", "path": "openai/gsm8k", "split": "train", "licence": "MIT"}],
}
DATA = {
    "gsm8k": {"name": "gsm8k-test", "kind": "hub", "path": "openai/gsm8k", "config": "main", "split": "test"},
    "arithmetic": {"name": "sums", "kind": "synthetic", "path": "openai/gsm8k", "licence": "MIT", "what": "problems"},
}
DECLARED = {
    "endpoints": [{"model": "grpo_final", "task": "gsm8k", "metric": "accuracy", "group": None}],
    "alpha": 0.05, "power": 0.8, "seeds": [0, 1], "exclusions": [],
    "contrasts": {"whole": ["mul_tokens", "baseline"]}, "main": ["whole"],
}  # fmt: skip


def write_runs(
    place: Path,
    names: tuple[str, str] = ("baseline", "mul_tokens"),
    seeds: tuple[int, ...] = (0, 1),
    *,
    declared: bool = True,
    compared: bool = True,
    sources: dict[str, list[dict[str, Any]]] | None = None,
    about: dict[str, str] | None = None,
) -> Path:
    """Write two conditions with everything that a card reads, and compare them; return the experiment's folder.

    The comparison knows what the interventions do (`about`) if nothing is declared.
    """
    folders = write_tree(place, names=names, seeds=seeds, num_items=30)
    descriptions, experiment = about or ABOUT, folders[0].parent
    for folder, name in zip(folders, names, strict=True):
        name_sources(folder)
        if not declared:  # what is declared is frozen without them
            describe(folder, descriptions.get(name))
    if declared:
        freeze_tree(folders, DECLARED | {"seeds": list(seeds), "contrasts": {"whole": [names[1], names[0]]}})
    if compared:
        compare(*folders, experiment, plots=False)
    for folder, name, file in zip(folders, names, ("none", "mul_tokens"), strict=True):
        values = load_intervention(ROOT / f"recipes/interventions/{file}.yaml").as_json()
        add_records(folder, name, values | {"about": descriptions.get(name, "")}, sources or SOURCES)
    return experiment


def describe(folder: Path, about: str | None) -> None:
    """Write what the condition's tokenizer says of its intervention."""
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "manifest.json").write_text(json.dumps({"inputs": {"intervention": {"about": about}}}))


def name_sources(folder: Path) -> None:
    """Write from which data the questions of the evaluations are."""
    for path in folder.glob("seed_*/eval/*/*_results.json"):
        task = path.name.partition("_")[0].partition(".")[0]
        source = {"gsm8k": "gsm8k-test", "arithmetic": "generated sums"}.get(task, "scenes")
        edit(path, partial(dict.update, source=source))


def add_records(
    folder: Path, condition: str, intervention: dict[str, Any], sources: dict[str, list[dict[str, Any]]]
) -> None:
    """Write recipes, tokenizers' configurations and the sources of each stage into a condition's folder."""
    recipe = {
        "experiment": folder.parent.name,
        "condition": condition,
        "corpus": {"seed": 0, "sources": sources["pretrain"]},
        "sft_stages": [{"name": name, "sources": sources[name]} for name in ("drills", "gsm8k")],
        "grpo_prompts": sources["grpo"],
        "evaluation": {"data": DATA, "max_new_tokens": 24},
    }
    for model in folder.glob("seed_*/*_final"):
        (model / "run_config.yaml").write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")
        (model / "tokenizer_config.json").write_text(json.dumps({"intervention": intervention}))
        stage = {"pretrain_final": "pretrain", "sft_final": "gsm8k", "grpo_final": "grpo"}[model.name]
        recorded = [recorded_source(one) for one in sources[stage]]
        inputs = {"corpus": {"sources": recorded}} if stage == "pretrain" else {"sources": recorded}
        edit(model / "manifest.json", partial(dict.update, inputs=inputs, hub_commits=commits(recorded)))
    documents = folder.parent / "documents_0" / "manifest.json"
    if not documents.exists():
        shutil.copytree(folder / "corpus_0", documents.parent)
        edit(documents, partial(dict.update, hub_commits=commits(sources["pretrain"])))
    for evaluated in folder.glob("seed_*/eval"):
        manifest = {"stage": "eval", "inputs": {"sources": []}, "hub_commits": {"gsm8k-test": COMMIT}}
        (evaluated / "manifest.json").write_text(json.dumps(manifest))


def recorded_source(source: dict[str, Any]) -> dict[str, Any]:
    """Return a source of a recipe as a stage's inputs have it: without its licence, and with what was read."""
    own = {"synthetic": {"generator": 4}, "file": {"sha256": [["own.jsonl", "ab" * 32]]}, "hub": {}}[source["kind"]]
    return {key: value for key, value in source.items() if key != "licence"} | own


def commits(sources: list[dict[str, Any]]) -> dict[str, str]:
    return {one["name"]: COMMIT for one in sources if one["kind"] == "hub"}


def section(card: str, title: str) -> str:
    """Return what stands under a heading of a card."""
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    assert found is not None, card
    return found[1]


def rows_of(table: str) -> list[list[str]]:
    """Return the cells of the first table in a text, its header first."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in (lines[0], *lines[2:])]


def plain(text: str) -> str:
    """Return Markdown as it is shown: without the backslashes that escape it."""
    return re.sub(r"\\([^\w\s])", r"\1", text)
