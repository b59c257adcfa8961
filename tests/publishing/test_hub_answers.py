"""What is made of the Hub's answers: which files it has, what a refusal means, what a collection is called."""

from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils.sha import git_hash

from domain_tokens.publishing.contents import Contents, PublishedFile
from domain_tokens.publishing.grouping import group
from domain_tokens.publishing.names import Placement
from domain_tokens.publishing.problems import HubProblem, hub_problems
from domain_tokens.publishing.push import check_token
from domain_tokens.publishing.uploading import _is_same
from domain_tokens.recipe import RecipeError


def answer(status: int, text: str = "no") -> HfHubHTTPError:
    request = httpx.Request("POST", "https://hub.example/api/x")
    return HfHubHTTPError(text, response=httpx.Response(status, text=text, request=request))


def explained(error: Exception, *, is_reading: bool = False) -> str:
    with pytest.raises(HubProblem) as problem, hub_problems("doing x", "do it again", is_reading=is_reading):
        raise error
    return str(problem.value)


@pytest.mark.parametrize(
    ("status", "is_reading", "said", "again"),
    [
        (401, False, "the token is not valid", False),
        (403, False, "the token may not write there (403)", False),
        (403, True, "does not let this token read it (403)", False),
        (404, False, "has nothing at this address (404); check HF_ENDPOINT", False),
        (413, False, "takes nothing as large as this (413); expected smaller files", False),
        (400, False, "refused it: no", False),
        (409, True, "refused it: no", False),
        (409, False, "somebody else changed it at the same time (409)", True),
        (412, False, "somebody else changed it at the same time (412)", True),
        (429, True, "asks to wait (429, too many requests)", True),
        (503, True, "does not answer (503)", True),
    ],
)
def test_what_a_status_means(status: int, is_reading: bool, said: str, again: bool) -> None:
    message = explained(answer(status), is_reading=is_reading)
    assert message.startswith("doing x: ")
    assert said in message
    assert message.endswith("do it again") is again
    assert ("may not write" in message) is (status == 403 and not is_reading)


def test_an_empty_answer_is_said_to_be_one() -> None:
    with pytest.raises(ValueError, match="Expecting value") as error:
        httpx.Response(200, text="").json()
    assert "cannot be read: Expecting value" in explained(error.value)
    assert "check that HF_ENDPOINT is a Hub" in explained(error.value)


def test_a_token_that_the_hub_repeats_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    token = "hf_" + "Qx7mZt2LxV" * 3
    monkeypatch.setenv("HF_TOKEN", token)
    message = explained(answer(400, f"bad token {token} of you"))
    assert "bad token [token] of you" in message
    assert token not in message


@pytest.mark.parametrize("known", [{}, {"auth": None}, {"auth": {"accessToken": None}}])
def test_a_hub_that_says_no_role_of_a_token_is_asked_for_none(known: dict[str, object]) -> None:
    asked: list[str] = []
    check_token(SimpleNamespace(whoami=lambda: asked.append("whoami") or known))  # type: ignore[arg-type]
    assert asked == ["whoami"]
    reads = {"auth": {"accessToken": {"role": "read"}}}
    with pytest.raises(RecipeError, match="may only read"):
        check_token(SimpleNamespace(whoami=lambda: reads))  # type: ignore[arg-type]


@pytest.mark.parametrize("is_large", [True, False])
def test_a_file_is_the_same_only_with_the_same_content(is_large: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    file = PublishedFile("model.safetensors", path)
    there = RepoFile(path="model.safetensors", size=7, oid=git_hash(b"weights"))
    if is_large:
        there.lfs = SimpleNamespace(size=7, sha256=file.sha256)  # type: ignore[assignment]
    assert _is_same(file, there)
    for content in (b"Weights", b"weights of another size"):  # the first as long as what the Hub has
        path.write_bytes(content)
        assert not _is_same(file, there)
    assert not _is_same(file, None)


class _Collections:
    """Stands for the part of the Hub's API that collections are made by."""

    def __init__(self) -> None:
        self.made: list[tuple[str, object]] = []

    def create_collection(self, title: str, **settings: object) -> SimpleNamespace:
        self.made.append((title, settings["private"]))
        return SimpleNamespace(items=[], slug="me/x")

    def add_collection_item(self, *_: object, **__: object) -> None: ...


@pytest.mark.parametrize("private", [True, False])
def test_a_collection_is_as_private_as_its_repositories_and_its_title_fits(private: bool) -> None:
    hub, experiment = _Collections(), "x" * 80
    placement = Placement(kind="results", experiment=experiment)
    contents = Contents("me/x-results", "dataset", "main", (), str, placement)
    group(hub, "me", experiment, [contents], private=private)  # type: ignore[arg-type]
    assert hub.made == [("x" * 59, private)]
