"""Result trees as the stages write them, made up: small, seeded, and complete."""

import hashlib
import json
import math
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from domain_tokens.analysis.statistics import mixed_logit
from domain_tokens.runs.preregistration import FrozenContent, freeze, record_look

MODELS = {"pretrain_final": "pretrain", "sft_final": "sft", "grpo_final": "grpo"}
# The chance of a right answer by model, for the reference and for the other condition.
SKILL = {"pretrain_final": (0.05, 0.06), "sft_final": (0.30, 0.38), "grpo_final": (0.36, 0.47)}
GROUPS = ("multiplication table", "larger products", "sums")

Tree = Callable[..., tuple[Path, Path]]


def sha256(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    """Read a JSON file, let `change` alter it in place, and write it back."""
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    write_json(path, value)


def environment(command: str) -> dict[str, Any]:
    return {
        "python": "3.11.9",
        "packages": {"torch": "2.10.0", "transformers": "5.17.0", "trl": "1.16.0", "deepspeed": None},
        "git_commit": sha256("commit")[:40],
        "git_dirty": False,
        "machine": "x86_64",
        "system": "Linux",
        "command": command,
        "time_utc": "2026-01-02T03:04:05+00:00",
    }


def matched(stage: str, seed: int) -> dict[str, Any]:
    """What a stage records that must be equal, in fewer fields than the real one and of the same shape."""
    trainer = {"optim": "adamw_torch_fused", "learning_rate": 1e-3, "warmup_steps": 5, "bf16": False, "seed": seed}
    fields = {
        "architecture": {"n_layer": 4, "n_head": 4, "n_embd": 128, "vocab_size": 50349},
        "num_parameters": 7_253_760,
        "seed": seed,
        "seeds": dict.fromkeys(("weights", "order", "sampling"), seed),
        "num_processes": 1,
        "packages": {"torch": "2.10.0", "deepspeed": None},
    }
    own = {
        "pretrain": {
            "trainer": trainer,
            "steps": 60,
            "tokens": 1_966_080,
            "tokens_per_step": 32768,
            "flops": 123_456_789_012_345.0,
            "initial_weights_sha256": sha256("initial", seed),
            "document_order_sha256": sha256("order", seed),
        },
        "sft": {
            "stages": [
                {"name": name, "examples": 480, "example_order_sha256": sha256(name, seed), "trainer": dict(trainer)}
                for name in ("drills", "gsm8k")
            ]
        },
        "grpo": {"trainer": trainer, "steps": 60, "completions_per_step": 32, "rewards": {"exact_match": 1.0}},
    }
    return fields | own[stage]


def ledger(stage: str, condition: str, seed: int, side: int) -> list[dict[str, Any]]:
    """What a stage consumed: pretraining equal tokens, fine-tuning equal examples, GRPO equal completions."""
    names = {"pretrain": ["pretrain"], "sft": ["sft/drills", "sft/gsm8k"], "grpo": ["grpo"]}[stage]
    before = {"pretrain": ("initial", seed), "sft": ("weights", "pretrain", condition, seed)}
    tokens = 1_966_080 if stage == "pretrain" else 40_000 - 2_000 * side
    padding = 0 if stage == "pretrain" else 4_000 - 200 * side
    flops = 123_456_789_012_345.0 if stage == "pretrain" else (43_000_000.0 - 10_000 * side) * tokens
    return [
        {
            "stage": name,
            "steps": 60,
            "tokens": tokens,
            "padding_tokens": padding,
            "generated_tokens": 9_000 - 300 * side if stage == "grpo" else 0,
            "question_facts": None if stage == "pretrain" else 60 * side,
            "answer_facts": None if stage == "pretrain" else 900 * side,
            "examples": 480,
            "source_bytes": 8_000_000 + 65_432 * side if stage == "pretrain" else 150_000,
            "dataset_tokens": 2_000_000 - 90_000 * side if stage == "pretrain" else tokens - padding,
            "flops": flops,
            "order_sha256": sha256("order", name, seed),
            "initial_weights_sha256": sha256(*before.get(stage, ("weights", "sft", condition, seed))),
            "seeds": {"run": seed, "offset": 0, "corpus": 0}
            | dict.fromkeys(("weights", "order", "sampling", "documents"), seed),
            "precision": {"mixed": "no", "tf32": None},
            "optimizer": {"optim": "adamw_torch_fused", "learning_rate": 1e-3, "adam_beta1": 0.9, "weight_decay": 0.1},
            "schedule": {"lr_scheduler_type": "cosine", "warmup_steps": 5, "max_steps": 60},
            "wall_time_s": 300.5 + side,
        }
        for name in names
    ]


def write_stage(folder: Path, stage: str, condition: str, seed: int, side: int) -> None:
    reported = {
        "facts": 41_234 * side,
        "epochs": 1.0,
        "train_loss": 3.21 - 0.02 * side,
        "validation_loss": 3.33 - 0.02 * side,
        "seed_offset": 0,
        "weights_sha256": sha256("weights", stage, condition, seed),
    }
    manifest = {
        "stage": stage,
        "condition": condition,
        "seed": seed,
        "inputs": {},
        "files": {},
        "wall_time_s": 321.5 + side,
    }
    manifest |= {"environment": environment(f"run_{stage}.py"), "reported": reported}
    manifest |= {"matched": matched(stage, seed), "ledger": ledger(stage, condition, seed, side)}
    write_json(folder / "manifest.json", manifest)
    (folder / "run_config.yaml").write_text(f"condition: {json.dumps(condition)}\n", encoding="utf-8")
    noise = random.Random(f"{stage} {seed} {side}")
    rows: list[dict[str, Any]] = []
    for step in range(1, 61):
        since = step if stage != "sft" or step <= 30 else step - 30  # the second fine-tuning stage begins anew
        loss = 3 + 7 * math.exp(-since / 4) - 0.03 * side + noise.gauss(0, 0.05)
        if stage == "grpo":
            used = (0.5 + 0.01 * step) * side
            reward = 0.2 + 0.24 * (1 - math.exp(-step / 6)) * (1 + 0.2 * side) + noise.gauss(0, 0.02)
            rows.append({"step": step, "reward": reward, "kl": 0.001 * step, "facts_per_completion": used})
            rows[-1] |= {"completion_tokens": 60 - 8 * side + noise.gauss(0, 2), "mfu": None}
        else:
            rows.append({"step": step, "loss": loss, "learning_rate": 1e-3, "grad_norm": 1.0, "mfu": None})
            if stage == "sft":
                rows[-1]["stage"] = "drills" if step <= 30 else "gsm8k"
            if step % 10 == 0:
                rows.append(
                    {"step": step, "eval_loss": loss + 0.1}
                    | {key: rows[-1][key] for key in ("stage",) if stage == "sft"}
                )
    write_rows(folder / "metrics.jsonl", rows)


def write_evaluation(folder: Path, task: str, items: list[dict[str, Any]], **fields: Any) -> None:
    keys = {"accuracy": "correct"} if task != "hellaswag" else {"acc_norm": "correct_norm", "acc": "correct"}
    task, _, way = task.partition(".")
    stem = f"{task}.{way}" if way else task
    metrics = {name: sum(bool(item[key]) for item in items) / len(items) for name, key in keys.items()}
    result = {
        "task": task,
        "way": way or "plain",
        "outcomes": keys,
        "tokenizer_sha256": sha256("tokenizer", fields["condition"]),
        "data_sha256": sha256("data", task),
        "num_items": len(items),
        "max_samples": None,
        "generation": None if task == "hellaswag" else {"temperature": 0.0, "max_new_tokens": 256},
        "metrics": metrics,
        "environment": environment("run_eval.py"),
        "scorer_sha256": sha256("scorer"),
        "wall_time_s": 12.5,
    }
    if way == "sampled":
        result["metrics"] |= {"pass@1": metrics["accuracy"], "pass@4": min(1.0, 2 * metrics["accuracy"]), "maj@4": 0.5}
    write_json(folder / f"{stem}_results.json", result | fields)
    write_rows(folder / f"{stem}_items.jsonl", items)


def choice_items(seed: int, side: int, skill: float, num_items: int) -> list[dict[str, Any]]:
    shared, own = random.Random(f"h {seed}"), random.Random(f"h {seed} {side}")
    items = []
    for index in range(num_items):
        hard = shared.random()
        right, right_norm = (0.7 * hard + 0.3 * own.random() < 0.25 + skill / 3 for _ in range(2))
        items.append(
            {"id": f"h{index}", "question": "A man sits down.", "choices": ["a", "b"], "label": 0, "correct": right}
        )
        items[-1] |= {"prediction": int(not right), "prediction_norm": int(not right_norm)}
        items[-1] |= {"correct_norm": right_norm, "has_product": False, "logprobs": [-1.0, -2.0]}
    return items


def written_items(task: str, seed: int, side: int, skill: float, num_items: int) -> list[dict[str, Any]]:
    shared, own = random.Random(f"{task} {seed}"), random.Random(f"{task} {seed} {side}")
    items = []
    for index in range(num_items):
        a, b, hard = shared.randint(2, 9), shared.randint(2, 9), shared.random()
        right = 0.7 * hard + 0.3 * own.random() < skill
        low, high = min(a, b), max(a, b)
        fact = f"<MUL_{low}_{high}_{a * b}>" if side and index % 3 else f"{a} * {b} = {a * b}"
        answer = f"There are {a} boxes with {b} pens each.\n{fact}\n#### {a * b if right else a * b + 1}"
        question = f"{a} boxes hold {b} pens each. How many pens are there in all?"
        if task == "arithmetic":
            question, answer = f"What is {a} * {b}?", f"{fact}\n#### {a * b if right else a * b + 1}"
        items.append({"id": f"{task}-{index}", "group": GROUPS[index % 3] if task == "arithmetic" else None})
        items[-1] |= {
            "question": question,
            "gold": str(a * b),
            "answer": answer,
            "correct": right,
            "finished": index % 7 > 0,
        }
        items[-1] |= {"num_tokens": len(answer.split()) + 5 - side, "num_facts": answer.count("<MUL_")}
        form = "fact" if "<MUL_" in answer else "digits"
        equation = {"text": fact, "right": True, "kind": "product", "pair": [low, high], "in_table": True}
        equation |= {"has_result": True, "of_item": True, "used": True}
        span = {"start": 0, "end": 5, "rounded": False}
        items[-1]["equations"] = [
            span | equation | {"form": form, "origin": "computed"},
            span | {"text": "2+2=5", "right": right, "kind": "sum", "pair": None, "in_table": False, "form": "digits",
             "origin": "copied" if index % 4 else "computed", "has_result": True, "of_item": False, "used": True},
        ]  # fmt: skip
        items[-1]["needed"] = [[low, high]][: index % 2] if task == "gsm8k" else None
        items[-1]["mistake"] = "right" if right else ("reasoning", "arithmetic", "unfinished")[index % 3]
    return items


def checkpoint(stage: str, step: int, condition: str, seed: int, side: int) -> dict[str, Any]:
    """Return one point of a run's learning curves."""
    metrics = {"bits_per_byte": 2.0 - step / 200 - 0.01 * side + 0.001 * seed, "norm_facts": 1 + step / 100}
    sums: dict[str, Any] = {"documents": 30, "bytes": 3435, "tokens": 900, "sites": 0, "dropped": 0}
    sums |= {"model_bits": 4935.0, "side_bits": 0.0, "bits_per_byte": metrics["bits_per_byte"]}
    plain = sums | {"loss_nats": 3.8, "num_rewritten": 0, "tokens_sha256": sha256("tokens", side)}
    spread: dict[str, Any] = {"rows": 45, "mean": metrics["norm_facts"], "sd": 0.1, "min": 0.8, "max": 1.2}
    masses: dict[str, Any] = {"positions": 900, "fact_mass": 0.01, "reserved_mass": 0.001}
    hashes = ("documents_sha256", "tokenizer_sha256", "measured_as_sha256", "inputs_sha256", "weights_sha256")
    return {
        "condition": condition,
        "seed": seed,
        "stage_number": ("pretrain", "sft", "grpo").index(stage),
        "stage": stage,
        "step": step,
        "tokens_seen": 1000 * step,
        "is_final": step == 60,
        "identity": {name: sha256(name, condition, stage, step) for name in hashes} | {"version": 1},
        "bits": {"all": sums, "with_sites": sums, "without_sites": plain, "window": 128, "stride": 64},
        "fact_rows": {
            "norms": {"facts": spread | {"by_id": []}, "reserved": spread, "ordinary": spread},
            "probabilities": masses | {"at_facts": masses | {"true_fact": 0.5, "bits": 1.0}},
        },
        "environment": environment("eval_checkpoints.py"),
        "tasks": {},
        "metrics": metrics,
        "wall_time_s": 1.5,
    }


def write_condition(folder: Path, condition: str, side: int, seeds: tuple[int, ...], num_items: int) -> None:
    reported = {
        "documents": 1200,
        "source_bytes": 9_000_000,
        "tokens": 2_100_000 - 9_876 * side,
        "facts": 4_321 * side,
    }
    manifest = {"stage": "corpus", "condition": condition, "seed": 0, "reported": reported, "inputs": {}, "files": {}}
    manifest |= {"prereg": None, "environment": environment("prepare_data.py"), "wall_time_s": 10.0}
    write_json(folder / "corpus_0" / "manifest.json", manifest)
    for seed in seeds:
        run = folder / f"seed_{seed}"
        for model, stage in MODELS.items():
            write_stage(run / model, stage, condition, seed, side)
            fields = {"condition": condition, "seed": seed, "model": model}
            fields["weights_sha256"] = sha256("weights", stage, condition, seed)
            skill = SKILL[model][side] + random.Random(f"{seed} {side}").gauss(0, 0.01)
            for task in ("gsm8k", "arithmetic"):
                items = written_items(task, seed, side, skill, num_items)
                write_evaluation(run / "eval" / model, task, items, **fields)
            write_evaluation(run / "eval" / model, "hellaswag", choice_items(seed, side, skill, num_items), **fields)
        for way, lost in (("facts_forbidden", 0.2 * side), ("facts_exchanged", 0.3 * side), ("sampled", 0.0)):
            items = written_items("arithmetic", seed, side, skill - lost, num_items)
            write_evaluation(run / "eval" / "grpo_final", f"arithmetic.{way}", items, **fields)
        for stage, step in (("pretrain", 30), ("pretrain", 60), ("sft", 60)):
            place = run / "eval" / "checkpoints"
            write_json(place / f"{stage}-{step}.json", checkpoint(stage, step, condition, seed, side))
            rows = [
                {"id": f"d{index}", "source": "made up", "bytes": 100 + index, "tokens": 30, "sites": 0, "dropped": 0}
                | {"model_bits": 150.0 + index - side, "side_bits": 0.5 * side}
                for index in range(30)
            ]
            write_rows(place / f"{stage}-{step}" / "documents.jsonl", rows)


def freeze_tree(
    folders: Sequence[Path], declared: dict[str, Any], sha: str = "a" * 64, code: str | None = None
) -> None:
    """Declare, and freeze what the conditions of an experiment did, as if it had been done before the first step."""
    experiment, record = folders[0].parent, {"file": "prereg.yaml", "sha256": sha, "declared": declared}
    content = {
        "prereg": record,
        "scorer_sha256": sha256("scorer"),
        "conditions": dict(map(frozen_condition, folders)),
    }
    if code is not None:
        content["code_sha256"] = code
    before = experiment / "before" / experiment.name  # where nothing has been run yet
    frozen, is_new = freeze(before, FrozenContent.model_validate(content))
    assert is_new
    names = list(content["conditions"])
    record_look(before, "run", names, sorted({*declared["seeds"], *seeds_of(folders[0])}))
    for seed in seeds_of(folders[0]):
        for name in names:
            record_look(before, "evaluation", [name], [seed])
    for name in ("preregistration.json", "looks.json"):
        (before / name).replace(experiment / name)
    shutil.rmtree(before.parent)
    record |= {"recorded_utc": "2026-01-02T03:00:00+00:00", "frozen_sha256": frozen.original.sha256}
    for folder in folders:
        for manifest in folder.glob("seed_*/*_final/manifest.json"):
            edit(manifest, lambda value: value.update(prereg=record))


def seeds_of(folder: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("seed_")) for path in folder.glob("seed_*"))


