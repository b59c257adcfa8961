"""The project's own path: corpus, fine-tuning, GRPO and evaluation from the Hub, and what their manifests record."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import ROOT, tiny_arguments

from domain_tokens.recipe import RecipeError
from hub.conftest import DOCUMENTS, EXAMPLES, parquet
from hub.faults import Fault
from hub.remote import Remote, environment
from hub.server import HubServer

SUMS = "{name: sums, kind: hub, path: owner/sums}"

ALONE = (
    "evaluation.tasks=[gsm8k]",
    "evaluation.ablation_tasks=[]",
    "evaluation.checkpoint_tasks=[]",
    "evaluation.encoding_tasks=[]",
)


def arguments(output_dir: Path, condition: str, *overrides: str) -> list[str]:
    return tiny_arguments(
        output_dir, condition,
        "corpus.sources=[{name: web, kind: hub, path: owner/web, config: sample, revision: v1}, "
        "{name: sums, kind: hub, path: owner/sums, text_key: [question, answer]}]",
        "corpus.num_shards=2",
        "corpus.validation_fraction=0.1",
        f"sft_stages.0.sources=[{SUMS}]",
        f"grpo_prompts=[{SUMS}]",
        "evaluation.data.gsm8k={name: sums-test, kind: hub, path: owner/sums, config: null, split: test, "
        "max_items: null}",
        "evaluation.max_samples=100",
        *overrides,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tagged(hub: HubServer) -> Iterator[dict[str, str]]:
    """The commits that are to be read; the main branch of `owner/web` is at another one than its tag `v1`."""
    web = hub.repositories["owner/web"]
    web.refs["v1"] = web.refs["main"]
    web.commit({"sample/part-0.parquet": b"not what is read"})
    yield {"web": web.refs["v1"], "sums": hub.repositories["owner/sums"].refs["main"]}
    web.refs["main"] = web.refs["v1"]


@pytest.fixture(scope="module")
def output_dir(
    tagged: dict[str, str], hub: HubServer, process: Remote, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A corpus that was begun, was stopped in the middle, and went on after its data sets had new commits."""
    folder = tmp_path_factory.mktemp("outputs")
    given = arguments(folder, "baseline")
    process.forget()
    troubles = (Fault(r"GET .*part-1\.", 15, status=503), Fault(r"GET .*part-2\.", 1, status=403))
    with hub.trouble(*troubles), pytest.raises(RecipeError, match="source web"):
        process.prepare(given)
    assert (folder / "tiny" / "documents_0.work" / "hub_commits.json").is_file()
    sums = hub.repositories["owner/sums"]
    sums.commit({"train.parquet": parquet([EXAMPLES[0]] * 40), "test.parquet": parquet(EXAMPLES[40:])})
    process.forget()
    with hub.trouble(Fault(r"GET /large/.*part-2\.", 4, cut_after=5000)):
        process.prepare(given)
    sums.refs["main"] = tagged["sums"]
    return folder


def documents(output_dir: Path) -> dict[str, list[str]]:
    """Return the texts of each source, in the order of their ids."""
    found: dict[str, list[tuple[list[int], str]]] = {}
    for file in (output_dir / "tiny" / "documents_0").glob("*/*.jsonl"):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            name, *place = row["id"].split("/")
            found.setdefault(name, []).append(([int(one) for one in place], row["text"]))
    return {name: [text for _, text in sorted(rows)] for name, rows in found.items()}


def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text()))


def test_a_corpus_through_a_stop_an_outage_and_new_commits(output_dir: Path, tagged: dict[str, str]) -> None:
    sums = [f"{one['question']}\n{re.sub('<<.*?>>', '', one['answer'])}" for one in EXAMPLES[:40]]
    assert documents(output_dir) == {"web": DOCUMENTS, "sums": sums}
    recorded = manifest(output_dir / "tiny" / "documents_0")
    assert recorded["hub_commits"] == tagged
    assert recorded["inputs"]["sources"][0]["revision"] == "v1"


def test_a_finished_corpus_is_not_read_again(output_dir: Path, hub: HubServer, remote: Remote) -> None:
    remote.prepare(arguments(output_dir, "baseline"))
    assert not [one for one in hub.requests if "owner/web" in one]
    assert [one for one in hub.requests if "test.parquet" in one]  # the evaluation set, which it is compared with


@pytest.mark.slow  # the corpus from the Hub, through a stop and an outage, is a fast test
def test_examples_and_questions(
    hub: HubServer, remote: Remote, tokenizer_dirs: dict[str, Path], tmp_path: Path
) -> None:
    given = arguments(tmp_path, "mul_tokens")
    folder = tmp_path / "tiny" / "exp_mul_tokens"
    folder.mkdir(parents=True)
    (folder / "tokenizer").symlink_to(tokenizer_dirs["mul_tokens"])
    trained = [[one["question"], re.sub("<<.*?>>", "", one["answer"])] for one in EXAMPLES[:40]]
    with hub.trouble(Fault(r"GET .*train\.parquet", 9, status=502)):
        assert remote.examples(given, "sft_stages.math") == trained
    assert remote.examples(given, "grpo") == trained
    asked = remote.questions(arguments(tmp_path, "mul_tokens", *ALONE))["gsm8k"]
    assert [row["question"] for row in asked] == [one["question"] for one in EXAMPLES[40:]]
    with pytest.raises(RecipeError, match="must not read a test split"):
        remote.examples(arguments(tmp_path, "mul_tokens", "grpo_prompts.0.split=test"), "grpo")


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(1800)
def test_each_stage_records_what_it_read(tagged: dict[str, str], hub: HubServer, tmp_path: Path) -> None:
    given, seen = arguments(tmp_path, "baseline", *ALONE), environment(hub.endpoint, tmp_path / "home")
    for script in ("prepare_data", "run_pretrain", "run_sft", "run_grpo", "run_eval"):
        command = [sys.executable, f"scripts/{script}.py", *given]
        done = subprocess.run(command, env=seen, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{script}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    assert manifest(tmp_path / "tiny" / "documents_0")["hub_commits"] == tagged
    run = tmp_path / "tiny" / "exp_baseline" / "seed_0"
    assert "hub_commits" not in manifest(run / "pretrain_final")
    for stage in ("sft_final", "grpo_final"):
        assert manifest(run / stage)["hub_commits"] == {"sums": tagged["sums"]}
    assert manifest(run / "eval")["hub_commits"] == {"sums-test": tagged["sums"]}
