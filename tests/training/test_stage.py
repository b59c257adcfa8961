"""The order of a training stage, with a stage that trains nothing: what is asked for when, and what is not."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import GPT2Config, TrainerCallback, TrainingArguments
from trl import GRPOConfig, SFTConfig

from domain_tokens.recipe import Recipe, RecipeError, SFTStage, Source, load_recipe
from domain_tokens.runs.records import Fields, Manifest, MetricsRow, read_record
from domain_tokens.training import stage as stage_module
from domain_tokens.training.callbacks import progress
from domain_tokens.training.callbacks.accounting import Consumption, Counter
from domain_tokens.training.callbacks.metrics import MetricsLog, Work
from domain_tokens.training.callbacks.saving import SaveWeights
from domain_tokens.training.callbacks.stopping import StopTogether
from domain_tokens.training.inputs import training_sources
from domain_tokens.training.stage import TrainingRun, build_arguments

MATCHED = {"steps": 2, "architecture": {"vocab_size": 7}}


@dataclass
class NoTrainer:
    """Stands for a trainer: takes its steps by writing a log, and saves a file in place of weights."""

    args: TrainingArguments
    said: list[str]
    steps: int = 2
    callbacks: list[TrainerCallback] = field(default_factory=list)
    accelerator: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(mixed_precision="no"))

    def __post_init__(self) -> None:
        self.state = SimpleNamespace(global_step=0, max_steps=2)

    def add_callback(self, callback: TrainerCallback) -> None:
        self.callbacks.append(callback)

    def train(self, resume_from_checkpoint: str | None) -> None:
        self.said.append(f"train from {resume_from_checkpoint}")
        self.state.global_step = self.steps
        work = Path(str(self.args.output_dir))
        (work / "metrics.jsonl").write_text('{"step": 2, "loss": 1.5}\n')

    def check_finite(self) -> None:
        self.said.append("finite")

    def save_model(self, folder: str) -> None:
        Path(folder).mkdir()
        for name in ("model.safetensors", "config.json", "tokenizer.json", "training_args.bin"):
            (Path(folder) / name).write_text(f"{name} of the trainer")


class NoTraining(TrainingRun):
    """A stage whose parts say that they were asked for."""

    name = ledger_name = "pretrain"

    def __init__(self, recipe: Recipe, said: list[str], steps: int = 2) -> None:
        super().__init__(recipe, "pretrain")
        self.said, self.steps = said, steps
        self.arguments = build_arguments(
            TrainingArguments, recipe, "pretrain", recipe.pretrain, self.paths.work, accumulation=1
        )

    def inputs(self) -> Fields:
        self.said.append("inputs")
        return {"seed": self.recipe.seed, "corpus": {"sources": [{"name": "some", "kind": "synthetic"}]}}

    @cached_property
    def model(self) -> SimpleNamespace:
        self.said.append("model")
        return SimpleNamespace(config=GPT2Config(), parameters=list)

    @cached_property
    def matched(self) -> Fields:
        assert self.model
        self.said.append("matched")
        return MATCHED

    def make_trainer(self, counter: Counter) -> NoTrainer:
        self.said.append("trainer")
        self.made = NoTrainer(self.arguments, self.said, self.steps)
        return self.made

    def metrics_log(self, counter: Counter) -> MetricsLog:
        return MetricsLog(self.paths.work, lambda step: Work(step, step, 1.0))

    def after_training(self, trainer: NoTrainer) -> None:
        self.said.append("after training")

    def consumed(self, counter: Counter) -> Consumption:
        self.said.append("consumed")
        return Consumption(flops=3.0, dataset_tokens=9, order_sha256="o", initial_weights_sha256="i")

    def reported(self, rows: list[MetricsRow]) -> Fields:
        self.said.append("reported")
        return {"train_loss": rows[-1].value("loss")}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a stage did, in order; the checks before the first step and the display only say that they were called."""
    said: list[str] = []

    def preflight(recipe: Recipe, *_: object) -> None:
        said.append("preflight")

    monkeypatch.setattr(stage_module, "preflight", preflight)
    monkeypatch.setattr(stage_module, "show_progress", lambda trainer: None)
    return said


@pytest.fixture
def recipe(tiny, tokenizer_dirs: dict[str, Path]) -> Recipe:
    recipe = load_recipe(tiny("mul_tokens"))
    recipe.tokenizer_dir.parent.mkdir(parents=True)
    recipe.tokenizer_dir.symlink_to(tokenizer_dirs["mul_tokens"])
    return recipe


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_batches_are_copied_to_a_gpu_while_it_computes(
    device: str, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_module, "choose_device", lambda *_: device)
    for kind, section in ((TrainingArguments, recipe.pretrain), (SFTConfig, recipe.sft), (GRPOConfig, recipe.grpo)):
        values = {**section, "per_device_train_batch_size": 8}
        made = build_arguments(kind, recipe, "section", values, tmp_path, accumulation=1)
        assert made.accelerator_config.non_blocking is (device == "cuda")
        assert made.dataloader_pin_memory is (device == "cuda")


ORDER = [
    "inputs",
    "model",
    "matched",
    "preflight",
    "trainer",
    "train from None",
    "finite",
    "after training",
    "reported",
    "consumed",
]


