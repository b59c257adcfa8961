"""The analysis as a command: tables, page and figures of made-up runs, and nothing heavy that is imported."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from adapted_rows import World, write_adapted
from cli.test_startup import HEAVY
from tiny import ROOT

from domain_tokens.cli.analyze_adaptation import main
from domain_tokens.seal.analysis.analyze import analyze
from domain_tokens.seal.analysis.reading import read_runs
from domain_tokens.seal.analysis.report import figures
from domain_tokens.seal.analysis.report.page import NUMBERS, PAGE, lines, to_page
from domain_tokens.seal.analysis.report.tables import tables
from domain_tokens.seal.analysis.results import Adaptation
from domain_tokens.seal.records import RECORD, ROWS, SEAL

FILES = (NUMBERS, PAGE, "gain_by_budget.png", "gain_by_budget.svg", "pareto.png", "pareto.svg")
WORLD = World(passages=12, edits=4, gain={"trained": 0.2})
HOSTILE = "a<b>|`$x"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["analyze_adaptation.py", *map(str, arguments)])
    main("Analyze.")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment with two runs of a condition without an effect, and one of a condition with one."""
    folder = tmp_path_factory.mktemp("outputs")
    null = World(passages=12, edits=4)
    for seed in (0, 1):
        write_adapted(folder, null, "baseline", seed)
    write_adapted(folder, WORLD, "mul_tokens")
    return folder


def test_the_command_writes_all_files_and_prints_the_tables(
    experiment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, *sorted(experiment.glob("exp_*/seed_*")))
    folder = experiment / "adaptation"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == str(folder / PAGE)
    found = Adaptation.model_validate(json.loads((folder / NUMBERS).read_text()))
    assert [(one.condition, one.seeds) for one in found.conditions] == [("baseline", (0, 1)), ("mul_tokens", (0,))]
    page = (folder / PAGE).read_text()
    for table in tables(found):
        assert table.title in printed
        assert f"## {table.title}\n" in page
        assert {len(row) for row in table.rows} == {len(table.header)}
    null, effect = ({one.verdict for one in condition.contrasts} for condition in found.conditions)
    assert null == {"undecided"}
    assert effect == {"better"}
    assert printed.count("undecided;") == 10
    assert printed.count(": better; the gain is larger by") == 10
    assert "baseline: 2 runs: the intervals are for other runs too" in printed
    assert all(f"]({name})" in page and (folder / name).stat().st_size > 10_000 for name in FILES[2::2])


def test_one_run_is_analysed_beside_its_rows_and_gives_the_same_bytes(
    experiment: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    adapted = experiment / "exp_mul_tokens" / "seed_0"
    run(monkeypatch, adapted)
    run(monkeypatch, adapted / SEAL, "--output", tmp_path / "again")
    first, second = (
        [(folder / name).read_bytes() for name in FILES] for folder in (adapted / "adaptation", tmp_path / "again")
    )
    assert first == second


def test_the_figures_show_what_there_is(experiment: Path) -> None:
    found = analyze(read_runs([experiment / "exp_mul_tokens" / "seed_0"]))
    drawn = figures.draw(found)
    left, right = drawn["gain_by_budget"].axes
    assert [text.get_text().split("\n")[0] for text in left.get_xticklabels()] == ["4", "8", "16"]
    assert [text.get_text() for text in right.get_xticklabels()] == [one.arm for one in found.conditions[0].arms]
    assert left.get_ylim() == right.get_ylim()
    assert len(left.containers) == 3  # last layer, and adapters of two ranks
    settings, chain = drawn["pareto"].axes
    assert len(settings.collections) == len(found.conditions[0].settings) > 10
    fronts = [line for line in settings.lines if line.get_drawstyle() == "steps-post"]
    assert [len(line.get_xdata()) for line in fronts] == [sum(one.on_front for one in found.conditions[0].settings)]
    assert chain.get_title("left").endswith("learned in a row")


def test_a_run_without_test_chain_or_held_out_text_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write_adapted(tmp_path / "whole", World(passages=2, edits=2, unreadable=0.0))
    folder = tmp_path / "exp_baseline" / "seed_0"
    adapted = folder / "checkpoints" / SEAL
    shutil.copytree(whole / SEAL, adapted)
    rows = [json.loads(line) for line in (adapted / ROWS).read_text().splitlines()]
    rows = [row | {"validation": None} for row in rows if row["part"] == "round" and row["round"] == 1]
    (adapted / ROWS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    record = json.loads((adapted / RECORD).read_text())
    (adapted / RECORD).write_text(json.dumps(record | {"complete": False}))
    run(monkeypatch, folder)
    assert sorted(path.name for path in (folder / "adaptation").iterdir()) == sorted(FILES)
    page = (folder / "adaptation" / PAGE).read_text()
    assert "not complete (20 rows so far)" in page
    assert "The trained policy against the controls" not in page


def test_a_reward_that_is_not_of_the_questions_has_a_column(tmp_path: Path) -> None:
    headers = {}
    for reward in ("answer_bits", "validation_loss"):
        folder = write_adapted(tmp_path / reward, WORLD, reward=reward)
        (table,) = (one for one in tables(analyze(read_runs([folder]))) if one.title.startswith("What choosing"))
        assert {len(row) for row in table.rows} == {len(table.header)}
        headers[reward] = table.header
    assert "reward" not in headers["answer_bits"]
    assert headers["validation_loss"].index("reward") == headers["answer_bits"].index("choosing half")


def test_names_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    found = analyze(read_runs([write_adapted(tmp_path, WORLD, HOSTILE)]))
    page = to_page(found)
    assert r"a\<b\>\|\`\$x" in page
    assert "<b>" not in page.replace(r"\<b\>", "")
    assert len(lines(found)) == 11


def test_runs_of_two_experiments_need_an_output_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = World(passages=2, edits=2, chains=0)
    runs = [write_adapted(tmp_path / name, small, seed=seed) for seed, name in enumerate("ab")]
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, *runs)
    assert end.value.code == 2
    assert "--output" in capsys.readouterr().err


def test_bad_input_ends_with_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, tmp_path / "none", "--output", tmp_path / "out")
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'none'}: no such folder")
    assert not (tmp_path / "out").exists()


def test_the_analysis_imports_no_model_library() -> None:
    code = (
        "import sys\n"
        "import domain_tokens.seal.analysis.analyze, domain_tokens.seal.analysis.report.page\n"
        "assert 'pydantic' in sys.modules and 'matplotlib' in sys.modules\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()).isdisjoint({*HEAVY, "peft"})
