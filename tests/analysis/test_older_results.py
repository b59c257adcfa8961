"""Result files of version 0.3.0 are still read, and give the numbers that 0.3.0 computed from them.

`results_0_3_0/` holds the files of two tiny runs of each condition, as that version wrote them, and the `results.json`
that it made of them (without its line breaks). The weights and the other stages and tasks were left out.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from domain_tokens.analysis.compare import compare
from domain_tokens.analysis.measures.answers.equation_use import RECALL
from domain_tokens.analysis.results_model import Results

_PROSE = ("rule", "sentence", "name", "evidence", "reason", "caveat")
FOLDER = Path("results_0_3_0")  # relative, since the commands in `reproduce` name the folders as they were given


def leaves(value: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """Return every leaf of a JSON value by its path."""
    if not isinstance(value, dict | list) or not value:
        return {path: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {key: leaf for name, item in items for key, leaf in leaves(item, (*path, name)).items()}


def prose(path: tuple[Any, ...]) -> bool:
    """Return whether a leaf is a sentence, which may be worded in another way; its numbers may not change."""
    return path[-1] in _PROSE


@pytest.fixture
def expected(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(Path(__file__).parent)
    return json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))


def test_the_numbers_are_those_of_the_version_that_wrote_the_files(expected: dict[str, Any], tmp_path: Path) -> None:
    compare(FOLDER / "exp_baseline", FOLDER / "exp_mul_tokens", tmp_path, plots=False)
    made = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    # How often equations are right is not computed from files that do not say where operands come from.
    shares = [{(row["model"], row["share"]): row for row in one.pop("equations")} for one in (made, expected)]
    assert {share for _, share in shares[0]} == {RECALL}
    assert [row["reference"]["total"] for row in shares[0].values()] == [12, 12]
    found, wanted = leaves(made), leaves(expected)
    assert len([value for value in wanted.values() if isinstance(value, float)]) > 500
    assert found.keys() >= wanted.keys()
    # The declaration was recorded when each stage ended, so the verdict is exploratory and rejects nothing.
    departures = [value for path, value in found.items() if path[:2] == ("declaration", "departures")]
    assert any("recorded at the end of each stage" in value for value in departures)
    assert (found[("verdict", "exploratory")], found[("verdict", "h0_rejected")]) == (True, None)
    label, _, sentence = found[("verdict", "sentence")].partition("): ")
    assert label.startswith("Exploratory, not a test of H0 (3 departures from the preregistration")
    found |= {("verdict", "sentence"): sentence, ("verdict", "h0_rejected"): wanted[("verdict", "h0_rejected")]}
    before = {path: value for path, value in wanted.items() if path[:2] == ("declaration", "departures")}
    assert set(before.values()) < set(departures)
    wanted = {path: value for path, value in wanted.items() if path not in before}
    numbers = {path: value for path, value in wanted.items() if isinstance(value, float)}
    assert {path: found[path] for path in numbers} == pytest.approx(numbers, rel=1e-9, abs=1e-12)
    rest = {path: value for path, value in wanted.items() if path not in numbers and not prose(path)}
    assert {path: found[path] for path in rest} == rest
    sentences = {path: value for path, value in wanted.items() if prose(path)}
    assert len(sentences) > 10
    assert sentences.pop(("verdict", "rule")) != found["verdict", "rule"]
    for path, sentence in sentences.items():
        assert re.findall(r"[-+]?\d[\d.,]*", str(found[path])) == re.findall(r"[-+]?\d[\d.,]*", str(sentence)), path


def test_the_results_of_that_version_are_read(expected: dict[str, Any]) -> None:
    results = Results.model_validate(expected)
    assert results.model_dump(mode="json", by_alias=True, exclude_unset=True) == expected
    assert results.primary.task == "gsm8k"
    assert results.sensitivity is not None
