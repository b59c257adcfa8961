"""Evaluation of checkpoints: which models of a run are its points, what is written for each, and what is kept."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.evaluation import checkpoints
from domain_tokens.evaluation.checkpoints import evaluate_checkpoints
from domain_tokens.evaluation.models import bits_per_byte
from domain_tokens.evaluation.models.bits_per_byte import read_documents, text_identity
from domain_tokens.evaluation.models.side_codes import corpus_side_code
from domain_tokens.recipe import Recipe, RecipeError, SFTStage, Source
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.runs.checkpoints.saved_models import find_saved_models
from domain_tokens.runs.files import sha256_file, sha256_weights
from domain_tokens.runs.records import CheckpointResult, write_record
from domain_tokens.tokenization import fast_encoder
from domain_tokens.tokenization.intervention import default_intervention
from domain_tokens.tokenization.side_record.code import SideCode
from domain_tokens.tokenization.side_record.record import record

TEXTS = ["Nothing to see here.", "so 9 x 6 = 54.", "Ana has 6*9=54 pens and 7 * 8 cards.", "A day by the sea."]
STEPS = ("pretrain", 2), ("pretrain", 4), ("sft_drills", 3), ("grpo", 5)


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch: pytest.MonkeyPatch, tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    """The checks of a tokenizer take seconds, and it is one in all these tests; so does starting the fast engine."""
    monkeypatch.setattr(fast_encoder, "_fastokens", lambda: None)
    for module in (checkpoints, bits_per_byte):
        monkeypatch.setattr(module, "load_tokenizer", lambda folder: tokenizers["mul_tokens"])


@pytest.fixture
def run(tmp_path: Path, tokenizer_dirs: dict[str, Path], save_model: Callable[..., GPT2LMHeadModel]) -> Recipe:
    """A run with checkpoints at two steps of pretraining, and complete stages up to GRPO."""
    recipe = Recipe(
        experiment="test",
        condition="mul_tokens",
        output_dir=str(tmp_path),
        sft_stages=[SFTStage("drills")],
        grpo_prompts=[Source("drills", kind="synthetic", what="drills")],
        evaluation=Evaluation(
            tasks=["arithmetic"], checkpoint_tasks=["arithmetic"], max_samples=3, max_new_tokens=3, batch_size=8
        ),
    )
    recipe.budget.pretrain_tokens_per_step = 100
    shutil.copytree(tokenizer_dirs["mul_tokens"], recipe.tokenizer_dir)
    folder = recipe.documents_dir / "validation"
    folder.mkdir(parents=True)
    rows = [{"id": f"some/{number}", "source": "some", "text": text} for number, text in enumerate(TEXTS)]
    (folder / "00000.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    code = SideCode()
    code.learn("so <MUL_6_9_54>.", record("so 9 x 6 = 54."))
    recipe.corpus_dir.mkdir()
    write_record(recipe.corpus_dir / "side_code.json", code.record(1, 14))
    finals = {"pretrain": "pretrain_final", "sft_drills": "sft_final", "grpo": "grpo_final"}
    for seed, (stage, step) in enumerate(STEPS):
        work = recipe.run_dir / "checkpoints" / stage
        checkpoint = work / f"checkpoint-{step}"
        save_model(checkpoint, seed=seed, n_positions=32)
        shutil.copy(recipe.tokenizer_dir / "tokenizer_config.json", checkpoint)
        counts = {"tokens": 0, "padding_tokens": 0} if stage == "pretrain" else {"tokens": 50, "padding_tokens": 8}
        (checkpoint / "counts.json").write_text(json.dumps(counts))
        (work / "inputs.json").write_text(json.dumps({"made": "from this"}))
        verify(checkpoint)
        final = recipe.run_dir / finals[stage]
        shutil.rmtree(final, ignore_errors=True)
        shutil.copytree(checkpoint, final)
        manifest = {
            "inputs": {"made": "from this"},
            "reported": {"weights_sha256": sha256_weights(final)},
            "ledger": [{"steps": step, "tokens": step * 100, "padding_tokens": 10 * (stage != "pretrain")}],
        }
        (final / "manifest.json").write_text(json.dumps(manifest))
    return recipe


def verify(checkpoint: Path) -> None:
    listed = {path.name: sha256_file(path) for path in checkpoint.iterdir() if path.name != "verified.json"}
    (checkpoint / "verified.json").write_text(json.dumps(listed))


def read(recipe: Recipe, name: str) -> dict[str, Any]:
    return json.loads((recipe.run_dir / "eval" / "checkpoints" / f"{name}.json").read_text(encoding="utf-8"))


def read_curves(recipe: Recipe) -> list[dict[str, str]]:
    with (recipe.run_dir / "eval" / "learning_curves.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_points_of_a_run(run: Recipe) -> None:
    found = [(one.stage_number, one.stage, one.step, one.tokens_seen, one.is_final) for one in find_saved_models(run)]
    assert found == [
        (0, "pretrain", 2, 200, False),
        (0, "pretrain", 4, 400, True),
        (1, "sft_drills", 3, 290, True),
        (2, "grpo", 5, 490, True),
    ]


def test_an_unfinished_stage_has_its_checkpoints(run: Recipe) -> None:
    shutil.rmtree(run.run_dir / "grpo_final")
    shutil.rmtree(run.run_dir / "sft_final")
    found = [(one.name, one.tokens_seen, one.is_final) for one in find_saved_models(run)]
    assert found[2:] == [("sft_drills-0000003", 42, False), ("grpo-0000005", 42, False)]


@pytest.mark.parametrize("damage", ["unfinished", "flipped", "missing", "list"])
def test_a_checkpoint_that_is_not_whole_is_left_out(run: Recipe, damage: str) -> None:
    checkpoint = run.run_dir / "checkpoints" / "pretrain" / "checkpoint-2"
    weights = checkpoint / "model.safetensors"
    if damage == "unfinished":
        (checkpoint / "verified.json").unlink()
    elif damage == "flipped":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    elif damage == "missing":
        weights.unlink()
    else:
        (checkpoint / "verified.json").write_text("{")
    assert [one.step for one in find_saved_models(run) if one.stage == "pretrain"] == [4]
    assert checkpoint.is_dir()


def test_a_final_model_of_other_weights_is_refused(run: Recipe) -> None:
    other = run.run_dir / "checkpoints" / "pretrain" / "checkpoint-2" / "model.safetensors"
    shutil.copy(other, run.run_dir / "pretrain_final" / "model.safetensors")
    with pytest.raises(RecipeError, match="pretrain_final: the weights do not match the manifest"):
        find_saved_models(run)


def test_nothing_was_trained(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no checkpoint and no trained model"):
        find_saved_models(Recipe(experiment="test", condition="mul_tokens", output_dir=str(tmp_path)))


def test_what_is_written(run: Recipe) -> None:
    evaluate_checkpoints(run)
    names = sorted(path.stem for path in (run.run_dir / "eval" / "checkpoints").glob("*-*.json"))
    assert names == ["grpo-0000005", "pretrain-0000002", "pretrain-0000004", "sft_drills-0000003"]
    point = read(run, "pretrain-0000002")
    record = CheckpointResult.parse(point, "pretrain-0000002")
    assert not record.model_extra
    assert record.as_json() == point
    shown = ("condition", "seed", "stage_number", "stage", "step", "tokens_seen", "is_final")
    assert [point[key] for key in shown] == ["mul_tokens", 0, 0, "pretrain", 2, 200, False]
    assert (point["bits"]["all"]["documents"], point["bits"]["without_sites"]["documents"]) == (4, 2)
    assert point["fact_rows"]["probabilities"]["at_facts"]["positions"] == 3
    assert point["tasks"]["arithmetic"]["num_items"] == 3
    lines = (run.run_dir / "eval" / "checkpoints" / "pretrain-0000002" / "documents.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["sites"] for row in rows] == [0, 1, 2, 0]
    assert sum(row["model_bits"] for row in rows) == pytest.approx(point["bits"]["all"]["model_bits"])

    curves = read_curves(run)
    assert list(curves[0]) == ["condition", "seed", "stage", "step", "tokens_seen", "metric", "value"]
    order = list(dict.fromkeys((row["stage"], int(row["step"]), int(row["tokens_seen"])) for row in curves))
    assert order == [("pretrain", 2, 200), ("pretrain", 4, 400), ("sft_drills", 3, 290), ("grpo", 5, 490)]
    for stage, step in STEPS:
        results = read(run, f"{stage}-{step:07d}")
        values = {
            row["metric"]: float(row["value"]) for row in curves if row["stage"] == stage if int(row["step"]) == step
        }
        assert values == {name: value for name, value in results["metrics"].items() if value is not None}
        assert values["bits_per_byte"] == results["bits"]["all"]["bits_per_byte"]
        assert values["norm_facts"] == results["fact_rows"]["norms"]["facts"]["mean"]
        assert {"arithmetic/accuracy", "arithmetic/facts_per_response"} <= set(values)
    # Each point is its own model's.
    assert len({row["value"] for row in curves if row["metric"] == "bits_per_byte"}) == 4


def test_what_is_kept(run: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    run.evaluation.checkpoint_tasks = []
    measured = []
    real = checkpoints.measure

    def counting(model: GPT2LMHeadModel, *arguments: Any) -> Any:
        measured.append(model)
        return real(model, *arguments)

    monkeypatch.setattr(checkpoints, "measure", counting)
    evaluate_checkpoints(run)
    assert len(measured) == 4
    before = {path: path.read_bytes() for path in (run.run_dir / "eval").rglob("*") if path.is_file()}
    evaluate_checkpoints(run)
    assert len(measured) == 4
    assert {path: path.read_bytes() for path in (run.run_dir / "eval").rglob("*") if path.is_file()} == before

    # Other weights of one checkpoint: one point is made anew.
    work = run.run_dir / "checkpoints" / "pretrain"
    for name in ("model.safetensors", "config.json"):
        shutil.copy(run.run_dir / "grpo_final" / name, work / "checkpoint-2")
    verify(work / "checkpoint-2")
    evaluate_checkpoints(run)
    assert len(measured) == 5
    # A checkpoint that training removed keeps its point.
    shutil.rmtree(work / "checkpoint-2")
    evaluate_checkpoints(run)
    assert ("pretrain", "2") in {(row["stage"], row["step"]) for row in read_curves(run)}
    # Other text: all points are made anew, and the one whose model is gone cannot be.
    with (run.documents_dir / "validation" / "00000.jsonl").open("a") as file:
        file.write(json.dumps({"id": "some/9", "source": "some", "text": "One more."}) + "\n")
    evaluate_checkpoints(run)
    assert len(measured) == 8
    assert ("pretrain", "2") not in {(row["stage"], row["step"]) for row in read_curves(run)}


def test_points_of_another_run_are_left_out(run: Recipe) -> None:
    run.evaluation.checkpoint_tasks = []
    evaluate_checkpoints(run)
    manifest = run.run_dir / "grpo_final" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"inputs": {"made": "from that"}}))
    shutil.rmtree(run.run_dir / "checkpoints")
    documents = read_documents(run.documents_dir / "validation")
    checkpoints.write_curves(
        run, text_identity(documents, run.tokenizer_dir, default_intervention(), corpus_side_code(run))
    )
    assert "sft_drills" in {row["stage"] for row in read_curves(run)}
    assert "grpo" not in {row["stage"] for row in read_curves(run)}


def test_a_model_of_another_tokenizer_is_refused(run: Recipe, tokenizer_dirs: dict[str, Path]) -> None:
    shutil.copy(tokenizer_dirs["baseline"] / "tokenizer_config.json", run.run_dir / "sft_final")
    run.evaluation.checkpoint_tasks = []
    with pytest.raises(RecipeError, match="sft_final: its tokenizer is not the condition's"):
        evaluate_checkpoints(run)


def test_a_corpus_without_its_side_code_is_refused(run: Recipe) -> None:
    (run.corpus_dir / "side_code.json").unlink()
    with pytest.raises(RecipeError, match=r"side_code.json: no such file; run scripts/prepare_data.py"):
        evaluate_checkpoints(run)


def test_another_side_code_measures_anew(run: Recipe) -> None:
    run.evaluation.checkpoint_tasks = []
    evaluate_checkpoints(run)
    before = read(run, "pretrain-0000002")
    write_record(run.corpus_dir / "side_code.json", SideCode().record(0, 0))
    evaluate_checkpoints(run)
    after = read(run, "pretrain-0000002")
    assert after["identity"]["side_code_sha256"] != before["identity"]["side_code_sha256"]
    assert after["bits"]["all"]["side_bits"] > before["bits"]["all"]["side_bits"] > 0
    assert after["metrics"]["bits_per_byte"] > before["metrics"]["bits_per_byte"]
    assert after["metrics"]["model_bits_per_byte"] == before["metrics"]["model_bits_per_byte"]
