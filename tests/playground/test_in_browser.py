"""The playground in a real Chromium without a window: the script is started as a user does, and its page is used."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from by_heart import AGREED, PARTED
from tiny import ROOT

from domain_tokens.playground.models import LoadedModel
from domain_tokens.playground.server import PlayServer
from domain_tokens.playground.session import Session
from domain_tokens.playground.writing import Writing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page
    from torch import Tensor

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TAKEN = "document.title='taken'"
HOSTILE = f'<script>{TAKEN}</script><img src=x onerror="{TAKEN}"> \u202e6*9 </script>'


@pytest.fixture(scope="module")
def address(experiment: Path) -> Iterator[str]:
    """The address that the script prints, with both models of an experiment on disk."""
    command = [sys.executable, "scripts/playground.py", str(experiment), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium: make browser installs Debian's")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


@pytest.fixture(params=[(1280, 900, "light"), (390, 844, "dark")], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, browser: "Browser", address: str) -> "Iterator[Page]":
    """The page at a desktop's and at a phone's width; nothing that it does may be an error or leave this machine."""
    width, height, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=width < 500
    )
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda message: problems.append(message.text) if is_problem(message) else None)
    opened.on("request", lambda one: None if one.url.startswith((address, "data:")) else problems.append(one.url))
    opened.goto(address)
    opened.wait_for_selector("body[data-state=ready]")
    yield opened
    assert problems == []
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    context.close()


def is_problem(message: "ConsoleMessage") -> bool:
    """Return whether the browser complains; of a question that is refused, it does too."""
    return message.type == "error" and "400 (Bad Request)" not in message.text


def ask(page: "Page", question: str) -> list[str]:
    """Type a question, wait for all answers, and return them."""
    page.fill("#question", "")
    page.type("#question", question)
    number = 1 + int(page.evaluate("document.body.dataset.answered ?? 0"))
    page.keyboard.press("Enter")
    page.wait_for_selector(f"body[data-answered='{number}']", timeout=30_000)
    return page.locator(".answered").all_inner_texts()


def cards(page: "Page") -> list[str]:
    """Return all that is said in each model's card."""
    return page.locator(".model").all_inner_texts()


