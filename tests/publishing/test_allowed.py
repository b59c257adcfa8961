"""Which files are published, and what repositories are called."""

import json
from pathlib import Path

import pytest

from domain_tokens.analysis.report.figures import condition
from domain_tokens.publishing.allowed import (
    CONDITION_PLOTS,
    is_of_checkpoint,
    is_of_results,
    is_of_stage,
    is_published,
)
from domain_tokens.publishing.names import Placement, model_repository, results_repository
from domain_tokens.recipe import RecipeError

NEVER = (
    "optimizer.pt", "optimizer.bin", "scheduler.pt", "rng_state.pth", "rng_state_0.pth", "training_args.bin",
    "pytorch_model.bin", "model.pkl", "trainer_state.json", "global_step5/mp_rank_00_model_states.pt", ".env",
    "log_window_0.json", "modeling.py", "declared.json", "running.json",
)  # fmt: skip


@pytest.mark.parametrize("name", NEVER)
def test_what_is_never_published(name: str) -> None:
    assert not is_of_stage(name)
    assert not is_of_checkpoint(name)
    assert not is_published(name, is_dataset=False)
    for folder in ("", "exp_a/seed_0/", "exp_a/seed_0/checkpoints/pretrain/checkpoint-2/", "logs/", "exp_a/"):
        assert not is_of_results(folder + name)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("results.json", True),
        ("preregistration.json", True),
        ("report.html", True),
        ("plots/effects.svg", True),
        ("baseline_mul_tokens/results.json", True),
        ("baseline_mul_tokens/plots/effects.png", True),
        ("exp_a/plots/loss.png", True),
        ("exp_a/tokenizer/tokenizer.json", True),
        ("exp_a/tokenizer/other.json", False),
        ("exp_a/corpus_0/manifest.json", True),
        ("exp_a/corpus_0/side_code.json", True),
        ("exp_a/corpus_0/train_sites.csv", False),  # texts of the documents
        ("exp_a/corpus_0/train/bytes.npy", False),
        ("exp_a/seed_0/eval/sft_final/gsm8k_items.jsonl", True),
        ("exp_a/seed_0/eval/manifest.json", True),
        ("exp_a/seed_0/sft_final/model.safetensors", False),  # has a repository of its own
        ("exp_a/seed_0/checkpoints/sft_x/inputs.json", False),
        ("documents_0/train/00000.jsonl", False),
        ("documents_0/manifest.json", False),
        ("logs/experiment.json", False),
        ("../elsewhere/results.json", False),
        ("exp_a/seed_0/eval/../../x.json", False),
        (".env.json", False),
        ("README.md", False),  # the card has its place
        ("my_notes/customers.csv", False),
        ("my_notes/results.csv", False),
        ("wandb/settings.json", False),
        ("diary.md", False),
        ("notes.json", False),
        ("plots/holiday.png", False),
        ("exp_a/plots/holiday.png", False),
        ("exp_a/seed_0/eval/todo.yaml", False),
        ("exp_a/seed_0/eval/todo.csv", False),
        ("exp_a/seed_0/eval/sft_final/notes.json", False),
        ("exp_a/seed_0/verifier/notes.json", False),
        ("exp_a/seed_0/eval/run_config.yaml", True),
        ("exp_a/seed_0/eval/learning_curves.csv", True),
        ("exp_a/seed_0/eval/sft_final/gsm8k.question_plain_results.json", True),
        ("exp_a/seed_0/eval/checkpoints/manifest.json", True),
        ("exp_a/seed_0/eval/checkpoints/sft_x-10.json", True),
        ("exp_a/seed_0/eval/checkpoints/sft_x-10/documents.jsonl", True),
        ("exp_a/seed_0/verifier/gsm8k_items.jsonl", True),
        ("sampling_sft_final_gsm8k.md", True),
        ("verifiers_gsm8k.png", True),
        ("overview.json", True),
        ("micro_batches.json", True),
    ],
)
def test_what_belongs_to_the_results(path: str, expected: bool) -> None:
    assert is_of_results(path) is expected


def test_the_plots_of_a_condition_are_those_that_are_drawn() -> None:
    assert {*condition._LOGGED, "learning_curves"} == {*CONDITION_PLOTS}


def test_every_file_that_a_stage_lists_is_published(trained: Path) -> None:
    manifests = [*trained.glob("tiny/exp_*/seed_0/*_final/manifest.json")]
    assert len(manifests) == 2
    for manifest in manifests:
        files = json.loads(manifest.read_text())["files"]
        assert "model.safetensors" in files
        assert [name for name in files if not is_of_stage(name)] == []


def placement(**values: object) -> Placement:
    usual = {"kind": "stage", "experiment": "demo", "condition": "baseline", "seed": 0, "stage": "sft_x"}
    return Placement.model_validate(usual | {"model": "sft_final"} | values)


def test_names_of_repositories() -> None:
    assert model_repository("me", placement()) == "me/demo-baseline-seed0-sft"
    assert model_repository("me", placement(model="sft_drills")) == "me/demo-baseline-seed0-sft_drills"
    assert model_repository("me", placement(condition="a+b--c", seed=12)) == "me/demo-a-b-c-seed12-sft"
    assert results_repository("me", "demo") == "me/demo-results"
    with pytest.raises(RecipeError, match="at most 96 characters on the Hub"):
        results_repository("me", "x" * 90)


@pytest.mark.parametrize(
    "values",
    [{"experiment": ".."}, {"experiment": "a/b"}, {"condition": "a/../b"}, {"seed": -1}, {"stage": "sft"},
     {"model": "eval"}, {"model": "sft_/../x"}, {"kind": "checkpoint", "step": 0}, {"experiment": "exp_a"},
     {"seed": 2**32}, {"seed": None}, {"stage": "sft_.."}, {"stage": "sft_x.partial"}, {"model": "sft_x.partial"},
     {"model": "sft_.."}, {"stage": "sft_.hidden"}],
)  # fmt: skip
def test_a_placement_from_elsewhere_names_no_other_folder(values: dict[str, object]) -> None:
    placement().sealed({}).check("published.json")
    with pytest.raises(RecipeError, match=r"published\.json: (?!was)"):
        placement(**values).sealed({}).check("published.json")


def test_a_placement_that_was_changed_is_refused() -> None:
    sealed = placement().sealed({"manifest.json": "0"})
    sealed.check("published.json")
    for values in ({"seed": 1}, {"condition": "mul_tokens"}, {"files": {}}, {"further": 1}):
        with pytest.raises(RecipeError, match=r"published\.json: was changed after it was written"):
            Placement.model_validate(sealed.as_json() | values).check("published.json")
    with pytest.raises(RecipeError, match="earlier version"):
        placement(files={}).check("published.json")


@pytest.mark.parametrize("name", ["demo-baseline", "demo_1.2", "a--b..c", "-x-"])
def test_the_hub_takes_every_name(name: str) -> None:
    from huggingface_hub.utils import validate_repo_id

    validate_repo_id(model_repository("me", placement(condition=name)))
