"""The real scripts, one after another, on a model of no size: what each stage leaves, skips, resumes and refuses."""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import ROOT, run_inside, run_script, tiny_arguments
from transformers import AutoTokenizer, GPT2LMHeadModel

from domain_tokens.corpora.shards import Shards, document_order
from domain_tokens.corpora.sources import read_examples
from domain_tokens.recipe import load_recipe
from domain_tokens.runs.files import sha256_file
from domain_tokens.tokenization.prompts import render_prompt

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

STAGES = ("prepare_data", "run_pretrain", "run_sft", "run_grpo", "run_eval")
CONDITIONS = ("baseline", "mul_tokens")


def run_stage(stage: str, output_dir: Path, condition: str, *overrides: str):
    return run_script(f"scripts/{stage}.py", *tiny_arguments(output_dir, condition, *overrides))


def refused(stage: str, output_dir: Path, condition: str, *overrides: str) -> str:
    """Run a stage that must not begin, and return what it says."""
    done = run_inside(f"scripts/{stage}.py", *tiny_arguments(output_dir, condition, *overrides))
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    return done.stderr


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both conditions through the runner; returns the experiment's folder."""
    output_dir = tmp_path_factory.mktemp("outputs")
    _, overlay, *overrides = tiny_arguments(output_dir, "baseline")
    done = run_script(
        "scripts/run_experiment.py", "recipes/baseline.yaml", "recipes/mul_tokens.yaml", "--overlay", overlay,
        "--config-file", "accelerate_configs/cpu.yaml", "--set", *overrides, timeout=2700,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (output_dir / "tiny" / "stdout.txt").write_text(done.stdout)
    return output_dir / "tiny"


def manifest(experiment: Path, condition: str, folder: str) -> dict:
    return json.loads((experiment / f"exp_{condition}" / "seed_0" / folder / "manifest.json").read_text())


def test_the_runner_leaves_every_output(experiment: Path) -> None:
    for condition in CONDITIONS:
        run = experiment / f"exp_{condition}" / "seed_0"
        for folder in ("pretrain_final", "sft_final", "grpo_final"):
            names = {path.name for path in (run / folder).iterdir()}
            assert {
                "model.safetensors",
                "config.json",
                "tokenizer.json",
                "run_config.yaml",
                "manifest.json",
                "metrics.jsonl",
            } <= names
            listed = manifest(experiment, condition, folder)["files"]
            assert all(sha256_file(run / folder / name) == digest for name, digest in listed.items())
        for model in ("sft_final", "grpo_final"):
            for task in ("gsm8k", "arithmetic", "hellaswag"):
                assert (run / "eval" / model / f"{task}_results.json").is_file()
    for name in ("results.json", "results.md", "report.html"):
        assert (experiment / name).is_file()
    assert "report.html" in (experiment / "stdout.txt").read_text()


def test_the_saved_model_is_a_native_gpt2_with_its_tokenizer(experiment: Path) -> None:
    for condition in CONDITIONS:
        for stage in ("pretrain_final", "sft_final", "grpo_final"):
            folder = experiment / f"exp_{condition}" / "seed_0" / stage
            assert json.loads((folder / "config.json").read_text())["architectures"] == ["GPT2LMHeadModel"]
            model, tokenizer = GPT2LMHeadModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
            assert model.config.vocab_size == len(tokenizer) == model.lm_head.weight.shape[0] == 50349
            assert model.lm_head.weight is model.transformer.wte.weight
            assert (
                json.loads((folder / "tokenizer_config.json").read_text())["tokenizer_class"]
                == "PreTrainedTokenizerFast"
            )
            assert (50342 in tokenizer.encode("6*9=54")) == (condition == "mul_tokens")


def test_both_conditions_read_the_same_documents_in_the_same_order(experiment: Path) -> None:
    texts = {}
    for condition in CONDITIONS:
        folder = experiment / f"exp_{condition}"
        tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
        shards = Shards(folder / "corpus_0" / "train")
        ids = shards.read(0, shards.num_tokens)
        assert ids.max() < (50349 if condition == "mul_tokens" else 50257)
        ends = shards.document_ends
        assert (ids[ends - 1] == 50256).all()
        texts[condition] = [
            tokenizer.decode(ids[start : end - 1]) for start, end in zip([0, *ends[:-1]], ends, strict=True)
        ]
    order, sizes = document_order(experiment / "documents_0" / "train", 0)
    rows = [
        json.loads(line)
        for file in sorted((experiment / "documents_0" / "train").glob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    by_id = {row["id"]: row["text"] for row in rows}
    assert texts["baseline"] == [by_id[document] for document in order]
    assert [len(text.encode()) for text in texts["baseline"]] == sizes.tolist()
    assert len(texts["mul_tokens"]) == len(order)
    for plain, rewritten in zip(texts["baseline"], texts["mul_tokens"], strict=True):
        assert rewritten == plain or "<MUL_" in rewritten
        assert re.sub(r"<MUL_\d_\d_\d+>", "", rewritten).split()[:1] == plain.split()[:1] or "<MUL_" in rewritten[:20]
    assert sum("<MUL_" in text for text in texts["mul_tokens"]) > 100


def test_the_conditions_are_matched(experiment: Path) -> None:
    for folder in ("pretrain_final", "sft_final", "grpo_final"):
        one, two = (manifest(experiment, condition, folder)["matched"] for condition in CONDITIONS)
        assert one == two
    pretrained = manifest(experiment, "baseline", "pretrain_final")
    assert pretrained["matched"]["tokens"] == 4 * 256
    assert len(pretrained["matched"]["initial_weights_sha256"]) == 64
    done = run_script("scripts/verify_matched.py", *(str(experiment / f"exp_{name}") for name in CONDITIONS))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Compute-matched" in done.stdout


def test_the_ledger_is_what_an_independent_count_gives(experiment: Path) -> None:
    entries = {
        condition: {
            entry["stage"]: entry
            for folder in ("pretrain_final", "sft_final", "grpo_final")
            for entry in manifest(experiment, condition, folder)["ledger"]
        }
        for condition in CONDITIONS
    }
    for condition, (pretrain, sft, grpo) in ((name, entries[name].values()) for name in CONDITIONS):
        assert list(entries[condition]) == ["pretrain", "sft/drills", "grpo"]
        assert {*pretrain} == {*sft} == {*grpo}
        assert (pretrain["tokens"], pretrain["examples"], pretrain["padding_tokens"]) == (1024, 16, 0)
        run = experiment / f"exp_{condition}" / "seed_0"
        recipe = load_recipe([str(run / "sft_final" / "run_config.yaml")])
        tokenizer = AutoTokenizer.from_pretrained(run / "sft_final")
        examples = [
            example
            for source in recipe.sft_stages[0].sources
            for example in read_examples(source, recipe.corpus.seed, "train")
        ]
        texts = [render_prompt(example.question) + f" {example.answer}<|endoftext|>" for example in examples]
        assert sft["steps"] == 4
        assert sft["examples"] == len(examples) == 32
        assert sft["source_bytes"] == sum(len((one.question + one.answer).encode()) for one in examples)
        assert sft["tokens"] - sft["padding_tokens"] == sum(map(len, tokenizer(texts)["input_ids"]))
        assert sft["dataset_tokens"] == sft["tokens"] - sft["padding_tokens"]
        assert sft["tokens"] % 8 == 0  # each batch has eight rows of one length
        (row,) = [json.loads(line) for line in (run / "grpo_final" / "metrics.jsonl").read_text().splitlines()]
        assert grpo["examples"] == 8
        assert grpo["generated_tokens"] == pytest.approx(8 * row["completion_tokens"])
        assert grpo["tokens"] - grpo["padding_tokens"] == row["num_tokens"]
        assert row["rewards/tokens_per_completion/mean"] == pytest.approx(row["completion_tokens"])
        assert grpo["wall_time_s"] > 0
    fewer, more = (entries[condition] for condition in reversed(CONDITIONS))
    assert fewer["sft/drills"]["dataset_tokens"] < more["sft/drills"]["dataset_tokens"]
    # The same tokens hold more text where facts are shorter.
    assert fewer["pretrain"]["source_bytes"] > more["pretrain"]["source_bytes"]
    assert fewer["grpo"]["source_bytes"] == more["grpo"]["source_bytes"]


def test_counts_in_the_corpus_manifest_are_those_of_the_shards(experiment: Path) -> None:
    for condition in CONDITIONS:
        folder = experiment / f"exp_{condition}" / "corpus_0"
        reported = json.loads((folder / "manifest.json").read_text())["reported"]["train"]
        ids = np.concatenate([np.fromfile(file, dtype=np.uint16) for file in sorted((folder / "train").glob("*.ds"))])
        assert reported["tokens"] == len(ids)
        assert reported["documents"] == (ids == 50256).sum()
        assert reported["facts"] == (ids >= 50304).sum() == sum(reported["facts_by_token"].values())
        assert (reported["facts"] > 0) == (condition == "mul_tokens")
        assert not ((ids > 50256) & (ids < 50304)).any()


def test_metrics_are_logged(experiment: Path) -> None:
    folder = experiment / "exp_mul_tokens" / "seed_0"
    rows = [json.loads(line) for line in (folder / "pretrain_final" / "metrics.jsonl").read_text().splitlines()]
    trained = [row for row in rows if "loss" in row]
    assert [row["step"] for row in trained] == [1, 2, 3, 4]
    expected = {
        "loss",
        "learning_rate",
        "grad_norm",
        "tokens_seen",
        "tokens_per_s",
        "step_time_s",
        "memory_bytes",
        "mfu",
    }
    assert all(expected <= row.keys() for row in trained)
    assert [row["tokens_seen"] for row in trained] == [256, 512, 768, 1024]
    assert any("eval_loss" in row for row in rows)
    grpo = [json.loads(line) for line in (folder / "grpo_final" / "metrics.jsonl").read_text().splitlines()]
    assert {"reward", "kl", "facts_per_completion", "completion_tokens"} <= grpo[0].keys()


def test_run_again_it_skips_what_is_complete(experiment: Path) -> None:
    _, overlay, *overrides = tiny_arguments(experiment.parent, "baseline")
    done = run_script(
        "scripts/run_experiment.py", "recipes/baseline.yaml", "--overlay", overlay,
        "--config-file", "accelerate_configs/cpu.yaml", "--set", *overrides,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("complete, skipped") == 6


@pytest.fixture
def copied(experiment: Path, tmp_path: Path) -> Path:
    """A copy of the experiment that a test may spoil; returns the output folder."""
    shutil.copytree(experiment, tmp_path / "tiny")
    return tmp_path


def test_another_recipe_in_the_same_folder_is_refused(copied: Path) -> None:
    said = refused("run_pretrain", copied, "baseline", "pretrain.learning_rate=1e-4")
    assert "pretrain.learning_rate" in said
    assert "pretrain_final" in said


def test_a_recipe_that_the_other_condition_was_not_trained_by_is_refused_before_the_first_step(copied: Path) -> None:
    folder = copied / "tiny" / "exp_mul_tokens" / "seed_0"
    shutil.rmtree(folder)
    said = refused("run_pretrain", copied, "mul_tokens", "pretrain.weight_decay=0.2")
    assert "preflight, optimizer: trainer.weight_decay is 0.2 in" in said
    assert "and 0.1 in" in said
    assert str(copied / "tiny" / "exp_baseline" / "seed_0" / "pretrain_final") in said
    assert not list(folder.rglob("*.safetensors"))


def test_a_changed_intervention_is_refused(copied: Path) -> None:
    mine = copied / "mine.yaml"
    mine.write_text((ROOT / "recipes/interventions/mul_tokens.yaml").read_text().replace("weak", "strict"))
    _, overlay, *overrides = tiny_arguments(copied, "mul_tokens", f"tokenizer={mine}")
    done = run_script(
        "scripts/run_experiment.py", "recipes/mul_tokens.yaml", "--overlay", overlay, "--set", *overrides
    )
    assert done.returncode == 2
    assert "intervention.rules.mode: there 'weak', now 'strict'" in done.stderr


def test_shards_of_another_tokenizer_are_refused(copied: Path) -> None:
    one, two = (copied / "tiny" / f"exp_{condition}" for condition in CONDITIONS)
    shutil.rmtree(two / "corpus_0")
    shutil.copytree(one / "corpus_0", two / "corpus_0")
    shutil.rmtree(two / "seed_0")
    assert "made with another tokenizer" in refused("run_pretrain", copied, "mul_tokens")


def test_changed_weights_are_refused(copied: Path) -> None:
    run = copied / "tiny" / "exp_baseline" / "seed_0"
    shutil.rmtree(run / "sft_final")
    shutil.rmtree(run / "checkpoints")
    weights = run / "pretrain_final" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)
    assert "not those of its manifest" in refused("run_sft", copied, "baseline")


@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_stage_without_the_one_before_says_what_to_run(stage: str, tmp_path: Path) -> None:
    assert re.search(r"run (scripts/)?\w+\.py", refused(stage, tmp_path, "baseline"))


@pytest.mark.parametrize(
    ("stage", "override", "part"),
    [
        ("prepare_data", "corpus.sources.0={name: x, kind: file, path: nowhere.jsonl}", "nowhere.jsonl"),
        ("run_pretrain", "budget.pretrain_tokens_per_step=200", "does not divide"),
        ("run_pretrain", "pretrain.bf16=true", "no GPU"),
        ("run_sft", "sft.max_length=128", "n_positions"),
        ("run_grpo", "grpo.num_generations=3", "num_generations"),
    ],
)
def test_wrong_input_ends_in_one_message(stage: str, override: str, part: str, tmp_path: Path) -> None:
    if part == "no GPU" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert part in refused(stage, tmp_path, "baseline", override)


def test_an_interrupted_run_goes_on_and_ends_bitwise_the_same(copied: Path) -> None:
    run = copied / "tiny" / "exp_mul_tokens" / "seed_0"
    expected = sha256_file(run / "pretrain_final" / "model.safetensors")
    shutil.rmtree(run / "pretrain_final")
    # Cut after the last checkpoint, so that nothing is left to train; and one that was cut short while it was written.
    cut = run / "checkpoints" / "pretrain" / "checkpoint-3"
    shutil.copytree(run / "checkpoints" / "pretrain" / "checkpoint-2", cut)
    (cut / "optimizer.pt").write_bytes(b"cut")
    done = run_stage("run_pretrain", copied, "mul_tokens")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "checkpoint-3 is not used: optimizer.pt is damaged" in done.stderr
    assert "resumed from" in done.stderr
    assert sha256_file(run / "pretrain_final" / "model.safetensors") == expected
    steps = [json.loads(line)["step"] for line in (run / "pretrain_final" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 4]


@pytest.mark.parametrize(
    ("stage", "overrides"),
    [
        ("sft", ["sft.save_steps=2"]),
        ("grpo", ["grpo.save_steps=2", "grpo.max_steps=3"]),
    ],
)
def test_an_interrupted_run_has_the_ledger_of_one_that_was_not(stage: str, overrides: list[str], copied: Path) -> None:
    shutil.rmtree(copied / "tiny" / "exp_baseline" / "seed_0")  # trained by another recipe than what follows
    run = copied / "tiny" / "exp_mul_tokens" / "seed_0"
    work = run / "checkpoints" / ("sft_drills" if stage == "sft" else "grpo")
    for folder in (run / f"{stage}_final", work):
        shutil.rmtree(folder)
    ledgers, weights = [], []
    for cut in (False, True):
        if cut:
            shutil.rmtree(run / f"{stage}_final")
            newest = max(work.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
            assert newest.name != "checkpoint-2"
            shutil.rmtree(newest)
        done = run_stage(f"run_{stage}", copied, "mul_tokens", *overrides)
        assert done.returncode == 0, done.stderr[-3000:]
        assert ("checkpoint-2" in done.stderr) == cut
        ledgers.append(manifest(copied / "tiny", "mul_tokens", f"{stage}_final")["ledger"])
        weights.append(sha256_file(run / f"{stage}_final" / "model.safetensors"))
    before = json.loads((work / "checkpoint-2" / "counts.json").read_text())
    assert ledgers[1][0].pop("wall_time_s") > before["seconds"] > 0
    assert ledgers[0][0].pop("wall_time_s") > 0
    assert ledgers[0] == ledgers[1]
    assert before["tokens"] < ledgers[0][0]["tokens"]
    assert weights[0] == weights[1]


def test_two_processes_have_the_ledger_of_one(copied: Path) -> None:
    run = copied / "tiny" / "exp_mul_tokens" / "seed_0"
    shutil.rmtree(copied / "tiny" / "exp_baseline" / "seed_0")
    for folder in ("sft_final", "grpo_final", "checkpoints"):
        shutil.rmtree(run / folder)
    halves = ["sft.per_device_train_batch_size=4", "grpo.per_device_train_batch_size=4"]
    launch = ("-m", "accelerate.commands.launch", "--quiet", "--config_file", "accelerate_configs/ddp_cpu.yaml",
              "--main_process_port", "0")  # fmt: skip
    ledgers = []
    for launcher in ((), launch):  # two micro batches of four in turn, then side by side
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
        shutil.rmtree(run / "sft_final", ignore_errors=True)
        done = run_script(*launcher, "scripts/run_sft.py", *tiny_arguments(copied, "mul_tokens", *halves))
        assert done.returncode == 0, done.stderr[-3000:]
        (entry,) = manifest(copied / "tiny", "mul_tokens", "sft_final")["ledger"]
        ledgers.append({key: value for key, value in entry.items() if key != "wall_time_s"})
    assert ledgers[0] == ledgers[1]
    done = run_script(*launch, "scripts/run_grpo.py", *tiny_arguments(copied, "mul_tokens", *halves))
    assert done.returncode == 0, done.stderr[-3000:]
    (grpo,) = manifest(copied / "tiny", "mul_tokens", "grpo_final")["ledger"]
    (row,) = [json.loads(line) for line in (run / "grpo_final" / "metrics.jsonl").read_text().splitlines()]
    assert grpo["examples"] == 8
    assert grpo["generated_tokens"] == pytest.approx(8 * row["completion_tokens"])
    assert grpo["tokens"] - grpo["padding_tokens"] == row["num_tokens"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_runner_leaves_no_process_and_goes_on(number: int, code: int, tmp_path: Path) -> None:
    _, overlay, *overrides = tiny_arguments(tmp_path, "baseline", "pretrain.max_steps=2000")
    command = [
        sys.executable, "scripts/run_experiment.py", "recipes/baseline.yaml", "--overlay", overlay,
        "--config-file", "accelerate_configs/cpu.yaml", "--set", *overrides,
    ]  # fmt: skip
    log = tmp_path / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=output,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in background
        )  # fmt: skip
    deadline = time.monotonic() + 120
    while "step " not in log.read_text() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    process.send_signal(number)
    assert process.wait(timeout=60) == code, log.read_text()[-2000:]
    assert "Traceback" not in log.read_text()
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path) in _read(path)]
    assert left == []


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):  # the process ended in between
        return path.read_text()
    return ""


def test_every_path_and_target_that_the_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        text = page.read_text()
        for target in re.findall(r"`make ([a-z-]+)", text) + re.findall(r"^make ([a-z-]+)", text, re.MULTILINE):
            assert target in targets, f"{page.name} names make {target}"
        for path in re.findall(r"(?<![\w/])((?:recipes|scripts|src|tests|docs|accelerate_configs)/[\w./-]+)", text):
            assert (ROOT / path.rstrip(".")).exists(), f"{page.name} names {path}"
