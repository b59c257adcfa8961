"""What the comparison refuses: results that are missing, damaged, unpaired or not compute-matched."""

import json
import shutil
from pathlib import Path

import pytest

from domain_tokens.analysis.comparison import compare
from domain_tokens.analysis.matching import match
from domain_tokens.analysis.results import load_condition
from domain_tokens.recipe import RecipeError, flatten

from .conftest import edit


def refusal(folders: tuple[Path, Path]) -> str:
    """Return the message with which the comparison refuses, after checking that nothing was written."""
    output = folders[0].parent / "out"
    with pytest.raises(RecipeError) as caught:
        compare(*folders, output)
    assert not output.exists()
    return str(caught.value)


def matched_fields() -> list[str]:
    architecture = ["n_layer", "n_head", "n_embd", "vocab_size"]
    optimizer = ["name", "betas.0", "betas.1", "weight_decay"]
    return [
        *(f"architecture.{name}" for name in architecture),
        *(f"optimizer.{name}" for name in optimizer),
        *(
            "steps",
            "tokens",
            "tokens_per_step",
            "flops",
            "precision",
            "schedule.type",
            "schedule.warmup_steps",
            "seed",
        ),
        *("initial_weights_sha256", "document_order_sha256", "num_processes", "packages.torch"),
    ]


def change(value: object, path: list[str]) -> None:
    """Alter the leaf at a dotted path of nested dictionaries and lists."""
    key = int(path[0]) if isinstance(value, list) else path[0]
    if len(path) > 1:
        change(value[key], path[1:])
    else:
        value[key] = f"{value[key]}x" if isinstance(value[key], str) else value[key] + 1


def test_every_matched_field_is_compared(tree):
    folders = tree(num_items=12)
    reference = load_condition(folders[0])
    for stage in ("pretrain_final", "sft_final", "grpo_final"):
        manifest = folders[1] / "seed_0" / stage / "manifest.json"
        kept = manifest.read_text()
        assert set(flatten(json.loads(kept)["matched"])) == set(matched_fields())
        for field in matched_fields():
            edit(manifest, lambda value, field=field: change(value["matched"], field.split(".")))
            with pytest.raises(RecipeError, match=f"not compute-matched: seed 0, {stage}: {field} is ") as caught:
                match(reference, load_condition(folders[1]))
            assert "in baseline and" in str(caught.value)
            manifest.write_text(kept)


@pytest.mark.parametrize("side", [0, 1])
def test_a_matched_field_that_one_side_lacks(tree, side):
    folders = tree(num_items=12)
    edit(folders[side] / "seed_0/sft_final/manifest.json", lambda value: value["matched"].pop("flops"))
    assert "sft_final: flops" in (message := refusal(folders))
    assert "(absent)" in message


@pytest.mark.parametrize(
    ("field", "value"), [("max_samples", 5), ("data_sha256", "other"), ("generation", {"temperature": 1.0})]
)
def test_evaluation_must_match(tree, field, value):
    folders = tree(num_items=12)
    edit(folders[1] / "seed_0/eval/sft_final/gsm8k_results.json", lambda result: result.update({field: value}))
    assert f"eval/sft_final/gsm8k: {field}" in refusal(folders)


def test_evaluation_must_match_over_seeds(tree):
    folders = tree(num_items=12, seeds=(0, 1))
    for folder in folders:
        edit(folder / "seed_1/eval/sft_final/gsm8k_results.json", lambda result: result.update(max_samples=5))
    assert "eval/sft_final/gsm8k: max_samples is None for seed 0 and 5 for seed 1" in refusal(folders)


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
    assert "holds no seed_<n> folder" in refusal((folders[0], folders[0] / "seed_0"))


def test_a_repetition_with_other_seeds_may_differ_in_what_follows_from_the_seed_alone(tree):
    folders = tree(num_items=12)
    manifests = [
        folders[1] / "seed_0" / stage / "manifest.json" for stage in ("pretrain_final", "sft_final", "grpo_final")
    ]
    for manifest in manifests:
        edit(manifest, lambda value: value["matched"].update(initial_weights_sha256="another"))
    with pytest.raises(RecipeError, match="initial_weights_sha256"):
        match(*map(load_condition, folders))
    edit(manifests[0], lambda value: value["reported"].update(seed_offset=1000))
    with pytest.raises(RecipeError, match="seed_offset"):
        match(*map(load_condition, folders))
    for manifest in manifests:
        edit(manifest, lambda value: value["reported"].update(seed_offset=1000))
    match(*map(load_condition, folders))
    edit(manifests[1], lambda value: value["matched"].update(steps=61))
    with pytest.raises(RecipeError, match="sft_final: steps"):
        match(*map(load_condition, folders))


def test_conditions_of_different_vocabularies_are_never_compared(tree):
    folders = tree(num_items=12)
    for stage in ("pretrain_final", "sft_final", "grpo_final"):
        manifest = folders[1] / "seed_0" / stage / "manifest.json"
        edit(manifest, lambda value: value["matched"]["architecture"].update(vocab_size=50385))
    with pytest.raises(RecipeError, match="architecture.vocab_size is 50349 in .* and 50385"):
        match(*map(load_condition, folders))
