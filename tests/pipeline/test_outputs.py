"""What an experiment leaves on disk: every file, matched conditions, honest counts."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tiny import CONDITIONS, manifest, run_script
from transformers import AutoTokenizer, GPT2LMHeadModel

from domain_tokens.corpora.examples import read_examples
from domain_tokens.corpora.shards import DrawnDocuments, Shards, document_order, draw_documents, drawn_sha256
from domain_tokens.corpora.synthetic import PROMPTS
from domain_tokens.recipe import load_recipe
from domain_tokens.runs.files import sha256_file
from domain_tokens.runs.preregistration import read_frozen, read_looks
from domain_tokens.tokenization.prompts import render_prompt

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]


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
                found = json.loads((run / "eval" / model / f"{task}_results.json").read_text())
                items = (run / "eval" / model / f"{task}_items.jsonl").read_text().splitlines()
                assert (found["task"], found["model"], found["num_items"]) == (task, model, len(items))
                assert items
                assert found["metrics"].keys() >= set(found["outcomes"])
        drawn = {path.stem for path in (experiment / f"exp_{condition}" / "plots").glob("*.png")}
        assert {"loss", "learning_rate", "throughput", "learning_curves"} <= drawn
    results = json.loads((experiment / "results.json").read_text())
    sentence = results["verdict"]["sentence"]
    assert sentence
    assert sentence.split(":")[0] in (experiment / "results.md").read_text()
    page = (experiment / "report.html").read_text()
    assert page.startswith("<!doctype html>") or page.startswith("<!DOCTYPE html>")
    assert all(name in page for name in CONDITIONS)
    assert "report.html" in (experiment / "stdout.txt").read_text()


def test_the_experiment_is_frozen_before_its_first_step(experiment: Path) -> None:
    frozen = read_frozen(experiment)
    assert frozen is not None
    assert frozen.is_intact
    assert (frozen.original.stages_before, frozen.original.evaluations_before) == ((), ())
    said = (experiment / "stdout.txt").read_text()
    assert said.index("no condition rewrites any of its") < said.index("preregistration: frozen now: ")
    paths = list(experiment.glob("exp_*/seed_0/*_final/manifest.json"))
    assert len(paths) == 6
    assert {json.loads(path.read_text())["prereg"]["frozen_sha256"] for path in paths} == {frozen.original.sha256}
    assert [look.what for look in read_looks(experiment) or ()][:2] == ["run", "evaluation"]
    # What was run is what was frozen: recipes, data, questions, decoding and scorer.
    results = json.loads((experiment / "results.json").read_text())
    assert results["declaration"]["departures"] == []
    assert results["declaration"]["frozen"]["sha256"] == frozen.original.sha256


def test_the_saved_model_is_a_native_gpt2_with_its_tokenizer(experiment: Path) -> None:
    for condition in CONDITIONS:
        for stage in ("pretrain_final", "sft_final", "grpo_final"):
            folder = experiment / f"exp_{condition}" / "seed_0" / stage
            assert json.loads((folder / "config.json").read_text())["architectures"] == ["GPT2LMHeadModel"]
            model, tokenizer = GPT2LMHeadModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
            assert model.config.vocab_size == len(tokenizer) == model.lm_head.weight.shape[0] == 1837
            assert model.lm_head.weight is model.transformer.wte.weight
            assert (
                json.loads((folder / "tokenizer_config.json").read_text())["tokenizer_class"]
                == "PreTrainedTokenizerFast"
            )
            assert (1830 in tokenizer.encode("6*9=54")) == (condition == "mul_tokens")


def test_both_conditions_read_the_same_documents_in_the_same_order(experiment: Path) -> None:
    texts = {}
    for condition in CONDITIONS:
        folder = experiment / f"exp_{condition}"
        tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
        shards = Shards(folder / "corpus_0" / "train")
        ids = shards.read(0, shards.num_tokens)
        assert ids.max() < (1837 if condition == "mul_tokens" else 1780)
        ends = shards.document_ends
        assert (ids[ends - 1] == 1779).all()
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


def test_the_seed_orders_the_documents_for_all_conditions(experiment: Path) -> None:
    for condition in CONDITIONS:
        stored = json.loads((experiment / f"exp_{condition}/corpus_0/manifest.json").read_text())["reported"]["train"]
        orders = [
            drawn_sha256(stored["document_order_sha256"], draw_documents(stored["documents"], seed)) for seed in (0, 1)
        ]
        pretrained = manifest(experiment, condition, "pretrain_final")
        assert pretrained["matched"]["document_order_sha256"] == orders[0] != orders[1]
        assert pretrained["ledger"][0]["order_sha256"] == orders[0]
        assert pretrained["ledger"][0]["seeds"]["documents"] == 0
        # The text of the first documents in this order, as far as the steps read.
        shards = Shards(experiment / f"exp_{condition}/corpus_0/train")
        read = DrawnDocuments(shards, draw_documents(stored["documents"], 0))
        sizes = np.load(experiment / f"exp_{condition}/corpus_0/train/bytes.npy")[read.drawn]
        whole = int(np.searchsorted(read.document_ends, 1024, side="right"))
        begun = (1024 - read.document_ends[whole - 1]) / np.diff(read.document_ends)[whole - 1]
        assert pretrained["ledger"][0]["source_bytes"] == int(sizes[:whole].sum() + begun * sizes[whole])


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
        assert (pretrain["tokens"], pretrain["examples"], pretrain["padding_tokens"]) == (1024, 8, 0)
        run = experiment / f"exp_{condition}" / "seed_0"
        recipe = load_recipe([str(run / "sft_final" / "run_config.yaml")])
        tokenizer = AutoTokenizer.from_pretrained(run / "sft_final")
        examples = [
            example
            for source in recipe.sft_stages[0].sources
            for example in read_examples(source, 0, "train", f"sft_stages.drills.{source.name}")
        ]
        texts = [render_prompt(example.question) + f" {example.answer}<|endoftext|>" for example in examples]
        assert sft["steps"] == 4
        assert sft["examples"] == len(examples) == 32
        assert sft["source_bytes"] == sum(len((one.question + one.answer).encode()) for one in examples)
        assert sft["tokens"] - sft["padding_tokens"] == sum(map(len, tokenizer(texts)["input_ids"]))
        assert sft["dataset_tokens"] == sft["tokens"] - sft["padding_tokens"]
        assert sft["padding_tokens"] == 0  # the demo fine-tunes without
        facts = [sum(token >= 1792 for token in ids) for ids in tokenizer(texts)["input_ids"]]
        prompts = tokenizer([render_prompt(example.question) for example in examples])["input_ids"]
        in_prompts = sum(token >= 1792 for ids in prompts for token in ids)
        assert (sft["question_facts"], sft["answer_facts"]) == (in_prompts, sum(facts) - in_prompts)
        assert (sum(facts) > 0) == (condition == "mul_tokens")
        assert pretrain["question_facts"] is pretrain["answer_facts"] is None
        (row,) = [json.loads(line) for line in (run / "grpo_final" / "metrics.jsonl").read_text().splitlines()]
        assert grpo["examples"] == 8
        assert grpo["generated_tokens"] == pytest.approx(8 * row["completion_tokens"])
        assert grpo["tokens"] - grpo["padding_tokens"] == row["num_tokens"]
        assert grpo["answer_facts"] == pytest.approx(8 * row["facts_per_completion"])
        assert row["rewards/tokens_per_completion/mean"] == pytest.approx(row["completion_tokens"])
        assert grpo["wall_time_s"] > 0
        recipe = load_recipe([str(run / "grpo_final" / "run_config.yaml")])
        (source,) = recipe.grpo_prompts
        asked = [one.question for one in read_examples(source, 0, PROMPTS, f"grpo_prompts.{source.name}")]
        pairs = {4 * (len(one.encode()) + len(two.encode())) for one in asked for two in asked if one != two}
        assert grpo["source_bytes"] in pairs  # two questions, four completions of each
        assert grpo["dataset_tokens"] == sum(map(len, tokenizer([render_prompt(one) for one in asked])["input_ids"]))
        assert 0 <= grpo["padding_tokens"] < grpo["tokens"]
        assert grpo["tokens"] % 8 == 0
        # One layer, 1,837 + 128 rows of width 16: 6 N + 12 L d T a position; sampling and the reference model add 2/3.
        weights = 1837 * 16 + (12 * 16 * 16 + 13 * 16) + 2 * 16
        assert grpo["flops"] == pytest.approx(grpo["tokens"] * (6 * weights + 12 * 16 * grpo["tokens"] / 8) * 5 / 3)
    fewer, more = (entries[condition] for condition in reversed(CONDITIONS))
    assert fewer["sft/drills"]["dataset_tokens"] < more["sft/drills"]["dataset_tokens"]
    # The same tokens hold more text where facts are shorter.
    assert fewer["pretrain"]["source_bytes"] > more["pretrain"]["source_bytes"]
    assert fewer["grpo"]["source_bytes"] == more["grpo"]["source_bytes"]


def test_counts_in_the_corpus_manifest_are_those_of_the_shards(experiment: Path) -> None:
    sites: list[int] = []
    for condition in CONDITIONS:
        folder = experiment / f"exp_{condition}" / "corpus_0"
        reported = json.loads((folder / "manifest.json").read_text())["reported"]["train"]
        ids = np.concatenate([np.fromfile(file, dtype=np.uint16) for file in sorted((folder / "train").glob("*.ds"))])
        assert reported["tokens"] == len(ids)
        assert reported["documents"] == (ids == 1779).sum()
        assert reported["facts"] == (ids >= 1792).sum() == sum(reported["facts_by_token"].values())
        assert (reported["facts"] > 0) == (condition == "mul_tokens")
        (source,) = reported["sites"]["sources"].values()
        sites.append(source["sites"])
        assert source["tokens"] == reported["tokens"]
        assert {*source["per_million_tokens"]} == {
            "* with result", "* without result", "× with result", "x with result",
        }  # fmt: skip
        assert sum(source["per_million_tokens"].values()) == pytest.approx(1e6 * sites[-1] / len(ids))
        assert len((folder / "train_sites.csv").read_text().splitlines()) == 201
        assert not ((ids > 1779) & (ids < 1792)).any()
    # Both conditions say what the rules find in the same texts; one rewrites it.
    assert sites == [reported["facts"]] * 2


def test_metrics_are_logged(experiment: Path) -> None:
    folder = experiment / "exp_mul_tokens" / "seed_0"
    rows = [json.loads(line) for line in (folder / "pretrain_final" / "metrics.jsonl").read_text().splitlines()]
    trained = [row for row in rows if "loss" in row]
    assert [row["step"] for row in trained] == [1, 2, 3, 4]
    speeds = {"tokens_seen", "tokens_per_s", "examples_per_s", "step_time_s", "memory_bytes", "mfu"}
    assert all({"loss", "learning_rate", "grad_norm"} | speeds <= row.keys() for row in trained)
    assert [row["tokens_seen"] for row in trained] == [256, 512, 768, 1024]
    assert any("eval_loss" in row for row in rows)
    grpo = [json.loads(line) for line in (folder / "grpo_final" / "metrics.jsonl").read_text().splitlines()]
    assert {"reward", "kl", "facts_per_completion", "completion_tokens"} <= grpo[0].keys()
    sft = [json.loads(line) for line in (folder / "sft_final" / "metrics.jsonl").read_text().splitlines()]
    later = [row for row in [*sft, *grpo] if "loss" in row]
    assert {row.get("stage") for row in later} > {None}  # of both
    assert all(speeds <= row.keys() and row["tokens_per_s"] > 0 for row in later)
    assert all(row["generated_tokens_per_s"] > 0 for row in grpo if "loss" in row)
