"""The report is one safe page, whatever a model wrote or a condition is called."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest

from domain_tokens.analysis.compare import assemble
from domain_tokens.analysis.report.figures.drawn import draw
from domain_tokens.analysis.report.markdown import to_markdown
from domain_tokens.analysis.report.page.marks import mark_facts
from domain_tokens.analysis.report.pages import to_html
from domain_tokens.analysis.report.plots import render
from domain_tokens.runs.results import Pair, load_condition

from .conftest import edit, write_rows, write_tree

ATTACKS = [
    "<script>alert(1)</script>",
    "</div><h1>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>1</script>",
    "</title><b>",
    "</pre></main>",
    "<!-- open",
    "--><b>",
    "<![CDATA[x",
    "&lt;b&gt;<b>",
    "&#60;script&#62;",
    "{{ 7 * 7 }}{% for x in y %}",
    "{{ results.__class__ }}",
    "<MUL_6_9_54><script>",
    "<mark>",
    "</mark><MUL_6_9_54",
    "<MUL_6_9_54 onclick=x>",
    "javascript:alert(1)",
    "|a|b|\n\n# heading\n<b>",
    "[x](javascript:alert(1))",
    "$\\frac{1}{0}$ $x",
    "_hidden",
    "\u202etxt.exe\u202c",
    "\x00\x1b[31m\x07",
    "\ud800 lone",
    "[bold]rich[/bold][/]",
    "<meta http-equiv=refresh content=0>",
    "<base href=//evil>",
]


class Structure(HTMLParser):
    """The elements of a page with their attributes' names, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.sources: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        # A fact that is shown is marked; nothing else about an element may depend on text.
        if tag != "mark":
            self.elements.append((tag, *(name for name, _ in attrs)))
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        if tag != "mark":
            self.elements.append((f"/{tag}",))

    def handle_comment(self, data):
        self.elements.append(("comment",))

    def handle_decl(self, decl):
        self.elements.append(("declaration", decl))

    def handle_pi(self, data):
        self.elements.append(("instruction",))

    def unknown_decl(self, data):
        self.elements.append(("unknown",))


def write(tree, experiment, names, texts):
    """Write a tree whose names and whose items' texts are replaced, and return its folders."""
    folders = tree(experiment=experiment, names=names, num_items=20)
    for folder in folders:
        place = folder / "seed_0/eval/grpo_final"
        rows = [
            {"id": f"{index}", "group": None, "question": text, "gold": text, "answer": f"{text} {folder.name}"}
            | {"correct": False, "num_tokens": 3, "num_facts": 0, "finished": True}
            for index, text in enumerate(texts)
        ]
        write_rows(place / "gsm8k_items.jsonl", rows)
        update = {"num_items": len(rows), "metrics": {"accuracy": 0.0}}
        edit(place / "gsm8k_results.json", lambda result, update=update: result.update(update))
    return folders


def page_of(folders):
    """Return the report without its plots, which take most of the time."""
    return to_html(assemble(Pair(*map(load_condition, folders))), {})


def plain_folders(tmp_path_factory):
    """Write two conditions whose texts are harmless, and return their folders."""
    tree = partial(write_tree, tmp_path_factory.mktemp("plain"))
    return write(tree, "plain", ("left", "right"), ["text"] * 10)


@pytest.fixture(scope="module")
def harmless(tmp_path_factory):
    return Structure(page_of(plain_folders(tmp_path_factory))).elements


@pytest.fixture(scope="module")
def harmless_everywhere(tmp_path_factory):
    folders = plain_folders(tmp_path_factory)
    inject(folders, "text")
    return Structure(page_of(folders)).elements


@pytest.mark.parametrize("start", [0, 10, 20])
def test_answers_and_questions_leave_the_page_as_it_is(tree, harmless, start):
    page = page_of(write(tree, "attacked", ("left", "right"), ATTACKS[start : start + 10]))
    assert Structure(page).elements == harmless


@pytest.mark.parametrize("index", range(0, len(ATTACKS), 5))
def test_names_leave_the_page_as_it_is(tree, harmless, index):
    names = ATTACKS[index], "".join(ATTACKS[index : index + 5])
    experiment = re.sub(r"[/\x00\ud800]", "", names[1])  # what no file system takes
    page = page_of(write(tree, experiment, names, ["text"] * 10))
    assert Structure(page).elements == harmless


def inject(folders, text: str) -> None:
    """Put a text into every field of the result files that the report shows and that is not a name or an answer."""
    for folder in folders:
        run = folder / "seed_0"
        for manifest in run.glob("*_final/manifest.json"):
            record = {
                "file": text, "sha256": "a" * 64,
                "declared": {
                    "endpoints": [{"model": text, "task": text, "metric": text, "group": text}], "alpha": 0.05,
                    "power": 0.8, "equivalence_margin": 0.01, "seeds": [5], "exclusions": [text, text],
                },
            }  # fmt: skip
            edit(manifest, lambda value, record=record: value.update(prereg=record))
            edit(manifest, lambda value: value["environment"].update(command=text, git_commit=text))
            edit(manifest, lambda value: value["reported"].update({f"{text}_sha256": text, f"{text}_count": 1}))
            edit(manifest, lambda value: value["matched"].update({text: text}))
        for items in run.glob("eval/*/arithmetic_items.jsonl"):
            rows = [json.loads(line) for line in items.read_text(encoding="utf-8").splitlines()]
            write_rows(items, [row | {"group": f"{row['group']} {text}"} for row in rows])
        for number, point in enumerate(sorted(run.glob("eval/checkpoints/*-*.json"))):
            metrics = {f"bits_per_byte {text}": 1.0 + number, f"norm_{text}": 2.0}
            edit(point, lambda value, metrics=metrics: value.update(stage=text, metrics=metrics))


