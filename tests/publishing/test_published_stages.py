"""`push_to_hub: true`: checked before work begins, published when a stage is done, no reason for a stage to fail."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hub.faults import Fault
from hub.remote import environment
from publisher import RUN, SMALL_RUN, TOKEN, Publisher, one_line
from real_stages import SMALL, small_recipe
from tiny import ROOT, tiny_arguments

from domain_tokens.experiment.steps import steps_of
from domain_tokens.recipe import RecipeError, flatten, load_recipe, to_dict
from domain_tokens.recipe.errors import NOT_PUBLISHED
from domain_tokens.recipe.values.effective import effective
from domain_tokens.runs.preregistration import comparable

PUBLISHED = ("push_to_hub=true", "hub.namespace=me")
PUSHED = RUN / "checkpoints" / "pretrain" / "pushed.json"


def arguments(output_dir: Path, *overrides: str) -> list[str]:
    return tiny_arguments(output_dir, "mul_tokens", *SMALL, *SMALL_RUN, *PUBLISHED, *overrides)


def publish(
    publisher: Publisher, output_dir: Path, *overrides: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    given = arguments(output_dir, *overrides)
    return publisher.run("tests/publishing/publish_stages.py", "pretrain", *given, **variables)


def is_published(output_dir: Path, *overrides: str) -> bool:
    (step,) = (one for one in steps_of(arguments(output_dir, *overrides)) if one.stage == "pretrain")
    return step.is_published()


def test_a_stage_is_published_once(publisher: Publisher, copied: Path) -> None:
    assert not is_published(copied)
    done = publish(publisher, copied)
    assert done.returncode == 0, done.stderr
    assert "pretrain_final: published as me/tiny-mul_tokens-seed0-pretrain (14 files" in done.stderr
    assert set(publisher.hub.repositories) == {"models/me/tiny-mul_tokens-seed0-pretrain"}
    assert list(publisher.model("pretrain").refs) == ["main"]
    assert json.loads((copied / PUSHED).read_text())["commit"] == publisher.model("pretrain").refs["main"]
    assert is_published(copied)
    assert not is_published(copied, "hub.checkpoints=true")
    record = json.loads((copied / PUSHED).read_text())
    (copied / PUSHED).write_text(json.dumps({**record, "repository": "other/tiny-mul_tokens-seed0-pretrain"}))
    assert not is_published(copied)  # a recipe that names another namespace is not served by that
    (copied / PUSHED).write_text(json.dumps(record))
    again = publish(publisher, copied)
    assert "(unchanged, commit" in again.stderr
    with_checkpoints = publish(publisher, copied, "hub.checkpoints=true", "hub.private=true")
    assert with_checkpoints.returncode == 0, with_checkpoints.stderr
    assert set(publisher.model("pretrain").refs) == {"main", "step-2", "step-4"}


def test_a_stage_that_cannot_be_published_is_complete(publisher: Publisher, copied: Path) -> None:
    manifest = (copied / RUN / "pretrain_final" / "manifest.json").read_bytes()
    with publisher.hub.trouble(Fault("POST .*/commit/", status=503)):
        refused = publish(publisher, copied)
    assert refused.returncode == NOT_PUBLISHED
    last = refused.stderr.strip().splitlines()[-1]
    assert last.startswith("not published: pushing me/tiny-mul_tokens-seed0-pretrain: ")
    assert last.endswith("pretrain_final is complete: run the same command again to publish")
    assert (copied / RUN / "pretrain_final" / "manifest.json").read_bytes() == manifest
    assert not is_published(copied)
    assert publish(publisher, copied).returncode == 0
    assert is_published(copied)


def test_a_stage_that_was_made_again_is_published_again(publisher: Publisher, copied: Path) -> None:
    assert publish(publisher, copied).returncode == 0
    manifest = copied / RUN / "pretrain_final" / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    assert not is_published(copied)


def test_a_hub_that_is_away_does_not_keep_a_stage_from_training(publisher: Publisher, copied: Path) -> None:
    with publisher.hub.trouble(Fault("GET /api/whoami-v2", status=503)):
        done = publish(publisher, copied)
    assert "the stage is trained and then tries again" in done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("variables", "overrides", "said"),
    [
        ({"HF_TOKEN": ""}, [], "push_to_hub: there is no token for the Hub; set HF_TOKEN"),
        ({"HF_TOKEN": "hf_wrong"}, [], "push_to_hub: asking whose token it is: the token is not valid"),
        ({}, ["hub.namespace=null"], "hub.namespace: push_to_hub is on, but it is not said where to"),
        ({}, ["hub.namespace=a b"], "hub.namespace: expected the name of a user or an organization"),
    ],
)
def test_what_is_missing_is_said_before_work_begins(
    variables: dict[str, str], overrides: list[str], said: str, publisher: Publisher, copied: Path
) -> None:
    assert said in one_line(publish(publisher, copied, *overrides, **variables))
    assert [one for one in publisher.hub.requests if "whoami" not in one] == []


def test_a_token_that_is_refused_is_said_before_work_begins(publisher: Publisher, copied: Path) -> None:
    with publisher.hub.trouble(Fault("GET /api/whoami-v2", status=403)):
        said = one_line(publish(publisher, copied))
    assert "push_to_hub: asking whose token it is: " in said
    assert "does not let this token read it (403)" in said
    assert [one for one in publisher.hub.requests if "whoami" not in one] == []


def test_the_tries_of_a_search_are_not_published(publisher: Publisher, copied: Path) -> None:
    done = publish(publisher, copied, "purpose=learning_rate_search")
    assert done.returncode == 0, done.stderr
    assert publisher.hub.requests == []


def test_the_trainers_own_switch_points_here(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"sft\.push_to_hub: .* set the recipe's own push_to_hub: true"):
        load_recipe(tiny_arguments(tmp_path, "baseline", "sft.push_to_hub=true"))


def test_publishing_is_nothing_that_runs_differ_in(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, "mul_tokens")
    published = small_recipe(tmp_path, "mul_tokens", *PUBLISHED)
    assert flatten(to_dict(recipe)) != flatten(to_dict(published))
    assert effective(flatten(to_dict(recipe))) == effective(flatten(to_dict(published)))
    assert comparable(flatten(to_dict(recipe))) == comparable(flatten(to_dict(published)))
    assert effective(flatten(to_dict(recipe))) != effective(flatten(to_dict(replace(recipe, seed=1))))


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(600)
def test_the_script_of_a_stage_publishes(publisher: Publisher, copied: Path, tmp_path: Path) -> None:
    for folder in ("pretrain_final", "sft_final", "checkpoints"):
        os.rename(copied / RUN / folder, tmp_path / folder)
    seen = environment(publisher.hub.endpoint, tmp_path / "home") | {"HF_TOKEN": TOKEN}
    command = [sys.executable, "scripts/run_pretrain.py", *arguments(copied)]
    codes = []
    with publisher.hub.trouble(Fault("POST .*/commit/", status=403)):
        done = subprocess.run(command, env=seen, cwd=ROOT, capture_output=True, text=True, check=False)
        codes.append(done.returncode)
    assert "not published: " in done.stderr
    assert (copied / RUN / "pretrain_final" / "manifest.json").is_file()
    done = subprocess.run(command, env=seen, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "pretrain: complete, skipped" in done.stderr
    assert [*codes, done.returncode] == [NOT_PUBLISHED, 0]
    trained = (tmp_path / "pretrain_final" / "model.safetensors").read_bytes()
    assert publisher.files("models/me/tiny-mul_tokens-seed0-pretrain")["model.safetensors"] == trained
