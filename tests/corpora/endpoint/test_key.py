"""The key is read from the environment and is found nowhere else, whatever the server repeats."""

import logging
from collections.abc import Callable

import openai
import pytest
from conftest import Route
from misbehaving_server import CANARY, Behaviour, Behaviours, answer, good_but, misbehaving_server, status

from domain_tokens.corpora.endpoint.requests import Problem
from domain_tokens.corpora.endpoint.settings import Endpoint, Key, read_key
from domain_tokens.recipe import RecipeError

Served = tuple[str, Behaviours]
ECHO = {"error": {"message": f"Incorrect API key provided: {CANARY}", "code": "invalid_api_key"}}
ESCAPED = f'{{"error": {{"message": "{CANARY.replace("/", chr(92) + "/")}"}}}}'.encode()
SECRETS = (CANARY, CANARY.replace("/", "\\/"), CANARY.replace("/", "%2F"), CANARY[-14:])


@pytest.mark.parametrize(
    "misbehaves",
    [
        status(401, ECHO),
        status(400, ECHO),
        status(500, ECHO),
        status(403, ESCAPED),
        status(429, {"error": {"message": CANARY, "code": "insufficient_quota"}}),
        status(307, Location=f"http://127.0.0.1:9/{CANARY}"),
        answer(f"Your key is {CANARY}"),
        good_but(id=CANARY),
        status(200, f"<html>{CANARY}</html>".encode()),
    ],
)  # fmt: skip
def test_a_server_that_repeats_the_key(
    server: Served,
    route: Route,
    problems: Callable[[int], list[Problem]],
    misbehaves: Behaviour,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    server[1].first = {"boxes": [misbehaves] * 3}
    asked, ledger = route.ask(problems(6))
    assert {one.authorization for one in server[1].asked} == {f"Bearer {CANARY}"}
    printed = capfd.readouterr()
    shown = [asked.stopped, *asked.failed, caplog.text, printed.out, printed.err]
    written = [path.read_text(errors="replace") for path in route.folder.rglob("*") if path.is_file()]
    assert len(caplog.records) > 3  # the client's own lines
    assert (route.folder / "ledger.jsonl").stat().st_size
    assert not [text for text in [*shown, *written] for secret in SECRETS if secret in text]


def test_a_redirect_takes_the_key_nowhere(
    server: Served, route: Route, problems: Callable[[int], list[Problem]]
) -> None:
    with misbehaving_server() as (elsewhere, other):
        server[1].always = status(307, Location=f"{elsewhere}/chat/completions")
        asked, _ = route.ask(problems(3))
    assert server[1].hits() > 0
    assert not other.asked
    assert f"redirects (307) to '{elsewhere}/chat/completions'" in asked.stopped


def test_an_error_carries_no_key(server: Served, route: Route, problems: Callable[[int], list[Problem]]) -> None:
    assert CANARY not in repr(Key(CANARY))
    assert CANARY not in str(vars(route.endpoint))


@pytest.mark.parametrize("value", [None, "", "  ", "sk-a b", "sk-a\nb", "sk-ключ"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(value: str | None) -> None:
    with pytest.raises(RecipeError, match="OPENAI_API_KEY") as error:
        read_key({} if value is None else {"OPENAI_API_KEY": value})
    assert not value or not value.strip() or value not in str(error.value)


def test_a_key_is_read_from_the_environment() -> None:
    assert read_key({"OPENAI_API_KEY": f"{CANARY}\n"}).reveal() == CANARY
    assert read_key({"OPENAI_API_KEY": "none"}).removed_from("none of it") == "none of it"


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://a/v1", "http://", "http://a:b@c/v1", "https://a/v1?key=b", "http://a:99999/v1", "", "http://[a"],
)  # fmt: skip
def test_what_is_no_address_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(RecipeError, match="base URL"):
        Endpoint(url, "model")


def test_the_address_is_the_given_one_whatever_the_environment_says(
    server: Served, route: Route, problems: Callable[[int], list[Problem]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    assert str(openai.OpenAI().base_url).startswith("http://127.0.0.1:9")
    assert route.ask(problems(2))[0].answers == 2
    assert server[1].asked[0].authorization == f"Bearer {CANARY}"


@pytest.mark.parametrize("proxy", ["socks5://me:secretword@127.0.0.1:1", "://secretword", "nothing://secretword:x"])
def test_a_proxy_that_cannot_be_used_is_an_error_and_is_not_shown(
    route: Route, problems: Callable[[int], list[Problem]], proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        RecipeError, match="the proxy in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY cannot be used"
    ) as raised:
        route.ask(problems(1))
    assert "secretword" not in str(raised.value)


def test_a_base_url_ends_before_the_name_of_the_call() -> None:
    for url in ("http://localhost:8000/v1/chat/completions", "http://localhost:8000/v1/chat/completions/"):
        with pytest.raises(RecipeError, match="expected it without /chat/completions"):
            Endpoint(url, "a model")
    assert Endpoint("http://localhost:8000/v1/", "a model").base_url.endswith("/v1/")
