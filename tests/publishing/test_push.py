"""What a push leaves on the Hub, what a second one sends, and what it says when the Hub refuses or the line is cut."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from canaries import CANARIES
from hub.faults import Fault, Meanwhile
from publisher import RUN, SMALL_RUN, Publisher, change, one_line
from real_stages import SMALL
from tiny import tiny_arguments

PRETRAINED = "models/me/tiny-mul_tokens-seed0-pretrain"
OF_A_STAGE = {
    "README.md", "certificate.json", "chat_template.jinja", "config.json", "generation_config.json", "manifest.json",
    "metrics.jsonl", "model.safetensors", "published.json", "run_config.yaml", "tokenizer.json",
    "tokenizer/manifest.json", "tokenizer/run_config.yaml", "tokenizer_config.json",
}  # fmt: skip
OF_A_CHECKPOINT = {
    "README.md", "certificate.json", "chat_template.jinja", "config.json", "counts.json", "generation_config.json",
    "inputs.json", "model.safetensors", "published.json", "tokenizer.json", "tokenizer_config.json", "verified.json",
}  # fmt: skip


def test_an_experiment_is_pushed_and_then_nothing_is_sent_again(publisher: Publisher, trained: Path) -> None:
    done = publisher.push(trained / "tiny", "--checkpoints")
    assert done.returncode == 0, done.stderr
    assert set(publisher.hub.repositories) == {
        PRETRAINED, "models/me/tiny-mul_tokens-seed0-sft", "me/tiny-results"
    }  # fmt: skip
    assert all(repository.private for repository in publisher.hub.repositories.values())
    final = trained / RUN / "pretrain_final"
    sent = publisher.files(PRETRAINED)
    assert set(sent) == OF_A_STAGE
    for name in ("model.safetensors", "manifest.json", "tokenizer.json"):
        assert sent[name] == (final / name).read_bytes()
    assert sent["README.md"].startswith(b"---\n")
    checkpoints = trained / RUN / "checkpoints" / "pretrain"
    assert (checkpoints / "checkpoint-2" / "optimizer.pt").is_file()
    for step in (2, 4):
        sent = publisher.files(PRETRAINED, f"step-{step}")
        assert set(sent) == OF_A_CHECKPOINT
        weights = checkpoints / f"checkpoint-{step}" / "model.safetensors"
        assert sent["model.safetensors"] == weights.read_bytes()
        assert set(json.loads(sent["verified.json"])) == OF_A_CHECKPOINT - {
            "README.md", "inputs.json", "published.json", "verified.json"
        }  # fmt: skip
    (collection,) = publisher.accounts.collections.values()
    assert len(collection["items"]) == 3  # type: ignore[arg-type]
    received = b"".join(publisher.hub.received)
    assert len(received) > 1_000_000
    assert [name for name, value in CANARIES.items() if value.encode() in received] == []

    refs = {name: dict(repository.refs) for name, repository in publisher.hub.repositories.items()}
    again = publisher.push(trained / "tiny", "--checkpoints")
    assert again.stdout.count("unchanged, nothing sent") == again.stdout.count("\n") == 5
    assert [one for one in publisher.hub.requests if "/commit/" in one or one.startswith("PUT")] == []
    assert refs == {name: dict(repository.refs) for name, repository in publisher.hub.repositories.items()}
    assert len(collection["items"]) == 3  # type: ignore[arg-type]


def test_a_repository_of_something_else_is_not_replaced(pushed: Publisher, copied: Path) -> None:
    before = pushed.files(PRETRAINED)
    moved = copied / "tiny+"  # which the Hub does not take in a name
    (copied / "tiny").rename(moved)
    final = moved / RUN.relative_to("tiny") / "pretrain_final"
    assert "was made in the experiment tiny, so what is pulled would not be" in one_line(pushed.push(final))
    for folder in (final, final.with_name("sft_final")):
        rename_experiment(folder, "tiny+")
    refused = one_line(pushed.push(final))
    assert (
        "holds pretrain_final of tiny, mul_tokens, seed 0, and pretrain_final of tiny+, mul_tokens, seed 0" in refused
    )
    assert pushed.files(PRETRAINED) == before


def rename_experiment(final: Path, name: str) -> None:
    """Make a final folder one of another experiment."""
    recipe, manifest = final / "run_config.yaml", final / "manifest.json"
    recipe.write_text(recipe.read_text().replace("experiment: tiny", f"experiment: {name}"))
    record = json.loads(manifest.read_text())
    record["files"]["run_config.yaml"] = hashlib.sha256(recipe.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(record))


def test_a_repository_that_another_program_made_is_not_replaced(publisher: Publisher, trained: Path) -> None:
    assert publisher.push(trained / RUN / "pretrain_final").returncode == 0
    change(publisher.model("pretrain"), "main", "published.json", None)
    refused = one_line(publisher.push(trained / RUN / "pretrain_final"))
    assert "and no published.json, so it was not made by this project" in refused


def test_a_dry_run_lists_files_and_a_card_and_sends_nothing(publisher: Publisher, trained: Path) -> None:
    done = publisher.push(trained / RUN / "sft_final", "--dry-run", HF_TOKEN="")
    assert done.returncode == 0, done.stderr
    assert publisher.hub.requests == []
    size = (trained / RUN / "sft_final" / "model.safetensors").stat().st_size
    assert f"{size:,}  model.safetensors" in done.stdout
    assert "model me/tiny-mul_tokens-seed0-sft, revision main, private" in done.stdout
    assert "pipeline_tag: text-generation" in done.stdout


def test_a_recipe_names_its_run(publisher: Publisher, trained: Path) -> None:
    given = tiny_arguments(trained, "mul_tokens", *SMALL, *SMALL_RUN, "hub.namespace=me")
    public = publisher.run("scripts/push_to_hub.py", *given, "hub.private=false", "hub.checkpoints=true", "--dry-run")
    assert public.returncode == 0, public.stderr
    assert "model me/tiny-mul_tokens-seed0-pretrain, revision step-2, public" in public.stdout
    done = publisher.run("scripts/push_to_hub.py", *given, "--results", "--dry-run")
    assert done.returncode == 0, done.stderr
    named = [line.split(",")[0] for line in done.stdout.splitlines() if ", revision main, private" in line]
    run = "model me/tiny-mul_tokens-seed0"
    assert named == [f"{run}-pretrain", f"{run}-sft", "dataset me/tiny-results"]


def test_a_cut_upload_publishes_nothing_and_goes_on(publisher: Publisher, trained: Path) -> None:
    weights = hashlib.sha256((trained / RUN / "pretrain_final" / "model.safetensors").read_bytes()).hexdigest()
    with publisher.hub.trouble(Fault(f"PUT /lfs/.*{weights}", times=6, cut_body_after=1000)):
        refused = publisher.push(trained / RUN / "pretrain_final")
    assert "files that have arrived are not sent again" in one_line(refused)
    assert publisher.files(PRETRAINED) == {}
    arrived = set(publisher.model("pretrain").objects)
    assert len(arrived) > 5
    assert weights not in arrived
    done = publisher.push(trained / RUN / "pretrain_final")
    assert done.returncode == 0, done.stderr
    assert set(publisher.files(PRETRAINED)) == OF_A_STAGE
    sent = {one.rpartition("/")[2] for one in publisher.hub.requests if one.startswith("PUT")}
    assert weights in sent
    assert not sent & arrived


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("POST .*/commit/", status=409), "somebody else changed it at the same time (409)"),
        (Fault("POST .*/commit/", status=429, headers={"Retry-After": "7"}), "asks to wait 7 s (429"),
        (Fault("POST .*/commit/", status=503), "does not answer (503); run the same command again"),
        (Fault("POST /api/validate-yaml", status=500), "Expecting value"),
        (Fault("POST .*/commit/", cut_body_after=10), "disconnected"),
        (Fault("POST .*/preupload/", times=6, status=429), "(429, too many requests)"),
        (Fault("POST /api/repos/create", status=403), "the token may not write there (403)"),
        (Fault("POST /api/repos/create", status=401), "the token is not valid"),
    ],
)
def test_what_the_hub_refuses_is_said_in_one_line(
    fault: Fault, said: str, publisher: Publisher, trained: Path
) -> None:
    with publisher.hub.trouble(fault):
        refused = publisher.push(trained / RUN / "pretrain_final")
    assert said in one_line(refused)
    assert PRETRAINED not in publisher.hub.repositories or publisher.files(PRETRAINED) == {}
    assert publisher.push(trained / RUN / "pretrain_final").returncode == 0


def test_a_commit_in_between_is_not_undone(publisher: Publisher, trained: Path) -> None:
    assert publisher.push(trained / RUN / "pretrain_final").returncode == 0
    repository = publisher.model("pretrain")
    repository.commit({**publisher.files(PRETRAINED), "README.md": b"older"})
    others = {"README.md": b"another's", "notes.md": b"another's"}
    with publisher.hub.trouble(Meanwhile("POST .*/commit/", act=lambda: repository.commit(others))):
        assert "somebody else changed it" in one_line(publisher.push(trained / RUN / "pretrain_final"))
    assert publisher.files(PRETRAINED) == others
    assert publisher.push(trained / RUN / "pretrain_final").returncode == 0
    assert set(publisher.files(PRETRAINED)) == {*OF_A_STAGE, "notes.md"}


def test_a_checkpoint_that_was_cut_is_an_empty_revision(publisher: Publisher, trained: Path) -> None:
    with publisher.hub.trouble(Fault("POST .*/commit/step-2", status=503)):
        refused = publisher.push(trained / RUN / "pretrain_final", "--checkpoints")
    assert "pushing me/tiny-mul_tokens-seed0-pretrain, step-2" in one_line(refused)
    assert set(publisher.files(PRETRAINED)) == OF_A_STAGE
    assert publisher.files(PRETRAINED, "step-2") == {}
    assert publisher.push(trained / RUN / "pretrain_final", "--checkpoints").returncode == 0
    assert set(publisher.files(PRETRAINED, "step-2")) == OF_A_CHECKPOINT


@pytest.mark.parametrize(
    ("environment", "arguments", "said"),
    [
        ({"HF_TOKEN": ""}, [], "there is no token; set HF_TOKEN"),
        ({"HF_TOKEN": "hf_wrong"}, [], "the token is not valid"),
        ({}, ["--namespace", "another"], "may not write there (403)"),
        ({}, ["--namespace", "no such/name"], "expected the name of a user or an organization"),
    ],
)
def test_who_may_not_push(
    environment: dict[str, str], arguments: list[str], said: str, publisher: Publisher, trained: Path
) -> None:
    what = [trained / RUN / "pretrain_final", *(arguments or ["--namespace", "me"])]
    assert said in one_line(publisher.run("scripts/push_to_hub.py", *what, **environment))
    assert publisher.hub.repositories == {}


def test_a_token_that_may_only_read(publisher: Publisher, trained: Path) -> None:
    publisher.accounts.roles = dict.fromkeys(publisher.accounts.users, "read")
    assert "may only read" in one_line(publisher.push(trained / RUN / "pretrain_final"))


def test_a_repository_that_everybody_can_read(publisher: Publisher, trained: Path) -> None:
    assert publisher.push(trained / RUN / "pretrain_final", "--public").returncode == 0
    assert not publisher.model("pretrain").private
    assert "everybody can read it" in one_line(publisher.push(trained / RUN / "pretrain_final"))


def test_a_secret_in_a_file_stops_a_push(publisher: Publisher, copied: Path) -> None:
    name = "OPENAI_API_KEY"
    report = copied / "tiny" / "report.html"
    report.write_text(f"<p>{CANARIES[name]}</p>")
    refused = publisher.push(copied / "tiny")
    assert f"report.html: holds the value of {name}" in one_line(refused)
    assert CANARIES[name] not in refused.stdout + refused.stderr
    assert publisher.hub.requests == []


def test_a_stage_that_was_changed_is_not_pushed(publisher: Publisher, copied: Path) -> None:
    weights = copied / RUN / "pretrain_final" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert f"{weights}: changed since the manifest" in one_line(publisher.push(copied / "tiny"))
    assert publisher.hub.requests == []


def test_what_is_no_run(publisher: Publisher, tmp_path: Path) -> None:
    assert "no finished stage in it" in one_line(publisher.push(tmp_path))
    assert "no such folder" in one_line(publisher.push(tmp_path / "nowhere"))


def test_objects_are_named_by_their_content(publisher: Publisher, trained: Path) -> None:
    assert publisher.push(trained / RUN / "sft_final").returncode == 0
    content = (trained / RUN / "sft_final" / "model.safetensors").read_bytes()
    assert publisher.model("sft").objects[hashlib.sha256(content).hexdigest()] == content
    lines = [line for line in publisher.hub.received if b'"lfsFile"' in line]
    assert re.search(rb'"path": "model.safetensors", "algo": "sha256"', lines[0])
