"""What the comparison refuses: results that are missing, damaged, unpaired or not compute-matched."""

import shutil
from pathlib import Path

import pytest

from domain_tokens.analysis.compare import compare
from domain_tokens.recipe import RecipeError

from .conftest import edit


def refusal(folders: tuple[Path, Path]) -> str:
    """Return the message with which the comparison refuses, after checking that nothing was written."""
    output = folders[0].parent / "out"
    with pytest.raises(RecipeError) as caught:
        compare(*folders, output)
    assert not output.exists()
    return str(caught.value)


def test_seeds_must_pair(tree):
    folders = tree(num_items=12, seeds=(0, 1, 2))
    shutil.rmtree(folders[1] / "seed_1")
    message = refusal(folders)
    assert "the seeds do not pair" in message
    assert "[0, 1, 2]" in message
    assert "[0, 2]" in message


@pytest.mark.parametrize("missing", ["grpo_final", "eval/sft_final/gsm8k_results.json"])
def test_what_one_condition_lacks_is_named(tree, missing):
    folders = tree(num_items=12)
    path = folders[1] / "seed_0" / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    message = refusal(folders)
    assert "do not pair" in message
    assert str(folders[1]) in message


def test_items_must_pair(tree):
    folders = tree(num_items=12)
    items = folders[1] / "seed_0/eval/sft_final/gsm8k_items.jsonl"
    items.write_text(items.read_text().replace('"gsm8k-3"', '"gsm8k-99"'))
    message = refusal(folders)
    assert "is missing" in message
    assert "gsm8k-3" in message or "gsm8k-99" in message


def test_items_and_result_must_agree(tree):
    folders = tree(num_items=12)
    edit(
        folders[1] / "seed_0/eval/sft_final/gsm8k_results.json", lambda result: result["metrics"].update(accuracy=0.99)
    )
    assert "accuracy is 0.9900, but its items give" in refusal(folders)


@pytest.mark.parametrize("text", ["{", "[]", '{"id": 1}\n', "\x00"])
def test_damaged_items_are_named_with_their_line(tree, text):
    folders = tree(num_items=12)
    items = folders[1] / "seed_0/eval/sft_final/gsm8k_items.jsonl"
    items.write_text(items.read_text() + text)
    assert "gsm8k_items.jsonl, line 13: " in refusal(folders)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
@pytest.mark.parametrize("name", ["sft_final/manifest.json", "eval/sft_final/gsm8k_results.json"])
def test_damaged_files_are_named(tree, name, text):
    folders = tree(num_items=12)
    (folders[1] / "seed_0" / name).write_text(text)
    assert name in refusal(folders)


def test_results_of_other_weights_are_refused(tree):
    folders = tree(num_items=12)
    manifest = folders[1] / "seed_0/sft_final/manifest.json"
    edit(manifest, lambda value: value["reported"].update(weights_sha256="f" * 64))
    assert "the model was trained again since" in refusal(folders)


def test_one_condition_is_not_compared_with_itself(tree):
    folders = tree(num_items=12)
    assert "both hold the condition 'baseline'" in refusal((folders[0], folders[0]))


def test_a_folder_without_runs(tree, tmp_path):
    folders = tree(num_items=12)
    assert "no such folder" in refusal((folders[0], tmp_path / "nothing"))
    assert "has no seed_<n> folder" in refusal((folders[0], folders[0] / "seed_0"))


def test_a_declaration_that_cannot_be_read_is_named(tree):
    folders = tree()
    for folder in folders:
        for path in folder.glob("seed_*/*_final/manifest.json"):
            declared = {"file": "prereg.yaml", "sha256": "a" * 64, "declared": {"alpha": "small"}}
            edit(path, lambda value, declared=declared: value.update(prereg=declared))
    assert "exp_a: the manifests' prereg.declared." in (message := refusal(folders))
    assert message.endswith("; run the stages again")
