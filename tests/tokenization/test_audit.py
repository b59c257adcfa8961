"""The labelled sentences are what they say, the table counts right, and the page is safe whatever a text holds."""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tiny import run_inside

from domain_tokens.cli.audit import main
from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization.audit.page import Reading, ShownText, read_file, segments, to_html
from domain_tokens.tokenization.audit.scoring import (
    FORMS,
    Product,
    Score,
    Sentence,
    load_audit_set,
    score,
    score_options,
)
from domain_tokens.tokenization.intervention import Facts, Intervention, Phrase, default_intervention
from domain_tokens.tokenization.rewriter import Site, find, inject

NUMBER = r"(?i:[1-9]|one|two|three|four|five|six|seven|eight|nine)"
HAN = "[1-9一二三四五六七八九]"
SPELLED = {
    "*": r"[1-9] *\* *[1-9]",
    "×": r"[1-9] *× *[1-9]",
    "x": r"[1-9] *[xX] *[1-9]",
    "bare x": r"[1-9]x[1-9]",
    "·": r"[1-9] *(?:·|⋅) *[1-9]",
    "\\cdot": r"[1-9] *\\cdot *[1-9]",
    "\\times": r"[1-9] *\\times *[1-9]",
    "words": rf"{NUMBER} (?i:times|multiplied by) {NUMBER}|[Tt]he product of {NUMBER} and {NUMBER}"
    rf"|Multiply {NUMBER} by {NUMBER}|Seven eights",
    "chinese": f"{HAN}(?:乘以?)?{HAN}",
}
RESULT_BEHIND = re.compile(rf" *= *[$€£]? ?\d| (?:is|equals) (?:\d|{NUMBER}\b)")


@pytest.fixture(scope="module")
def audit_set() -> list[Sentence]:
    return load_audit_set()


def test_the_set_is_large_enough_and_half_of_it_misleads(audit_set: list[Sentence]) -> None:
    kinds = Counter(sentence.kind for sentence in audit_set)
    assert set(kinds) == {"product", "hard_negative"}
    assert kinds.total() >= 340
    assert kinds["hard_negative"] >= kinds.total() / 2
    assert len({sentence.text for sentence in audit_set}) == len(audit_set)
    assert all(sentence.text.strip() == sentence.text and sentence.category for sentence in audit_set)


def test_sentences_with_products_are_those_with_marks(audit_set: list[Sentence]) -> None:
    for sentence in audit_set:
        assert bool(sentence.products) is (sentence.kind == "product"), sentence.text


def test_the_marks_are_expressions_spelled_as_they_say(audit_set: list[Sentence]) -> None:
    for sentence in audit_set:
        position = 0
        for product in sentence.products:
            assert position <= product.start < product.end <= len(sentence.text), sentence.text
            expression, behind = sentence.text[product.start : product.end], sentence.text[product.end :]
            assert re.fullmatch(SPELLED[product.form], expression), (product.form, expression)
            if product.form == "bare x":
                assert not RESULT_BEHIND.match(behind), sentence.text
            elif product.form == "x" and re.fullmatch(SPELLED["bare x"], expression):
                assert RESULT_BEHIND.match(behind), sentence.text
            position = product.end


@pytest.mark.parametrize("form", FORMS)
def test_every_spelling_has_products_and_temptations(form: str, audit_set: list[Sentence]) -> None:
    assert sum(product.form == form for sentence in audit_set for product in sentence.products) >= 12
    tempting = [s.text for s in audit_set if s.kind == "hard_negative" and re.search(SPELLED[form], s.text)]
    assert len(tempting) >= (40 if form == "bare x" else 10)


def site(text: str, source: str, verdict: str = "rewritten", reason: str = "a fact") -> Site:
    start = text.index(source)
    new = "<MUL_6_9_54>" if verdict == "rewritten" else None
    return Site(start, start + len(source), source, (6, 9), None, "*", verdict, reason, new)