def frozen_condition(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return a condition's name and what freezing it before its runs would have written."""
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("seed_*/eval/grpo_final/*_results.json"))]
    name = results[0]["condition"]
    keys = ("data_sha256", "max_samples", "generation", "outcomes")
    tasks = {
        result["task"]: {key: result[key] for key in keys} | {"num_items": result["num_items"], "task_version": 1}
        for result in results
        if result["way"] == "plain"
    }
    by_seed: dict[str, Any] = {str(seed): {} for seed in seeds_of(folder)}
    return name, {"recipe": {"condition": name}, "by_seed": by_seed, "intervention": {}, "sources": {}, "tasks": tasks}


@pytest.fixture(scope="module")
def no_odds_ratio() -> Iterator[None]:
    """Fit no odds ratio: a second for each comparison of several seeds. For files that say nothing of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixed_logit, "MAX_ANSWERS", 0)
        yield


def write_tree(
    place: Path,
    experiment: str = "demo",
    names: tuple[str, str] = ("baseline", "mul_tokens"),
    seeds: tuple[int, ...] = (0,),
    num_items: int = 45,
) -> tuple[Path, Path]:
    """Write both conditions into `place` and return their folders."""
    folders = place / experiment / "exp_a", place / experiment / "exp_b"
    for side, (folder, name) in enumerate(zip(folders, names, strict=True)):
        write_condition(folder, name, side, seeds, num_items)
    return folders


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A function that writes both conditions and returns their folders."""
    return partial(write_tree, tmp_path)
