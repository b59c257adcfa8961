"""The real stages in this process, on a vocabulary and a model so small that 100 steps take a second.

`make reference-losses` trains them and writes `tests/training/reference_losses.json`: after a change that is meant to
change numbers, or another release of a library.
"""

import json
import tempfile
from pathlib import Path

from tiny import CONDITIONS, ROOT, tiny_arguments

from domain_tokens.recipe import Recipe, load_recipe

SMALL = (
    "base_vocabulary={kind: trained, num_ids: 1467}",
    "model={n_layer: 1, n_head: 2, n_embd: 16, n_positions: 128}",
    "corpus.sources.0.max_items=100",
    "corpus.num_shards=1",
    "corpus.epochs=100",
    "pretrain.max_steps=100",
    "pretrain.warmup_steps=10",
    "pretrain.per_device_train_batch_size=2",
    "pretrain.eval_steps=100",
    "pretrain.save_strategy='no'",
    "sft.max_length=128",
    "sft.num_train_epochs=5",
    "sft.warmup_steps=2",
    "sft.save_strategy='no'",
    "grpo.save_strategy='no'",
    # Two prompts a step, two steps an epoch.
    "grpo_prompts.0.max_items=4",
    "grpo.max_steps=5",
    "grpo.warmup_steps=0",
    "grpo.max_completion_length=4",
)


def small_recipe(output_dir: Path, condition: str, *overrides: str) -> Recipe:
    """Return the recipe of a tiny experiment whose conditions share a base of 1,467 ids."""
    return load_recipe(tiny_arguments(output_dir, condition, *SMALL, *overrides))


def run_here(stage: str, recipe: Recipe) -> None:
    """Run a stage in this process: `prepare_data`, `pretrain`, `sft` or `grpo`."""
    from accelerate.state import AcceleratorState

    from domain_tokens.corpora.prepare import prepare_data
    from domain_tokens.training.grpo import grpo
    from domain_tokens.training.pretrain import pretrain
    from domain_tokens.training.sft import sft

    stages = {"prepare_data": prepare_data, "pretrain": pretrain, "sft": sft, "grpo": grpo}
    try:
        stages[stage](recipe)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def train_both(output_dir: Path) -> None:
    """Prepare, pretrain and fine-tune both conditions."""
    for condition in CONDITIONS:
        for stage in ("prepare_data", "pretrain", "sft"):
            run_here(stage, small_recipe(output_dir, condition))


REFERENCE = ROOT / "tests/training/reference_losses.json"
NUMBERS = ("loss", "grad_norm")

Curves = dict[str, list[float]]


CURVES = tuple(f"{stage}, {condition}" for condition in CONDITIONS for stage in ("pretrain", "sft"))


def curves(output_dir: Path, keys: tuple[str, ...] = CURVES) -> dict[str, Curves]:
    """Return the loss and the norm of the gradient at every step, by stage and condition: `pretrain, baseline`."""
    found: dict[str, Curves] = {}
    for key in keys:
        stage, condition = key.split(", ")
        final = small_recipe(output_dir, condition).run_dir / f"{stage}_final"
        rows = map(json.loads, (final / "metrics.jsonl").read_text().splitlines())
        steps = [row for row in rows if "grad_norm" in row]
        found[key] = {name: [row[name] for row in steps] for name in NUMBERS}
    return found


def write_reference() -> None:
    """Train both conditions and write the reference."""
    with tempfile.TemporaryDirectory() as folder:
        train_both(Path(folder))
        found = curves(Path(folder))
    lines = [
        f'  "{key}": {{\n'
        + ",\n".join(f'    "{name}": {[float(f"{one:.7g}") for one in numbers]}' for name, numbers in curve.items())
        + "\n  }"
        for key, curve in found.items()
    ]
    REFERENCE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    import conftest  # noqa: F401  (offline, one thread)

    write_reference()
