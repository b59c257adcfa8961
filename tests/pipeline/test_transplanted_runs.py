"""A transplant through the runner: four cells with two seeds, two pretrainings a seed, and the 2 x 2 in the report."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny import start_script, tiny_arguments

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]
CROSSED = {
    "baseline_then_mul_tokens": ("baseline", "mul_tokens"),
    "mul_tokens_then_baseline": ("mul_tokens", "baseline"),
}


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def run(output_dir: Path) -> str:
    """Run the transplant, and return what was printed."""
    _, overlay, *overrides = tiny_arguments(output_dir, "baseline")
    done = start_script(
        "scripts/run_experiment.py", "--transplant", "recipes/baseline.yaml", "recipes/mul_tokens.yaml",
        "--overlay", overlay, "--seeds", "0", "1", "--config-file", "accelerate_configs/cpu.yaml",
        "--set", *overrides, timeout=1700,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def accuracy(folder: Path, condition: str, seed: int, row: dict[str, Any]) -> float:
    """Return the mean over an endpoint's items, straight from the file of answers."""
    place = folder / f"exp_{condition}/seed_{seed}/eval/{row['model']}"
    key = read(place / f"{row['task']}_results.json")["outcomes"][row["metric"]]
    items = [json.loads(line) for line in (place / f"{row['task']}_items.jsonl").read_text().splitlines()]
    values = [float(item[key]) for item in items if row["group"] in ("all", item["group"])]
    assert len(values) == row["num_items"] > 1
    return sum(values) / len(values)


def test_the_four_cells_are_run_compared_skipped_and_resumed(tmp_path: Path) -> None:
    run(tmp_path)
    folder = tmp_path / "tiny"
    finals = {
        str(path.parent.relative_to(folder)) for path in folder.glob("exp_*/seed_*/pretrain_final/manifest.json")
    }
    assert finals == {f"exp_{one}/seed_{seed}/pretrain_final" for one in ("baseline", "mul_tokens") for seed in (0, 1)}
    for name, (begun, ended) in CROSSED.items():
        assert (folder / f"exp_{name}/corpus_0").resolve() == folder / f"exp_{ended}/corpus_0"
        for seed in (0, 1):
            source = read(folder / f"exp_{begun}/seed_{seed}/pretrain_final/manifest.json")
            made = read(folder / f"exp_{name}/seed_{seed}/sft_final/manifest.json")
            whole = read(folder / f"exp_{ended}/seed_{seed}/sft_final/manifest.json")
            assert made["inputs"]["start_from"]["condition"] == begun
            assert made["inputs"]["start_from"]["weights_sha256"] == source["reported"]["weights_sha256"]
            assert made["inputs"]["tokenizer_sha256"] == whole["inputs"]["tokenizer_sha256"]
            assert made["ledger"][0]["tokens"] == whole["ledger"][0]["tokens"] > 0
            assert made["reported"]["weights_sha256"] != whole["reported"]["weights_sha256"]

    found = read(folder / "overview.json")["transplant"]
    assert found == read(folder / "baseline_mul_tokens/results.json")["transplant"]
    assert found["rows"][0]["role"] == "primary"
    assert (found["num_seeds"], found["model"]) == (2, "pretrain_final")
    assert len(found["rows"]) >= 2
    for row in found["rows"]:
        cells = {(cell["begun"], cell["ended"]): cell for cell in row["cells"]}
        assert len(cells) == 4
        for cell in cells.values():
            expected = [accuracy(folder, cell["condition"], seed, row) for seed in (0, 1)]
            assert cell["by_seed"] == pytest.approx(expected)
        effects = {effect["effect"]: effect["value"] for effect in row["effects"]}
        a, b = "baseline", "mul_tokens"
        corner = cells[b, b]["value"] + cells[a, a]["value"] - cells[a, b]["value"] - cells[b, a]["value"]
        assert effects["interaction"] == pytest.approx(corner)
        assert effects["before"] + effects["after"] == pytest.approx(effects["whole"])
    page = (folder / "report.html").read_text()
    assert "Where does the difference enter?" in page
    assert "then trained as mul_tokens" in page

    before = (folder / "overview.json").read_bytes()
    shown = run(tmp_path)
    assert ", log: " not in shown  # nothing is started or resumed
    assert (folder / "overview.json").read_bytes() == before

    shutil.rmtree(folder / "exp_baseline_then_mul_tokens/seed_1/grpo_final")
    shown = run(tmp_path)
    begun = [line.partition(", log: ")[0] for line in shown.splitlines() if ", log: " in line]
    assert begun[0].startswith("baseline_then_mul_tokens, seed 1: grpo: resumes grpo: from step 1")
    assert not [name for name in begun if "pretrain:" in name or "sft:" in name or "prepare" in name]
    assert (folder / "overview.json").read_bytes() == before
