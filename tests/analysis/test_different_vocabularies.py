"""Conditions on different base vocabularies: refused without the flag, and with it compared by what is comparable."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain_tokens.analysis import matching
from domain_tokens.analysis.compare import compare_all
from domain_tokens.analysis.results_model import Results
from domain_tokens.cli.compare import main
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.ledger import follows_from_base
from domain_tokens.runs.results import Pair, load_condition

from .conftest import edit
from .test_matching import Written, change, made_up

BASE = {"base_vocabulary_sha256": ["v", "m"], "num_parameters": 700_000}
IDS = {"vocab_size": 365, "eos_token_id": 256, "pad_token_id": 256}


def on_bytes(manifest: dict[str, Any]) -> None:
    """Let the manifest of a stage be of a base of bytes."""
    manifest["matched"] |= BASE
    manifest["matched"]["architecture"] |= IDS
    for entry in manifest["ledger"]:
        entry["flops"] /= 10
    if manifest["ledger"][0]["stage"] == "pretrain":
        manifest["matched"] |= {"flops": manifest["matched"]["flops"] / 10, "initial_weights_sha256": "w"}
        manifest["ledger"][0] |= {"source_bytes": 1_960_000, "initial_weights_sha256": "w"}


def on_gpt2(manifest: dict[str, Any]) -> None:
    manifest["matched"]["architecture"] |= {"eos_token_id": 50256, "pad_token_id": 50256}


def untie(manifest: dict[str, Any]) -> None:
    manifest["matched"]["architecture"]["tie_word_embeddings"] = False


def two_sides() -> tuple[Written, Written]:
    sides = made_up("baseline", 0), made_up("other", 1)
    for side, edited in zip(sides, (on_gpt2, on_bytes), strict=True):
        for manifest in side.stages[0].values():
            edited(manifest)
    return sides


def found(sides: tuple[Written, Written], *, other_base: bool) -> list[tuple[str, str]]:
    left, right = (side.read() for side in sides)
    return [(one.stage, one.field) for one in matching.mismatches(left, right, other_base)]


def test_only_what_follows_from_the_vocabulary_may_differ() -> None:
    sides = two_sides()
    fields = {field for _, field in found(sides, other_base=False)}
    assert {"base_vocabulary_sha256.0", "architecture.vocab_size", "num_parameters", "flops"} <= fields
    assert any(field.startswith("ledger.grpo.flops / tokens") for field in fields)
    assert found(sides, other_base=True) == []
    change(sides[1].stages[0]["pretrain_final"]["matched"], "steps")  # so that both read equally much text
    assert found(sides, other_base=True) == []
    for stage, field in (("pretrain_final", "trainer.learning_rate"), ("grpo_final", "steps")):
        change(sides[1].stages[0][stage]["matched"], field)
    change(sides[1].stages[0]["sft_final"]["matched"], "stages.1.example_order_sha256")
    assert found(sides, other_base=True) == [
        ("pretrain_final", "trainer.learning_rate"),
        ("sft_final", "stages.1.example_order_sha256"),
        ("grpo_final", "steps"),
    ]


def test_no_setting_of_a_trainer_follows_from_the_vocabulary() -> None:
    settings = ("trainer.seed", "trainer.learning_rate", "architecture.n_layer", "ledger.grpo.steps")
    for field in (*settings, "documents_sha256"):
        assert not follows_from_base(field, "pretrain_final"), field


def add_losses(folder: Path) -> None:
    for point in folder.glob("seed_*/eval/checkpoints/*.json"):
        edit(point, lambda value: value["metrics"].update(loss_nats_without_sites=3.8))


@pytest.fixture
def experiments(tree) -> tuple[Path, Path]:
    """The baseline of an experiment on GPT-2's base, and that of another on bytes."""
    gpt2, other = tree(num_items=20, seeds=(0, 1))
    of_bytes = gpt2.parent.parent / "of_bytes" / gpt2.name
    shutil.rmtree(other)
    shutil.copytree(gpt2, of_bytes)
    for folder, edited in ((gpt2, on_gpt2), (of_bytes, on_bytes)):
        for manifest in folder.glob("seed_*/*_final/manifest.json"):
            edit(manifest, edited)
        add_losses(folder)
    return gpt2, of_bytes


