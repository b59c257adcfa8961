"""Stages on a base of its own: trained once, shared by the conditions, the same for any workers; and on GPT-2's."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny import GPT2_BASE, ROOT, run_script, tiny_arguments
from transformers import AutoTokenizer, GPT2LMHeadModel

from domain_tokens.corpora.pipeline.vocabulary import train_by_itself
from domain_tokens.recipe import load_recipe
from domain_tokens.runs.files import sha256_file
from domain_tokens.tokenization.bpe.base_vocabulary import read_base, train_base
from domain_tokens.tokenization.contract import load_tokenizer
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.training.post_training.chat_data import training_examples

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

STAGES = ("prepare_data", "run_pretrain", "run_sft", "run_eval", "eval_checkpoints")
BASE = (
    "base_vocabulary={kind: trained, num_ids: 1500}",
    "model={n_layer: 1, n_head: 2, n_embd: 16, n_positions: 128}",  # few merges, long texts
    "sft.max_length=76",  # of the base's ids: some examples are longer in the condition
    "grpo_prompts=[]",
    "prereg=null",
    "evaluation.models=[sft_final]",
    "evaluation.tasks=[gsm8k]",
    "evaluation.sampling={tasks: []}",
    "evaluation.checkpoint_tasks=[gsm8k]",
    "evaluation.ablation_tasks=[]",
    "evaluation.encoding_tasks=[]",
)


def run(script: str, output_dir: Path, condition: str, *overrides: str) -> str:
    done = run_script(f"scripts/{script}.py", *tiny_arguments(output_dir, condition, *BASE, *overrides))
    assert done.returncode == 0, (script, done.stderr)
    return done.stdout + done.stderr


@pytest.mark.slow  # its tokenizer and its batches have fast tests
def test_all_stages_of_a_digit_condition(tmp_path: Path) -> None:
    for script in STAGES:
        printed = run(script, tmp_path, "conditions/r2l_3")
        if script == "prepare_data":
            assert "train, r2l_3: 0 of " in printed
    run("prepare_data", tmp_path, "baseline")
    run("run_pretrain", tmp_path, "baseline")  # its preflight compares it with the other condition
    experiment = tmp_path / "tiny"
    ours, theirs = experiment / "exp_r2l_3", experiment / "exp_baseline"
    manifests = [json.loads((one / "seed_0/pretrain_final/manifest.json").read_text()) for one in (ours, theirs)]
    recorded = [manifest["matched"] for manifest in manifests]
    assert recorded[0]["base_vocabulary_sha256"] == recorded[1]["base_vocabulary_sha256"]
    assert recorded[0] == recorded[1]
    assert recorded[0]["architecture"]["vocab_size"] == 1536 + 45
    assert recorded[0]["architecture"]["eos_token_id"] == 1499
    base = json.loads((experiment / "base_vocabulary/manifest.json").read_text())
    assert base["condition"] == "r2l_3"  # made once, by the condition that was prepared first
    tokenizer = AutoTokenizer.from_pretrained(ours / "seed_0/sft_final")
    assert len(tokenizer) == GPT2LMHeadModel.from_pretrained(ours / "seed_0/sft_final").config.vocab_size
    statistics = json.loads((ours / "corpus_0/train_stats.json").read_text())["numbers"]
    assert statistics["groups"] > 1000
    assert statistics["fallen_apart"] == 0
    results = json.loads((ours / "seed_0/eval/sft_final/gsm8k_results.json").read_text())
    assert results["metrics"]["accuracy"] >= 0
    rows = json.loads(next((ours / "seed_0/eval/checkpoints").glob("*-*.json")).read_text())["fact_rows"]["norms"]
    assert [rows[kind]["rows"] for kind in ("ordinary", "reserved", "facts")] == [1500, 36, 45]
    check_that_no_example_was_cut(ours)
    check_that_held_out_documents_are_not_read(experiment)
    other = tiny_arguments(tmp_path, "mul_tokens", *BASE, "base_vocabulary.num_ids=1520")
    refused = run_script("scripts/prepare_data.py", *other)
    assert refused.returncode == 2
    assert "num_ids: recorded 1500, now 1520" in refused.stderr


@pytest.mark.slow  # by default, all stages run on small bases, and test_neutralize.py encodes documents on GPT-2's
def test_all_stages_on_the_base_of_gpt2(tmp_path: Path) -> None:
    for script in STAGES[:-1]:
        run(script, tmp_path, "mul_tokens", GPT2_BASE)
    condition = tmp_path / "tiny" / "exp_mul_tokens"
    assert not (tmp_path / "tiny" / "base_vocabulary").exists()
    model = GPT2LMHeadModel.from_pretrained(condition / "seed_0/sft_final")
    tokenizer = AutoTokenizer.from_pretrained(condition / "seed_0/sft_final")
    assert len(tokenizer) == model.config.vocab_size == 50304 + 45
    assert tokenizer.encode("6*9=54.") == [50342, 13]
    corpus = json.loads((condition / "corpus_0/manifest.json").read_text())["reported"]["train"]
    ids = np.concatenate([np.fromfile(file, dtype=np.uint16) for file in (condition / "corpus_0/train").glob("*.ds")])
    assert corpus["facts"] == (ids >= 50304).sum() > 100
    assert (ids == 50256).sum() == corpus["documents"] > 100
    assert ((ids < 50257) | (ids >= 50304)).all()
    results = json.loads((condition / "seed_0/eval/sft_final/gsm8k_results.json").read_text())
    assert results["metrics"]["accuracy"] >= 0


def check_that_no_example_was_cut(condition: Path) -> None:
    """Examples are chosen by their length under the base; those that are longer in this condition are read whole."""
    recipe = load_recipe([str(condition / "seed_0/sft_final/run_config.yaml")])
    tokenizer = load_tokenizer(condition / "tokenizer")
    chosen, _ = training_examples(
        recipe, recipe.sft_stages[0].sources, "sft_stages.drills", tokenizer, recipe.sft["max_length"]
    )
    texts = [f"{render_prompt(one.question)} {one.answer}<|endoftext|>" for one in chosen]
    lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    assert max(lengths) > recipe.sft["max_length"]
    reported = json.loads((condition / "seed_0/sft_final/manifest.json").read_text())["reported"]
    assert reported["tokens_per_epoch"] == sum(lengths)


def check_that_held_out_documents_are_not_read(experiment: Path) -> None:
    texts = {
        split: [
            json.loads(line)["text"]
            for file in (experiment / "documents_0" / split).glob("*.jsonl")
            for line in file.read_text().splitlines()
        ]
        for split in ("train", "validation")
    }
    made = read_base(experiment / "base_vocabulary")
    assert train_base(texts["train"], 1500) == made
    recipe = load_recipe([str(experiment / "exp_r2l_3/seed_0/pretrain_final/run_config.yaml")])
    assert train_by_itself(recipe)[0] == made  # as scripts/train_tokenizer.py does, without the folder of documents
    assert train_base(texts["train"] + 50 * texts["validation"], 1500) != made


@pytest.mark.slow
def test_the_base_does_not_depend_on_workers_or_the_number_of_files(tmp_path: Path) -> None:
    found = []
    for workers, files in ((1, 2), (2, 3)):
        folder = tmp_path / str(files)
        settings = (f"corpus.num_workers={workers}", f"corpus.num_shards={files}")
        run("prepare_data", folder, "baseline", *settings)
        documents = list((folder / "tiny/documents_0/train").glob("*.jsonl"))
        assert len(documents) == files
        base = folder / "tiny/base_vocabulary"
        found.append([sha256_file(base / name) for name in ("vocab.json", "merges.txt")])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "base_vocabulary={kind: gpt2, num_ids: 1500}",
            "base_vocabulary.num_ids: GPT-2's vocabulary has 50257 ids, got 1500",
        ),
        (
            "base_vocabulary={kind: trained, num_ids: 1000}",
            "base_vocabulary.num_ids: expected 1467 to 32768, got 1000",
        ),
        (
            "base_vocabulary={kind: bytes, num_ids: 1780}",
            "base_vocabulary.num_ids: 256 bytes and the end of a text have 257 ids, got 1780; add base_vocabulary.num",
        ),
        ("base_vocabulary.kind=own", "base_vocabulary.kind: "),
    ],
)
def test_a_base_that_cannot_be_is_refused(override: str, message: str, tmp_path: Path) -> None:
    done = run_script("scripts/prepare_data.py", *tiny_arguments(tmp_path, "baseline", override))
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "tiny").exists()


def test_the_demo_and_the_scales_that_extend_it_train_their_base() -> None:
    for scale in ("demo", "assay", "null_pipeline", "robustness"):
        recipe = load_recipe([str(ROOT / "recipes/baseline.yaml"), str(ROOT / f"recipes/scales/{scale}.yaml")])
        assert (recipe.base_vocabulary.kind, recipe.base_vocabulary.num_ids) == ("trained", 1780)
