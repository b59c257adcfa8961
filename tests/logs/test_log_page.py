"""The files of a comparison: escaped, the same for the same logs, and written by the command alone if all is well."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from logs.conftest import Compare, write_samples
from tiny import ROOT

from domain_tokens.cli.compare_logs import main
from domain_tokens.logs import page
from domain_tokens.logs.comparison import Options, compare_logs
from domain_tokens.logs.page import FILES, as_html, as_markdown, write
from domain_tokens.logs.records import LogComparison
from domain_tokens.logs.runs import Named

HOSTILE = "<script>alert(1)</script> | `x` [a](javascript:b) \x1b[31m"


def test_texts_of_a_log_cannot_break_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    named = []
    for name, score in ((f"{HOSTILE}", 1), ("b", 0)):
        folder = tmp_path / str(score)
        changed = {"resps": [[f"{HOSTILE} answer"]], "metrics": [HOSTILE], HOSTILE: score}
        write_samples(folder, [score] * 3, task="<b>task", **changed)
        named += ["--run", f"{name}={folder}"]
    monkeypatch.setattr(sys, "argv", ["compare_logs.py", *named, "--output", "out"])
    main("Compare.")
    html = (tmp_path / "out" / "comparison.html").read_text()
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt; | `x` [a](javascript:b)") > 8
    assert "answer (1)" in html
    assert not re.search(r"<script|<b>task|<a href=\"javascript", html)
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html
    markdown = (tmp_path / "out" / "comparison.md").read_text()
    assert "script" in markdown
    assert not re.search(r"(?<!\\)<script|(?<!\\)`x|(?<!\\)\]\(javascript", markdown)
    assert "\x1b" not in html + markdown + capsys.readouterr().out


def test_the_same_logs_give_the_same_bytes(compare: Compare, tmp_path: Path) -> None:
    found = compare({"a:0": [1, 0, 1], "b:0": [0, 0, 1]})
    for name in ("first", "second"):
        write(found, tmp_path / "out" / name)
    first, second = ([(tmp_path / "out" / name / file).read_bytes() for file in FILES] for name in ("first", "second"))
    assert first == second
    assert LogComparison.model_validate(json.loads(first[0])) == found


def test_the_page_has_every_sentence_and_section(compare: Compare) -> None:
    runs = {f"{name}:{seed}": [1, 0, seed, 1, 0, int(name == "a")] for name in "abc" for seed in (0, 1)}
    found = compare(runs, margin=2.0)
    html, markdown = as_html(found), as_markdown(found)
    for one in found.differences:
        assert one.sentence.replace("'", "&#39;") in html
        assert one.sentence in markdown.replace("\\", "")
    for id in ("results", "seeds", "questions", "logs"):
        assert f'<div id="{id}">' in html
    for note in found.notes:
        assert note.text.replace("'", "&#39;") in html
    assert "The shaded band is the margin." in html
    assert "±: the standard deviation of a condition" in html


def test_good_news_is_not_read_with_care(tmp_path: Path) -> None:
    for name, scores in (("a", [1, 0, 1, 1]), ("b", [0, 0, 1, 1])):
        write_samples(tmp_path / name, scores, own={"acc,none": sum(scores) / 4})
    found = compare_logs([Named(name, "", tmp_path / name) for name in "ab"], Options(margin=2.0))
    html = as_html(found)
    assert {note.about for note in found.notes if not note.care} == {"The harness's own results", "Margin"}
    assert "Read with care" not in html
    assert "<h2>To know</h2>" in html
    assert "variance between runs" not in html
    assert "±" not in html


def test_the_sides_of_an_answer_keep_their_names_on_a_phone(compare: Compare) -> None:
    """Labels are joined without their headings there."""
    table = page.question_table(compare({"a": [1, 0, 1], "b": [0, 0, 1]}))
    assert table.rows
    assert table.header[table.labels :] == ["a", "b"]


def test_a_reader_that_leaves_ends_nothing(tmp_path: Path) -> None:
    runs = [f"--run={name}={write_samples(tmp_path / name, [1, 0, int(name == 'a')])}" for name in "ab"]
    end, closed = os.pipe()
    os.close(end)  # nobody reads
    command = [sys.executable, str(ROOT / "scripts" / "compare_logs.py"), *runs, "--output", str(tmp_path / "out")]
    done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    os.close(closed)
    assert (tmp_path / "out" / "comparison.html").is_file()
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_written_for_runs_that_do_not_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [f"--run={name}={write_samples(tmp_path / name, [1] * number)}" for name, number in (("a", 3), ("b", 4))]
    monkeypatch.setattr(sys, "argv", ["compare_logs.py", *runs, "--output", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "scripts" / "compare_logs.py"), run_name="__main__")
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error: sums: questions that are not in every run: a 0 of 3, b 1 of 4.")
    assert not (tmp_path / "out").exists()


def test_no_file_is_written_if_one_cannot_be_made(
    compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = compare({"a": [1, 0, 1], "b": [0, 0, 1]})
    monkeypatch.delitem(vars(page), "as_html")
    with pytest.raises(NameError):
        write(found, tmp_path / "out")
    assert not (tmp_path / "out").exists()
