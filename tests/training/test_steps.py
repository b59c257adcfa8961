"""What surrounds a step: a trainer that searches less computes the same, and a profile says where time goes."""

import copy
import gzip
import json
import re
import sys
from collections.abc import Callable
from importlib import machinery
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator, DistributedType
from transformers import GPT2Config, GPT2LMHeadModel, PrinterCallback, Trainer, TrainingArguments
from transformers.training_args import OptimizerNames

from domain_tokens.recipe import RecipeError
from domain_tokens.training.callbacks.profile import PHASES, STEPS, WARM_UP, StepProfile
from domain_tokens.training.trainers import full_batches, lean
from domain_tokens.training.trainers.checkpoints import CheckpointTrainer, repeat_compiled_steps
from domain_tokens.training.trainers.full_batches import FullBatchTrainer
from domain_tokens.training.trainers.lean import LeanTrainer

NUM_STEPS = WARM_UP + STEPS + 1


def trainer(kind: type[Trainer], folder: Path, steps: int = NUM_STEPS, **own: Any) -> Trainer:
    torch.manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=8, vocab_size=50))
    rows = [{"input_ids": ids, "labels": ids} for ids in torch.randint(50, (40, 8))]
    arguments = TrainingArguments(
        output_dir=str(folder), max_steps=steps, per_device_train_batch_size=1, gradient_accumulation_steps=2,
        learning_rate=1e-2, logging_steps=1, eval_strategy="steps", eval_steps=4, save_strategy="no",
        report_to="none", use_cpu=True, disable_tqdm=True, **own,
    )  # fmt: skip
    made = kind(model=model, args=arguments, train_dataset=rows, eval_dataset=rows[:2])
    made.remove_callback(PrinterCallback)
    return made


def numbers(trained: Trainer) -> tuple[list[dict[str, float]], float]:
    rows = [
        {key: row[key] for key in ("loss", "grad_norm", "eval_loss") if key in row}
        for row in trained.state.log_history
    ]
    return rows, trained.state.total_flos


def same_weights(one: Trainer, other: Trainer) -> bool:
    others = other.model.state_dict()
    return all(torch.equal(value, others[name]) for name, value in one.model.state_dict().items())


def test_a_lean_trainer_searches_no_folder_at_a_step_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "lomo_optim", raising=False)
    searched: list[str] = []
    real = machinery.PathFinder.find_spec

    def find_spec(name: str, *args: object) -> object:
        searched.append(name)
        return real(name, *args)

    monkeypatch.setattr(machinery.PathFinder, "find_spec", find_spec)
    plain = trainer(Trainer, tmp_path)
    plain.train()
    assert searched.count("lomo_optim") >= NUM_STEPS  # once this falls to 0, `lean.py` may lose a half
    searching = trainer(LeanTrainer, tmp_path)
    searched.clear()
    searching.train()
    assert "lomo_optim" not in searched
    monkeypatch.delitem(sys.modules, "lomo_optim")
    assert numbers(searching) == numbers(plain)
    assert len({row["loss"] for row in numbers(searching)[0] if "loss" in row}) == NUM_STEPS  # it trained
    assert same_weights(searching, plain)


@pytest.mark.parametrize("size", [1e-3, 1e3, float("nan")])
def test_gradients_are_clipped_as_the_library_clips_them(
    size: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaled: list[float] = []
    real = lean.clip_grads_with_norm_
    monkeypatch.setattr(lean, "clip_grads_with_norm_", lambda *given: (scaled.append(given[1]), real(*given)))
    found = []
    for kind in (Trainer, LeanTrainer):
        made = trainer(kind, tmp_path)
        torch.manual_seed(2)
        for weight in list(made.model.parameters())[1:]:  # one has no gradient
            weight.grad = size * torch.randn_like(weight)
        norm = made._clip_grad_norm(made.model)
        found.append([norm, *(weight.grad for weight in list(made.model.parameters())[1:])])
    assert len(scaled) == (size != 1e-3)
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0, equal_nan=True)


def test_a_model_that_trained_can_be_copied_and_each_forgets_its_own_gradients(tmp_path: Path) -> None:
    trained = trainer(LeanTrainer, tmp_path)
    trained.train()
    assert "zero_grad" in vars(trained.model)
    other = copy.deepcopy(trained.model)
    for model in (trained.model, other):
        for weight in model.parameters():
            weight.grad = torch.ones_like(weight)
    other.zero_grad()
    assert all(weight.grad is None for weight in other.parameters())
    assert all(torch.equal(weight.grad, torch.ones_like(weight)) for weight in trained.model.parameters())


