"""What is read is of one commit: that of the recipe's revision when reading began."""

import pytest

from domain_tokens.recipe import RecipeError, Source
from hub.conftest import jsonl
from hub.remote import Remote
from hub.server import HubServer


def source(revision: str | None = None) -> Source:
    return Source(name="notes", kind="hub", path="owner/notes", revision=revision)


@pytest.fixture
def commits(hub: HubServer) -> dict[str, str]:
    """A data set with two commits on main and one on a branch with a slash in its name."""
    repository = hub.add("owner/notes")
    ids = {
        "first": repository.commit({"a.jsonl": jsonl([{"text": "first"}])}),
        "branch": repository.commit({"a.jsonl": jsonl([{"text": "branch"}])}, "refs/pr/1"),
        "second": repository.commit({"a.jsonl": jsonl([{"text": "second"}])}),
    }
    repository.refs["v1"] = ids["first"]
    return ids


@pytest.mark.parametrize(
    ("revision", "name"), [(None, "second"), ("main", "second"), ("v1", "first"), ("refs/pr/1", "branch")]
)
def test_a_revision_names_a_commit(revision: str | None, name: str, commits: dict[str, str], remote: Remote) -> None:
    assert remote.commit(source(revision)) == commits[name]
    assert [text for _, text in remote.documents(source(revision))] == [name]


def test_a_commit_is_read_whatever_comes_after_it(commits: dict[str, str], remote: Remote) -> None:
    assert [text for _, text in remote.documents(source(commits["first"]))] == ["first"]


def test_a_process_reads_one_commit(commits: dict[str, str], hub: HubServer, remote: Remote) -> None:
    assert [row["text"] for row in remote.rows(source())] == ["second"]
    third = hub.repositories["owner/notes"].commit({"a.jsonl": jsonl([{"text": "third"}])})
    assert [row["text"] for row in remote.rows(source())] == ["second"]
    remote.forget()
    assert remote.commit(source()) == third
    assert [row["text"] for row in remote.rows(source())] == ["third"]


def test_only_the_hub_has_revisions(tmp_path: object) -> None:
    with pytest.raises(RecipeError, match=r"corpus.sources.x.revision: only a data set on the Hub has revisions"):
        Source(name="x", kind="file", path="x.jsonl", revision="main").check("corpus.sources.x")