@pytest.mark.parametrize("index", range(0, len(ATTACKS), 6))
def test_no_other_field_changes_the_page_either(tree, harmless_everywhere, index):
    # A surrogate stands in no file that was written as UTF-8.
    attack = "".join(ATTACKS[index : index + 6]).encode("utf-8", "ignore").decode()
    folders = write(tree, "plain", ("left", "right"), ["text"] * 10)
    inject(folders, attack)
    assert Structure(page_of(folders)).elements == harmless_everywhere


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def as_a_browser_reads_it(page: str, folder: Path, name: str = "page.html", *more: str) -> str:
    """Return the document that Chromium makes of a page, with what its scripts and loads would have done to it."""
    (folder / name).write_text(page, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=2000", "--dump-dom"]  # fmt: skip
    command = [CHROMIUM, *flags, *more, (folder / name).as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=True).stdout


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_reads_the_same_page_whatever_the_texts_say(tree, tmp_path):
    attack = "".join(ATTACKS).encode("utf-8", "ignore").decode()
    structures = []
    for text, names in (("text", ("left", "right")), (attack, (f"left {attack}", f"right {attack}"))):
        folders = write(tree, "plain", names, [text] * 10)
        inject(folders, text)
        structures.append(Structure(as_a_browser_reads_it(page_of(folders), tmp_path)).elements)
    assert ("/html",) in structures[0]
    assert structures[0] == structures[1]


def test_the_whole_page_stands_alone(tree):
    plain = assemble(Pair(*map(load_condition, write(tree, "plain", ("left", "right"), ["text"] * 10))))
    names = "".join(ATTACKS), "".join(reversed(ATTACKS))
    attacked = Pair(*map(load_condition, write(tree, "attacked", names, ATTACKS[:10])))
    results = assemble(attacked)
    images = render(draw(attacked, results), kinds=("svg",))  # those that a page shows
    page = to_html(results, images)
    structure = Structure(page)
    assert structure.elements == Structure(to_html(plain, images)).elements
    assert [element[0] for element in structure.elements].count("img") == len(images) > 5
    assert page.startswith("<!doctype html>")
    assert "script" not in {element[0] for element in structure.elements}
    images = [source for source in structure.sources if not source.startswith("#")]  # the others lead within the page
    assert images
    assert all(source.startswith("data:image/svg+xml;base64,") for source in images)
    assert not re.search(r"@import|url\(", page)
    assert not {
        name for element in structure.elements for name in element[1:] if name.startswith("on") or name == "style"
    }
    for source in images:
        assert base64.b64decode(source.partition(",")[2]).rstrip().endswith(b"</svg>")


def test_the_policy_allows_the_style_sheet_and_nothing_else(tree):
    page = page_of(write(tree, "plain", ("left", "right"), ["text"] * 10))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_facts_are_marked_after_escaping():
    assert mark_facts("<b><MUL_6_9_54> x") == "&lt;b&gt;<mark>&lt;MUL_6_9_54&gt;</mark> x"
    assert mark_facts("<mul_6> <MUL> <MUL_> <MUL_6_9_54") == "&lt;mul_6&gt; &lt;MUL&gt; &lt;MUL_&gt; &lt;MUL_6_9_54"
    assert mark_facts(None) == ""


def test_markdown_cells_hold_any_name(tree):
    folders = write(tree, "plain", ("a|b\n\n# c", "<script>`*"), ["text"] * 10)
    markdown = to_markdown(assemble(Pair(*map(load_condition, folders))))
    assert "<script>" not in markdown
    assert "\n# c" not in markdown
    widths = {
        len(re.findall(r"(?<!\\)\|", line))
        for line in markdown.split("## Are the success")[0].splitlines()
        if line[:1] == "|"
    }
    assert widths == {13}


_WIDTHS = """<!doctype html><body><script>
const done = [400, 1100, 1800].map(width => new Promise(loaded => {
  const frame = document.createElement("iframe");
  frame.width = width;
  frame.height = 900;
  frame.src = "page.html";
  frame.onload = () => {
    const page = frame.contentDocument;
    page.querySelectorAll("details").forEach(one => one.open = true);
    loaded(width + ":" + (page.documentElement.scrollWidth - page.documentElement.clientWidth));
  };
  document.body.append(frame);
}));
Promise.all(done).then(widths => document.title = widths.join(" "));
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_no_page_scrolls_sideways(tree, tmp_path):
    names = "left_" + "long_" * 9, "right" * 12
    page = page_of(write(tree, "plain", names, ["text " * 40, "long" * 90] * 5))
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    shown = as_a_browser_reads_it(_WIDTHS, tmp_path, "widths.html", "--allow-file-access-from-files")
    assert re.search("<title>(.*)</title>", shown)[1] == "400:0 1100:0 1800:0"