@pytest.mark.parametrize("what", ["sharded", "scaled"])
def test_gradients_that_are_not_whole_or_are_scaled_are_left_to_the_library(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer(LeanTrainer, tmp_path)
    monkeypatch.setattr(Trainer, "_clip_grad_norm", lambda self, model: "the library's")
    assert made._clip_grad_norm(made.model) != "the library's"
    if what == "sharded":
        monkeypatch.setattr(type(made.accelerator), "distributed_type", DistributedType.FSDP)
    else:
        monkeypatch.setattr(made.accelerator, "scaler", object())
    assert made._clip_grad_norm(made.model) == "the library's"


def test_a_profile_writes_a_trace_and_shares_and_changes_no_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="domain_tokens")
    plain = trainer(LeanTrainer, tmp_path)
    plain.train()
    profiled = trainer(LeanTrainer, tmp_path)
    file = tmp_path / "trace.json.gz"
    timed = StepProfile(profiled, "tiny", file)
    profiled.add_callback(timed)
    profiled.train()
    assert numbers(profiled)[0] == numbers(plain)[0]
    assert same_weights(profiled, plain)
    assert all(timed.seconds[phase] > 0 for phase in PHASES)
    assert sum(timed.seconds.values()) < timed.total
    shares = re.search(r"tiny: 10 steps of \d+\.\d ms each: (.*)", caplog.text)[1].split(", ")
    assert [share.split()[0] for share in shares] == [*PHASES, "other"]
    assert sum(float(share.split()[1].rstrip("%")) for share in shares) == pytest.approx(100, abs=0.5)
    events = json.loads(gzip.decompress(file.read_bytes()))["traceEvents"]
    marked = [event["name"] for event in events if event.get("cat") == "user_annotation"]
    # Two micro batches a step: each is moved, and a step's two are read at once.
    expected = {"data": 3 * STEPS, "forward": 2 * STEPS, "backward": 2 * STEPS, "optimizer": STEPS}
    assert {phase: marked.count(phase) for phase in PHASES} == expected


def test_a_run_that_is_too_short_for_a_profile_is_refused(tmp_path: Path) -> None:
    short = trainer(LeanTrainer, tmp_path, steps=WARM_UP + STEPS - 1)
    short.add_callback(StepProfile(short, "grpo", tmp_path / "trace.json.gz"))
    with pytest.raises(RecipeError, match=r"--profile: expected at least 13 steps .* but 12 are left of grpo"):
        short.train()
    assert short.state.global_step == 0


def test_the_labels_of_full_batches_are_counted_once_for_every_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    real = Trainer._get_num_items_in_batch

    def count(self: Trainer, batches: list[dict[str, torch.Tensor]], device: torch.device) -> object:
        counted.append(len(batches))
        return real(self, batches, device)

    monkeypatch.setattr(Trainer, "_get_num_items_in_batch", count)
    plain = trainer(Trainer, tmp_path)
    plain.train()
    assert counted.count(2) == NUM_STEPS  # and once for every batch of an evaluation
    counted.clear()
    full = trainer(FullBatchTrainer, tmp_path)
    full.train()
    assert sorted(counted) == [1, 2]
    assert numbers(full)[0] == numbers(plain)[0]
    assert same_weights(full, plain)
    batches = [{"labels": torch.zeros(rows, 8, dtype=torch.long)} for rows in (1, 3)]
    assert [int(full._get_num_items_in_batch([one], torch.device("cpu"))) for one in batches] == [8, 24]


def losses(kind: type[Trainer], folder: Path, loss_of: Callable[..., torch.Tensor] | None = None, **own: Any) -> list:
    torch.manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=8, vocab_size=50)).eval()
    arguments = TrainingArguments(output_dir=str(folder), report_to="none", use_cpu=True, **own)
    made = kind(model=model, args=arguments, compute_loss_func=loss_of)
    ids = torch.randint(50, (2, 8), generator=torch.Generator().manual_seed(1))
    counts = (None, torch.tensor(14), torch.tensor(40))
    return [
        made.compute_loss(model, {"input_ids": ids, "labels": ids}, num_items_in_batch=one).item() for one in counts
    ]


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"label_smoothing_factor": 0.1},
        {"average_tokens_across_devices": False},
        {"loss_of": lambda outputs, labels, num_items_in_batch: outputs.logits.mean()},
    ],
    ids=["plain", "smoothed", "of one process", "of a function"],
)
def test_the_loss_of_full_batches_is_the_librarys(own: dict[str, Any], tmp_path: Path) -> None:
    assert losses(FullBatchTrainer, tmp_path, **own) == losses(Trainer, tmp_path, **own)


