"""What is pulled is the run as it was made, or nothing: every file is checked before anything has its place."""

import hashlib
import json
from pathlib import Path

from hub.faults import Fault
from publisher import RUN, Publisher, change, one_line

from domain_tokens.runs.checkpoints.saved_models import find_saved_models
from domain_tokens.runs.files import exclusive

PRETRAINED, FINE_TUNED = "me/tiny-mul_tokens-seed0-pretrain", "me/tiny-mul_tokens-seed0-sft"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_is_pulled_as_it_was_made(pushed: Publisher, trained: Path, tmp_path: Path) -> None:
    names = [PRETRAINED, FINE_TUNED, "me/tiny-results"]
    done = pushed.pull(*names, "--output-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(", verified\n") == 3
    for folder in (RUN / "pretrain_final", RUN / "sft_final", RUN.parent / "tokenizer", Path("tiny/base_vocabulary")):
        assert (trained / folder / "manifest.json").is_file()
        assert contents(tmp_path / folder) == contents(trained / folder), folder
    corpus = RUN.parent / "corpus_0"  # its account, where it does not say that the shards are there
    account = tmp_path / f"{corpus}_published" / "manifest.json"
    assert account.read_bytes() == (trained / corpus / "manifest.json").read_bytes()
    assert [path.name for path in (tmp_path / corpus).iterdir()] == ["side_code.json"]  # which evaluation needs
    assert sorted(path.name for path in tmp_path.iterdir()) == [".pulling.lock", "tiny"]
    again = pushed.pull(*names, "--output-dir", tmp_path)
    assert again.stdout.count("verified, was here already\n") == 3


def test_a_checkpoint_is_pulled_by_its_revision(pushed: Publisher, trained: Path, tmp_path: Path) -> None:
    from real_stages import small_recipe

    done = pushed.pull(PRETRAINED, "--revision", "step-2", "--output-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    work = RUN / "checkpoints" / "pretrain"
    weights = tmp_path / work / "weights-2"
    original = (trained / work / "checkpoint-2" / "model.safetensors").read_bytes()
    assert (weights / "model.safetensors").read_bytes() == original
    assert not list(tmp_path.rglob("*optim*"))
    (found,) = find_saved_models(small_recipe(tmp_path, "mul_tokens"))
    assert (found.folder, found.step, found.is_final) == (weights, 2, False)
    commit = pushed.model("pretrain").refs["step-4"]
    by_commit = pushed.pull(PRETRAINED, "--revision", commit, "--output-dir", tmp_path)
    assert by_commit.returncode == 0, by_commit.stderr
    assert len(find_saved_models(small_recipe(tmp_path, "mul_tokens"))) == 2


def test_what_was_changed_is_refused_and_nothing_stays(pushed: Publisher, tmp_path: Path) -> None:
    change(pushed.model("pretrain"), "main", "metrics.jsonl", b"{}")
    refused = one_line(pushed.pull(PRETRAINED, "--output-dir", tmp_path))
    assert ": metrics.jsonl: changed since the manifest was written; expected the file as it was" in refused
    assert [path.name for path in tmp_path.iterdir()] == [".pulling.lock"]


def test_a_revision_that_was_made_of_another_step_is_refused(pushed: Publisher, tmp_path: Path) -> None:
    repository = pushed.model("pretrain")
    repository.refs["step-4"] = repository.refs["step-2"]
    refused = one_line(pushed.pull(PRETRAINED, "--revision", "step-4", "--output-dir", tmp_path))
    assert "published.json is of pretrain_final of tiny, mul_tokens, seed 0, step 2" in refused


def test_a_repository_under_another_name_is_refused(pushed: Publisher, tmp_path: Path) -> None:
    pushed.hub.repositories["models/me/mine"] = pushed.model("pretrain")
    refused = one_line(pushed.pull("me/mine", "--output-dir", tmp_path))
    assert f"which is published as {PRETRAINED}; expected that name" in refused


def test_two_pulls_do_not_share_a_folder(pushed: Publisher, tmp_path: Path) -> None:
    with exclusive(tmp_path / ".pulling.lock"):
        refused = one_line(pushed.pull(PRETRAINED, "--output-dir", tmp_path))
    assert f"{tmp_path}: another process is writing to it; wait until it has ended" in refused
    assert pushed.hub.requests == []
    assert "got nothing; leave it out" in one_line(pushed.pull(PRETRAINED, "--revision", "", "--output-dir", tmp_path))


def test_results_that_were_changed_are_refused(pushed: Publisher, tmp_path: Path) -> None:
    repository = pushed.hub.repositories["me/tiny-results"]
    change(repository, "main", "exp_mul_tokens/tokenizer/tokenizer.json", b"{}")
    refused = pushed.pull("datasets/me/tiny-results", "--output-dir", tmp_path)
    assert "exp_mul_tokens/tokenizer/tokenizer.json: changed since published.json" in one_line(refused)
    assert not (tmp_path / "tiny").exists()


def test_only_what_this_project_publishes_is_downloaded(pushed: Publisher, tmp_path: Path) -> None:
    for path in ("training_args.bin", "modeling_gpt2.py", "optimizer.pt", "sub/model.safetensors"):
        change(pushed.model("pretrain"), "main", path, b"import os" * 200)
    done = pushed.pull(PRETRAINED, "--output-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "left there: modeling_gpt2.py, optimizer.pt, sub/model.safetensors, training_args.bin" in done.stderr
    assert [one for one in pushed.hub.requests if "training_args" in one or "modeling" in one] == []


def test_a_cut_download_is_no_run_and_goes_on(pushed: Publisher, trained: Path, tmp_path: Path) -> None:
    with pushed.hub.trouble(Fault("GET /large/.*/model.safetensors", times=6, cut_after=1000)):
        refused = pushed.pull(PRETRAINED, "--output-dir", tmp_path)
    assert "what has arrived is kept" in one_line(refused)
    assert not (tmp_path / "tiny").exists()
    done = pushed.pull(PRETRAINED, "--output-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / RUN / "pretrain_final") == contents(trained / RUN / "pretrain_final")
    assert [one for one in pushed.hub.requests if "tokenizer.json" in one and one.startswith("GET")] == []


def test_what_is_there_is_not_replaced(pushed: Publisher, copied: Path) -> None:
    manifest = copied / RUN / "pretrain_final" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"wall_time_s": 1}))
    refused = pushed.pull(PRETRAINED, "--output-dir", copied)
    assert "another run of this stage is there" in one_line(refused)
    looks = copied / "tiny" / "exp_mul_tokens" / "tokenizer" / "tokenizer_config.json"
    looks.write_text("{}")
    refused = pushed.pull("me/tiny-results", "--output-dir", copied)
    assert "tokenizer_config.json: is there and differs" in one_line(refused)


def test_what_does_not_exist(pushed: Publisher, tmp_path: Path) -> None:
    assert "there is no such repository" in one_line(pushed.pull("me/nothing", "--output-dir", tmp_path))
    assert "there is no such repository" in one_line(pushed.pull(PRETRAINED, "--output-dir", tmp_path, HF_TOKEN=""))
    assert "expected namespace/name" in one_line(pushed.pull("a/b/c", "--output-dir", tmp_path))
    missing = pushed.pull(PRETRAINED, "--revision", "step-3", "--output-dir", tmp_path)
    assert "there is no such revision" in one_line(missing)


def test_a_file_in_the_place_of_the_experiment_is_one_message(pushed: Publisher, tmp_path: Path) -> None:
    (tmp_path / "tiny").write_text("mine")
    refused = one_line(pushed.pull(PRETRAINED, "--output-dir", tmp_path))
    assert "cannot be laid out in" in refused
    assert f"What was downloaded stays in {tmp_path}/.pulling until" in refused
    assert (tmp_path / "tiny").read_text() == "mine"


def test_another_model_of_the_same_step_is_not_taken_for_the_published_one(pushed: Publisher, tmp_path: Path) -> None:
    assert pushed.pull(PRETRAINED, "--revision", "step-2", "--output-dir", tmp_path).returncode == 0
    (weights,) = tmp_path.rglob("weights-2")
    content = (weights / "model.safetensors").read_bytes()[:-1] + b"?"
    (weights / "model.safetensors").write_bytes(content)
    listed = json.loads((weights / "verified.json").read_text())
    changed = {**listed, "model.safetensors": hashlib.sha256(content).hexdigest()}
    assert changed != listed
    (weights / "verified.json").write_text(json.dumps(changed))
    refused = one_line(pushed.pull(PRETRAINED, "--revision", "step-2", "--output-dir", tmp_path))
    assert "weights-2: another model of this step is there" in refused
    assert (weights / "model.safetensors").read_bytes() == content
