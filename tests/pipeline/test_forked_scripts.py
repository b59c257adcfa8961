"""What the warm process of every stage has imported, and the shipped example in JSON, whose stages it runs."""

import json
import textwrap
from pathlib import Path

import pytest
from tiny import ROOT, run_script

from domain_tokens.experiment import STAGE_MODULES
from domain_tokens.runs.files import sha256_file

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]


def test_the_libraries_of_training_and_evaluation_import_without_a_thread_or_a_gpu(tmp_path: Path) -> None:
    path = tmp_path / "describe.py"
    path.write_text(
        textwrap.dedent(
            """
            import json, os, sys
            modules = [name for name in sys.argv[1:] if name in sys.modules]
            torch = sys.modules["torch"]
            print(json.dumps([
                modules, len(os.listdir("/proc/self/task")), torch.cuda.is_initialized(), torch.is_grad_enabled(),
                torch.get_num_threads(), torch.ones(512, 512).add(1).sum().item(),
            ]))
            """
        )
    )
    for threads in (1, 3):
        done = run_script(str(path), *STAGE_MODULES, OMP_NUM_THREADS=str(threads))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [list(STAGE_MODULES), threads, False, True, threads, 2.0 * 512**2]


def test_the_example_runs(tmp_path: Path) -> None:
    example = str(ROOT / "recipes/examples/sum_tokens_quick.json")
    for script in ("prepare_data", "run_pretrain"):
        done = run_script(f"scripts/{script}.py", example, f"output_dir={tmp_path}", "pretrain.max_steps=2")
        assert done.returncode == 0, done.stderr[-3000:]
    folder = tmp_path / "example" / "exp_sum_tokens"
    facts = json.loads((folder / "corpus_0" / "train_stats.json").read_text())["facts"]
    assert sum(facts.values()) > 0
    final = folder / "seed_0" / "pretrain_final"
    manifest = json.loads((final / "manifest.json").read_text())
    assert manifest["files"]["model.safetensors"] == sha256_file(final / "model.safetensors")
    assert [entry["steps"] for entry in manifest["ledger"]] == [2]
