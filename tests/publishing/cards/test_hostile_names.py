"""Whatever conditions, sources, licences and reports are called, a card keeps its structure and its metadata."""

import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from analysis.conftest import edit
from huggingface_hub import DatasetCard, ModelCard
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from properties import examples

from domain_tokens.publishing.cards import collection_card, model_card
from domain_tokens.publishing.cards.markup import code, fenced, prose, table

PIECES = (
    "# a", "---", "\n---\n", "```", "`", "``x", "|", "\\", "\\|", "*", "**", "_", "__a__", "~~", "<script>", "</p>",
    "<!--", "-->", "&lt;", "[x](http://e.vil)", "![x](y)", "http://e.vil", "www.e.vil", "me@evil.com", "- x", "1. x",
    "> x", "| a | b |", "$x$", "{{ 7 * 7 }}", "{% raw %}", "%}", ": ", "key: value", "'", '"', "!!python/object", "&a",
    "*a", "\t", "\r\n", "\x00", "\u2028", "\ud800", "\x1b[31m", "...", "é", "日", "null", "1e3", " ", "=", "+", "#",
    "    indented", "[^1]", "<MUL_6_9_54>", "<br>", "@user", "==", "\x85",
)  # fmt: skip
names = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), min_size=1, max_size=4).map("".join)
Cards = Callable[[tuple[str, ...]], tuple[str, str]]


def structure(card: str) -> list[tuple[str, str]]:
    """Return the blocks, and the marks within lines, that GitHub's Markdown makes of a card, without its texts."""
    text = re.sub(r"\A---\n.*?\n---\n", "", card, count=1, flags=re.DOTALL)
    parser = MarkdownIt("gfm-like")
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": True})
    found = []
    for token in parser.parse(text):
        found.append((token.type, token.tag))
        found += [(one.type, one.tag) for one in token.children or () if one.type not in ("text", "text_special")]
    return found


def is_shown(name: str) -> bool:
    """Return whether a name is more than spaces, of which nothing can be seen."""
    return bool(name.strip())


def is_code(pair: tuple[str, str]) -> bool:
    """A name with a character that code cannot show is shown as text."""
    return pair == ("code_inline", "code")


def rename(experiment: Path, names: Iterator[str]) -> None:
    """Put names in the place of the texts of the files that a person or a report writes."""
    condition, source = whole(next(names)), next(names)
    for path in experiment.glob("exp_b/seed_0/*_final/run_config.yaml"):
        recipe = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        sources = [*recipe["corpus"]["sources"], *recipe["grpo_prompts"], *recipe["evaluation"]["data"].values()]
        for stage in recipe["sft_stages"]:
            sources += stage["sources"]
        for index, one in enumerate(sources):
            path_of = f"no repository {next(names)}"
            one |= {"name": f"{source}{index}", "path": path_of, "config": next(names), "licence": next(names)}
            one |= {"revision": next(names)}
        readable = json.loads(whole(json.dumps(recipe, ensure_ascii=False)))
        path.write_text(yaml.dump(readable, Dumper=yaml.CSafeDumper, default_style='"'))  # or 1e3 would be a number
    for path in experiment.glob("exp_b/seed_0/*_final/tokenizer_config.json"):
        edit(path, lambda value: value["intervention"].update(about=next(names), name=next(names)))
    for path in experiment.glob("exp_b/seed_0/*_final/manifest.json"):
        edit(path, lambda value: value.update(condition=condition, hub_commits=None))
        edit(path, lambda value: value["environment"].update(git_commit=next(names), time_utc=next(names)))
    for path in experiment.glob("exp_b/seed_0/eval/*/*_results.json"):
        edit(path, lambda value: value.update(source=f"generated {source}"))
    edit(experiment / "results.json", lambda value: renamed(value, condition, map(whole, names)))


def whole(text: str) -> str:
    """Return a text without half characters: a recipe and a comparison with one cannot be read."""
    return text.encode("utf-8", "replace").decode()


def renamed(results: dict[str, Any], condition: str, names: Iterator[str]) -> None:
    results.update(other=condition, about={"baseline": next(names), condition: next(names)})
    results["verdict"].update(sentence=next(names))
    results["declaration"].update(departures=[next(names), next(names)])
    for row in results["rows"]:
        row.update(source=f"generated {next(names)}")
    for row in results["estimands"]:
        row.update(stage=next(names))


@pytest.fixture(scope="module")
def cards(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Cards:
    """Return a function that writes a name everywhere and returns both cards."""
    copied = tmp_path_factory.mktemp("hostile") / "demo"
    shutil.copytree(experiment, copied)
    kept = {path: path.read_bytes() for path in copied.rglob("*") if path.suffix in (".json", ".yaml")}

    def make(names: tuple[str, ...]) -> tuple[str, str]:
        for path, content in kept.items():
            path.write_bytes(content)
        rename(copied, itertools.cycle(names))
        repos = {"exp_b/seed_0/grpo_final": "lab/demo"}
        return (
            model_card(copied / "exp_b/seed_0", "grpo_final", "lab/demo", results_repo="lab/results"),
            collection_card(copied, repos, "lab/results"),
        )

    return make


@pytest.fixture(scope="module")
def usual(cards: Cards) -> tuple[str, str]:
    """Both cards with a harmless name."""
    return cards(("plain",))


@settings(max_examples=examples(8), phases=[Phase.generate])  # to shrink a failure would take minutes
@given(hostile=st.lists(names.filter(is_shown), min_size=7, max_size=7).map(tuple))
def test_names_change_no_structure(cards: Cards, usual: tuple[str, str], hostile: tuple[str, ...]) -> None:
    for card, expected, reader in zip(cards(hostile), usual, (ModelCard, DatasetCard), strict=True):
        blocks = [[pair for pair in structure(one) if not is_code(pair)] for one in (card, expected)]
        assert blocks[0] == blocks[1]
        data, usual_data = (reader(one).data.to_dict() for one in (card, expected))
        assert data.keys() == usual_data.keys()
        assert yaml.safe_load(card.removeprefix("---\n").partition("\n---\n")[0]) == data


@given(text=names)
@example("`")
@example("|")
@example("\\|")
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    for shown in (prose(text), code(text)):
        document = f"{shown}\n\n{table(['a', 'b', 'c'], [[shown, shown, 'last']])}\n"
        found = structure(document)
        blocks = {kind.removesuffix("_open").removesuffix("_close") for kind, _ in found}
        assert blocks <= {"inline", "code_inline", "paragraph", "table", "thead", "tbody", "tr", "th", "td"}
        cells = [token.content for token in MarkdownIt("gfm-like").parse(document) if token.type == "inline"]
        assert cells[-1] == "last"


@given(lines=st.lists(names, min_size=1, max_size=3))
@example(["```"])
@example(["x\n```\ny"])
def test_code_cannot_end_its_block(lines: list[str]) -> None:
    document = f"{fenced(lines, 'python')}\n\nafter\n"
    assert structure(document) == [
        ("fence", "code"), ("paragraph_open", "p"), ("inline", ""), ("paragraph_close", "p")
    ]  # fmt: skip
    assert MarkdownIt().parse(document)[0].content.count("\n") == len(lines)


def test_a_name_without_escapes_does_change_the_structure() -> None:
    assert structure("a | b\n") != structure("# a\n")
    assert structure("see http://e.vil\n") != structure("see http\\://e.vil\n")
    assert structure(prose("see http://e.vil")) == structure("see plain\n")
    assert structure("me@evil.com") != structure(prose("me@evil.com")) == structure("plain")