@pytest.mark.parametrize("what", ["processes", "devices of one process"])
def test_so_is_that_of_several_processes_and_devices(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = losses(FullBatchTrainer, tmp_path)
    if what == "processes":
        monkeypatch.setattr(Accelerator, "num_processes", property(lambda self: 2))
    else:
        monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda self: 2))
    found = [losses(kind, tmp_path) for kind in (FullBatchTrainer, Trainer)]
    assert found[0] == found[1] != alone


AROUND: dict[str, Callable[[Trainer, pytest.MonkeyPatch], object]] = {
    "nothing": lambda made, patch: None,
    "several processes": lambda made, patch: patch.setattr(Accelerator, "distributed_type", DistributedType.MULTI_CPU),
    "several devices": lambda made, patch: patch.setattr(TrainingArguments, "n_gpu", 2),
    "an emptied cache": lambda made, patch: setattr(made.args, "torch_empty_cache_steps", 1),
    "an optimizer with modes": lambda made, patch: setattr(made.optimizer.optimizer, "train", lambda: None),
    "an optimizer that is told the rate": lambda made, patch: setattr(made.args, "optim", OptimizerNames.LOMO),
    "spread sequences": lambda made, patch: patch.setattr(Accelerator, "parallelism_config", object(), raising=False),
    "a loss without the number of labels": lambda made, patch: setattr(made, "model_accepts_loss_kwargs", False),
    "another optimizer that is told the rate": lambda made, patch: setattr(made.args, "optim", OptimizerNames.ADALOMO),
    "a loss that is divided by steps": lambda made, patch: setattr(made, "loss_is_scaled_for_ga", False),
    "sagemaker": lambda made, patch: patch.setattr(full_batches, "is_sagemaker_mp_enabled", lambda: True),
}


@pytest.mark.parametrize("around", AROUND)
def test_a_micro_batch_is_the_librarys_where_anything_is_done_around_it(
    around: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer(FullBatchTrainer, tmp_path)
    made.optimizer = made.accelerator.prepare(made.create_optimizer())
    monkeypatch.setattr(Trainer, "training_step", lambda self, *given: torch.tensor(-1.0))
    AROUND[around](made, monkeypatch)
    prepared: list[object] = []
    prepare = made._prepare_inputs
    monkeypatch.setattr(made, "_prepare_inputs", lambda inputs: (prepared.append(inputs), prepare(inputs))[1])
    backwards: list[object] = []
    real = made.accelerator.backward
    monkeypatch.setattr(made.accelerator, "backward", lambda loss: (backwards.append(prepared[-1]), real(loss)))
    made.model.train()
    made.model.transformer.eval()
    ids = torch.arange(8)[None]
    batch = {"input_ids": ids, "labels": ids}
    loss = made.training_step(made.model, batch, torch.tensor(7))
    assert (loss.item() == -1) == (around != "nothing")
    assert (made.model.transformer.wte.weight.grad is None) == (around != "nothing")
    assert prepared == backwards == [batch] * (around == "nothing")
    assert made.model.transformer.training == (around == "nothing")
    assert not loss.requires_grad
    assert made.training_step(made.model, batch, None) == -1


def test_steps_after_an_evaluation_train_in_training_mode(tmp_path: Path) -> None:
    made = trainer(FullBatchTrainer, tmp_path)
    modes: list[bool] = []
    made.model.transformer.drop.register_forward_hook(lambda module, *_: modes.append(module.training))
    made.train()
    evaluations = sum("eval_loss" in row for row in made.state.log_history)
    assert modes.count(True) == 2 * NUM_STEPS
    assert 0 < evaluations <= modes.count(False)


def test_a_trainer_that_compiles_for_a_cpu_asks_for_deterministic_algorithms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    try:
        trainer(CheckpointTrainer, tmp_path)
        repeat_compiled_steps(SimpleNamespace(torch_compile=True, device=torch.device("cuda")))
        assert not torch.are_deterministic_algorithms_enabled()
        trainer(CheckpointTrainer, tmp_path, torch_compile=True)
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_compiled_step_predicts_the_next_id_as_others_do(smoothing: float, tmp_path: Path) -> None:
    rows, given = [], {"label_smoothing_factor": smoothing}
    try:
        for kind, own in (
            (Trainer, {}),
            (FullBatchTrainer, {}),
            (FullBatchTrainer, {"torch_compile": True, "torch_compile_backend": "eager"}),
        ):
            made = trainer(kind, tmp_path, steps=4, **given, **own)
            for part in made.model.modules():
                if isinstance(part, torch.nn.Dropout):
                    part.p = 0.0
            made.train()
            rows.append([row["loss"] for row in made.state.log_history if "loss" in row])
    finally:
        torch.use_deterministic_algorithms(False)
    assert rows[1] == rows[0]
    assert rows[2] == pytest.approx(rows[0], rel=1e-6)
    assert len(set(rows[0])) == 4
