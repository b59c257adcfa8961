"""What cannot be read from the Hub is said in one message, before work begins and without a long wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny import run_inside, tiny_arguments

from domain_tokens.recipe import RecipeError, Source
from hub.conftest import DOCUMENTS, card, jsonl
from hub.faults import Fault
from hub.remote import Remote
from hub.server import HubServer


def web(**changed: str) -> Source:
    return Source(**{"name": "web", "kind": "hub", "path": "owner/web", "config": "sample", **changed})


@contextmanager
def refused(remote: Remote, *parts: str) -> Iterator[None]:
    """Expect a message that names the source and these parts, after some seconds at most."""
    with pytest.raises(RecipeError) as error:
        yield
    for part in ("source web", *parts):
        assert part in str(error.value)
    assert "\n" not in str(error.value)
    assert sum(remote.slept_s) < 10


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ({"path": "owner/wbe"}, ["no data set 'owner/wbe'", "private", "HF_TOKEN"]),
        ({"path": "web"}, ["no data set 'web'", "owner/name"]),
        ({"path": "https://hub.example/owner/web"}, ["no data set 'https://hub.example/owner/web'", "owner/name"]),
        ({"revision": "v9"}, ["revision", "'owner/web' has no 'v9'", "branch, a tag or a commit"]),
        ({"revision": "0" * 40}, ["revision", f"has no '{'0' * 40}'"]),
        ({"config": "smaple"}, ["smaple", "'sample'"]),
        ({"split": "tset"}, ["tset", "train"]),
    ],
)
def test_what_does_not_exist(changed: dict[str, str], parts: list[str], hub: HubServer, remote: Remote) -> None:
    with refused(remote, *parts):
        remote.check(web(**changed))


def test_a_folder_on_this_machine_is_not_taken_for_a_data_set(remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl([{"text": "a"}]))
    source = Source(name="web", kind="hub", path=str(tmp_path))
    with refused(remote, "is a folder on this machine", "kind: file"):
        remote.check(source)
    with refused(remote, "is a folder on this machine", "kind: file"):
        remote.documents(source)


def test_a_card_that_names_a_file_that_does_not_exist(hub: HubServer, remote: Remote) -> None:
    hub.add("owner/lost").commit(
        {"README.md": card(sample="[a.jsonl, gone.jsonl]"), "a.jsonl": jsonl([{"text": "a"}])}
    )
    with refused(remote, "gone.jsonl"):
        remote.check(web(path="owner/lost"))


@pytest.mark.parametrize(("closed_to", "todo"), [("strangers", "HF_TOKEN"), ("members", "ask for access at http://")])
def test_a_gated_data_set(closed_to: str, todo: str, hub: HubServer, remote: Remote) -> None:
    hub.add("owner/gated").commit(hub.repositories["owner/web"].commits[hub.repositories["owner/web"].refs["main"]])
    assert len(remote.documents(web(path="owner/gated"))) == len(DOCUMENTS)
    remote.forget()
    hub.repositories["owner/gated"].closed_to = closed_to
    with refused(remote, "'owner/gated' is gated", todo):
        remote.check(web(path="owner/gated"))


@pytest.mark.parametrize("revision", [None, "main", "commit"])
def test_a_hub_that_does_not_answer(revision: str | None, hub: HubServer, remote: Remote) -> None:
    revision = hub.repositories["owner/web"].refs["main"] if revision == "commit" else revision
    hub.stop()
    try:
        with refused(remote, hub.endpoint, "no connection to the Hub", "check the network", "local copy"):
            remote.rows(web(**({} if revision is None else {"revision": revision})))
    finally:
        hub.start()
    assert len(remote.rows(web())) == len(DOCUMENTS)


def test_a_hub_that_is_overloaded(hub: HubServer, remote: Remote) -> None:
    with hub.trouble(Fault("GET /api/datasets/owner/web$", times=4, status=503)), refused(remote, "503", "try later"):
        remote.check(web())
    remote.check(web())


@pytest.mark.parametrize("script", ["prepare_data", "run_experiment"])
def test_an_offline_machine(script: str, tmp_path: Path) -> None:
    where = "corpus.sources=[{name: web, kind: hub, path: owner/web}]"
    recipe, overlay, *overrides = tiny_arguments(tmp_path, "baseline", where)
    arguments = [recipe, overlay, *overrides]
    if script == "run_experiment":
        arguments = [recipe, "--overlay", overlay, "--set", *overrides]
    done = run_inside(f"scripts/{script}.py", *arguments)
    assert done.returncode == 2
    assert "source web: the data set 'owner/web' is on the Hub and HF_HUB_OFFLINE is set" in done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Loads the libraries")]
    assert len(lines) == 1
    assert not list(tmp_path.rglob("manifest.json")) or script == "prepare_data"