def test_everything_is_asked_for_once_and_in_order(recipe: Recipe, said: list[str]) -> None:
    run = NoTraining(recipe, said)
    assert said == []  # a constructor reads nothing
    run.execute()
    assert said == ORDER
    assert [type(callback) for callback in run.made.callbacks] == [Counter, MetricsLog, SaveWeights, StopTogether]
    folder = recipe.run_dir / "pretrain_final"
    manifest = read_record(folder / "manifest.json", Manifest)
    assert manifest.matched == MATCHED
    assert manifest.reported["train_loss"] == 1.5
    (entry,) = manifest.ledger
    assert (entry.stage, entry.steps, entry.flops, entry.dataset_tokens) == ("pretrain", 2, 3.0, 9)
    # The model as the trainer saved it, the tokenizer as the condition has it, and nothing else of the trainer's.
    assert (folder / "model.safetensors").read_text() == "model.safetensors of the trainer"
    for name in ("tokenizer.json", "tokenizer_config.json", "certificate.json"):
        assert (folder / name).read_bytes() == (recipe.tokenizer_dir / name).read_bytes()
    assert not (folder / "training_args.bin").exists()
    assert not (recipe.run_dir / "pretrain_final.weights").exists()


def test_fsdp_on_a_cpu_is_refused_where_the_library_would_take_ddp(
    recipe: Recipe, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_module, "choose_device", lambda *_: "cpu")
    NoTraining(recipe, said)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(RecipeError, match=r"FSDP: accelerate would train with DDP on a CPU; use .*ddp_cpu\.yaml"):
        NoTraining(recipe, said)
    assert said == []


def test_a_complete_stage_loads_no_model(recipe: Recipe, said: list[str]) -> None:
    NoTraining(recipe, said).execute()
    said.clear()
    NoTraining(recipe, said).execute()
    assert said == ["inputs"]


def test_work_of_other_inputs_is_refused_before_the_checks_and_the_trainer(recipe: Recipe, said: list[str]) -> None:
    work = recipe.run_dir / "checkpoints" / "pretrain"
    (work / "checkpoint-1").mkdir(parents=True)
    (work / "inputs.json").write_text('{"seed": 9}')
    with pytest.raises(RecipeError, match="seed: recorded 9, now 0"):
        NoTraining(recipe, said).execute()
    assert said == ORDER[:3]


def test_unfinished_work_of_other_code_is_refused_unless_it_is_allowed(
    recipe: Recipe, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecipeError, match="stopped after step 1"):
        NoTraining(recipe, said, steps=1).execute()
    monkeypatch.setattr(stage_module, "CODE_SHA256", "edited")
    (recipe.run_dir / "checkpoints/pretrain/checkpoint-1").mkdir()
    with pytest.raises(RecipeError, match=r"code_sha256: recorded '\w{64}', now 'edited'\).* --allow-change"):
        NoTraining(recipe, said).execute()
    NoTraining(recipe, said).execute(allow_change=True)
    manifest = read_record(recipe.run_dir / "pretrain_final" / "manifest.json", Manifest)
    ((allowed,),) = [change.differences for change in manifest.changes]
    assert allowed.endswith("now 'edited'")
    NoTraining(recipe, said).execute()  # complete, and not asked again


def test_a_run_that_ends_early_leaves_no_result(recipe: Recipe, said: list[str]) -> None:
    with pytest.raises(RecipeError, match="pretrain: stopped after step 1 of 2; run the same command again"):
        NoTraining(recipe, said, steps=1).execute()
    assert said == ORDER[:7]
    assert not (recipe.run_dir / "pretrain_final").exists()


def test_a_wrong_recipe_is_refused_before_anything_is_asked_for(tiny, said: list[str]) -> None:
    with pytest.raises(RecipeError, match="pretrain.learning_rates"):
        NoTraining(load_recipe(tiny("mul_tokens", "pretrain.learning_rates=1")), said)
    assert said == []


def test_a_stage_of_fine_tuning_has_the_data_of_the_earlier_ones_too(root: Path) -> None:
    one, two = Source(name="one", kind="synthetic"), Source(name="two", kind="synthetic")
    recipe = load_recipe([str(root / "recipes/baseline.yaml")])
    recipe.sft_stages = [SFTStage("first", [one]), SFTStage("second", [two])]
    assert training_sources(recipe, "sft_first") == [one]
    assert training_sources(recipe, "sft_second") == [one, two]
    assert training_sources(recipe, "grpo") == recipe.grpo_prompts


def test_a_launcher_that_overrules_the_recipe_is_refused_by_the_stage(
    tiny, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(tiny("mul_tokens"))
    assert NoTraining(recipe, said).arguments.bf16 is False
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    with pytest.raises(RecipeError, match="launcher: mixed_precision: bf16 would overrule the recipe"):
        NoTraining(recipe, said)


def test_a_loss_that_is_not_a_number_is_logged_as_such(tiny, said: list[str]) -> None:
    assert NoTraining(load_recipe(tiny("mul_tokens")), said).arguments.logging_nan_inf_filter is False


@pytest.mark.parametrize(
    ("has_gpu", "set_before", "expected"), [(False, None, "cpu"), (True, None, None), (False, "xpu", "xpu")]
)
def test_deepspeed_is_told_of_a_machine_without_a_gpu(
    has_gpu: bool, set_before: str | None, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "choose_device", lambda work: "cuda" if has_gpu else "cpu")
    monkeypatch.setattr(progress.os, "environ", {} if set_before is None else {"DS_ACCELERATOR": set_before})
    progress.quieten()
    assert progress.os.environ.get("DS_ACCELERATOR") == expected
