"""The playground in a terminal: the same answers, marks and reasons, from a pipe and with colours."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from by_heart import AGREED, PARTED
from rich.console import Console
from tiny import start_script

from domain_tokens.cli import chat
from domain_tokens.playground.models import LoadedModel
from domain_tokens.playground.writing import Settings

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(models: list[LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> Run:
    """Return a function from what is typed, and arguments, to exit code, output and errors; models are in memory."""
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(chat, "load", lambda folders: models)

    def call(typed: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["chat.py", str(tmp_path), *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        code = 0
        try:
            chat.main("Ask models.")
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return call


def test_a_pipe_gets_both_answers_with_facts_apart_and_equations_marked(run: Run) -> None:
    code, out, err = run(f"{PARTED}\n")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "baseline, seed 3",
        " 7*8=54",
        "#### 54",
        "✗ 7*8=54 wrong",
        "the answer is 54, 15 tokens, ended by: end of text",
        "",
        "mul_tokens, seed 3",
        " [7*8=56]",
        "#### 56",
        "✓ 7*8=56 right, as a fact",
        "the answer is 56, 10 tokens, ended by: end of text",
        "",
    ]


def test_commands_change_how_answers_are_written(run: Run) -> None:
    changes = "/forbid off\n/swap 9*6 7*8\n/seed 5\n/temperature -0\n/temperature 0.5\n/longest 2"
    code, out, err = run(f"/forbid on\n{AGREED}\n{changes}\n{AGREED}\n/quit\nx\n")
    assert (code, err) == (0, "")
    forbidden, _, after = out.partition("facts allowed")
    assert "facts forbidden" in forbidden
    assert "[6*9=54]" not in forbidden
    assert "temperature 0, seed 5" in after
    assert "temperature -0" not in after
    assert "temperature 0.5, seed 5, at most 2 tokens, facts allowed, swap 9*6 and 7*8" in after
    assert after.count("it has no tokens for these two facts: nothing is swapped") == 1
    assert after.count("2 tokens, ended by: length limit") == 2


def test_tokens_and_why_show_rivals_and_the_place(run: Run) -> None:
    code, out, _ = run(f"{PARTED} 6 * 9\n/question\n{PARTED}\n/tokens\n/why\n/why 2 1\n")
    assert code == 0
    assert "its tokenizer wrote 6 * 9 as <MUL_6_9_54>" in out
    assert f"mul_tokens, seed 3: 37 tokens\nUser: {PARTED} [6*9=54]\nAssistant:\n" in out
    assert "<MUL_7_8_56>" in out
    assert out.count("rivals") == 2
    first, second = out.split("Here they part, after ' ':")[1:]
    assert "7*8=56" in first
    assert "baseline, seed 3   █" in first
    assert first.count("taken") == second.count("taken") == 4  # what both say before they part, and what each says
    assert "\n␣\n" in first
    assert second.index("mul_tokens, seed 3") < second.index("baseline, seed 3")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("/why", "/why: nothing has been answered yet; type a question first"),
        ("/tempratur 1", "/tempratur: no such command; did you mean 'temperature'?; /help lists them"),
        ("/temperature cold", "/temperature: expected a number of at least 0, got 'cold'"),
        ("/seed", "/seed: expected one value"),
        ("/forbid perhaps", "/forbid: expected on or off"),
        ("/swap 6*9", "/swap: expected two facts, such as /swap 6*9 7*8, or /swap off"),
        ("/swap 6*9 6*77", "/swap: 6*77: no model has a token for it"),
        ("x" * 500, "no room for an answer; shorten the question"),
        (f"{AGREED}\n/why 1 1", "/why: expected two of the 2 models that have answered, such as /why 1 2"),
    ],
)
def test_what_cannot_be_ends_a_pipe_with_a_message(run: Run, typed: str, message: str) -> None:
    code, out, err = run(f"{typed}\n{PARTED}\n")
    assert code == 2
    assert err.startswith("error: ")
    assert message in err
    assert "7*8" not in out


def test_ctrl_c_ends_quietly(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(greeting: str) -> Iterator[str]:
        yield AGREED
        raise KeyboardInterrupt

    monkeypatch.setattr(chat, "typed_lines", interrupted)
    code, out, err = run("")
    assert (code, err) == (130, "")
    assert "the answer is 54" in out


def test_a_terminal_has_colours_goes_on_after_a_mistake_and_obeys_no_text(
    models: list[LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, color_system="truecolor", highlight=False, soft_wrap=True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    talk = chat.Chat(console, models, Settings(max_new_tokens=20))
    assert talk.take("/nonsense")
    assert "no such command" in shown.getvalue()
    assert talk.take("[red]6*9[/red] \x1b[2J 6*9")
    assert "\x1b[2J" not in shown.getvalue()
    assert talk.take(AGREED)
    assert "\x1b[1;37;48;2;107;33;168m6*9=54\x1b[0m" in shown.getvalue()
    assert talk.take("/help")
    assert not talk.take("/quit")


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(300)  # two fresh processes that import all libraries
def test_the_script_answers_with_models_on_disk(experiment: Path) -> None:
    done = start_script("scripts/chat.py", str(experiment), "--run-seed", "4")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no finished model of seed 4; expected one of 3" in done.stderr
    done = start_script("-c", f"import sys, io, runpy; sys.stdin = io.StringIO('{PARTED}'); sys.argv = ['chat.py', "
                        f"{str(experiment)!r}]; runpy.run_path('scripts/chat.py', run_name='__main__')")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the answer is ") == 2