def sentence(text: str, *products: tuple[str, str]) -> Sentence:
    marks = tuple(Product(text.index(part), text.index(part) + len(part), form) for part, form in products)
    return Sentence(text, "product" if marks else "hard_negative", "by hand", marks)


def test_a_score_is_what_one_counts_by_hand() -> None:
    sentences = [
        sentence("so 6*9=54", ("6*9", "*")),
        sentence("6 x 9 and 9*6", ("6 x 9", "x"), ("9*6", "*")),
        sentence("8*6! 6*7", ("8*6", "*"), ("6*7", "*")),
        sentence("2*7 files"),
        sentence("16*9"),
    ]
    sites = [
        [site("so 6*9=54", "6*9=54")],
        [site("6 x 9 and 9*6", "6 x 9"), site("6 x 9 and 9*6", "9*6")],
        [site("8*6! 6*7", "8*6", "left", "a factorial"), site("8*6! 6*7", "*7")],
        [site("2*7 files", "2*7")],
        [site("16*9", "16*9", "left", "not in the table")],
    ]
    found = score("by hand", ["*"], sentences, sites)
    # Right: 6*9=54, 6 x 9 (a product, if not one that is asked for) and 9*6. Asked for: 6*9, 9*6, 8*6 and 6*7.
    assert (found.num_rewritten, found.num_right, found.num_products, found.num_found) == (5, 3, 4, 2)
    assert (found.precision, found.recall) == (0.6, 0.5)
    # Wilson's interval of 3 in 5: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n), z = 1.96
    assert found.interval == pytest.approx((0.2307, 0.8824), abs=5e-5)
    assert [(m.kind, m.sentence[m.start : m.end], m.reason) for m in found.mistakes] == [
        ("false alarm", "*7", "a fact"),
        ("miss", "8*6", "a factorial"),
        ("miss", "6*7", "a fact"),
        ("false alarm", "2*7", "a fact"),
    ]


def test_nothing_rewritten_has_no_precision() -> None:
    found = score("nothing", ["·"], [sentence("6*9", ("6*9", "*"))], [[]])
    assert (found.precision, found.interval, found.recall, found.mistakes) == (None, None, None, ())


@pytest.mark.slow  # compiles the rules fourteen times; the table of the shipped ones is a fast test
def test_options_score_the_rules_that_they_name() -> None:
    sentences = [
        sentence("What is 6*9?", ("6*9", "*")),
        sentence("What is 6 x 9?", ("6 x 9", "x")),
        sentence("What is 6x9?", ("6x9", "bare x")),
        sentence("It is 6x9=54.", ("6x9", "x")),
        sentence("What is six times nine?", ("six times nine", "words")),
        sentence("六乘九等于五十四", ("六乘九", "chinese")),
        sentence("He sold the 4x4 truck."),
    ]
    found = {
        one.option: (one.num_rewritten, one.num_right, one.num_products, one.num_found)
        for one in score_options(default_intervention(), sentences)
    }
    assert found == {
        "* alone": (1, 1, 1, 1),
        "× alone": (0, 0, 0, 0),
        "· alone": (0, 0, 0, 0),
        "\\times alone": (0, 0, 0, 0),
        "\\cdot alone": (0, 0, 0, 0),
        "x alone": (3, 3, 3, 3),
        "x alone, bare_x off": (2, 2, 2, 2),
        "bare x (the difference)": (1, 1, 1, 1),
        "words alone": (1, 1, 1, 1),
        "chinese alone": (1, 1, 1, 1),
        "mul_tokens": (4, 4, 4, 4),
        "mul_tokens, bare_x off": (3, 3, 4, 3),
        "mul_tokens, strict": (1, 1, 4, 1),
        "everything on": (6, 6, 6, 6),
        "everything on, strict": (2, 2, 6, 2),
    }


