"""Completions that GRPO kept are shown side by side, and only beside answers to the same question."""

from pathlib import Path

import pytest

from domain_tokens.cli.show_completions import main
from domain_tokens.runs.records import Completion, write_rows


def kept(step: int, completion: str, question: str = "6 rows of 9 pens?", prompt: int = 0) -> Completion:
    rewards = {"exact_match": 1.0, "near_number": None, "repetition": -0.0}
    return Completion(
        step=step, prompt=prompt, question=question, gold="54", completion=completion, rewards=rewards, advantage=0.5
    )


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"exp_{name}" / "seed_3" / "grpo_final" for name in ("baseline", "mul_tokens")]
    for path in paths:
        path.mkdir(parents=True)
    write_rows(paths[0] / "completions.jsonl", [kept(1, "6*9=54"), kept(1, "again"), kept(1, "third"), kept(6, "six")])
    write_rows(paths[1] / "completions.jsonl", [kept(1, "<MUL_6_9_54>"), kept(1, "[b]twice[/b]")])
    return paths


def shown(folders: list[Path], monkeypatch: pytest.MonkeyPatch, capsys, *options: str) -> str:
    monkeypatch.setattr("sys.argv", ["show_completions.py", *map(str, folders), *options])
    main("A script.")
    return capsys.readouterr().out


def test_completions_to_one_prompt_stand_side_by_side(folders, monkeypatch, capsys) -> None:
    lines = shown(folders, monkeypatch, capsys).splitlines()
    assert any("baseline, seed 3" in line and "mul_tokens, seed 3" in line for line in lines)
    assert any("6*9=54" in line and "<MUL_6_9_54>" in line for line in lines)
    assert any("again" in line and "[b]twice[/b]" in line for line in lines)  # a completion is no markup
    assert any("six" in line and "not reached yet" in line for line in lines)
    assert sum("step 1: 6 rows of 9 pens? (54)" in line for line in lines) == 1
    assert sum(line.count("exact_match 1, repetition 0; advantage +0.50") for line in lines) == 5
    assert "third" not in "".join(lines)  # two are the default
    assert "third" in shown(folders, monkeypatch, capsys, "--num", "3", "--step", "1")
    assert "six" not in shown(folders, monkeypatch, capsys, "--step", "1")


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--step", "4"), "--step: nothing was kept at step 4; expected one of 1, 6"), ((), "were asked different")],
)
def test_what_cannot_be_shown_is_one_message(folders, monkeypatch, capsys, options, message: str) -> None:
    if not options:
        write_rows(folders[1] / "completions.jsonl", [kept(1, "so", question="Another?")])
    with pytest.raises(SystemExit) as end:
        shown(folders, monkeypatch, capsys, *options)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_completions_is_named(tmp_path: Path, monkeypatch, capsys) -> None:
    with pytest.raises(SystemExit):
        shown([tmp_path], monkeypatch, capsys)
    assert "no such file; expected the folder of a GRPO stage whose recipe says rollouts.keep_every" in (
        capsys.readouterr().err
    )
