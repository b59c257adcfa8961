"""What the scripts that make data advise where a data set on the Hub cannot be read: their own options."""

from pathlib import Path

import pytest
from huggingface_hub.errors import OfflineModeIsEnabled
from tiny import run_inside

from domain_tokens.corpora import hub

SCRIPTS = {
    "convert_tinygsm": ("give the files of a local copy in place of --hub", ("--hub",)),
    "renumber_gsm8k": ("name the files of a local copy with --file", ("--hub",)),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_off_line_a_script_names_its_own_options(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(path: str, revision: str | None) -> str:
        asked.append(path)
        raise OfflineModeIsEnabled

    monkeypatch.setattr(hub, "_ask", ask)
    remedy, option = SCRIPTS[script]
    done = run_inside(f"scripts/{script}.py", *option, "owner/set", "--output", str(tmp_path / "out"))
    assert asked == ["owner/set"]
    assert done.returncode == 2
    assert done.stderr.endswith(f"'owner/set' is on the Hub and HF_HUB_OFFLINE is set; unset it, or {remedy}\n")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_folder_in_place_of_a_name_on_the_hub_is_said_with_them_too(script: str, tmp_path: Path) -> None:
    remedy, option = SCRIPTS[script]
    done = run_inside(f"scripts/{script}.py", *option, str(tmp_path), "--output", str(tmp_path / "out"))
    assert done.returncode == 2
    assert f"{tmp_path} is a folder on this machine; for a copy of a data set {remedy}, such as" in done.stderr
    assert "kind: file" not in done.stderr