@pytest.mark.parametrize("facts", [None, Facts(operation="+", token=None), Facts(operands=[1, 12])])
def test_other_facts_have_no_labelled_sentences(facts: Facts | None) -> None:
    with pytest.raises(RecipeError, match="products of 1 to 9"):
        score_options(replace(default_intervention(), facts=facts), [])


def test_segments_are_the_text_and_the_rewritten_text(audit_set: list[Sentence]) -> None:
    for one in audit_set:
        sites = find(one.text)
        before, after = segments(one.text, sites)
        assert "".join(part for part, _ in before) == one.text
        assert "".join(part for part, _ in after) == inject(one.text)
        rewritten = [site for site in sites if site.verdict == "rewritten"]
        assert [site for _, site in after if site is not None and site.verdict == "rewritten"] == rewritten


def test_overlapping_sites_are_marked_once_and_rewritten_ones_always() -> None:
    text = "2*3*4*5"
    sites = [site(text, "2*3", "left"), site(text, "3*4"), site(text, "4*5", "left")]
    before, after = segments(text, sites)
    assert [part for part, _ in before] == ["2*", "3*4", "*5"]
    assert [part for part, _ in after] == ["2*", "<MUL_6_9_54>", "*5"]


def test_long_stretches_without_a_site_are_shortened() -> None:
    text = "a" * 600 + "6*9" + "b" * 5000
    before, _ = segments(text, [site(text, "6*9")])
    assert [part for part, _ in before] == ["a" * 600, "6*9", "b" * 200 + " [… 4,600 characters …] " + "b" * 200]


ATTACKS = [
    "<script>alert(1)</script>",
    "</div></section></article><h1>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    '" onmouseover="alert(1)',
    "</style><script>1</script>",
    "</title><b>",
    "</mark></ul></main>",
    "<!-- open",
    "--><b>",
    "<![CDATA[x",
    "<?php",
    "&lt;b&gt;<b>",
    "&#60;script&#62;",
    "{{ intervention.name }}{% for x in y %}",
    "<mark class=left>",
    "<MUL_6_9_54><script>",
    "javascript:alert(1)",
    "\u202etxt.exe\u202c",
    "\x00\x1b[31m\x07",
    "<meta http-equiv=refresh content=0>",
    "<base href=//evil>",
]