def test_the_report_says_first_what_is_not_matched(experiments: tuple[Path, Path], tmp_path: Path) -> None:
    gpt2, of_bytes = experiments
    (comparison,), overview = compare_all(gpt2, [of_bytes], tmp_path / "out", plots=False, different_vocabularies=True)
    results: Results = comparison.results
    assert overview is None
    names = f"{gpt2.parent.name}/baseline", "of_bytes/baseline"
    assert (results.reference, results.other) == names
    said = [row.reason for row in results.not_tokenizer_only]
    assert f"ids of the base 50,257 and 257, embedding parameters {50349 * 128:,} and {365 * 128:,}" in said[0]
    assert "all parameters 7,253,760 and 700,000" in said[0]
    assert "tokens 1,966,080 and 1,966,080, bytes of text 8,000,000 and 1,960,000" in said[1]
    assert "bytes per token 4.069 and 0.997, FLOPs per byte 15,432,099 and 6,298,816" in said[1]
    markdown, page = ((tmp_path / "out" / name).read_text() for name in ("results.md", "report.html"))
    first_table = markdown.index("| model |")
    assert re.search(r"Not tokenizer only: .*bytes per token", markdown[:first_table])
    assert page.index("bytes per token 4.069") < page.index("In three sentences")
    assert results.verdict.exploratory
    assert not re.search("only the tokenizer", markdown + page, re.IGNORECASE)
    assert any(row.metric == "bits_per_byte" for row in results.bits_per_byte)
    assert not any(row.metric.startswith("loss_nats") for row in (*results.bits_per_byte, *results.curves))
    assert results.token_use
    assert all(row.tokens_per_response.known is None for row in results.token_use)
    assert "in nats" not in page


def test_a_head_of_its_own_is_counted(experiments: tuple[Path, Path]) -> None:
    for folder in experiments:
        for manifest in folder.glob("seed_*/*_final/manifest.json"):
            edit(manifest, untie)
    named = (replace(load_condition(folder), name=folder.parent.name) for folder in experiments)
    rows = matching.outside_tokenizer(Pair(*named, different_vocabularies=True))
    assert f"embedding parameters {2 * 50349 * 128:,} and {2 * 365 * 128:,}" in rows[0].reason


def test_without_the_flag_it_is_named(
    experiments: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpt2, of_bytes = experiments
    with pytest.raises(RecipeError, match=r"both hold the condition 'baseline'; .* --different-vocabularies"):
        compare_all(gpt2, [of_bytes], tmp_path / "out")
    for path in of_bytes.rglob("*.json"):
        edit(path, lambda value: value.update(condition="bytes") if "condition" in value else None)
    with pytest.raises(RecipeError, match=r"not compute-matched(?s:.*)scripts/compare.py --different-vocabularies"):
        compare_all(gpt2, [of_bytes], tmp_path / "out")
    folders = map(str, (gpt2, of_bytes, of_bytes))
    monkeypatch.setattr("sys.argv", ["compare.py", *folders, "--different-vocabularies"])
    with pytest.raises(SystemExit):
        main("")
    assert "expected two conditions, got 3" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_with_one_base_the_flag_is_refused_and_losses_per_token_are_compared(tree, tmp_path: Path) -> None:
    one, two = tree(num_items=20)
    for folder in (one, two):
        add_losses(folder)
    (comparison,), _ = compare_all(one, [two], tmp_path / "equal", plots=False)
    assert any(row.metric.startswith("loss_nats") for row in comparison.results.bits_per_byte)
    assert "in nats" in (tmp_path / "equal/report.html").read_text()
    assert comparison.results.not_tokenizer_only == ()
    with pytest.raises(RecipeError, match="have one base vocabulary; compare them without --different-vocabularies"):
        compare_all(one, [two], tmp_path / "out", different_vocabularies=True)
