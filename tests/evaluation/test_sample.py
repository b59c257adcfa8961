"""What saved models write after a prompt, through the command line of `scripts/sample.py`."""

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import GPT2LMHeadModel

from domain_tokens.cli.sample import main
from domain_tokens.tokenization import contract
from domain_tokens.tokenization.contract import load_tokenizer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tokenizer_dirs: dict[str, Path], save_model: Callable[..., GPT2LMHeadModel], tmp_path_factory) -> Path:
    """A model that writes the fact 6*9=54 after every token, and its tokenizer."""
    folder = tmp_path_factory.mktemp("models") / "model"
    shutil.copytree(tokenizer_dirs["mul_tokens"], folder)
    model = save_model(folder, n_positions=64)
    with torch.no_grad():
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(50 * model.transformer.wte.weight[50342])
    model.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True, scope="module")
def loaded_once() -> Iterator[None]:
    """Load each folder's tokenizer once: its checks take half a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contract, "load_tokenizer", cache(contract.load_tokenizer))
        yield


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function from arguments to exit code, output and errors; `typed` is the standard input."""

    def call(*arguments: object, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sample.py", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        code = 0
        try:
            main("Show what models write.")
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return call


def test_an_answer_is_shown_as_written_and_in_digits(folder: Path, run: Run) -> None:
    code, out, _ = run(folder, "--prompt", "What is 6 * 9?", "--max-new-tokens", 3)
    assert (code, out.splitlines()) == (
        0,
        [str(folder), "<MUL_6_9_54>" * 3, "no number after ####, 3 tokens, unfinished", "in full: " + "6*9=54" * 3],
    )


def test_a_text_is_completed_behind_what_was_given(folder: Path, run: Run) -> None:
    for prompt in ("Once upon", ""):
        code, out, _ = run(folder, "--plain", "--prompt", prompt, "--max-new-tokens", 1)
        assert (code, out.splitlines()[1]) == (0, prompt + "<MUL_6_9_54>")


def test_an_answer_repeats_nothing_if_asked(folder: Path, run: Run) -> None:
    code, out, _ = run(folder, "--prompt", "6*9=54", "--max-new-tokens", 3, "--no-repeat-bytes", 6)
    assert (code, out.splitlines()[1].count("<MUL_6_9_54>")) == (0, 1)
    _, free, _ = run(folder, "--prompt", "x", "--max-new-tokens", 3)
    code, out, _ = run(folder, "--prompt", "x", "--max-new-tokens", 3, "--repetition-penalty", 1e6)
    assert (code, out != free) == (0, True)


def test_questions_are_read_line_by_line_and_every_model_answers(folder: Path, run: Run) -> None:
    code, out, _ = run(folder, folder.parent / "model", typed="one?\n\n two? \n")
    assert code == 0
    assert out.splitlines().count(str(folder)) == 2  # one model, named once, however it was given
    assert out.count("32 tokens, unfinished") == 2  # half of what it reads


def test_samples_are_numbered_and_drawn_again_from_the_same_seed(
    save_model: Callable[..., GPT2LMHeadModel], folder: Path, tmp_path: Path, run: Run
) -> None:
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    save_model(other, n_positions=64)  # untrained: every token is about as likely
    drawn = ["--prompt", "x", "--temperature", 1, "--num-samples", 3]
    first, again, others = (run(other, *drawn, "--seed", seed)[1] for seed in (1, 1, 2))
    assert first == again != others
    assert [f"{other}, sample {number}" in first for number in (1, 2, 3, 4)] == [True, True, True, False]


def test_what_is_no_text_or_has_no_room_is_said(folder: Path, run: Run) -> None:
    code, out, _ = run(folder, "--prompt", "bad \udcff bytes", "--max-new-tokens", 1)
    assert (code, out.splitlines()[1]) == (0, "<MUL_6_9_54>")
    code, out, _ = run(folder, "--prompt", "bla " * 100, "--max-new-tokens", 14)
    assert "tokens of the prompt were cut to fit the context" in out
    num_cut = len(load_tokenizer(folder).encode(f"User: {('bla ' * 100).strip()}\nAssistant:")) - 50
    assert f"the first {num_cut} tokens" in out


def test_a_plain_text_keeps_the_spaces_at_its_ends(folder: Path, run: Run) -> None:
    _, out, _ = run(folder, "--plain", "--max-new-tokens", 1, typed="  6 * 9 = \n\n")
    assert out.splitlines()[1] == "  6 * 9 = <MUL_6_9_54>"


def test_a_seed_has_32_bits(folder: Path, run: Run) -> None:
    for seed, code in ((0, 0), (2**32 - 1, 0), (-1, 2), (2**32, 2)):
        assert run(folder, "--prompt", "x", "--temperature", 1, "--seed", seed)[0] == code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-samples", 2], "--num-samples: without --temperature all answers are the same"),
        (["--max-new-tokens", 64], "64 leaves no room for a prompt; expected less than the context length, 64 tokens"),
        (["--max-new-tokens", 0], "expected a whole number of at least 1, got '0'"),
        (["--temperature", "nan"], "expected a number of at least 0, got 'nan'"),
        (["--repetition-penalty", 0.9], "expected a number of at least 1, got '0.9'"),
        (["--no-repeat-bytes", 0], "expected a whole number of at least 1, got '0'"),
    ],
)
def test_what_cannot_be_is_refused(folder: Path, run: Run, arguments: list[object], message: str) -> None:
    code, out, err = run(folder, "--prompt", "x", *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_a_folder_without_a_model_is_named(run: Run, tmp_path: Path, folder: Path) -> None:
    code, _, err = run(tmp_path, "--prompt", "x")
    assert (code, err) == (
        2, f"error: {tmp_path}: expected a saved model, e.g. outputs/demo/exp_baseline/seed_20/grpo_final\n"
    )  # fmt: skip
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    wrong = json.loads((damaged / "config.json").read_text()) | {"n_embd": 64}
    for name, content in (("config.json", json.dumps(wrong)), ("model.safetensors", "damaged")):
        (damaged / name).write_text(content)
        code, _, err = run(damaged, "--prompt", "x")
        assert code == 2
        assert err.startswith(f"error: {damaged}: cannot be loaded: ")
        assert err.count("\n") == 1


def test_the_tokenizer_is_checked_as_everywhere(folder: Path, tmp_path: Path, run: Run) -> None:
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    (other / "tokenizer.json").write_text(
        (other / "tokenizer.json").read_text().replace("<MUL_6_9_54>", "<MUL_6_9_55>")
    )
    code, _, err = run(other, "--prompt", "x")
    assert (code, err.count("\n")) == (2, 1), err
    assert load_tokenizer(folder).decode([50342]) == "<MUL_6_9_54>"