class Structure(HTMLParser):
    """The elements of a page with their attributes' names, in order, and the words in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.data: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, *(name for name, _ in attrs)))

    def handle_endtag(self, tag):
        self.elements.append((f"/{tag}",))

    def handle_data(self, data):
        self.data.append(data)

    def handle_comment(self, data):
        self.elements.append(("comment",))

    def handle_decl(self, decl):
        self.elements.append(("declaration", decl))

    def handle_pi(self, data):
        self.elements.append(("instruction",))

    def unknown_decl(self, data):
        self.elements.append(("unknown",))


def page_of(folder: Path, *texts: str, max_lines: int = 1000, **changes) -> str:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    intervention = replace(default_intervention(), **changes)
    return to_html([read_file(path, intervention, max_lines)], intervention)


def around(text: str) -> str:
    return f"{text} so 6*9=54, not 16*9 {text}"


def test_texts_leave_the_page_as_it_is(tmp_path: Path) -> None:
    harmless = Structure(page_of(tmp_path, *[around("text")] * len(ATTACKS)))
    attacked = Structure(page_of(tmp_path, *map(around, ATTACKS)))
    assert attacked.elements == harmless.elements
    assert "script" not in {element[0] for element in attacked.elements}
    names = {name for element in attacked.elements if element[0] != "declaration" for name in element[1:]}
    assert not {name for name in names if name.startswith("on") or name in ("style", "src", "href")}
    shown = "".join(attacked.data)
    assert all(around(text).split(" so ")[0] in shown for text in ATTACKS if "\x00" not in text)


@pytest.mark.parametrize("attack", ATTACKS)
def test_names_and_reasons_leave_the_page_as_it_is(attack: str) -> None:
    def page(text: str) -> Structure:
        one = Site(0, len(text), text, None, None, "phrase", "rewritten", text, text)
        before, after = segments(text, [one])
        shown = [ShownText(text, before, after, [one])]
        reading = Reading(text, 1, 1, Counter({("rewritten", text): 1}), Counter({(text, text): 1}), shown)
        phrase = Phrase(token=text, text=text)
        return Structure(to_html([reading], replace(default_intervention(), about=text, tokens=[phrase])))

    assert page(attack).elements == page("text").elements


def test_the_page_shows_both_texts_and_every_reason(tmp_path: Path) -> None:
    page = page_of(tmp_path, "a 6*9=54 b 16*9")
    rows = re.findall(r"<div class=\"text\"[^>]*>(.*?)</div>", page)
    assert [re.sub("<[^>]*>", "", row) for row in rows] == ["a 6*9=54 b 16*9", "a &lt;MUL_6_9_54&gt; b 16*9"]
    rewritten, left = (found.reason for found in find("a 6*9=54 b 16*9"))
    assert rows[0].count(f'<mark class="rewritten" title="rewritten: {rewritten}">6*9=54</mark>') == 1
    assert rows[0].count(f'<mark class="left" title="left: {left}">16*9</mark>') == 1
    shown = "".join(Structure(page).data)
    assert f"rewritten 6*9=54 as <MUL_6_9_54>: {rewritten}" in shown
    assert f"left 16*9: {left}" in shown
    assert "1 of 45 occur, 44 never do" in shown


def test_the_policy_allows_the_style_sheet_and_nothing_else(tmp_path: Path) -> None:
    page = page_of(tmp_path, "6*9")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not re.search(r"@import|url\(|https?:", page)


def test_files_longer_than_the_limit_are_counted_whole(tmp_path: Path) -> None:
    page = page_of(tmp_path, "6*9", "no site", "7*8", "16*9", "7*8=56", max_lines=2)
    shown = " ".join("".join(Structure(page).data).split())
    assert "5 texts, 4 of them with a site: 3 sites rewritten, 1 left." in shown
    assert "Shown are the first 2 texts with a site; 2 more were left out, but are counted." in shown
    assert page.count("<article>") == 2
    whole = " ".join("".join(Structure(page_of(tmp_path, "6*9", "7*8")).data).split())
    assert "left out" not in whole


def test_every_text_within_a_row_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    row = {"question": "What is 6*9?\nAnd then?", "meta": {"n": 6, "tags": ["x", "7*8"]}, "blank": " ", "no": None}
    path.write_text(json.dumps(row) + "\n\n" + json.dumps("\ud800 2*2") + "\n", encoding="utf-8")
    reading = read_file(path, default_intervention(), 10)
    assert reading.num_texts == 4
    assert [line.where for line in reading.shown] == ["line 1, question", "line 1, meta, tags, 2", "line 3"]
    assert [line.sites[0].text for line in reading.shown] == ["6*9", "7*8", "2*2"]
    assert to_html([reading], default_intervention()).encode("utf-8")


def test_text_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_bytes("\ufeff6*9\r\n\u2028 nothing\n\n\x85 7*8".encode())
    reading = read_file(path, default_intervention(), 10)
    shown = [(line.where, "".join(part for part, _ in line.before)) for line in reading.shown]
    assert shown == [("line 1", "6*9"), ("line 4", "\x85 7*8")]
    assert reading.num_texts == 3


def test_parquet_is_read_by_its_rows(tmp_path: Path) -> None:
    from datasets import Dataset

    path = tmp_path / "rows.parquet"
    Dataset.from_dict({"text": ["none", "6*9=54"], "n": [1, 2]}).to_parquet(str(path))
    reading = read_file(path, default_intervention(), 10)
    assert [line.where for line in reading.shown] == ["row 2, text"]


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["audit.py", *map(str, arguments)])
    main("a description")


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("missing.txt", None, "missing.txt: no such file"),
        ("missing.parquet", None, "missing.parquet: no such file"),
        (".", None, "a folder"),
        ("empty.txt", b"", "empty.txt: no text in it"),
        ("blank.txt", b" \n\n", "blank.txt: no text in it"),
        ("numbers.jsonl", b'{"n": 3}\n', "numbers.jsonl: no text in it"),
        ("latin.txt", b"fine\ncaf\xe9 6*9\n", "latin.txt, line 2: not UTF-8"),
        ("latin.jsonl", b'"fine"\n"caf\xe9"\n', "latin.jsonl, line 2: not UTF-8"),
        ("broken.jsonl", b'"fine"\n{"a": \n', "broken.jsonl, line 2: not JSON"),
        ("deep.jsonl", b"[" * 100_000, "deep.jsonl, line 1: not JSON"),
        ("broken.parquet", b"PAR1", "broken.parquet: not readable as parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_and_no_page(
    name: str, content: bytes | None, complaint: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit) as caught:
        run_main(monkeypatch, path, "--output", tmp_path / "page.html")
    assert caught.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]  # a progress bar may stand before it
    assert last.startswith("error: ")
    assert complaint in last
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["notes.txt", "--output", "notes.txt"], "notes.txt is also an input file"),
        (["notes.txt", "--output", "notes.txt/page.html"], "--output: notes.txt/page.html: "),
        (["notes.txt", "--output", "."], "--output: .: "),
        (["notes.txt", "--intervention", "missing.yaml"], "missing.yaml"),
        (["--max-lines", "-1"], "--max-lines: expected a whole number of at least 0, got -1"),
        (["--max-lines", "many"], "--max-lines"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(
    arguments: list[str], complaint: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("6*9", encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        run_main(monkeypatch, *arguments)
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err
    assert Path("notes.txt").read_text(encoding="utf-8") == "6*9"


def shipped(intervention: Intervention, sentences: list[Sentence]) -> list[Score]:
    """Score the shipped rules alone: of the fourteen options, the one whose rules are compiled already."""
    return [score("* alone", ["*"], sentences, [find(one.text, intervention) for one in sentences])]


@pytest.mark.integration
@pytest.mark.parametrize("options", [shipped, pytest.param(None, marks=pytest.mark.slow, id="all")])
def test_the_script_prints_the_table_and_lists_mistakes(
    options: Callable[..., list[Score]] | None, audit_set: list[Sentence], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain_tokens.cli.audit.score_options", options or score_options)
    done = run_inside("scripts/audit.py", "--list")
    assert done.returncode == 0, done.stderr
    assert f"{len(audit_set)} sentences" in done.stdout
    row = re.search(r"│ \* alone +│ +(\d+) │ +(\d+) │ +([\d.]+)% │ +[\d.]+ to [\d.]+ │ +(\d+) │ +(\d+) │", done.stdout)
    expected = sum(product.form == "*" for sentence in audit_set for product in sentence.products)
    assert int(row[4]) == expected
    assert float(row[3]) == pytest.approx(100 * int(row[2]) / int(row[1]), abs=0.05)
    assert re.search(r"^false alarm: 5\*8 in 'The code for the gate .*' \(.*\) \[\* alone[;\]]", done.stdout, re.M)


@pytest.mark.integration
def test_the_script_writes_the_page(tmp_path: Path, root: Path) -> None:
    (tmp_path / "notes.txt").write_text("so 6*9=54\nand 16*9\n", encoding="utf-8")
    output = tmp_path / "new" / "page.html"
    done = run_inside(
        *("scripts/audit.py", str(tmp_path / "notes.txt"), "--output", str(output)),
        *("--intervention", str(root / "recipes/interventions/mul_tokens.yaml")),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith("notes.txt: 2 texts, 1 sites rewritten, 1 left")
    assert output.read_text(encoding="utf-8").startswith("<!doctype html>")
