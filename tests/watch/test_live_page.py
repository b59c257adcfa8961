"""The live view in the terminal and on the page: what it says, that hostile text stays text, and when it ends."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from watched import Experiment, rows, save_checkpoint

from domain_tokens.cli.watch import main, spark
from domain_tokens.runs.files import exclusive
from domain_tokens.runs.progress import Progress
from domain_tokens.watch.looking import Watch
from domain_tokens.watch.page.drawing import draw, thin
from domain_tokens.watch.page.writing import to_html
from domain_tokens.watch.view import Chart, Line

HOSTILE = "<script>alert(1)</script>[bold red]x[/]"
CONDITION = HOSTILE.replace("/", "|")
LOG = f"step 1\n\x1b[31merror: {HOSTILE} \x1b]0;title\x07\x9b31m\u202ereversed\x1b[0m\n"


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    """One condition trains, the other has failed."""
    made = Experiment(tmp_path, ("baseline", f"\x1b[31m{CONDITION}"))
    made.begin()
    hostile = list(made.recipes)[1]
    made.prepared("baseline")
    made.prepared(hostile)
    save_checkpoint(made.trains("baseline", "pretrain", rows(1, 3)), 2)
    made.trains(hostile, "pretrain", rows(1, 2))
    made.started("baseline", "pretrain")
    made.reports("baseline", "pretrain", Progress("", 3, 4, "step", 3.7, 1234.5))
    made.failed(hostile, "pretrain", LOG)
    return made


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr("sys.argv", ["watch.py", *arguments])
    try:
        main("A script.")
    except SystemExit as end:
        return end.code
    return 0


def test_the_terminal_says_where_everything_stands(experiment, monkeypatch, capsys) -> None:
    with exclusive(experiment.folder / "logs" / ".lock"):
        assert run(monkeypatch, str(experiment.folder), "--once") == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert "Running: 2 of 13 stages are done" in shown
    assert any(
        re.search(r"baseline, seed 0 +pretrain +step 3 of 4 \(75%\) +3\.700 +3\.850 +1,234", one) for one in lines
    )
    assert any(re.search(r"baseline +0 +✓ 0:20 +▶ 75% +·", one) for one in lines)
    assert any(re.search(r"baseline, seed 0 +pretrain +2 +whole, 4 files", one) for one in lines)
    assert any("Pretraining: loss, nats per token" in one and "█" in one for one in lines)
    assert "not comparable" in shown
    assert "1 stage has checkpoints, and the newest one is whole." in " ".join(shown.split())
    assert re.search(
        r"At least [\d:]+ left; no stage has ended yet of sft, grpo, eval, curves\.", " ".join(shown.split())
    )


def test_hostile_text_stays_text(experiment, monkeypatch, capsys) -> None:
    assert run(monkeypatch, str(experiment.folder), "--once") == 0
    shown = capsys.readouterr().out
    why = f"{HOSTILE} \N{REPLACEMENT CHARACTER}31m\N{REPLACEMENT CHARACTER}reversed (exit code 1)"
    assert f"✗ {CONDITION}, seed 0: pretrain: failed: {why}" in " ".join(shown.split())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    source = to_html(Watch(experiment.folder).look(), 5.0)
    page = Page(source)
    assert HOSTILE in page.text
    assert page.text.count(CONDITION) >= 3, "in the tables, the legend and what failed"
    assert page.elements["polyline"] >= 4, "two conditions, with validation"
    assert not {"script", "b[", "img", "link", "iframe"} & set(page.elements)
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name in ("src", "href", "style")]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", source)
    assert "://" not in source


def test_each_cell_says_what_it_is_where_a_phone_shows_no_head_of_a_table(experiment) -> None:
    with exclusive(experiment.folder / "logs" / ".lock"):
        source = to_html(Watch(experiment.folder).look(), None)
    page = Page(source)
    labels = [value for _, name, value in page.attributes if name == "data-label"]
    assert {"loss", "left", "grpo", "eval", "newest", "others"} <= set(labels)
    assert page.elements["table"] == source.count('stack">') == 3
    assert len(labels) == page.elements["td"] - source.count("<td></td>")


def test_a_page_loads_itself_again_until_all_is_done(experiment, tmp_path, monkeypatch, capsys) -> None:
    page = tmp_path / "page.html"
    written: list[tuple[float, str]] = []
    monkeypatch.setattr("domain_tokens.watch.view.View.is_over", property(lambda view: bool(written)))
    monkeypatch.setattr("time.sleep", lambda seconds: written.append((seconds, page.read_text())))
    assert run(monkeypatch, str(experiment.folder), "--html", str(page), "--every", "7") == 0
    assert [seconds for seconds, _ in written] == [7.0]
    assert ("meta", "content", "7") in Page(written[0][1]).attributes
    assert ("meta", "content", "7") not in Page(page.read_text()).attributes, "the last one stays"
    assert "written again and again" in capsys.readouterr().err
    monkeypatch.undo()
    assert run(monkeypatch, str(experiment.folder), "--html", str(page), "--once") == 0
    assert 'http-equiv="refresh"' not in page.read_text()
    assert "default-src 'none'" in page.read_text()


def test_a_folder_is_waited_for_where_that_is_asked(tmp_path, monkeypatch, capsys) -> None:
    folder = tmp_path / "tiny"
    assert run(monkeypatch, str(folder), "--once") == 2
    assert "no such folder" in capsys.readouterr().err

    def appear(seconds: float) -> None:
        Experiment(tmp_path).begin()

    monkeypatch.setattr("time.sleep", appear)
    assert run(monkeypatch, str(folder), "--once", "--wait") == 0
    said = capsys.readouterr()
    assert "waiting" in said.err
    assert re.search(r"Running: 0 of \d+ stages|Running, begun [\d:]+ ago: .* no stage has begun\.", said.out)


@pytest.mark.parametrize(
    ("page", "message"),
    [("tiny/page.html", "in which nothing is written"), ("nowhere/page.html", "no folder"), (".", "a folder")],
)
def test_a_page_that_cannot_be_written_is_one_message(
    experiment, tmp_path, monkeypatch, capsys, page, message
) -> None:
    assert run(monkeypatch, str(experiment.folder), "--html", str(tmp_path / page), "--once") == 2
    assert message in capsys.readouterr().err


def test_ctrl_c_ends_it_without_an_error(experiment, tmp_path, monkeypatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    assert run(monkeypatch, str(experiment.folder), "--html", str(tmp_path / "page.html")) == 0
    assert (tmp_path / "page.html").is_file()


def test_curves_are_drawn_within_their_frame_whatever_their_values() -> None:
    points = [(step, value) for step, value in enumerate([9.0, 3.0, 2.0, 1.0, 0.7, 0.5])]
    chart = Chart("loss", "nats", "", (Line("a", 0, points), Line("b", 1, [(5.0, 2.0)]), Line("a", 1, [])))
    drawing = draw(chart, ["a", "b"])
    assert drawing.is_logarithmic
    assert len(drawing.lines) == 2, "one without points is left out"
    placed = [tuple(map(float, pair.split(","))) for line in drawing.lines for pair in line.points.split()]
    assert len(placed) == 7
    assert placed[0] == (0.0, 50.0), "the largest value is at the top"
    assert placed[5] == (1000.0, 880.0), "the smallest at the bottom"
    assert all(0 <= across <= 1000 and 50 <= down <= 880 for across, down in placed)
    flat = draw(Chart("reward", "", "", (Line("a", 0, [(0.0, 1.0), (1.0, 1.0)]),)), ["a"])
    assert [tick.text for tick in flat.up] == ["1"]
    long = [(float(step), float(step)) for step in range(10_001)]
    assert len(thin(long)) <= 402
    assert thin(long)[-1] == (10_000.0, 10_000.0)


def test_a_small_curve_shows_its_shape() -> None:
    assert spark([1.0, 2.9, 8.0]) == "▁▃█"
    assert spark([2.0]) == "▁"
    assert len(spark([float(number) for number in range(1000)])) == 32