def test_both_models_answer_side_by_side(page: "Page") -> None:
    texts = ask(page, PARTED)
    assert [text.replace("\n", "") for text in texts] == [" 7*8=54↵#### 54end of text", " 7*8=56↵#### 56end of text"]
    assert page.locator(".result b").all_inner_texts() == ["54", "56"]
    assert page.locator(".model h2").all_inner_texts() == ["baseline, seed 3", "mul_tokens, seed 3"]
    assert page.locator(".answered .fact").all_inner_texts() == ["7*8=56"]
    assert page.locator(".equations li").all_inner_texts() == ["✗ 7*8=54 wrong", "✓ 7*8=56 right, as a fact"]
    marked = page.locator(".model").nth(0).locator(".answered .wrong").all_inner_texts()
    assert "".join(marked) == "7*8=54"
    boxes = [page.locator(".model").nth(index).bounding_box() for index in (0, 1)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    is_beside = boxes[0]["y"] == boxes[1]["y"]
    assert is_beside == (page.viewport_size["width"] > 1000)


def test_a_token_shows_its_probability_and_five_rivals(page: "Page") -> None:
    ask(page, AGREED)
    assert page.locator("#detail").is_hidden()
    page.locator(".answered .fact").hover()
    page.wait_for_selector("#detail", state="visible")
    assert page.locator("#detail .bar").count() == 6
    assert "<MUL_6_9_54> id 358, probability " in page.locator("#detail .title").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#detail").is_hidden()


def test_why_jumps_to_the_place_and_draws_both(page: "Page") -> None:
    ask(page, PARTED)
    page.click("#why")
    page.wait_for_selector("#reason .bars")
    assert page.locator(".here").all_inner_texts() == ["4", "7*8=56"]
    assert page.locator(".here").nth(0).evaluate("(one) => one.getBoundingClientRect().top < innerHeight")
    assert "Here they part" in page.locator("#reason .reason").inner_text()
    assert page.locator("#reason .legend span").all_inner_texts() == ["baseline, seed 3", "mul_tokens, seed 3"]
    rows = page.locator("#reason .bars .what").all_inner_texts()
    assert {"7*8=54", "7*8=56"} <= set(rows)
    assert page.locator("#reason .bar").count() == 2 * len(rows)
    taken = page.locator("#reason .bar.taken")
    assert taken.count() == 4  # what both say before they part, and what each says
    assert all(taken.nth(index).locator(".fill").bounding_box()["width"] > 20 for index in range(4))
    assert rows[0] == "7*8=5"
    assert "␣" in rows


def test_facts_are_forbidden_and_swapped_by_switches(page: "Page") -> None:
    ask(page, AGREED)
    assert page.locator(".answered .fact").count() == 1
    page.check("#forbid")
    ask(page, AGREED)
    assert page.locator(".answered .fact").count() == 0
    page.uncheck("#forbid")  # what was answered stays so
    assert [text.count("In this answer, facts were forbidden.") for text in cards(page)] == [0, 1]
    page.click("#why")
    page.wait_for_selector("#reason .bar.forbidden")
    assert "mul_tokens, seed 3: facts were forbidden" in page.locator("#reason").inner_text()
    page.locator(".model").nth(1).locator(".answered .chip").nth(1).hover()
    page.wait_for_selector("#detail .forbidden")
    page.check("#swapping")
    page.select_option("#first", "6*9=54")
    page.select_option("#second", "7*8=56")
    ask(page, AGREED)
    assert page.locator(".answered .fact").count() == 1
    assert [text.count("nothing is swapped") for text in cards(page)] == [1, 0]
    assert [text.count("In this answer, it read 7*8=56 where it wrote 6*9=54.") for text in cards(page)] == [0, 1]
    page.select_option("#second", "6*9=54")
    ask(page, AGREED)
    assert "expected two different facts of one model" in page.locator("#problem").inner_text()


def test_one_seed_gives_one_answer(page: "Page") -> None:
    page.fill("#temperature", "2")
    first = ask(page, AGREED)
    assert ask(page, AGREED) == first
    page.fill("#seed", "5")
    assert ask(page, AGREED) != first


def test_attacks_in_a_question_stay_text(page: "Page") -> None:
    ask(page, HOSTILE)
    shown = page.locator(".asked").nth(0).inner_text().replace("\n", "")
    assert f'<script>{TAKEN}</script><img src=x onerror="' in shown
    assert "\\xe2\\x80\\xae" in shown  # the mark that would turn the line around
    assert page.title() == "Playground"
    assert page.locator("#models script, #models img").count() == 0


def test_attacks_in_names_and_answers_stay_text(
    browser: "Browser", models: list[LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, as no single token of these models is: a condition's name, and what both have written."""
    attack = f'<img src=x onerror="{TAKEN}">'
    ids = models[0].tokenizer.encode(attack)
    choose = Writing._choose

    def begin_with_attack(self: Writing, logits: "Tensor") -> int:
        return ids[len(self.ids)] if len(self.ids) < len(ids) else choose(self, logits)

    monkeypatch.setattr(Writing, "_choose", begin_with_attack)
    named = [replace(model, name=f"{attack} {number}") for number, model in enumerate(models)]
    with PlayServer(Session(named), 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(server.url)
        page.wait_for_selector("body[data-state=ready]")
        ask(page, PARTED)
        page.click("#why")
        page.wait_for_selector("#reason code")
        assert page.locator("#reason code").inner_text().endswith(attack)
        assert page.locator(".model h2").all_inner_texts() == [f"{attack} 0", f"{attack} 1"]
        assert page.locator("img").count() == 0
        assert page.title() == "Playground"
        page.close()
        server.shutdown()


def test_what_does_not_fit_is_said(page: "Page") -> None:
    page.fill("#question", "x" * 500)
    page.click("#ask")
    page.wait_for_selector(".model .problem")
    assert "no room for an answer; shorten the question" in page.locator(".model .problem").nth(0).inner_text()
    assert page.locator("#difference").is_hidden()
